"""Classify: the network that is explained, and what it says of the current image."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.controllers.edit.recovery import image_key
from napari_semxai.controllers.explain.request_tracker import RequestTracker
from napari_semxai.types import ClassifyRequest, LayersRequest

if TYPE_CHECKING:
    from napari_semxai.controllers.explain.request_tracker import ResultCache
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import ClassifierChoice
    from napari_semxai.state.session import Session
    from napari_semxai.types import Classification, NetworkLayers, SemImage


class ClassifyController:
    """Loads a classifier and predicts the class of the current image.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the service "explain".
    jobs : Jobs
        Digests images.
    cache : ResultCache
        Keeps answers.
    """

    def __init__(
        self, session: Session, engine: EngineClient, jobs: Jobs, cache: ResultCache
    ) -> None:
        self._session, self._explanation = session, session.explanation
        self._jobs, self._cache = jobs, cache
        self._tracker = RequestTracker(engine, session.explanation, "classifying")
        self._warm = False
        session.events.image.connect(self._on_image_changed)

    def release(self) -> None:
        """Follow the session no longer."""
        self._session.events.image.disconnect(self._on_image_changed)

    def warm(self) -> None:
        """Start the engine, load the chosen network and classify the current image."""
        # Once: the network stays loaded in the engine for as long as that runs.
        if self._warm:
            return
        self._warm = True
        choice = self._explanation.choice
        self._tracker.ask(
            LayersRequest(choice.classifier, choice.device), "layers", self._on_network
        )
        if self._explanation.image_key:
            self._classify()
        else:
            self._on_image_changed(self._session.image)

    def choose_classifier(self, choice: ClassifierChoice) -> None:
        """Explain another network from now on."""
        explanation = self._explanation
        self._tracker.forget()
        weights = Path(choice.classifier)
        files = weights, weights.with_suffix(".json")
        # Part of the choice, which is the key of every cache: a file that was trained anew under
        # its old name is another classifier.
        changed = tuple(path.stat().st_mtime_ns for path in files if path.is_file())
        explanation.choice = replace(choice, changed=changed)
        explanation.network = explanation.classification = explanation.target = None
        self._warm = False
        self.warm()

    def set_target(self, target: int | None) -> None:
        """Explain another class; None is whichever is predicted."""
        self._explanation.target = target

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._tracker.forget("classify")
        self._explanation.image_key = ""
        self._explanation.classification = None
        # The key of the image before must not arrive as that of this one.
        self._jobs.forget("image key")
        if image is not None:
            self._jobs.run("image key", partial(image_key, image), self._on_key)

    def _on_key(self, key: str) -> None:
        self._explanation.image_key = key
        self._classify()

    def _classify(self) -> None:
        image, choice = self._session.image, self._explanation.choice
        if not self._warm or image is None:
            return
        key = (self._explanation.image_key, choice)
        known = self._cache.get(key)
        if known is not None:
            self._explanation.classification = known
            return
        request = ClassifyRequest(image.gray, choice.classifier, choice.device)
        self._tracker.ask(request, "classify", partial(self._on_classified, key))

    def _on_network(self, network: NetworkLayers) -> None:
        self._explanation.network = network

    def _on_classified(self, key: tuple[str, ClassifierChoice], found: Classification) -> None:
        self._cache.put(key, found, found.probabilities.nbytes)
        self._explanation.classification = found


def target_of(session: Session) -> int | None:
    """Return the class to explain: the chosen one, else the predicted one, if known."""
    explanation = session.explanation
    if explanation.target is not None or explanation.classification is None:
        return explanation.target
    return explanation.classification.predicted
