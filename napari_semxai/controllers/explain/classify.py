"""Classify: the network that is explained, and what it says of the current image."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.controllers.edit.recovery import image_key
from napari_semxai.controllers.explain.request_tracker import RequestTracker
from napari_semxai.store.images.read import read_image
from napari_semxai.types import (
    ClassifyRequest,
    LayersRequest,
    NearestRequest,
    QueueFilter,
    ReviewedFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.explain.request_tracker import ResultCache
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import ClassifierChoice, FitImage
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import Classification, Nearest, NetworkLayers, SemImage


NEAREST = "nearest images"


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
    open_image : callable
        Goes to an image.
    """

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        jobs: Jobs,
        cache: ResultCache,
        open_image: Callable[[FitImage], None],
    ) -> None:
        self._open_image = open_image
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
        explanation.nearest = None
        self._warm = False
        self.warm()

    def set_target(self, target: int | None) -> None:
        """Explain another class; None is whichever is predicted."""
        self._explanation.target = target

    def find_nearest(self) -> None:
        """Find the images of the project that the classifier sees as most like this one."""
        image, project, queue = self._session.image, self._session.project, self._session.queue
        if self._tracker.waits_for(NEAREST):
            # The first time every image is looked at: the same button stops that.
            self._tracker.cancel()
            return
        if image is None or project is None or queue is None:
            self._session.message = "Open a project: its images are what this one is compared with"
            return
        hidden_from = queue.annotator if self._session.blind else None
        wanted = QueueFilter(annotator=queue.filter.annotator, hidden_from=hidden_from)
        files = partial(_reviewed_files, project, wanted, image)
        self._jobs.run(NEAREST, files, partial(self._ask_nearest, image))

    def open_nearest(self, number: int) -> None:
        """Go to one of the images that are most like this one."""
        found = self._explanation.nearest
        if found is None:
            return
        file = found.files[number]
        if file.page:
            read = partial(read_image, file.path, file.page)
            self._jobs.run("open similar image", read, self._open_image)
        else:
            self._open_image(file.path)

    def _ask_nearest(self, image: SemImage, files: tuple[ReviewedFile, ...]) -> None:
        # Another image may have come meanwhile.
        if image is self._session.image and files:
            choice = self._explanation.choice
            request = NearestRequest(image.gray, choice.classifier, files, device=choice.device)
            # It may take minutes: what a person asks for meanwhile goes first.
            self._tracker.ask(request, NEAREST, self._on_nearest, background=True)

    def _on_nearest(self, found: Nearest) -> None:
        self._explanation.nearest = found

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._tracker.forget("classify", NEAREST)
        self._explanation.image_key = ""
        self._explanation.classification = self._explanation.nearest = None
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


def _reviewed_files(
    project: OpenProject, wanted: QueueFilter, image: SemImage
) -> tuple[ReviewedFile, ...]:
    """Return the images of a project with what people say of them, without one of them."""
    found = []
    for row in project.index.queue(wanted):
        one = project.project.image(row.image)
        if image.path is None or (one.path, one.page) != (image.path, image.page):
            found.append(ReviewedFile(one.path, one.page, row.name, row.label, str(row.state)))
    return tuple(found)


def target_of(session: Session) -> int | None:
    """Return the class to explain: the chosen one, else the predicted one, if known."""
    explanation = session.explanation
    if explanation.target is not None or explanation.classification is None:
        return explanation.target
    return explanation.classification.predicted
