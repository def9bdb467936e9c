"""The bank that a fit of CRAFT leaves as a file, and its concepts in one image without xplique."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from napari_semxai.algorithms.algorithm1.edge_strips import framed, within
from napari_semxai.backends.classifier.layers.outputs import layers_of, registrations
from napari_semxai.backends.classifier.layers.split import DETAIL, Split, fine_layer, split_network
from napari_semxai.backends.concepts.maps import (
    activity,
    coefficients,
    enlarged,
    guided,
    importance_steps,
    latents_of,
    rendering,
    sharpened,
)
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.folders import concepts_folder
from napari_semxai.types import ConceptBank, ConceptMaps, InputError, Progress

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.types import Border

_ARRAYS = ("importances", "colors", "crops", "crop_images", "crop_boxes")
_VECTORS, _ORDER = "vectors", "order"
# Part of the names: banks that were written otherwise are made anew.
_FORMAT = 2
# The rank colours of the published figures, then those that differ most from all before them:
# for the first twelve as colour-blind people see them too.
COLORS = (
    *((39, 205, 255), (250, 0, 81), (255, 185, 27), (0, 172, 88), (108, 0, 110)),
    *((0, 0, 255), (0, 120, 255), (210, 240, 195), (75, 75, 15), (255, 45, 180)),
    *((120, 75, 105), (195, 240, 120), (0, 255, 0), (255, 165, 135), (240, 90, 0)),
    *((255, 210, 255), (225, 0, 255), (60, 135, 120), (105, 0, 180), (0, 255, 225)),
    *((240, 120, 165), (135, 45, 15), (210, 120, 255), (15, 105, 150), (165, 150, 45)),
)
REFINEMENTS = ("none", "guided", "fine")
_splits: WeakKeyDictionary[Classifier, dict[str, Split]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class BankKey:
    """What decides a bank: the same values give the same file name.

    Attributes
    ----------
    classifier : str
        `ClassifierInfo.key`.
    layer, target, n_concepts, patch_size, seed, pieces
        As in `CraftFitRequest`.
    images : str
        Digest of the images in their order, and of their borders.
    """

    classifier: str
    layer: str
    target: int
    n_concepts: int
    patch_size: int
    seed: int
    pieces: str
    images: str

    @property
    def digest(self) -> str:
        """Name of the bank, 32 hex digits."""
        text = json.dumps(asdict(self) | {"format": _FORMAT}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def path(self) -> Path:
        """The bank's file in the cache; its description lies beside it as JSON."""
        return concepts_folder() / f"{self.digest}.safetensors"


def concept_colors(n_concepts: int) -> NDArray[np.uint8]:
    """Return a colour for each concept, most important first, shape (k, 3); the 26th repeats."""
    table: NDArray[np.uint8] = np.array(COLORS, np.uint8)[np.arange(n_concepts) % len(COLORS)]
    return table


@dataclass(frozen=True, slots=True, eq=False)
class ConceptVectors:
    """The concepts themselves.

    Attributes
    ----------
    vectors : ndarray of float32, shape (k, D)
        In the order of the factorization, on which its coefficients depend a little.
    order : ndarray of int64, shape (k,)
        Their indices, most important first.
    """

    vectors: NDArray[np.float32]
    order: NDArray[np.int64]


def write_bank(bank: ConceptBank, concepts: ConceptVectors) -> None:
    """Write a bank to `bank.path` and the JSON beside it."""
    arrays = {name: np.ascontiguousarray(getattr(bank, name)) for name in _ARRAYS}
    arrays |= {_VECTORS: np.ascontiguousarray(concepts.vectors), _ORDER: concepts.order}
    with atomic_write(bank.path) as file:
        file.write(save(arrays))
    described = {name: getattr(bank, name) for name in _described()}
    write_json(_description(bank.path), described)


def read_bank(path: Path) -> tuple[ConceptBank, ConceptVectors]:
    """Read what `write_bank` wrote.

    Raises
    ------
    InputError
        When the file or the JSON beside it is missing or damaged.
    """
    try:
        arrays = load_file(path)
        described = json.loads(_description(path).read_text("utf-8"))
        # Banks of before concepts had names and pieces were chosen hold none.
        described = {"names": (), "pieces": "crops"} | described
        values: dict[str, Any] = {name: described[name] for name in _described()}
        values["names"] = tuple(map(str, values["names"]))
        values |= {name: arrays[name] for name in _ARRAYS}
        bank = ConceptBank(path=path, **values)
        return bank, ConceptVectors(arrays[_VECTORS], arrays[_ORDER])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise InputError(f"{path}: no bank of concepts, or a damaged one; fit it again") from error


def bank_exists(path: Path) -> bool:
    """Whether a bank was written to its end."""
    return path.is_file() and _description(path).is_file()


def _described() -> list[str]:
    names = ConceptBank.__dataclass_fields__
    return [name for name in names if name not in (*_ARRAYS, "path")]


def _description(path: Path) -> Path:
    return path.with_suffix(".json")


def new_split(classifier: Classifier, layer: str) -> Split:
    """Split a copy of the classifier's network, which nobody else runs."""
    rows, columns = classifier.info.input_size
    probe = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    with classifier.lock:
        return split_network(classifier.network, layer, classifier.to_input(probe))


def transform_steps(
    image: NDArray[Any],
    classifier: Classifier,
    path: Path,
    refinement: str = "none",
    *,
    as_drawn: bool = False,
    border: Border = (0, 0, 0, 0),
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
        "none", "guided" by the image's edges, or "fine": sharpened by an earlier layer too.
    as_drawn : bool
        Leave the maps where the library draws them, instead of where the layer looks, and look
        in the border, too.
    border : tuple of int
        (top, right, bottom, left): what the network is not shown, and no concept is looked for in.

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
    border = (0, 0, 0, 0) if as_drawn else border
    picture = within(image, border)
    with classifier.lock:
        split = _split(classifier, bank.layer)
        found = coefficients(latents_of(split, classifier.to_input(picture)), concepts.vectors)
    low = np.ascontiguousarray(found[0].transpose(2, 0, 1)[concepts.order], dtype=np.float32)
    large = refined(low, picture, classifier, split, refinement, as_drawn=as_drawn)
    maps = replace(
        _concept_maps(bank, low, large, border),
        refinement=refinement,
        registrations=registrations(classifier, (bank.layer,)),
        as_drawn=as_drawn,
        border=border,
    )
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
    # Concepts that were named since are in the description alone.
    files = path, _description(path)
    whole = all(file.is_file() for file in files)
    changed = tuple(file.stat().st_mtime_ns for file in files) if whole else ()
    found = _bank(path, changed) if whole else read_bank(path)
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
    *,
    as_drawn: bool = False,
) -> NDArray[np.float32]:
    """Bring concept maps (k, m, n) of a split's layer to the size of their image (M, N)."""
    shape = (image.shape[0], image.shape[1])

    def placed(maps: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        places = () if as_drawn else registrations(classifier, (layer,))
        return enlarged(maps, shape, places)

    maps = placed(low, split.layer)
    if refinement == "guided":
        return np.maximum(guided(maps, image, low.shape[1:]), np.float32(0))
    if refinement == "none":
        return maps
    detail, layer = None, fine_layer(classifier, DETAIL)
    if layer and min(layers_of(classifier)[layer].map_shape[1:]) > min(low.shape[1:]):
        with classifier.lock:
            latents = latents_of(_split(classifier, layer), classifier.to_input(image))
        detail = placed(activity(latents[0])[None], layer)[0]
    return sharpened(maps, detail, image, low.shape[1:])


@lru_cache(maxsize=8)
def _bank(path: Path, _changed: tuple[int, ...]) -> tuple[ConceptBank, ConceptVectors]:
    return read_bank(path)


def _split(classifier: Classifier, layer: str) -> Split:
    splits = _splits.setdefault(classifier, {})
    if layer not in splits:
        splits[layer] = new_split(classifier, layer)
    return splits[layer]


def _concept_maps(
    bank: ConceptBank, low: NDArray[np.float32], maps: NDArray[np.float32], border: Border
) -> ConceptMaps:
    drawn = rendering(low, maps.shape[1:], bank.colors)
    return ConceptMaps(
        maps=framed(maps, border),
        low_maps=low,
        importances=bank.importances,
        local_importances=np.full(len(low), np.nan, np.float32),
        colors=bank.colors,
        rendering=np.moveaxis(framed(np.moveaxis(drawn, 2, 0), border), 0, 2),
        target=bank.target,
        layers=(bank.layer,),
        sha256=bank.sha256,
        bank=bank.key,
    )
