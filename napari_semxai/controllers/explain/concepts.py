"""Concepts: what parts of its images a class is recognised by (CRAFT)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.controllers.explain.classify import target_of
from napari_semxai.controllers.explain.request_tracker import RequestTracker
from napari_semxai.state.explanation import HEAT_MAP, Focus
from napari_semxai.store.datasets.dataset import copy_bank, name_concepts
from napari_semxai.store.images.read import image_files
from napari_semxai.types import (
    ConceptBank,
    ConceptMaps,
    CraftFitRequest,
    CraftOpenRequest,
    CraftSweepRequest,
    CraftTransformRequest,
    SweepAdvice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    from napari_semxai.controllers.explain.request_tracker import ResultCache
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import (
        ClassifierChoice,
        CraftSettings,
        Explanation,
        FitImage,
    )
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, SemImage, SweepRow

    _Images = tuple[FitImage, ...]
    _Fitted = tuple[ConceptBank, _Images]
    # What finds a mask for each image, None where it is not known.
    KnownMasks = Callable[[Sequence[FitImage]], tuple[BoolMask | None, ...]]

FIT, MAPS, OPEN, TUNE = "concepts", "concept maps", "concept file", "tuning"


class ConceptController:
    """Fits, opens, saves and tunes CRAFT concepts of a class.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the service "explain".
    jobs : Jobs
        Lists folders.
    cache : ResultCache
        Keeps the maps of the images seen last.
    open_image : callable
        Goes to the image of a crop.
    known_masks : callable
        Returns what, asked in a thread, knows the masks of images.
    """

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        jobs: Jobs,
        cache: ResultCache,
        open_image: Callable[[FitImage], None],
        known_masks: Callable[[], KnownMasks],
    ) -> None:
        self._session, self._explanation = session, session.explanation
        self._jobs, self._cache, self._open_image = jobs, cache, open_image
        self._known_masks = known_masks
        self._tracker = RequestTracker(engine, session.explanation, "fitting")
        self._asked: Hashable = None
        self._banks: dict[tuple[ClassifierChoice, int | None], _Fitted] = {}
        events = session.explanation.events
        self._connections = (
            (events.image_key, self._on_key_changed),
            (events.classification, self._refresh),
            (events.target, self._refresh),
            (events.choice, self._on_choice_changed),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the session no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def add_images(self, images: Sequence[FitImage]) -> None:
        """Fit on these images too."""
        known = self._explanation.fit_images
        self._explanation.fit_images = known + tuple(i for i in images if i not in known)

    def add_folder(self, folder: Path) -> None:
        """Fit on the images of a folder too."""
        self._jobs.run("fit images", partial(image_files, folder), self.add_images)

    def add_current(self) -> None:
        """Fit on the current image too."""
        image = self._session.image
        if image is not None:
            self.add_images([image])

    def clear_images(self) -> None:
        """Fit on nothing yet."""
        self._explanation.fit_images = ()

    def set_craft(self, settings: CraftSettings) -> None:
        """Choose how concepts are fitted next time and how their maps are refined now."""
        before, self._explanation.craft = self._explanation.craft, settings
        if before.n_concepts != settings.n_concepts:
            self._fit_live()
        if (before.refinement, before.as_drawn) != (settings.refinement, settings.as_drawn):
            self._reveal()
            self._refresh()

    def fit(self) -> None:
        """Find the concepts of the class in the chosen images, then in the current one."""
        target = self._target_to("fit")
        if target is not None:
            self._ask_fit(self._explanation.fit_images, target)

    def _fit_live(self) -> None:
        """Show another number of concepts at once: the engine knows what the network says."""
        craft, bank = self._explanation.craft, self._explanation.bank
        if bank is not None and self._explanation.bank_images:
            layer = craft.layer or bank.layer
            same = (bank.layer, bank.patch_size, bank.seed, bank.pieces)
            if (layer, craft.patch_size, craft.seed, craft.pieces) == same:
                self._ask_fit(self._explanation.bank_images, bank.target)

    def _ask_fit(self, images: _Images, target: int) -> None:
        request = _fit_request(self._explanation, images, target)
        self._tracker.ask(request, FIT, partial(self._on_fitted, self._explanation.choice, images))

    def tune(self) -> None:
        """Try layers, numbers of concepts and patch sizes, and say which suit best.

        Validated masks of the images, where there are any, say how well concepts lie.
        """
        explanation, target = self._explanation, self._target_to("tune")
        if target is None:
            return
        explanation.sweep, explanation.advice = (), None
        images, known = explanation.fit_images, self._known_masks()
        request = _sweep_request(explanation, target)
        self._jobs.run(
            "tuning masks", lambda: replace(request, masks=known(images)), self._ask_sweep
        )

    def _target_to(self, verb: str) -> int | None:
        """Return the class to fit or tune on; say what is missing where there is none."""
        target = target_of(self._session)
        if target is not None and self._explanation.fit_images:
            return target
        self._session.message = f"Choose a target class, and add images that show it to {verb} on"
        return None

    def use(self, row: SweepRow) -> None:
        """Take the settings of a row of the tuning."""
        craft, layer, k = self._explanation.craft, row.layer, row.n_concepts
        self.set_craft(replace(craft, layer=layer, n_concepts=k, patch_size=row.patch_size))

    def open_bank(self, path: Path) -> None:
        """Show the concepts in a file, and explain their class."""
        choice = self._explanation.choice
        request = CraftOpenRequest(path, choice.classifier, choice.device)
        self._tracker.ask(request, OPEN, partial(self._on_opened, choice))

    def save_bank(self, path: Path) -> None:
        """Write the concepts on show to a file, their description beside it."""
        bank = self._explanation.bank
        if bank is not None:
            copy = partial(copy_bank, bank.path, path)
            self._jobs.run("save concepts", copy, self._session.say)

    def name_concept(self, concept: int, name: str) -> None:
        """Call a concept something; its bank keeps the name, and a copy of it does, too."""
        explanation, bank = self._explanation, self._explanation.bank
        if bank is None or bank.name(concept) == name.strip():
            return
        names = [bank.name(number) for number in range(bank.n_concepts)]
        names[concept] = name.strip()
        named = replace(bank, names=tuple(names))
        self._banks[explanation.choice, bank.target] = (named, explanation.bank_images)
        explanation.bank = named
        self._jobs.run("name concepts", partial(name_concepts, bank.path, names))

    def cancel(self) -> None:
        """Stop what is running; the concepts so far stay."""
        self._tracker.cancel()

    def open_crop(self, concept: int, number: int) -> None:
        """Open the image that a crop was taken from, there."""
        explanation = self._explanation
        if explanation.bank is None:
            return
        place = int(explanation.bank.crop_images[concept, number])
        # A bank that was opened knows the numbers of its images, not their files.
        if place >= len(explanation.bank_images):
            self._session.message = "Concepts from a file do not record where their images are"
            return
        image = explanation.bank_images[place]
        row0, column0, row1, column1 = explanation.bank.crop_boxes[concept, number].tolist()
        explanation.focus = Focus(image, (row0, column0, row1, column1))
        # It is looked at already where the image is the current one.
        if explanation.focus is not None:
            self._open_image(image)

    def _on_key_changed(self, key: str) -> None:
        if not key:
            # Another image.
            self._tracker.forget(MAPS)
        self._refresh()

    def _on_choice_changed(self) -> None:
        self._tracker.forget()
        self._refresh()

    def _on_fitted(self, choice: ClassifierChoice, images: _Images, bank: ConceptBank) -> None:
        self._banks[choice, bank.target] = (bank, images)
        self._reveal()
        self._refresh()

    def _on_opened(self, choice: ClassifierChoice, bank: ConceptBank) -> None:
        self._banks[choice, bank.target] = (bank, ())
        self._reveal()
        if target_of(self._session) == bank.target:
            self._refresh()
        else:
            self._explanation.target = bank.target

    def _on_sweep(self, answer: Any) -> None:
        if isinstance(answer, SweepAdvice):
            self._explanation.sweep, self._explanation.advice = answer.rows, answer
        else:
            self._explanation.sweep = (*self._explanation.sweep, answer)

    def _on_maps(self, key: Hashable, maps: ConceptMaps) -> None:
        self._cache.put(key, maps, maps.maps.nbytes + maps.rendering.nbytes)
        # Meanwhile another class, bank or refinement may be looked at.
        if key == self._wanted():
            self._explanation.concepts = maps

    def _refresh(self) -> None:
        """Show the concepts of the class in the current image; ask for them where unknown."""
        explanation, target = self._explanation, target_of(self._session)
        bank, explanation.bank_images = self._banks.get((explanation.choice, target), (None, ()))
        explanation.bank = bank
        key = self._wanted()
        if bank is None or key is None:
            explanation.concepts = None
            return
        known: ConceptMaps | None = self._cache.get(key)
        if known is not None:
            explanation.concepts = known
        elif explanation.concepts is not None and explanation.concepts.bank != bank.key:
            # Maps of another class must not stand under the names of this one.
            explanation.concepts = None
        # The maps come first and can be shown; the rest was still to come when the image was
        # left.
        if known is None or np.isnan(known.local_importances).any():
            self._ask_maps(key, bank)

    def _wanted(self) -> Hashable:
        """Return what the maps to show are kept under; None where there are none to show."""
        explanation, bank = self._explanation, self._explanation.bank
        if bank is None or self._session.image is None or not explanation.image_key:
            return None
        craft = explanation.craft
        return explanation.image_key, bank.key, craft.refinement, craft.as_drawn

    def _ask_sweep(self, request: CraftSweepRequest) -> None:
        # It takes minutes: heat maps and concepts that a person asks for meanwhile go first.
        self._tracker.ask(request, TUNE, self._on_sweep, background=True)

    def _ask_maps(self, key: Hashable, bank: ConceptBank) -> None:
        image = self._session.image
        # Asked again it would begin anew, and every signal on the way comes by here.
        if image is None or (self._asked == key and self._tracker.waits_for(MAPS)):
            return
        self._asked = key
        request = _maps_request(self._explanation, bank, image)
        self._tracker.ask(request, MAPS, partial(self._on_maps, key))

    def _reveal(self) -> None:
        """Show concepts that somebody asks for, also where the heat map was looked at alone."""
        if self._explanation.alone == HEAT_MAP:
            self._explanation.alone = ""


def _fit_request(explanation: Explanation, images: _Images, target: int) -> CraftFitRequest:
    craft, choice = explanation.craft, explanation.choice
    return CraftFitRequest(
        images=images,
        classifier=choice.classifier,
        target=target,
        layer=craft.layer,
        n_concepts=craft.n_concepts,
        patch_size=craft.patch_size,
        seed=craft.seed,
        device=choice.device,
        as_drawn=craft.as_drawn,
        pieces=craft.pieces,
    )


def _sweep_request(explanation: Explanation, target: int) -> CraftSweepRequest:
    craft, choice = explanation.craft, explanation.choice
    return CraftSweepRequest(
        images=explanation.fit_images,
        classifier=choice.classifier,
        target=target,
        refinement=craft.refinement,
        device=choice.device,
        pieces=craft.pieces,
    )


def _maps_request(
    explanation: Explanation, bank: ConceptBank, image: SemImage
) -> CraftTransformRequest:
    craft, choice = explanation.craft, explanation.choice
    return CraftTransformRequest(
        image.gray,
        choice.classifier,
        bank.path,
        craft.refinement,
        choice.device,
        craft.as_drawn,
        image.picture_rows,
    )
