"""Results lists of COCO: what a detector found, with ids of images that another file explains."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.tables import read_text

if TYPE_CHECKING:
    from pathlib import Path

LEAST_SCORE = 0.5
# What a data set says of an image beside these may be another review of it.
_OF_FILE = ("file_name", "coco_url", "height", "width", "semxai_id", "page", "sha256")


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
