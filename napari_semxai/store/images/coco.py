"""COCO JSON: masks as run lengths or polygons, written and read without loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_semxai.algorithms.masks.measurements import outlines
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from napari_semxai.types import BoolMask, ChosenMask

T = TypeVar("T")
RLE, POLYGONS = "rle", "polygons"
NO_CLASS = "defect"


def coco_document(
    chosen: Iterable[ChosenMask], class_names: Mapping[str, str], form: str
) -> dict[str, Any]:
    """Return a COCO data set: one annotation for each mask that is not empty.

    Lot, wafer, defect, pixel size, class and its source stay with the image, under names of
    their own that other readers leave alone.

    Parameters
    ----------
    chosen : iterable of ChosenMask
        What to write.
    class_names : mapping
        Class label to name.
    form : str
        "rle" or "polygons".
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for number, one in enumerate(chosen, start=1):
        images.append(_image(number, one))
        category = categories.setdefault(one.label, len(categories) + 1)
        if one.mask.any():
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
            annotations.append(annotation | coco_annotation(one.mask, form))
    return {
        "info": {"description": "napari-semxai project"},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": class_names.get(label, label) or NO_CLASS, "label": label}
            for label, number in categories.items()
        ],
    }


def write_mask_document(path: Path, mask: BoolMask, name: str) -> None:
    """Write one mask (M, N) as a COCO data set of one image called `name`."""
    if mask.ndim != 2:
        raise InputError(f"{path}: a mask has shape (M, N), not {mask.shape}")
    image = {"id": 1, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]}
    annotation = {"id": 1, "image_id": 1, "category_id": 1} | coco_annotation(mask, RLE)
    document = {
        "images": [image],
        "annotations": [annotation] if mask.any() else [],
        "categories": [{"id": 1, "name": NO_CLASS}],
    }
    write_json(path, document)


def coco_annotation(mask: BoolMask, form: str) -> dict[str, Any]:
    """Return ``segmentation``, ``area``, ``bbox`` (x, y, width, height) and ``iscrowd``."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    segmentation: Any = {"size": list(mask.shape), "counts": runs["counts"].decode("ascii")}
    if form == POLYGONS:
        segmentation = [corners[:, ::-1].ravel().tolist() for corners in outlines(mask)]
    return {
        "segmentation": segmentation,
        "area": int(coco_mask.area(runs)),
        "bbox": coco_mask.toBbox(runs).tolist(),
        "iscrowd": 0,
    }


def count_images(path: Path) -> int:
    """Return how many images a COCO data set has, without making any mask.

    Raises
    ------
    InputError
        When it cannot be read or is no COCO data set.
    """
    return _read(path, _count)


def read_coco(path: Path) -> list[tuple[dict[str, Any], BoolMask]]:
    """Read a COCO data set: every image's values, with all of its annotations as one mask.

    Raises
    ------
    InputError
        When it cannot be read or is no COCO data set.
    """
    return _read(path, _masks)


def _read(path: Path, take: Callable[[Any], T]) -> T:
    try:
        return take(json.loads(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is no COCO data set ({error!r})") from error


def _count(document: Any) -> int:
    # Other JSON files may well have images.
    document["annotations"]
    return len(document["images"])


def _masks(document: Any) -> list[tuple[dict[str, Any], BoolMask]]:
    images = {image["id"]: image for image in document["images"]}
    masks = {
        number: np.zeros((image["height"], image["width"]), dtype=bool)
        for number, image in images.items()
    }
    for annotation in document["annotations"]:
        mask = masks[annotation["image_id"]]
        mask |= _decode(annotation["segmentation"], mask.shape)
    return [(images[number], mask) for number, mask in masks.items()]


def _decode(segmentation: Any, shape: tuple[int, ...]) -> BoolMask:
    from pycocotools import mask as coco_mask

    if not segmentation:
        raise ValueError("an annotation has a box but no mask")
    if isinstance(segmentation, list):
        if min(map(len, segmentation)) < 6:
            raise ValueError("a polygon has fewer than three corners")
        runs = coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation["counts"], list):
        runs = coco_mask.frPyObjects(segmentation, *shape)
    else:
        runs = segmentation
    return np.asarray(coco_mask.decode(runs) != 0)


def _image(number: int, one: ChosenMask) -> dict[str, Any]:
    image = one.image
    known = {
        "label": one.label,
        "class_source": one.label_source,
        "lot": image.lot,
        "wafer": image.wafer,
        "defect": image.defect,
        "pixel_size_m": image.pixel_size,
        "sha256": image.sha256,
        "state": str(one.state),
        "annotators": list(one.annotators),
        "comment": one.comment,
    }
    return {
        "id": number,
        "file_name": image.path.name,
        "height": image.shape[0],
        "width": image.shape[1],
        "semxai_id": image.id,
        "page": image.page,
        **{name: value for name, value in known.items() if value not in ("", None)},
    }
