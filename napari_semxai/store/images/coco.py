"""COCO JSON: masks as run lengths or polygons, written and read without loss."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.tables import read_text
from napari_semxai.store.images.mask_parts import (
    IGNORED_KEY,
    LEAST_SCORE,
    RLE,
    coco_annotation,
    coco_ignored,
    drawn_polygons,
    drawn_runs,
    id_key,
    is_results,
    mask_part,
    objects_of,
    results_document,
    run_lengths,
)
from napari_semxai.types import BoolMask, InputError, MaskPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_semxai.types import ChosenMask, ProjectImage, ProjectInfo

NO_CLASS = "defect"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_LONGEST_SIDE = 2**31


def coco_document(
    chosen: Iterable[ChosenMask],
    project_images: Sequence[ProjectImage],
    info: ProjectInfo,
    form: str,
) -> dict[str, Any]:
    """Return a COCO data set: one annotation for each mask with foreground, or each of its parts.

    Lot, wafer, defect, pixel size, class and its source stay with the image, under names of
    their own that other readers leave alone. Files are paths from the folder that holds all
    images of the project.

    Parameters
    ----------
    chosen : iterable of ChosenMask
        What to write.
    project_images : sequence of ProjectImage
        All images, so that categories have the same ids in every export.
    info : ProjectInfo
        Has the names of classes.
    form : str
        "rle" or "polygons".
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    labels = dict.fromkeys([*info.class_names, *(image.label for image in project_images)])
    categories = category_ids(label for label in labels if label)
    used: dict[str, int] = {}
    root = _common_folder(image.path for image in project_images)
    for number, one in enumerate(chosen, start=1):
        images.append(_image(number, one, root))
        objects = list(objects_of(one))
        for label in (one.label, *(label for label, _, _ in objects)):
            if label not in categories:
                categories = category_ids([*categories, label])
            used.setdefault(label, categories[label])
        for label, crowd, mask in objects:
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": used[label]}
            annotations.append(ids | coco_annotation(mask, form, crowd=crowd))
        if one.ignored is not None:
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": used[one.label]}
            annotations.append(ids | coco_ignored(one.ignored))
    return {
        "info": {"description": "napari-semxai project"},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": info.class_names.get(label, label) or NO_CLASS, "label": label}
            for label, number in sorted(used.items(), key=itemgetter(1))
        ],
    }


def category_ids(labels: Iterable[str]) -> dict[str, int]:
    """Return the id of every label: its own number, else the first that no label before it has."""
    labels = list(labels)
    numbers = {label: int(label) for label in labels if _NUMBER.fullmatch(label)}
    taken = set(numbers.values())
    free = (number for number in count(1) if number not in taken)
    return {label: numbers[label] if label in numbers else next(free) for label in labels}


def _common_folder(paths: Iterable[Path]) -> Path | None:
    """Return the folder that holds all files; None where they lie on several drives."""
    try:
        return Path(os.path.commonpath({os.path.abspath(path.parent) for path in paths}))
    except ValueError:
        return None


def write_mask_document(path: Path, mask: BoolMask, ignored: BoolMask | None, name: str) -> None:
    """Write a mask (M, N) and what is ignored as a COCO data set of one image called `name`."""
    if mask.ndim != 2:
        raise InputError(f"{path}: a mask has shape (M, N), not {mask.shape}")
    image = {"id": 1, "file_name": name, "height": mask.shape[0], "width": mask.shape[1]}
    found = [coco_annotation(mask, RLE)] if mask.any() else []
    found += [] if ignored is None else [coco_ignored(ignored)]
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1} | one
        for number, one in enumerate(found, 1)
    ]
    document = {
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": NO_CLASS}],
    }
    write_json(path, document)


@dataclass(frozen=True, slots=True, eq=False)
class CocoImage:
    """One image of a COCO data set; its mask is made when it is wanted.

    Attributes
    ----------
    values : mapping
        What the file says of the image.
    annotations : tuple of mappings
        What it says of objects in it.
    """

    values: Mapping[str, Any]
    annotations: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        """Path of the file as the data set has it."""
        named = self.values.get("file_name") or self.values.get("coco_url")
        return str(named or f"image {self.values['id']}")

    @property
    def shape(self) -> tuple[int, int] | None:
        """(M, N) where the data set tells."""
        sides = self.values.get("height"), self.values.get("width")
        if not all(isinstance(side, int) and 0 < side <= _LONGEST_SIDE for side in sides):
            return None
        return sides[0], sides[1]  # type: ignore[return-value]

    def mask(self, shape: tuple[int, int] | None = None) -> CocoMask:
        """Return all annotations as one mask, those that cannot be read left out by name.

        Parameters
        ----------
        shape : tuple of int, optional
            (M, N) of the image; by default what the data set tells.

        Raises
        ------
        InputError
            When nothing tells the size, or the data set another one.
        """
        shape = shape or self.shape
        if shape is None:
            raise InputError(f"{self.name}: has no height and width")
        if self.shape not in (None, shape):
            (rows, columns), (height, width) = self.shape or shape, shape
            raise InputError(
                f"{self.name}: the data set says {columns}x{rows} pixels, it has {width}x{height}"
            )
        mask, ignored = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        pixels: Counter[str] = Counter()
        parts, problems = [], []
        for annotation in self.annotations:
            try:
                one = _decode(annotation, shape)
                # Else it would be read as the statement that there is no defect.
                if not one.any():
                    raise ValueError("covers no pixel of the image")
            except ValueError as error:
                which = f"annotation {annotation.get('id', '')}".rstrip()
                problems.append(f"{self.name}: {which}: {error}")
                continue
            if annotation.get(IGNORED_KEY):
                ignored |= one
            else:
                mask |= one
                category = id_key(annotation.get("category_id", ""))
                pixels[category] += int(np.count_nonzero(one))
                crowd = bool(annotation.get("iscrowd"))
                value = str(annotation.get("id", ""))
                parts.append(mask_part(one, category, value, crowd=crowd))
        ranked = tuple(key for key, _ in pixels.most_common())
        # One object is the mask itself.
        kept = tuple(parts) if len(parts) > 1 or any(one.crowd for one in parts) else ()
        region = ignored if ignored.any() else None
        return CocoMask(mask & ~ignored, ranked, tuple(problems), kept, region)


@dataclass(frozen=True, slots=True, eq=False)
class CocoMask:
    """The annotations of an image.

    Attributes
    ----------
    mask : ndarray of bool, shape (M, N)
        All of them.
    categories : tuple of str
        Ids of their categories, that of most pixels first.
    problems : tuple of str
        What was left out, and why.
    parts : tuple of MaskPart
        Each of several annotations, or of a crowd; their labels are ids of categories.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that an export of this program marked as ignored.
    """

    mask: BoolMask
    categories: tuple[str, ...]
    problems: tuple[str, ...]
    parts: tuple[MaskPart, ...] = ()
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CocoSet:
    """A COCO data set.

    Attributes
    ----------
    images : tuple of CocoImage
        In the order of the file.
    categories : mapping
        Id to what the file says of a category.
    problems : tuple of str
        What belongs to no image, and why.
    rule : str
        What in it is foreground, for display.
    """

    images: tuple[CocoImage, ...]
    categories: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...]
    rule: str = "COCO JSON"


def count_images(path: Path) -> int:
    """Return how many images a data set has, without making any mask; see `read_coco`."""
    return len(_checked(path, _json(path))["images"])


def read_coco(path: Path) -> CocoSet:
    """Read a COCO data set or results list; masks are made one image at a time.

    Raises
    ------
    InputError
        When it cannot be read or is no COCO data set.
    """
    stored = _json(path)
    if not is_results(stored):
        return _coco_set(_checked(path, stored), [])
    read = _coco_set(*results_document(path, stored))
    return replace(read, rule=f"COCO results of score {LEAST_SCORE} and more")


def _coco_set(document: Mapping[str, Any], problems: list[str]) -> CocoSet:
    images: dict[str, Mapping[str, Any]] = {}
    for number, image in enumerate(document["images"], start=1):
        if not isinstance(image, dict) or "id" not in image:
            problems.append(f"image {number} of the list has no id")
        elif id_key(image["id"]) in images:
            problems.append(f"{image.get('file_name')}: its id {image['id']} is there twice")
        else:
            images[id_key(image["id"])] = image
    first_of: dict[tuple[Any, ...], str] = {}
    same: dict[str, str] = {}
    for key, image in images.items():
        # Programs that add to a data set may list a picture again: its objects belong together.
        names = ("file_name", "page", "semxai_id", "height", "width")
        what = tuple(str(image.get(name)) for name in names)
        same[key] = first_of.setdefault(what, key) if image.get("file_name") else key
    of_image: dict[str, list[Mapping[str, Any]]] = {key: [] for key in images}
    for number, annotation in enumerate(document["annotations"], start=1):
        if not isinstance(annotation, dict):
            problems.append(f"annotation {number} of the list is no annotation")
        elif id_key(annotation.get("image_id")) in of_image:
            of_image[same[id_key(annotation["image_id"])]].append(annotation)
        else:
            which = f"annotation {annotation.get('id', number)}"
            problems.append(f"{which}: there is no image {annotation.get('image_id')}")
    listed = document.get("categories")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return CocoSet(
        tuple(
            CocoImage(image, tuple(of_image[key]))
            for key, image in images.items()
            if same[key] == key
        ),
        {id_key(one.get("id")): one for one in known},
        tuple(problems),
    )


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON file ({error})") from error


def _checked(path: Path, document: Any) -> dict[str, Any]:
    for name in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise InputError(
                f'{path}: is no COCO data set, which has the lists "images" and "annotations"; '
                "export one from the program that made it"
            )
    return dict(document)


def _decode(annotation: Mapping[str, Any], shape: tuple[int, int]) -> BoolMask:
    segmentation = annotation.get("segmentation")
    if not segmentation:
        raise ValueError("has a box but no mask" if annotation.get("bbox") else "has no mask")
    if isinstance(segmentation, list):
        return drawn_polygons(segmentation, shape)
    if not isinstance(segmentation, dict) or "counts" not in segmentation:
        raise ValueError("its mask is neither polygons nor run lengths")
    size = segmentation.get("size")
    if not isinstance(size, list) or tuple(size) != shape:
        raise ValueError(f"its mask has the size {size}, the image {list(shape)}")
    runs = run_lengths(segmentation["counts"])
    if runs is None or (runs < 0).any():
        raise ValueError("its run lengths are damaged")
    if runs.sum() != shape[0] * shape[1]:
        raise ValueError(f"its run lengths make {runs.sum()} pixels, not those of the image")
    return drawn_runs(runs, shape)


def _image(number: int, one: ChosenMask, root: Path | None) -> dict[str, Any]:
    image = one.image
    path = Path(os.path.abspath(image.path))
    known = {
        "label": one.label,
        "class_source": one.label_source,
        "lot": image.lot,
        "wafer": image.wafer,
        "defect": image.defect,
        "pixel_size_m": image.pixel_size,
        "turned_from_orientation": None if image.turned == 1 else image.turned,
        "sha256": image.sha256,
        "state": str(one.state),
        "annotators": list(one.annotators),
        "comment": one.comment,
    }
    return {
        "id": number,
        "file_name": (path.relative_to(root) if root else path).as_posix(),
        "height": image.shape[0],
        "width": image.shape[1],
        "semxai_id": image.id,
        "page": image.page,
        **{name: value for name, value in known.items() if value not in ("", None)},
    }
