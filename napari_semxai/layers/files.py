"""Masks as napari reads and writes them: mask pictures and COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_semxai.store.coco import read_coco, write_mask_document
from napari_semxai.store.masks import MASK_SUFFIXES, read_mask, write_mask
from napari_semxai.store.originals import check_not_own, check_replaceable
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    LayerData: TypeAlias = tuple[NDArray[np.uint8], dict[str, Any], str]

_MOST_LAYERS = 16


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return a function that reads `path` as labels, or None where it is no mask file.

    Data sets of more than 16 images are left to projects: ``semxai project import``.
    """
    if not isinstance(path, str) or not Path(path).is_file():
        return None
    file = Path(path)
    try:
        if file.suffix.casefold() == ".json":
            found = read_coco(file)
            return read_coco_layers if 0 < len(found) <= _MOST_LAYERS else None
        if file.suffix.casefold() in MASK_SUFFIXES:
            read_mask(file)
            return read_mask_layer
    except InputError:
        pass
    return None


def read_mask_layer(path: str) -> list[LayerData]:
    """Read a mask picture as one labels layer of 0 and 1."""
    return [(read_mask(path).astype(np.uint8), {"name": Path(path).stem}, "labels")]


def read_coco_layers(path: str) -> list[LayerData]:
    """Read a COCO data set as one labels layer of 0 and 1 for each image."""
    return [
        (mask.astype(np.uint8), {"name": str(values.get("file_name", values["id"]))}, "labels")
        for values, mask in read_coco(Path(path))
    ]


def write_mask_layer(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    """Write the foreground of a labels layer as 0 and 255; never over another picture."""
    check_replaceable(Path(path))
    write_mask(path, data)
    return [path]


def write_coco_layer(path: str, data: NDArray[Any], attributes: dict[str, Any]) -> list[str]:
    """Write the foreground of a labels layer as a COCO data set of one image."""
    check_not_own(Path(path))
    write_mask_document(Path(path), np.asarray(data) != 0, str(attributes.get("name", "mask")))
    return [path]
