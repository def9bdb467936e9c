"""The controllers of explanations together, the masks that these give, and those known before.

`SOURCES` lists the families of explanations; whoever shows, judges or saves them walks it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from napari_semxai.algorithms.explanations.masks import PAPER_COLORS
from napari_semxai.controllers.explain.classify import ClassifyController
from napari_semxai.controllers.explain.concept_sources import ConceptSource, PictureSource
from napari_semxai.controllers.explain.concepts import ConceptController
from napari_semxai.controllers.explain.heatmap_source import HeatmapSource
from napari_semxai.controllers.explain.heatmaps import HeatmapController
from napari_semxai.controllers.explain.request_tracker import ResultCache
from napari_semxai.state.explanation import HEAT_MAP, ExplanationMasks, ExplanationPicture
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.project import open_project
from napari_semxai.types import BoolMask, InputError, SemImage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_semxai.controllers.edit.clicks import ClickController
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.explain.concepts import KnownMasks
    from napari_semxai.controllers.explain.sources import MapSource
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import FitImage
    from napari_semxai.state.session import Session


SOURCES: tuple[type[MapSource], ...] = (HeatmapSource, ConceptSource, PictureSource)
"""All families, in the order of their masks, maps and tiles; another one is an entry here."""


def make_sources() -> tuple[MapSource, ...]:
    """Return a source for each family; every caller has its own, because they cache."""
    return tuple(make() for make in SOURCES)


_FIGURE_SHAPE, _FIGURE_CROP = (700, 1800), (151, 488, 556, 892)


class MaskChange(TypedDict, total=False):
    """Fields of `ExplanationMaskSettings` to replace."""

    tau: float
    concept_tau: float
    delta: float
    paper: bool
    concepts: frozenset[int]
    local: bool


class ExplanationMaskController:
    """Keep the session's explanation masks equal to its explanations and thresholds.

    Parameters
    ----------
    session : Session
        Where the masks go.
    jobs : Jobs
        Reads pictures.
    prompt : callable
        Takes a mask and a title, and gives the mask to SAM as a prompt.
    propose : callable
        Takes mask, title and details of an edit: `EditController.propose`.
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        prompt: Callable[[BoolMask, str], None],
        propose: Callable[[BoolMask, str, Mapping[str, Any]], None],
    ) -> None:
        self._session, self._explanation, self._jobs = session, session.explanation, jobs
        self._prompt, self._propose = prompt, propose
        self._sources = make_sources()
        events = session.explanation.events
        self._connections = (
            (session.events.image, self._on_image_changed),
            *((getattr(events, source.field), self._show) for source in self._sources),
            (events.mask_settings, self._show),
        )
        for signal, slot in self._connections:
            signal.connect(slot)

    def release(self) -> None:
        """Follow the session no longer."""
        for signal, slot in self._connections:
            signal.disconnect(slot)

    def set_masks(self, **change: Unpack[MaskChange]) -> None:
        """Change thresholds, route or shown concepts, and apply them at once."""
        if "concepts" in change and self._explanation.alone == HEAT_MAP:
            # Whoever ticks a concept wants to see it.
            self._explanation.alone = ""
        self._explanation.mask_settings = replace(self._explanation.mask_settings, **change)

    def set_threshold(self, parameter: str, value: float) -> None:
        """Change one threshold by its field of `ExplanationMaskSettings`."""
        change: MaskChange = (
            {"concept_tau": value} if parameter == "concept_tau" else {"tau": value}
        )
        self.set_masks(**change)

    def load_picture(self, path: Path, method: str) -> None:
        """Read a rendered explanation of the current image; `method` "gradcam" or "craft"."""
        self._jobs.run(
            "explanation picture", partial(_read_picture, path, method), self.set_picture
        )

    def set_picture(self, picture: ExplanationPicture | None) -> None:
        """Use a rendered explanation, or another crop or other colours of it; None drops it."""
        self._explanation.picture = picture

    def send(self, name: str) -> None:
        """Bring a mask of the explanation into the mask editor as one undoable edit."""
        mask = self._explanation.masks.masks.get(name)
        if mask is not None:
            source = next(source for source in self._sources if source.owns(name))
            details = source.details(self._explanation, name)
            self._propose(mask, f"mask from explanation: {name}", details)

    def send_to_sam(self, name: str) -> None:
        """Give a mask of the explanation to SAM as a prompt."""
        mask = self._explanation.masks.masks.get(name)
        if mask is not None:
            self._prompt(mask, f"SAM from explanation: {name}")

    def _on_image_changed(self) -> None:
        self._explanation.picture = None

    def _show(self) -> None:
        image, explanation = self._session.image, self._explanation
        masks: dict[str, BoolMask] = {}
        labels: dict[str, NDArray[Any]] = {}
        if image is not None:
            for source in self._sources:
                found, shown = source.masks(explanation, image.gray.shape)
                masks |= found
                if shown is not None:
                    labels[source.family] = shown
        explanation.masks = ExplanationMasks(masks, labels)


class Explaining:
    """The four controllers of explanations.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the service "explain".
    jobs : Jobs
        Runs what takes longer than a frame.
    open_image : callable
        Goes to the image of a crop.
    edit : EditController
        Knows the defect mask.
    clicks : ClickController
        Takes masks as prompts for SAM.
    """

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        jobs: Jobs,
        open_image: Callable[[FitImage], None],
        edit: EditController,
        clicks: ClickController,
    ) -> None:
        self._session, self._edit = session, edit
        cache = ResultCache()
        self.classify = ClassifyController(session, engine, jobs, cache, open_image)
        self.heatmaps = HeatmapController(session, engine, cache, self._mask)
        self.concepts = ConceptController(
            session, engine, jobs, cache, open_image, self._known_masks
        )
        self.masks = ExplanationMaskController(session, jobs, clicks.refine_mask, edit.propose)

    def release(self) -> None:
        """Follow the session no longer."""
        for controller in (self.classify, self.heatmaps, self.concepts, self.masks):
            controller.release()

    def _mask(self) -> BoolMask | None:
        mask = self._edit.mask
        return None if mask is None else mask.copy()

    def _known_masks(self) -> KnownMasks:
        return fit_masks(self._session, self._mask()).of


@dataclass(frozen=True, slots=True, eq=False)
class FitMasks:
    """Where masks are known, taken out of the session before a thread reads them.

    Attributes
    ----------
    image : SemImage or None
        The current image.
    mask : ndarray of bool, shape (M, N), or None
        Its validated mask.
    project : Path or None
        The open project.
    annotator : str
        Whose masks of it count before those of others.
    """

    image: SemImage | None
    mask: BoolMask | None
    project: Path | None = None
    annotator: str = ""

    def of(self, images: Sequence[FitImage]) -> tuple[BoolMask | None, ...]:
        """Return a mask for each image, None where it is not known; () where none is.

        Raises
        ------
        InputError
            When the project cannot be read.
        """
        found = self._of_project()
        if self.image is not None and self.mask is not None:
            found[id(self.image)] = self.mask
            if self.image.path is not None and self.image.page == 0:
                found[self.image.path.resolve()] = self.mask
        masks = tuple(
            found.get(image.resolve() if isinstance(image, Path) else id(image))
            for image in images
        )
        return masks if any(mask is not None for mask in masks) else ()

    def _of_project(self) -> dict[Path | int, BoolMask]:
        if self.project is None:
            return {}
        project = open_project(self.project)
        annotators = [*project.annotators(), self.annotator]
        found: dict[Path | int, BoolMask] = {}
        for image in project.images:
            for name in annotators if image.page == 0 else ():
                record, mask = project.record(image.id, name), project.mask(image.id, name)
                # The own mask comes last and counts.
                if record is not None and record.state.is_truth and mask is not None:
                    found[image.path.resolve()] = mask
        return found


def fit_masks(session: Session, mask: BoolMask | None) -> FitMasks:
    """Note where masks are known: a loaded truth or a person's `mask`, and the open project."""
    if session.loaded_truth is not None:
        mask = session.loaded_truth.mask
    elif not session.edited:
        # What only the algorithm says is no truth.
        mask = None
    queue = session.queue
    if queue is None:
        return FitMasks(session.image, mask)
    return FitMasks(session.image, mask, queue.folder, queue.annotator)


def _read_picture(path: Path, method: str) -> ExplanationPicture:
    pixels = read_image(path).pixels
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise InputError(
            f"{path}: not an 8-bit colour picture; choose a rendered explanation, not a float "
            "map or a mask"
        )
    figure = method == "craft" and pixels.shape[:2] == _FIGURE_SHAPE
    return ExplanationPicture(
        np.ascontiguousarray(pixels[..., :3]),
        path.name,
        method,
        _FIGURE_CROP if figure else None,
        PAPER_COLORS if method == "craft" else (),
    )
