"""What runs over data sets read and leave on disk.

They read images with their true masks, from whatever layout these lie in, and leave mask
candidates, sweeps, explanations and concepts.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.sweep import SweepResult
from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, check_name, name_key, printable
from napari_semxai.store.images.companions import read_ignored
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.images.masks import MaskFile, read_mask, read_white_mask
from napari_semxai.store.images.read import image_files, read_image
from napari_semxai.store.project.files import annotator_folder, mask_path
from napari_semxai.store.project.project import open_project
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.types import PROJECT_FILE, BoolMask, CandidatePool, FloatArray, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.store.project.project import Project

_MASK = "_mask"
_DAMAGED = (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error)
MAP_ENDING = ".npy"


@dataclass(frozen=True, slots=True)
class TruthImage:
    """An image and where its true mask is.

    Attributes
    ----------
    name : str
        Names its results; "/" between folders.
    path, page
        Where the image is.
    truth : MaskFile
        The mask file.
    label : str
        Class; "" where unknown.
    ignored : str
        What a project's review ignores, as run lengths; "" for none.
    ignored_file : Path or None
        A picture of what is ignored besides.
    """

    name: str
    path: Path
    page: int
    truth: MaskFile
    label: str = ""
    ignored: str = ""
    ignored_file: Path | None = None

    def region(self, shape: tuple[int, int]) -> BoolMask | None:
        """Return the pixels (M, N) that count for nothing, which a file beside the mask may tell.

        Raises
        ------
        InputError
            When it is damaged, or of another size.
        """
        own = (
            region_mask(self.ignored, shape)
            if self.ignored
            else read_ignored(self.truth.path, shape)
        )
        if self.ignored_file is None:
            return own
        given = read_white_mask(self.ignored_file, shape)
        return given if own is None else given | own


def open_dataset(
    source: Path, failed: dict[str, str], rule: ForegroundRule = AUTO
) -> list[TruthImage]:
    """List the images of a data set that have a true mask.

    Parameters
    ----------
    source : Path
        A project (masks accepted, corrected or "no defect", the newest of each image); a
        Carinthia-S download or a table with masks; a folder with ``images`` and ``masks`` of
        equal names; or images with ``<name>_mask.png`` beside them.
    failed : dict
        Gets the message of each image that cannot be used.
    rule : ForegroundRule
        What is foreground in masks that no project wrote.

    Raises
    ------
    InputError
        When there is no image with a mask.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if (source / PROJECT_FILE).is_file():
        found = _project_images(open_project(source), failed)
    elif (source / "images").is_dir() and (source / "masks").is_dir():
        found = _pairs(source / "images", source / "masks", "", rule, failed)
    else:
        listed = find_images(source)
        failed.update(listed.failed)
        told = listed.mask_rule if rule == AUTO else rule
        found = [
            TruthImage(image.name, image.path, image.page, MaskFile(image.mask, told), image.label)
            for image in listed.images
            if image.mask is not None
        ]
        if not found and source.is_dir():
            found = _pairs(source, source, _MASK, rule, failed)
    if not found:
        raise InputError(
            f"{source}: no image with a true mask; a project needs accepted, corrected or 'no "
            "defect' masks, a folder needs images and masks of equal names"
        )
    return found


def _project_images(project: Project, failed: dict[str, str]) -> list[TruthImage]:
    found = []
    for image in project.images:
        truths = []
        for annotator in project.annotators():
            try:
                record = project.record(image.id, annotator)
            except InputError as error:
                failed[image.id] = str(error)
                continue
            if record is not None and record.state.is_truth:
                truths.append((record.time, annotator, record.ignored))
        if truths:
            _, annotator, ignored = max(truths)
            folder = annotator_folder(project.folder, annotator)
            mask = MaskFile(mask_path(folder, image.id), BRIGHT)
            about = (image.stem, image.path, image.page)
            found.append(TruthImage(*about, mask, image.label, ignored))
    return found


def _pairs(
    images: Path, masks: Path, ending: str, rule: ForegroundRule, failed: dict[str, str]
) -> list[TruthImage]:
    found = []
    for path in image_files(images):
        name = path.relative_to(images).with_suffix("")
        if ending and name.name.endswith(ending):
            continue
        try:
            check_name(path)
        except InputError as error:
            failed[printable(name)] = str(error)
            continue
        mask = find_by_stem(masks, f"{name.as_posix()}{ending}")
        if mask is not None:
            found.append(TruthImage(name.as_posix(), path, 0, MaskFile(mask, rule)))
        elif not ending:
            failed[name.as_posix()] = f"{path}: has no mask in {masks}"
    return found


def find_by_stem(folder: Path, stem: str) -> Path | None:
    """Return the picture ``folder/stem`` of any ending and spelling; None where there is none."""
    for suffix in IMAGE_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    # A name may be composed on one system and decomposed on another.
    place = folder / stem
    if place.name.isascii() or not place.parent.is_dir():
        return None
    wanted = {name_key(f"{place.name}{suffix}") for suffix in IMAGE_SUFFIXES}
    return next((path for path in place.parent.iterdir() if name_key(path.name) in wanted), None)


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
