"""What runs over data sets leave on disk: mask candidates, sweeps, explanations, concepts."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.sweep import SweepResult
from napari_semxai.store.datasets.dataset import TruthImage, find_by_stem
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import BoolMask, CandidatePool, FloatArray, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAMAGED = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
MAP_ENDING = ".npy"


def write_sweep(path: Path, result: SweepResult) -> Path:
    """Write a result, atomically."""
    arrays: dict[str, Any] = {
        field.name: np.asarray(getattr(result, field.name)) for field in fields(SweepResult)
    }
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def read_sweep(path: Path) -> SweepResult:
    """Read a result.

    Raises
    ------
    InputError
        When the file is missing, damaged or something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, Any] = {
                field.name: stored[field.name] for field in fields(SweepResult)
            }
    except _DAMAGED as error:
        raise InputError(f"{path}: cannot be read as a sweep ({error})") from error
    arrays["best"] = tuple(arrays["best"].tolist())
    arrays["interval"] = tuple(arrays["interval"].tolist())
    return SweepResult(**arrays)


def write_pool(path: Path, pool: CandidatePool, key: str) -> None:
    """Write a pool with the key of what it was made from, atomically."""
    arrays: dict[str, Any] = {
        field.name: np.asarray(getattr(pool, field.name))
        for field in fields(CandidatePool)
        if getattr(pool, field.name) is not None
    }
    with atomic_write(path) as file:
        np.savez_compressed(file, key=np.array(key), **arrays)


def read_pool(path: Path, key: str = "") -> CandidatePool | None:
    """Read a pool.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        When given, a pool that is missing, damaged or has another key is None.

    Raises
    ------
    InputError
        Without a key, when the file cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            # Made with another network, image or setting: as good as none.
            if key and str(stored["key"]) != key:
                return None
            arrays = {name: stored[name] for name in stored.files if name != "key"}
            rows, columns = (int(size) for size in arrays.pop("shape"))
            return CandidatePool(shape=(rows, columns), **arrays)
    except _DAMAGED as error:
        if key:
            return None
        raise InputError(f"{path}: cannot be read as mask candidates ({error})") from error


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
    return load_map(path) if path.is_file() else None


def load_map(path: Path) -> FloatArray:
    """Read a map of floats (M, N).

    Raises
    ------
    InputError
        When it cannot be read, or holds something else, or a NaN: that is above no threshold.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from error
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"{path}: a map holds floats of shape (M, N), not {values.dtype} of {values.shape}"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path}: the map holds NaN or infinite values; compute it again")
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


def copy_bank(source: Path, path: Path) -> str:
    """Copy a bank of concepts and its description, and return what to say of it.

    Raises
    ------
    InputError
        When the bank is no longer there, or `path` cannot be written.
    """
    path = path.with_suffix(source.suffix)
    for ending in (source.suffix, ".json"):
        try:
            data = source.with_suffix(ending).read_bytes()
        except OSError as error:
            raise InputError(f"{source}: {error}; fit the concepts again") from error
        with atomic_write(path.with_suffix(ending)) as file:
            file.write(data)
    return f"Concepts saved: {path}"


def name_concepts(path: Path, names: Sequence[str]) -> None:
    """Write what a person calls the concepts of a bank into its description.

    Raises
    ------
    InputError
        When the description cannot be read or written.
    """
    beside = path.with_suffix(".json")
    try:
        described = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{beside}: {error}; fit the concepts again") from error
    write_json(beside, {**described, "names": list(names)})
