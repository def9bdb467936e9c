"""Times and sizes of the files of an annotator: what tells that one was written."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from napari_semxai.store.project_files import (
    MASK_SUFFIX,
    MASKS_FOLDER,
    RECORD_SUFFIX,
    RECORDS_FOLDER,
    mask_path,
    record_path,
)

if TYPE_CHECKING:
    from pathlib import Path

Stamp: TypeAlias = tuple[int, int, int, int]
STAMP_COLUMNS = ("record_time", "record_size", "mask_time", "mask_size")
_NO_FILE = (0, 0)


def image_stamp(folder: Path, image: str) -> Stamp:
    """Return times and sizes of an image's record and mask file; `folder` is the annotator's."""
    return (*_file_stamp(record_path(folder, image)), *_file_stamp(mask_path(folder, image)))


def image_stamps(folder: Path, images: set[str]) -> dict[str, Stamp]:
    """Return the stamps of all of some images that have a file."""
    records = _file_stamps(folder / RECORDS_FOLDER, RECORD_SUFFIX)
    masks = _file_stamps(folder / MASKS_FOLDER, MASK_SUFFIX)
    return {
        image: (*records.get(image, _NO_FILE), *masks.get(image, _NO_FILE))
        for image in (records.keys() | masks.keys()) & images
    }


def _file_stamp(path: Path) -> tuple[int, int]:
    with suppress(FileNotFoundError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return _NO_FILE


def _file_stamps(folder: Path, suffix: str) -> dict[str, tuple[int, int]]:
    """Modification time and size by image id; temporary files begin with a dot."""
    stamps = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    stamps[entry.name[: -len(suffix)]] = (stat.st_mtime_ns, stat.st_size)
    return stamps
