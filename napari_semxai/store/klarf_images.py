"""The images that a KLARF file names, found beside it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from napari_semxai.store.images import IMAGE_SUFFIXES, page_count
from napari_semxai.store.klarf import read_klarf
from napari_semxai.store.project_sources import ImageSource, SourceImage
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from napari_semxai.store.klarf import Klarf, KlarfDefect


def klarf_images(path: Path) -> ImageSource:
    """List the images of all defects of a KLARF file; defects without images are left out.

    An image lies where the file says, or, since paths of the inspection tool rarely exist
    elsewhere, under its name in the KLARF's folder. Image numbers are pages of a multi-page
    TIFF, counted from 1, or from 0 where a 0 occurs.

    Raises
    ------
    InputError
        When it cannot be read, or names no image that exists.
    """
    klarf = read_klarf(path)
    finder = _Finder(path.parent, klarf)
    several_wafers = len({(defect.lot, defect.wafer) for defect in klarf.defects}) > 1
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    for defect in klarf.defects:
        stem = f"{defect.wafer}/{defect.defect}" if several_wafers else defect.defect
        for number, (name, page) in enumerate(defect.images, start=1):
            label = f"defect_{stem}" + (f"_{number}" if len(defect.images) > 1 else "")
            try:
                images.append(_source_image(label, defect, *finder.find(name, page)))
            except InputError as error:
                failed[label] = f"{path} line {defect.line}: {error}"
    if not images:
        raise InputError(next(iter(failed.values()), f"{path}: names no image"))
    return ImageSource(tuple(images), class_names=klarf.class_names, failed=failed)


def _source_image(name: str, defect: KlarfDefect, path: Path, page: int) -> SourceImage:
    return SourceImage(
        path=path,
        page=page,
        name=name,
        label=defect.label,
        label_source=defect.label_source,
        lot=defect.lot,
        wafer=defect.wafer,
        defect=defect.defect,
        pixel_size=defect.pixel_size,
    )


class _Finder:
    """Finds files and pages."""

    def __init__(self, folder: Path, klarf: Klarf) -> None:
        self._folder = folder
        self._names = {
            path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()
        }
        numbers = Counter(image for defect in klarf.defects for image in defect.images)
        self._from_zero = {name for name, number in numbers if number == 0}
        self._pages: dict[Path, int] = {}

    def find(self, name: str, number: int) -> tuple[Path, int]:
        """Return the file and page of an image."""
        path = self._file(name)
        pages = self._pages.setdefault(path, page_count(path))
        if pages == 1:
            return path, 0
        page = number if name in self._from_zero else number - 1
        if not 0 <= page < pages:
            raise InputError(f"{path}: has {pages} pages, so there is no image {number}")
        return path, page

    def _file(self, name: str) -> Path:
        parts = PureWindowsPath(name).parts
        if not parts:
            raise InputError("the defect names no image file")
        given = self._folder.joinpath(*parts)
        if given.is_file():
            return given
        for ending in ("", *IMAGE_SUFFIXES):
            if (found := self._names.get((parts[-1] + ending).casefold())) is not None:
                return found
        raise InputError(f"{name}: no such image, and none of that name in {self._folder}")
