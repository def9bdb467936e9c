"""Masks from explanations, live while thresholds move, and where they can go."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np

from napari_semxai.algorithms.explanations.masks import (
    PAPER_COLORS,
    color_distances,
    gradcam_mask,
    resized_mask,
    threshold_mask,
    weighted_map,
)
from napari_semxai.state.explanation import (
    HEAT_MAP,
    PICTURE,
    UNION,
    WEIGHTED,
    ExplanationMasks,
    ExplanationPicture,
)
from napari_semxai.state.session import Proposal
from napari_semxai.store.images.read import read_image
from napari_semxai.types import Heatmap, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.explanation import Explanation, MaskSettings
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, ConceptMaps, FloatArray


def explanation_details(explanation: Explanation, name: str) -> dict[str, Any]:
    """Return what made a mask of `Explanation.masks`, as JSON can hold it."""
    settings, picture = explanation.mask_settings, explanation.picture
    heatmap, concepts = explanation.heatmaps.active, explanation.concepts
    if name == HEAT_MAP and heatmap is not None:
        return _of_heatmap(heatmap, settings)
    if name.startswith(PICTURE) and picture is not None:
        return _of_picture(picture, settings)
    return {} if concepts is None else _of_concepts(concepts, settings, name)


def _of_heatmap(heatmap: Heatmap, settings: MaskSettings) -> dict[str, Any]:
    return {
        "method": heatmap.method,
        "layers": list(heatmap.layers),
        "target": heatmap.target,
        "class": heatmap.class_name,
        "classifier_sha256": heatmap.sha256,
        "inside_mask": heatmap.inside_mask,
        "paper": settings.paper,
        "tau": settings.tau,
    }


def _of_concepts(maps: ConceptMaps, settings: MaskSettings, name: str) -> dict[str, Any]:
    several = name in (UNION, WEIGHTED)
    details = {
        "method": "craft",
        "layers": list(maps.layers),
        "target": maps.target,
        "classifier_sha256": maps.sha256,
        "bank": maps.bank,
        "refinement": maps.refinement,
        # Numbers begin at 1, as in the window.
        "concepts": sorted(n + 1 for n in settings.concepts) if several else [_number(name)],
        "paper": settings.paper,
    }
    if name == WEIGHTED:
        details["importances"] = "local" if settings.local else "global"
    threshold = {"delta": settings.delta} if settings.paper else {"tau": settings.concept_tau}
    return details | threshold


def _of_picture(picture: ExplanationPicture, settings: MaskSettings) -> dict[str, Any]:
    gradcam = picture.method == "gradcam"
    return {
        "method": picture.method,
        "picture": picture.name,
        "crop": None if picture.crop is None else list(picture.crop),
        "colors": [list(color) for color in picture.colors],
        **({"tau": settings.tau} if gradcam else {"delta": settings.delta}),
    }


def _number(name: str) -> int:
    return int(name.rsplit(" ", 1)[1])


_FIGURE_SHAPE, _FIGURE_CROP = (700, 1800), (151, 488, 556, 892)


class MaskChange(TypedDict, total=False):
    """Fields of `MaskSettings` to replace."""

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
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        prompt: Callable[[BoolMask, str], None],
    ) -> None:
        self._session, self._explanation, self._jobs = session, session.explanation, jobs
        self._prompt = prompt
        # Of the explanation shown now, and of the one before it.
        self._distances = lru_cache(maxsize=2)(concept_distances)
        self._rendered = lru_cache(maxsize=2)(Heatmap.rgb)
        self._weighted = lru_cache(maxsize=2)(_weighted)
        # A mask that stays the same object is not drawn again.
        self._heat_mask = lru_cache(maxsize=1)(partial(heat_mask, render=self._rendered))
        self._concept_masks = lru_cache(maxsize=1)(self._make_concept_masks)
        events = session.explanation.events
        self._connections = (
            (session.events.image, self._on_image_changed),
            (events.heatmaps, self._show),
            (events.concepts, self._show),
            (events.picture, self._show),
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
        """Change one threshold by its field of `MaskSettings`."""
        change: MaskChange = (
            {"concept_tau": value} if parameter == "concept_tau" else {"tau": value}
        )
        self.set_masks(**change)

    def load_picture(self, path: Path, method: str) -> None:
        """Read a rendered explanation of the current image; `method` "gradcam" or "craft"."""
        self._jobs.run(
            "explanation picture",
            partial(_read_picture, path, method),
            self.set_picture,
            self._on_failed,
        )

    def set_picture(self, picture: ExplanationPicture | None) -> None:
        """Use a rendered explanation, or another crop or other colours of it; None drops it."""
        self._explanation.picture = picture

    def send(self, name: str) -> None:
        """Bring a mask of the explanation into the mask editor as one undoable edit."""
        mask = self._explanation.masks.masks.get(name)
        if mask is not None:
            details = explanation_details(self._explanation, name)
            self._session.proposal = Proposal(mask, f"mask from explanation: {name}", details)

    def send_to_sam(self, name: str) -> None:
        """Give a mask of the explanation to SAM as a prompt."""
        mask = self._explanation.masks.masks.get(name)
        if mask is not None:
            self._prompt(mask, f"SAM from explanation: {name}")

    def _on_image_changed(self) -> None:
        self._explanation.picture = None

    def _on_failed(self, message: str) -> None:
        self._session.message = message

    def _show(self) -> None:
        explanation, masks = self._explanation, {}
        settings, labels = explanation.mask_settings, None
        if explanation.heatmaps.active is not None:
            heatmap = explanation.heatmaps.active
            masks[HEAT_MAP] = self._heat_mask(heatmap, settings.tau, settings.paper)
        if explanation.concepts is not None:
            threshold = settings.delta if settings.paper else settings.concept_tau
            found, labels = self._concept_masks(
                explanation.concepts, settings.concepts, threshold, settings.paper
            )
            masks |= self._joined(found, labels, explanation.concepts)
        if explanation.picture is not None and self._session.image is not None:
            shape = self._session.image.gray.shape
            for name, mask in self._picture_masks(explanation.picture, settings).items():
                masks[name] = resized_mask(mask, shape)
        explanation.masks = ExplanationMasks(masks, labels)

    def _make_concept_masks(
        self, maps: ConceptMaps, concepts: frozenset[int], threshold: float, paper: bool
    ) -> tuple[dict[int, BoolMask], NDArray[np.uint8]]:
        """Return the masks of the shown concepts, most important first, and their labels."""
        shown = [concept for concept in range(len(maps.maps)) if concept in concepts]
        if paper:
            distances = self._distances(maps)
            found = {c: distances[c] <= threshold for c in shown if c < len(distances)}
        else:
            found = {c: threshold_mask(maps.maps[c], threshold) for c in shown}
        return found, _labels(found, maps.maps.shape[1:])

    def _picture_masks(
        self, picture: ExplanationPicture, settings: MaskSettings
    ) -> dict[str, BoolMask]:
        """Return the union of all concepts and each of them, whatever is ticked of a bank."""
        if picture.method == "gradcam":
            return {PICTURE: gradcam_mask(picture.rgb, settings.tau, crop=picture.crop)}
        near = self._distances(picture) <= settings.delta
        union: BoolMask = np.logical_or.reduce(near, axis=0)
        own = {picture_concept(number): mask for number, mask in enumerate(near)}
        return {PICTURE: union, **own}

    def _joined(
        self, found: dict[int, BoolMask], labels: NDArray[np.uint8], maps: ConceptMaps
    ) -> dict[str, BoolMask]:
        settings = self._explanation.mask_settings
        masks = {concept_name(concept): mask for concept, mask in found.items()}
        masks[UNION] = labels > 0
        if not settings.paper:
            weighted = self._weighted(maps, settings.concepts, settings.local)
            masks[WEIGHTED] = threshold_mask(weighted, settings.concept_tau)
        return masks


def heat_mask(
    heatmap: Heatmap,
    tau: float,
    paper: bool,
    render: Callable[[Heatmap], NDArray[np.uint8]] = Heatmap.rgb,
) -> BoolMask:
    """Return the mask that a heat map gives.

    Parameters
    ----------
    heatmap : Heatmap
        The map.
    tau, paper
        See `MaskSettings`.
    render : callable
        Returns the map in JET colours; one that remembers them, where they are needed often.

    Returns
    -------
    ndarray of bool, shape (M, N)
    """
    if paper:
        return gradcam_mask(render(heatmap), tau)
    return threshold_mask(heatmap.values, tau)


def concept_name(concept: int) -> str:
    """Return what a concept is called: numbers begin at 1."""
    return f"concept {concept + 1}"


def picture_concept(concept: int) -> str:
    """Return what a concept of a picture made elsewhere is called."""
    return f"{PICTURE}, {concept_name(concept)}"


def concept_distances(explanation: ConceptMaps | ExplanationPicture) -> FloatArray:
    """Return D of Algorithm 3 for each concept of a rendering, shape (k, M, N)."""
    if isinstance(explanation, ExplanationPicture):
        colors = explanation.colors or PAPER_COLORS
        return color_distances(explanation.rgb, colors, crop=explanation.crop)
    # The rendering shows no more concepts than the paper has colours.
    return color_distances(explanation.rgb(), explanation.colors[: len(PAPER_COLORS)])


def _weighted(maps: ConceptMaps, concepts: frozenset[int], local: bool) -> FloatArray:
    chosen = sorted(concept for concept in concepts if concept < len(maps.maps))
    weights = maps.local_importances if local else maps.importances
    return weighted_map(maps.maps[chosen], weights[chosen])


def _labels(found: dict[int, BoolMask], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    labels = np.zeros(shape, dtype=np.uint8)
    # The most important one is written last.
    for concept, mask in reversed(found.items()):
        labels[mask] = concept + 1
    return labels


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
