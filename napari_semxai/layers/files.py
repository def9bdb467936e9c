"""Masks as napari reads and writes them: pictures, COCO JSON, Carinthia-S, measurements."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import napari
import numpy as np
from napari.utils.notifications import show_warning

from napari_semxai.algorithms.masks.measurements import measure
from napari_semxai.layers.placement import Placement
from napari_semxai.store.disk.tables import all_reasons, write_table
from napari_semxai.store.images.coco import count_images, read_coco, write_mask_document
from napari_semxai.store.images.companions import ignored_path, write_ignored
from napari_semxai.store.images.masks import MASK_SUFFIXES, read_mask, write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.store.images.tiff import write_image
from napari_semxai.store.project.exports import CARINTHIA_COLUMNS
from napari_semxai.store.project.files import unique_ids
from napari_semxai.store.project.images import (
    check_not_project_file,
    check_replaceable,
    check_replaceable_coco,
    check_replaceable_table,
)
from napari_semxai.store.sources.image_tables import table_images
from napari_semxai.types import InputError, parted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

    LayerData: TypeAlias = tuple[NDArray[Any], dict[str, Any], str]

ROLE, DEFECT = "semxai_role", "defect"
"""Key of a layer's metadata, and what it says of the mask that is edited."""
_MOST_LAYERS = 16
SAY: WeakKeyDictionary[Any, Callable[[str], None]] = WeakKeyDictionary()
"""What shows a message beside the docks of a viewer; others get napari's own."""


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return a function that reads `path`, or None where it holds no masks.

    Data sets of more than 16 images are left to projects: ``semxai project import``.
    """
    if not isinstance(path, str) or not Path(path).is_file():
        return None
    file = Path(path)
    try:
        if file.suffix.casefold() == ".json":
            return read_coco_layers if 0 < count_images(file) <= _MOST_LAYERS else None
        if file.suffix.casefold() == ".csv":
            images = table_images(file).images
            known = any(one.mask is not None for one in images)
            return read_table_layers if known and len(images) <= _MOST_LAYERS else None
        if file.suffix.casefold() in MASK_SUFFIXES:
            # One that could be read in two ways is refused with what to do.
            read_image(file)
            return read_mask_layer
    # napari asks every reader about every file that is opened: none may raise.
    except (InputError, OSError, csv.Error):
        pass
    return None


def read_mask_layer(path: str) -> list[LayerData]:
    """Read a mask picture as one labels layer of 0 and 1."""
    return [(read_mask(path).astype(np.uint8), {"name": Path(path).stem}, "labels")]


def read_coco_layers(path: str) -> list[LayerData]:
    """Read a COCO data set as one labels layer of 0 and 1 for each image."""
    stored = read_coco(Path(path))
    problems, layers = list(stored.problems), []
    for image in stored.images:
        try:
            read = image.mask()
        except InputError as error:
            problems.append(str(error))
            continue
        problems += read.problems
        layers.append((read.mask.astype(np.uint8), {"name": image.name}, "labels"))
    if problems:
        said = f"{path}: {all_reasons(problems)}"
        if not layers:
            raise InputError(said)
        viewer = napari.current_viewer()
        say = show_warning if viewer is None else SAY.get(viewer, show_warning)
        say(said)
    return layers


def read_table_layers(path: str) -> list[LayerData]:
    """Read the images and masks that a table names, as a Carinthia-S data set has one."""
    layers: list[LayerData] = []
    source = table_images(Path(path))
    for one in source.images:
        image = read_image(one.path, one.page)
        layers.append((image.pixels, {"name": one.name}, "image"))
        if one.mask is not None:
            mask = read_mask(one.mask, image.gray.shape, source.mask_rule).astype(np.uint8)
            layers.append((mask, {"name": f"{one.name} mask"}, "labels"))
    return layers


def write_mask_layer(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    """Write the foreground of a labels layer as 0 and 255; never over another picture."""
    check_replaceable(Path(path))
    mask, ignored = _parts(data, attributes)
    check_replaceable(ignored_path(Path(path)))
    write_ignored(Path(path), ignored)
    write_mask(path, mask)
    return [path]


def write_coco_layer(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    """Write the foreground of a labels layer as a COCO data set of one image."""
    check_replaceable_coco(Path(path))
    write_mask_document(Path(path), *_parts(data, attributes), str(attributes.get("name", "mask")))
    return [path]


def write_measurements_layer(
    path: str, data: NDArray[Any], attributes: dict[str, Any]
) -> list[str]:
    """Write size, place and shape of the foreground of a labels layer as a table of one row."""
    check_replaceable_table(Path(path))
    mask, _ = _parts(data, attributes)
    if mask.ndim != 2:
        raise InputError(f"{path}: a mask has shape (M, N), not {mask.shape}")
    row = {"name": attributes.get("name", "mask")} | measure(mask, _pixel_size(attributes))
    write_table(path, list(row), [list(row.values())])
    return [path]


def write_carinthia_layers(path: str, layers: list[LayerData]) -> list[str]:
    """Write an image and its labels as a Carinthia-S data set of one image; nothing is replaced.

    Parameters
    ----------
    path : str
        The table; image and mask go into the folders ``images`` and ``masks`` beside it.
    layers : list of layer data
        One image layer and one labels layer of its size.
    """
    given = {kind: (np.asarray(data), attributes) for data, attributes, kind in layers}
    (pixels, attributes), labels = given["image"], given["labels"]
    mask, _ = _parts(*labels)
    if mask.shape != pixels.shape[:2]:
        raise InputError(f"{path}: image of shape {pixels.shape}, mask of shape {mask.shape}")
    name = unique_ids([str(attributes.get("name", "image"))])[0]
    places = Path("images", f"{name}.tif"), Path("masks", f"{name}.png")
    files = [Path(path), *(Path(path).parent / place for place in places)]
    for file in files:
        check_not_project_file(file)
        if file.exists():
            raise InputError(f"{file}: is there already; choose another folder")
    write_image(files[1], pixels)
    write_mask(files[2], mask)
    row = (*(place.as_posix() for place in places), name, "")
    write_table(files[0], CARINTHIA_COLUMNS, [row], delimiter=";")
    return [str(file) for file in files]


def _parts(data: Any, attributes: dict[str, Any]) -> tuple[BoolMask, BoolMask | None]:
    """Return the foreground of a labels layer, and what is ignored of the defect mask."""
    labels = np.asarray(data)
    if attributes.get("metadata", {}).get(ROLE) != DEFECT:
        return labels != 0, None
    mask, ignored = parted(labels)
    return mask, ignored if ignored.any() else None


def _pixel_size(attributes: dict[str, Any]) -> float | None:
    """Return the edge of a square pixel in metres, where a layer's units are lengths."""
    scale, units = attributes.get("scale", ()), attributes.get("units", ())
    if len(scale) != 2 or len(units) != 2:
        return None
    return Placement((scale[0], scale[1]), (units[0], units[1])).pixel_size
