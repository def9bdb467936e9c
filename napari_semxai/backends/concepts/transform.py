"""The concepts of a saved bank in one image; needs no xplique."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_semxai.backends.classifier.layers.outputs import layers_of
from napari_semxai.backends.classifier.layers.split import Split, split_network
from napari_semxai.backends.classifier.layers.tree import DETAIL, fine_layer
from napari_semxai.backends.concepts.bank import read_bank
from napari_semxai.backends.concepts.maps import (
    activity,
    cell_offset,
    coefficients,
    enlarged,
    importance_steps,
    latents_of,
    rendering,
    sharpened,
    upsampled,
)
from napari_semxai.types import ConceptMaps, InputError, Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.backends.concepts.bank import ConceptVectors
    from napari_semxai.types import ConceptBank

REFINEMENTS = ("none", "guided", "fine")
_splits: WeakKeyDictionary[Classifier, dict[str, Split]] = WeakKeyDictionary()
_offsets: WeakKeyDictionary[Classifier, dict[str, tuple[float, float]]] = WeakKeyDictionary()


def new_split(classifier: Classifier, layer: str) -> Split:
    """Split a copy of the classifier's network, which nobody else runs."""
    rows, columns = classifier.info.input_size
    probe = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    with classifier.lock:
        return split_network(classifier.network, layer, classifier.to_input(probe))


def transform_steps(
    image: NDArray[Any], classifier: Classifier, path: Path, refinement: str = "none"
) -> Generator[ConceptMaps | Progress, None, ConceptMaps]:
    """Find the concepts of a bank in an image.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N)
        The image.
    classifier : Classifier
        The one that the bank was made with.
    path : Path
        The bank.
    refinement : str
        "none", "guided" by the image's edges, or "fine": put where the network looks, sharpened
        by an earlier layer, and guided.

    Yields
    ------
    ConceptMaps or Progress
        The maps as soon as they are there, without the importances in this image (NaN) where
        those take long; then how far these are.

    Returns
    -------
    ConceptMaps
        With everything.

    Raises
    ------
    InputError
        When the bank is damaged or belongs to another classifier.
    """
    check_refinement(refinement)
    bank, concepts = bank_for(path, classifier)
    with classifier.lock:
        split = _split(classifier, bank.layer)
        found = coefficients(latents_of(split, classifier.to_input(image)), concepts.vectors)
    low = np.ascontiguousarray(found[0].transpose(2, 0, 1)[concepts.order], dtype=np.float32)
    maps = _concept_maps(bank, low, refined(low, image, classifier, split, refinement), refinement)
    if not split.linear:
        yield maps
    steps = importance_steps(split, found, concepts.vectors, bank.target)
    try:
        while True:
            done, total = next(steps)
            yield Progress("importances", done, total)
    except StopIteration as end:
        return replace(maps, local_importances=end.value[0][concepts.order])


def bank_for(path: Path, classifier: Classifier) -> tuple[ConceptBank, ConceptVectors]:
    """Read a bank; `InputError` where it is damaged or belongs to another classifier."""
    found = _bank(path, path.stat().st_mtime_ns) if path.is_file() else read_bank(path)
    if found[0].sha256 != classifier.info.sha256:
        raise InputError(f"{path}: made with another classifier; fit the concepts again")
    return found


def check_refinement(refinement: str) -> None:
    """Refuse a refinement that there is not."""
    if refinement not in REFINEMENTS:
        raise InputError(f"refinement {refinement!r}: choose one of {', '.join(REFINEMENTS)}")


def refined(
    low: NDArray[np.float32],
    image: NDArray[Any],
    classifier: Classifier,
    split: Split,
    refinement: str,
) -> NDArray[np.float32]:
    """Bring concept maps (k, m, n) of a split's layer to the size of their image (M, N)."""
    if refinement == "fine":
        return _fine(low, image, classifier, split)
    guide = image if refinement == "guided" else None
    return upsampled(low, (image.shape[0], image.shape[1]), guide)


@lru_cache(maxsize=8)
def _bank(path: Path, _changed: int) -> tuple[ConceptBank, ConceptVectors]:
    return read_bank(path)


def _split(classifier: Classifier, layer: str) -> Split:
    splits = _splits.setdefault(classifier, {})
    if layer not in splits:
        splits[layer] = new_split(classifier, layer)
    return splits[layer]


def _offset(classifier: Classifier, split: Split, inputs: Tensor) -> tuple[float, float]:
    offsets = _offsets.setdefault(classifier, {})
    if split.layer not in offsets:
        offsets[split.layer] = cell_offset(split.g, inputs)
    return offsets[split.layer]


def _fine(
    low: NDArray[np.float32], image: NDArray[Any], classifier: Classifier, split: Split
) -> NDArray[np.float32]:
    """Return maps that an earlier layer and the image have sharpened."""
    shape, size = (image.shape[0], image.shape[1]), classifier.info.input_size
    detail = None
    with classifier.lock:
        inputs = classifier.to_input(image)
        maps = enlarged(low, shape, _offset(classifier, split, inputs), size)
        layer = fine_layer(classifier, DETAIL)
        if layer and min(layers_of(classifier)[layer].map_shape[1:]) > min(low.shape[1:]):
            earlier = _split(classifier, layer)
            contrast = activity(latents_of(earlier, inputs)[0])[None]
            detail = enlarged(contrast, shape, _offset(classifier, earlier, inputs), size)[0]
    return sharpened(maps, detail, image, low.shape[1:])


def _concept_maps(
    bank: ConceptBank, low: NDArray[np.float32], maps: NDArray[np.float32], refinement: str
) -> ConceptMaps:
    return ConceptMaps(
        maps=maps,
        low_maps=low,
        importances=bank.importances,
        local_importances=np.full(len(low), np.nan, np.float32),
        colors=bank.colors,
        rendering=rendering(low, maps.shape[1:], bank.colors),
        target=bank.target,
        layers=(bank.layer,),
        sha256=bank.sha256,
        bank=bank.key,
        refinement=refinement,
    )
