"""Which images the inputs of a command mean, and where the results of each one go."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.images import image_files, page_count, page_name
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

MASK_ENDING, OVERLAY_ENDING = "_mask.png", "_overlay.png"
RECORD_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Source:
    """One image to do.

    Attributes
    ----------
    path, page
        Where it is.
    name : str
        Its path as seen from the common folder of all inputs.
    stem : Path
        Where its results go, without ending, as seen from the output folder.
    """

    path: Path
    page: int
    name: str
    stem: Path

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.name if self.page == 0 else f"{self.name} page {self.page + 1}"


def find_sources(inputs: Sequence[Path], failed: dict[str, str]) -> list[Source]:
    """List the images of files and folders, each once.

    Masks and overlays that a command wrote, with their record beside them, are not images.

    Parameters
    ----------
    inputs : sequence of Path
        Files and folders.
    failed : dict
        Gets the message of each input that cannot be listed.

    Returns
    -------
    list of Source
        In the order of the inputs, folders sorted; no two have the same `Source.stem`.
    """
    paths: dict[Path, Path] = {}
    for given in inputs:
        try:
            paths |= {_absolute(path): path for path in _images_of(given)}
        except InputError as error:
            failed[str(given)] = str(error)
    if not paths:
        return []
    root = _common_folder([given for given in inputs if str(given) not in failed])
    relative = {absolute: absolute.relative_to(root) for absolute in paths}
    stems = Counter(path.with_suffix("") for path in relative.values())
    sources = []
    for absolute, path in paths.items():
        try:
            pages = page_count(path)
        except InputError as error:
            failed[relative[absolute].as_posix()] = str(error)
            continue
        stem = _stem_of(relative[absolute], stems)
        for page in range(pages):
            place = stem.with_name(page_name(stem, page)) if pages > 1 else stem
            sources.append(Source(path, page, relative[absolute].as_posix(), place))
    return sources


def _images_of(given: Path) -> list[Path]:
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    if not given.is_dir():
        return [given]
    found = [path for path in image_files(given) if not _is_result(path)]
    if not found:
        raise InputError(f"{given}: no TIFF, JPEG, PNG or BMP image in this folder")
    return found


def _is_result(path: Path) -> bool:
    stem = path.name.removesuffix(MASK_ENDING).removesuffix(OVERLAY_ENDING)
    return stem != path.name and path.with_name(stem + RECORD_ENDING).is_file()


def _common_folder(inputs: Sequence[Path]) -> Path:
    folders = [_absolute(given if given.is_dir() else given.parent) for given in inputs]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise InputError("the inputs lie on different drives; do one drive at a time") from error


def _stem_of(relative: Path, stems: Counter[Path]) -> Path:
    """Tell the results of a.png and a.tif in one folder apart by their ending."""
    stem = relative.with_suffix("")
    shared = stems[stem] > 1
    return stem.with_name(f"{stem.name}_{relative.suffix[1:]}") if shared else stem


def _absolute(path: Path) -> Path:
    # Links are not followed: what a folder shows lies in that folder.
    return Path(os.path.abspath(path))
