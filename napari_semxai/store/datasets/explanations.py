"""What a method says of the images of a data set: maps, renderings and masks in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.store.datasets.dataset import TruthImage, find_by_stem
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import BoolMask, FloatArray, InputError

if TYPE_CHECKING:
    from pathlib import Path


MAP_ENDING = ".npy"


@dataclass(frozen=True, slots=True, eq=False)
class Rendering:
    """An explanation as a picture, as the published algorithms read it.

    Attributes
    ----------
    rgb : ndarray of uint8, shape (M, N, 3)
        The picture.
    colors : tuple of tuple of int
        Those of the concepts, most important first; none for a heat map.
    """

    rgb: NDArray[np.uint8]
    colors: tuple[tuple[int, int, int], ...]


def read_map(folder: Path, image: TruthImage) -> FloatArray | None:
    """Read a method's float map of an image; None where it has none.

    Raises
    ------
    InputError
        When it cannot be read, or holds something else.
    """
    path = folder / f"{image.name}{MAP_ENDING}"
    if not path.is_file():
        return None
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from error
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"{path}: a map holds floats of shape (M, N), not {values.shape}")
    return np.asarray(values)


def read_rendering(folder: Path, image: TruthImage) -> Rendering | None:
    """Read a method's rendered explanation of an image; None where it has none.

    ``<image>.json`` beside it gives the colours of concepts, as ``explanation.colors``.

    Raises
    ------
    InputError
        When it cannot be read, or is no colour picture.
    """
    path = find_by_stem(folder, f"{image.name}_rendering")
    if path is None:
        return None
    pixels = read_image(path).pixels
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise InputError(f"{path}: a rendered explanation is an 8-bit colour picture")
    colors = read_explanation(folder, image).get("colors") or ()
    return Rendering(pixels[..., :3], tuple((int(r), int(g), int(b)) for r, g, b in colors))


def read_explanation(folder: Path, image: TruthImage) -> dict[str, Any]:
    """Return what the record of an explanation says of it; nothing without a record.

    Raises
    ------
    InputError
        When the record is damaged.
    """
    path = folder / f"{image.name}.json"
    try:
        record = json.loads(path.read_text("utf-8"))
        found: dict[str, Any] = record.get("explanation", {}) | {"target": record.get("target")}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: no record of an explanation ({error})") from error
    return found


def read_given_mask(folder: Path, image: TruthImage) -> BoolMask:
    """Read a method's mask of an image.

    Raises
    ------
    InputError
        When there is none, or it cannot be read.
    """
    found = find_by_stem(folder, f"{image.name}_mask") or find_by_stem(folder, image.name)
    if found is None:
        raise InputError(f"{folder}: has no {image.name}.npy, {image.name}_mask.png or .png")
    return read_mask(found)
