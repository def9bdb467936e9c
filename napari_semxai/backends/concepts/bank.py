"""Concepts of a class as a file: vectors, importances and crops, with all that decided them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.folders import concepts_folder
from napari_semxai.types import ConceptBank, InputError

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class BankKey:
    """What decides a bank: the same values give the same file name.

    Attributes
    ----------
    classifier : str
        `ClassifierInfo.key`.
    layer, target, n_concepts, patch_size, seed
        As in `CraftFitRequest`.
    images : str
        Digest of the images in their order.
    """

    classifier: str
    layer: str
    target: int
    n_concepts: int
    patch_size: int
    seed: int
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
        values: dict[str, Any] = {name: described[name] for name in _described()}
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
