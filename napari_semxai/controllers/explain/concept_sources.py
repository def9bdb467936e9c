"""Concepts, and pictures of explanations made elsewhere, as sources of maps and masks."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import (
    DELTAS,
    RankedMap,
    ThresholdCurve,
    dice_within,
)
from napari_semxai.algorithms.explanations.masks import (
    PAPER_COLORS,
    color_distances,
    cropped,
    gradcam_mask,
    resized_mask,
    threshold_mask,
    weighted_map,
)
from napari_semxai.controllers.explain.sources import (
    MapSource,
    NamedMap,
    hex_color,
    joined_labels,
)
from napari_semxai.state.comparison import TAUS
from napari_semxai.state.explanation import (
    CONCEPTS,
    PICTURE,
    UNION,
    WEIGHTED,
    ExplanationPicture,
)
from napari_semxai.types import colors, moved_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.controllers.explain.sources import Curves, Made
    from napari_semxai.state.explanation import Explanation, ExplanationMaskSettings
    from napari_semxai.types import BoolMask, ConceptMaps, FloatArray


class ConceptSource(MapSource):
    """Concepts: those that are ticked, their union and their weighted sum."""

    family, field, mask_title = CONCEPTS, "concepts", "concept masks"

    def __init__(self) -> None:
        # Of the concepts shown now, and of those before them.
        self._distances = lru_cache(maxsize=2)(concept_distances)
        self._weighted = lru_cache(maxsize=2)(_weighted)
        self._found = lru_cache(maxsize=1)(self._find)

    def maps(self, explanation: Explanation) -> list[NamedMap]:
        """Return the map of each ticked concept and their weighted sum."""
        concepts, settings = explanation.concepts, explanation.mask_settings
        if concepts is None:
            return []
        shown = _ticked(concepts, settings)
        key = (concepts, frozenset(shown), settings.local)
        make = partial(_weighted, *key)
        weighted = NamedMap(WEIGHTED, key, make, concepts.sha256, threshold="concept_tau")
        return [*(_concept_map(explanation, concepts, number) for number in shown), weighted]

    def layers(self, explanation: Explanation) -> list[list[NamedMap]]:
        """Return the ticked concepts for one tile, the most important one last and on top."""
        concepts = explanation.concepts
        if concepts is None:
            return []
        shown = reversed(_ticked(concepts, explanation.mask_settings))
        return [[_concept_map(explanation, concepts, number) for number in shown]]

    def masks(self, explanation: Explanation, shape: tuple[int, int]) -> Made:
        """Return the masks of the ticked concepts, their union and that of the weighted sum."""
        concepts, settings = explanation.concepts, explanation.mask_settings
        if concepts is None:
            return {}, None
        threshold = settings.delta if settings.paper else settings.concept_tau
        found, labels = self._found(concepts, settings.concepts, threshold, settings.paper)
        masks = {concept_name(concept): mask for concept, mask in found.items()}
        masks[UNION] = labels > 0
        if not settings.paper:
            shown = frozenset(_ticked(concepts, settings))
            weighted = self._weighted(concepts, shown, settings.local)
            masks[WEIGHTED] = threshold_mask(weighted, settings.concept_tau)
        return masks, labels

    def curves(self, explanation: Explanation) -> Curves | None:
        """Return what draws δ of Algorithm 3 for each ticked concept and for their union."""
        concepts = explanation.concepts
        if concepts is None:
            return None
        shown = _ticked(concepts, explanation.mask_settings)
        return partial(_delta_curves, concepts, concept_name, shown, UNION)

    def palette(self, explanation: Explanation) -> tuple[str, ...]:
        """Return the colours of all concepts of the bank."""
        concepts = explanation.concepts
        return () if concepts is None else tuple(map(hex_color, concepts.colors.tolist()))

    def details(self, explanation: Explanation, name: str) -> dict[str, Any]:
        """Return bank, concepts and threshold."""
        maps, settings = explanation.concepts, explanation.mask_settings
        if maps is None:
            return {}
        several = name in (UNION, WEIGHTED)
        details = {
            "method": "craft",
            "layers": list(maps.layers),
            "target": maps.target,
            "classifier_sha256": maps.sha256,
            "bank": maps.bank,
            "refinement": maps.refinement,
            "moved_by": {} if settings.paper else moved_by(maps),
            # Numbers begin at 1, as in the window.
            "concepts": sorted(n + 1 for n in settings.concepts)
            if several
            else [int(name.rsplit(" ", 1)[1])],
            "paper": settings.paper,
        }
        bank = explanation.bank
        if bank is not None and bank.key == maps.bank:
            details["pieces"] = bank.pieces
            if any(bank.names):
                details["names"] = list(bank.names)
        if name == WEIGHTED:
            details["importances"] = "local" if settings.local else "global"
        threshold = {"delta": settings.delta} if settings.paper else {"tau": settings.concept_tau}
        return details | threshold

    def _find(
        self, maps: ConceptMaps, concepts: frozenset[int], threshold: float, paper: bool
    ) -> tuple[dict[int, BoolMask], NDArray[np.uint8]]:
        """Return the masks of the ticked concepts, most important first, and their labels."""
        shown = [concept for concept in range(len(maps.maps)) if concept in concepts]
        if paper:
            distances = self._distances(maps)
            found = {c: distances[c] <= threshold for c in shown if c < len(distances)}
        else:
            found = {c: threshold_mask(maps.maps[c], threshold) for c in shown}
        return found, joined_labels(found, maps.maps.shape[1:])


class PictureSource(MapSource):
    """A rendered explanation that was made elsewhere; nobody knows of which classifier."""

    family, field, mask_title, has_layers = PICTURE, "picture", "picture mask", False

    def __init__(self) -> None:
        self._distances = lru_cache(maxsize=2)(concept_distances)

    def maps(self, explanation: Explanation) -> list[NamedMap]:
        """Return nothing: a rendering says less than a map."""
        return []

    def masks(self, explanation: Explanation, shape: tuple[int, int]) -> Made:
        """Return Algorithm 2's mask, or the union of all concepts and each of them."""
        picture, settings = explanation.picture, explanation.mask_settings
        if picture is None:
            return {}, None
        if picture.method == "gradcam":
            found = {PICTURE: gradcam_mask(picture.rgb, settings.tau, crop=picture.crop)}
        else:
            near = self._distances(picture) <= settings.delta
            found = {PICTURE: np.logical_or.reduce(near, axis=0)}
            found |= {picture_concept(number): mask for number, mask in enumerate(near)}
        masks = {name: resized_mask(mask, shape) for name, mask in found.items()}
        return masks, masks[PICTURE]

    def curves(self, explanation: Explanation) -> Curves | None:
        """Return what draws τ of Algorithm 2, or δ of Algorithm 3 for every concept."""
        picture = explanation.picture
        if picture is None:
            return None
        if picture.method == "gradcam":
            return partial(_red_curve, picture)
        return partial(_delta_curves, picture, picture_concept, None, PICTURE)

    def palette(self, explanation: Explanation) -> tuple[str, ...]:
        """Return the one colour of pictures."""
        return (colors.PICTURE,)

    def details(self, explanation: Explanation, name: str) -> dict[str, Any]:
        """Return file, crop, colours and threshold."""
        picture, settings = explanation.picture, explanation.mask_settings
        if picture is None:
            return {}
        return {
            "method": picture.method,
            "picture": picture.name,
            "crop": None if picture.crop is None else list(picture.crop),
            "colors": [list(color) for color in picture.colors],
            **(
                {"tau": settings.tau} if picture.method == "gradcam" else {"delta": settings.delta}
            ),
        }


def concept_name(concept: int) -> str:
    """Return what a concept is called: numbers begin at 1."""
    return f"{CONCEPTS} {concept + 1}"


def picture_concept(concept: int) -> str:
    """Return what a concept of a picture made elsewhere is called."""
    return f"{PICTURE}, {concept_name(concept)}"


def concept_distances(explanation: ConceptMaps | ExplanationPicture) -> FloatArray:
    """Return D of Algorithm 3 for each concept of a rendering, shape (k, M, N)."""
    if isinstance(explanation, ExplanationPicture):
        palette = explanation.colors or PAPER_COLORS
        return color_distances(explanation.rgb, palette, crop=explanation.crop)
    # The rendering shows no more concepts than the paper has colours.
    return color_distances(explanation.rgb(), explanation.colors[: len(PAPER_COLORS)])


def _ticked(concepts: ConceptMaps, settings: ExplanationMaskSettings) -> list[int]:
    return sorted(number for number in settings.concepts if number < len(concepts.maps))


def _concept_map(explanation: Explanation, concepts: ConceptMaps, number: int) -> NamedMap:
    red, green, blue = concepts.colors[number].tolist()
    name, bank = concept_name(number), explanation.bank
    # The role stays, whatever a person calls it: masks and recipes go by the number.
    called = bank.name(number) if bank is not None and bank.key == concepts.bank else ""
    return NamedMap(
        f"{name}: {called}" if called else name,
        (concepts, number),
        partial(concepts.maps.__getitem__, number),
        concepts.sha256,
        (red, green, blue),
        "concept_tau",
        role=name,
        rank=number + 1,
    )


def _weighted(maps: ConceptMaps, concepts: frozenset[int], local: bool) -> FloatArray:
    chosen = sorted(concepts)
    weights = maps.local_importances if local else maps.importances
    return weighted_map(maps.maps[chosen], weights[chosen])


def _red_curve(
    picture: ExplanationPicture, truth: BoolMask, ignored: BoolMask | None
) -> list[ThresholdCurve]:
    red = resized_mask(cropped(picture.rgb, picture.crop)[..., 0], _size(truth))
    curve = RankedMap(red.astype(np.float32)).without(ignored).dice_curve(truth, TAUS)
    return [ThresholdCurve(PICTURE, "tau", TAUS, curve)]


def _delta_curves(
    rendering: ConceptMaps | ExplanationPicture,
    title: Callable[[int], str],
    shown: Sequence[int] | None,
    union: str,
    truth: BoolMask,
    ignored: BoolMask | None,
) -> list[ThresholdCurve]:
    """Return a curve for each shown concept, None for all of them, and for their union."""
    distances_of = {
        title(number): resized_mask(distances, _size(truth))
        for number, distances in enumerate(concept_distances(rendering))
        if shown is None or number in shown
    }
    if len(distances_of) > 1:
        distances_of[union] = np.minimum.reduce(list(distances_of.values()))
    counts = np.ones_like(truth) if ignored is None else ~ignored
    return [
        ThresholdCurve(name, "delta", DELTAS, dice_within(values[counts], truth[counts], DELTAS))
        for name, values in distances_of.items()
    ]


def _size(mask: BoolMask) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]
