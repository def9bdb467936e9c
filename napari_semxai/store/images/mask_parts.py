"""Objects of a mask, and what is ignored, as run lengths of their pixels and as COCO has them.

Results lists of COCO say what a detector found, with ids of images that another file explains.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.measurements import outlines
from napari_semxai.store.disk.tables import read_text
from napari_semxai.types import InputError, MaskPart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.algorithms.masks.foreground import StoredMask
    from napari_semxai.types import BoolMask, ChosenMask

RLE, POLYGONS = "rle", "polygons"
IGNORED_KEY = "semxai_ignored"
"""Of an annotation that tells what is ignored."""
_MOST_PIXELS = 2**40
_MOST_PARTS = 4096
_MOST_COLORS = 16
LEAST_SCORE = 0.5
# What a data set says of an image beside these may be another review of it.
_OF_FILE = ("file_name", "coco_url", "height", "width", "semxai_id", "page", "sha256")


def parts_of(stored: StoredMask, mask: BoolMask) -> tuple[MaskPart, ...]:
    """Return what several numbers, or a few colours, keep apart in a mask (M, N)."""
    numbers = stored.values if stored.indices is None else stored.indices
    if stored.lossy:
        return ()
    colored = numbers.ndim == 3
    if colored:
        if numbers.dtype != np.uint8:
            return ()
        numbers = numbers[..., :3].astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    found = np.unique(numbers[mask])
    # Soft edges mix colours, which are no objects.
    if not 2 <= len(found) <= (_MOST_COLORS if colored else _MOST_PARTS):
        return ()
    return numbered_parts(np.where(mask, numbers, 0))


def mask_part(
    mask: BoolMask, label: str = "", value: str = "", *, crowd: bool = False
) -> MaskPart:
    """Return an object's mask (M, N) as a part."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return MaskPart(runs["counts"].decode("ascii"), label, crowd, value)


def numbered_parts(numbers: NDArray[Any]) -> tuple[MaskPart, ...]:
    """Return a part for each number (M, N) that is not 0, by increasing number."""
    from pycocotools import mask as coco_mask

    # One look at the picture, however many objects it has.
    flat = numbers.ravel(order="F")
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    stops = np.append(starts[1:], flat.size)
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    parts = []
    for runs in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
        value = values[runs[0]].item()
        if value:
            ends = np.column_stack([starts[runs], stops[runs]]).ravel()
            counts = np.diff(ends, prepend=0, append=flat.size).tolist()
            stored = {"counts": counts, "size": list(numbers.shape)}
            found = coco_mask.frPyObjects(stored, *numbers.shape)
            parts.append(MaskPart(found["counts"].decode("ascii"), value=f"{value:g}"))
    return tuple(parts)


def part_mask(part: MaskPart, shape: tuple[int, ...]) -> BoolMask:
    """Return the pixels of a part in an image of `shape` (M, N); none where it has another one."""
    runs = run_lengths(part.counts)
    if runs is None or (runs < 0).any() or runs.sum() != shape[0] * shape[1]:
        return np.zeros(shape, dtype=bool)
    return drawn_runs(runs, shape)


def region_counts(region: BoolMask | None) -> str:
    """Return an ignored region (M, N) as COCO's compressed run lengths; "" for none."""
    return "" if region is None or not region.any() else mask_part(region).counts


def region_mask(counts: str, shape: tuple[int, ...]) -> BoolMask | None:
    """Return the region (M, N) of `region_counts`; None for none.

    Raises
    ------
    InputError
        When the run lengths are damaged, or of another size.
    """
    if not counts:
        return None
    region = part_mask(MaskPart(counts), shape)
    if not region.any():
        raise InputError(f"the run lengths of an ignored region do not fit {shape}; mark it again")
    return region


def drawn_runs(runs: NDArray[np.int64], shape: tuple[int, ...]) -> BoolMask:
    """Return the mask of run lengths of background and foreground in turn, column by column."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(shape, order="F")


def run_lengths(counts: Any) -> NDArray[np.int64] | None:
    """Return lengths of background and foreground in turn; None where they are none.

    As text each length is written in digits of five bits, the lowest first, and from the fourth
    on as its difference from the length before the last. Checked here, because pycocotools fills
    up what is missing.
    """
    if isinstance(counts, list):
        whole = all(isinstance(run, int) and abs(run) < _MOST_PIXELS for run in counts)
        return np.array(counts, dtype=np.int64) if whole else None
    if not isinstance(counts, str) or not counts.isascii() or not counts:
        return None
    digits = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - ord("0")
    last = digits & 32 == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if not last[-1] or digits.min() < 0 or digits.max() > 63 or (ends - starts).max() > 6:
        return None
    place = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    runs = np.add.reduceat((digits & 31) << (5 * place), starts)
    runs -= np.where(digits[ends] & 16, np.int64(1) << (5 * (ends - starts + 1)), 0)
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs


def drawn_polygons(polygons: list[Any], shape: tuple[int, int]) -> BoolMask:
    """Return what polygons of COCO, lists of x and y, cover in an image of shape (M, N).

    Raises
    ------
    ValueError
        Where they are damaged, or in other units than pixels.
    """
    from pycocotools import mask as coco_mask

    if not isinstance(polygons[0], list):
        # One polygon without the list around it.
        polygons = [polygons]
    # What lies far outside would take memory by its distance.
    farthest = 4 * max(shape)
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(
            isinstance(value, int | float) and abs(value) <= farthest for value in polygon
        ):
            raise ValueError("a corner of a polygon is no number, or far outside the image")
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon has fewer than three corners, or half a corner")
    corners = [value for polygon in polygons for value in polygon]
    # A whole pixel has such corners, too, but not between its edges and middle.
    if 0 <= min(corners) <= max(corners) <= 1 and any(value % 0.5 for value in corners):
        raise ValueError("its corners are shares of the image from 0 to 1, not pixels")
    runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))
    return np.asarray(coco_mask.decode(runs) != 0)


def objects_of(one: ChosenMask) -> Iterator[tuple[str, bool, BoolMask]]:
    """Yield label, crowd and mask of each part that the mask still holds, then of the rest."""
    rest = one.mask
    for part in one.parts:
        mask = part_mask(part, one.mask.shape) & one.mask
        rest = rest & ~mask
        if mask.any():
            yield part.label or one.label, part.crowd, mask
    if rest.any():
        yield one.label, False, rest


def coco_annotation(mask: BoolMask, form: str, *, crowd: bool = False) -> dict[str, Any]:
    """Return ``segmentation``, ``area``, ``bbox`` (x, y, width, height) and ``iscrowd``."""
    from pycocotools import mask as coco_mask

    runs = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    segmentation: Any = {"size": list(mask.shape), "counts": runs["counts"].decode("ascii")}
    # Crowds have run lengths in every COCO file.
    if form == POLYGONS and not crowd:
        segmentation = [corners[:, ::-1].ravel().tolist() for corners in outlines(mask)]
    return {
        "segmentation": segmentation,
        "area": int(coco_mask.area(runs)),
        "bbox": coco_mask.toBbox(runs).tolist(),
        "iscrowd": int(crowd),
    }


def coco_ignored(ignored: BoolMask) -> dict[str, Any]:
    """Return the annotation of ignored pixels (M, N).

    As a crowd, in which other programs neither train nor count what is found; our own key tells it
    from a crowd of objects.
    """
    return coco_annotation(ignored, RLE, crowd=True) | {"ignore": 1, IGNORED_KEY: True}


def id_key(number: Any) -> str:
    """Return an id, "" for none: numbers, or texts of the same number, are one."""
    if number is None:
        return ""
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def is_results(document: object) -> bool:
    """Return whether a JSON document is a list of detections."""
    return isinstance(document, list) and any(
        isinstance(one, dict) and "image_id" in one for one in document
    )


def results_document(path: Path, entries: list[Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a results list as a COCO data set, and why entries belong to no image.

    An entry's image is the file that it names itself, else the one of that id in the only data
    set beside the list, else that whose name the id is. A number alone could be any image.
    Detections of a score below 0.5 are left out, as detectors list all they thought of.

    Parameters
    ----------
    path : Path
        Of the list; the data set is looked for in its folder.
    entries : list
        What the list holds.
    """
    images, categories, problem = _companion(path)
    known: dict[str, dict[str, Any]] = {}
    annotations, lost = [], []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            lost.append(f"entry {number} of the list is no detection")
            continue
        key = id_key(entry.get("image_id"))
        image = _image(entry, images.get(key))
        if image is None:
            lost.append(f"entry {number}: image {key or 'without id'} is not known; {problem}")
        else:
            known.setdefault(key, image)
            if _score(entry) >= LEAST_SCORE:
                annotations.append({"id": number} | entry | {"image_id": key})
    listed = [image | {"id": key} for key, image in known.items()]
    return {"images": listed, "annotations": annotations, "categories": categories}, lost


def _image(entry: dict[str, Any], listed: dict[str, Any] | None) -> dict[str, Any] | None:
    named, key = entry.get("file_name"), entry.get("image_id")
    if isinstance(named, str) and named:
        return {"file_name": named}
    if listed is not None:
        return listed
    is_name = isinstance(key, str) and not key.isdigit() and key
    return {"file_name": key} if is_name else None


def _score(entry: dict[str, Any]) -> float:
    score = entry.get("score")
    return float(score) if isinstance(score, int | float) else 1.0


def _companion(path: Path) -> tuple[dict[str, dict[str, Any]], list[Any], str]:
    """Return images by their ids, and categories, of the only data set in a folder."""
    found = []
    for other in sorted(path.parent.glob("*.json")):
        try:
            document = json.loads(read_text(other)) if other != path else None
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and isinstance(document.get("images"), list):
            found.append((other, document))
    if len(found) != 1:
        there = f"{len(found)} data sets lie" if found else "no data set lies"
        return (
            {},
            [],
            f"numbers are explained by the data set that they refer to, and {there} beside the "
            "list: put that one there alone, or name the file of each entry as file_name",
        )
    place, document = found[0]
    images = [one for one in document["images"] if isinstance(one, dict) and "id" in one]
    listed = document.get("categories")
    return (
        {id_key(one["id"]): {name: one.get(name) for name in _OF_FILE} for one in images},
        listed if isinstance(listed, list) else [],
        f"{place.name} has no such image",
    )
