"""What a project or training is made from: a folder, a table, a KLARF file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semxai.store.disk.names import FileFinder, natural_key, path_parts, printable
from napari_semxai.store.disk.tables import all_reasons
from napari_semxai.store.images.companions import is_reference
from napari_semxai.store.images.masks import MASK_SUFFIXES, image_stem
from napari_semxai.store.images.read import image_files, page_count, page_name, read_image
from napari_semxai.store.sources.image_tables import (
    ImageSource,
    SourceImage,
    find_table,
    table_images,
)
from napari_semxai.store.sources.klarf import is_klarf, read_klarf
from napari_semxai.types import PROJECT_FILE, InputError
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_semxai.store.sources.klarf import Klarf, KlarfDefect

_REFERENCES = "REFERENCEIMAGE", "REFERENCEFILE", "REFERENCE"
_NO_REFERENCE = "", "0", "-", "N/A"


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
    # Defect ids are unique on their wafer only.
    several_wafers = len({(defect.lot, defect.wafer) for defect in klarf.defects}) > 1
    images: list[SourceImage] = []
    failed = {
        f"{path.name} {number}": f"{path} {problem}"
        for number, problem in enumerate(klarf.problems, start=1)
    }
    for defect in klarf.defects:
        stem = f"{defect.wafer}/{defect.defect}" if several_wafers else defect.defect
        for number, (name, page) in enumerate(defect.images, start=1):
            label = f"defect_{stem}" + (f"_{number}" if len(defect.images) > 1 else "")
            try:
                image = _source_image(label, defect, *finder.find(name, page))
                images.append(replace(image, reference=finder.reference(defect)))
            except InputError as error:
                failed[label] = f"{path} line {defect.line}: {error}"
    if not images:
        raise InputError(all_reasons(failed.values()) or f"{path}: names no image")
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
        self._files = FileFinder(folder)
        numbers = Counter(
            image for defect in klarf.defects for image in (*defect.images, *defect.references)
        )
        self._from_zero = {name for name, number in numbers if number == 0}
        # How many images a file is said to have.
        self._said = Counter(name for name, _ in numbers)
        self._pages: dict[Path, int] = {}

    def reference(self, defect: KlarfDefect) -> Path | None:
        """Return the picture that a column, or the list of images, names for comparison."""
        words = (defect.cells[name].text for name in _REFERENCES if name in defect.cells)
        name = next((word for word in words if word not in _NO_REFERENCE), "")
        if name:
            return self._files.find(name)
        for image in defect.references:
            path, _ = self.find(*image)
            # Of a file of many pages it would not be said which.
            if self._pages[path] == 1:
                return path
        return None

    def find(self, name: str, number: int) -> tuple[Path, int]:
        """Return the file and page of an image."""
        if not path_parts(name):
            raise InputError("the defect names no image file")
        path = self._files.find(name)
        if path not in self._pages:
            self._pages[path] = page_count(path)
        pages = self._pages[path]
        # Where each defect has a file of its own, numbers may go on from file to file.
        if pages == 1 and self._said[name] == 1:
            return path, 0
        page = number if name in self._from_zero else number - 1
        if not 0 <= page < pages:
            raise InputError(
                f"{path}: has {counted(pages, 'image')}, so there is no image {number}"
            )
        return path, page


_PAGE = re.compile(r"_p\d{4,}$")
_TABLE_SUFFIXES = (".csv", ".tsv")


def find_images(source: Path) -> ImageSource:
    """List the images of a folder, a Carinthia download, a table or a KLARF file.

    Raises
    ------
    InputError
        When there is no such source, or no image in it.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if source.is_dir():
        table = find_table(source)
        return _folder_images(source) if table is None else table_images(table)
    if is_klarf(source):
        return klarf_images(source)
    if is_source_file(source):
        return table_images(source)
    raise InputError(f"{source}: neither a folder of images, nor a CSV table, nor a KLARF file")


def is_source_file(path: Path) -> bool:
    """Return whether a file lists images, as `find_images` takes it."""
    return path.is_file() and (path.suffix.casefold() in _TABLE_SUFFIXES or is_klarf(path))


def _is_mask(path: Path, beside: set[Path]) -> bool:
    """Return whether a file is called as "Save mask" calls the mask of an image beside it."""
    image = path.with_name(image_stem(path.stem))
    if image.name == path.stem or path.suffix.casefold() not in MASK_SUFFIXES:
        return False
    return image in beside or image.with_name(_PAGE.sub("", image.name)) in beside


def _folder_images(folder: Path) -> ImageSource:
    """Every image below a folder but masks and references; every page of a TIFF is one."""
    images: list[SourceImage] = []
    failed: dict[str, str] = {}
    # Masks of a project that lies among the images are no images.
    projects = {path.parent for path in folder.rglob(PROJECT_FILE)}
    files = image_files(folder)
    beside = {path.with_suffix("") for path in files}
    for path in files:
        if not projects.isdisjoint(path.parents) or (
            _is_mask(path, beside) or is_reference(path, beside)
        ):
            continue
        name = path.relative_to(folder)
        try:
            pages = page_count(path)
        except InputError as error:
            failed[printable(name)] = str(error)
            continue
        for page in range(pages):
            stem = name.with_name(page_name(name, page)) if pages > 1 else name.with_suffix("")
            images.append(SourceImage(path, page, stem.as_posix()))
    if not images:
        none = f"{folder}: no readable TIFF, JPEG, PNG or BMP image in this folder"
        raise InputError(all_reasons(failed.values()) or none)
    return ImageSource(tuple(images), failed=failed)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Readable images of two or more classes.

    Attributes
    ----------
    images : tuple of SourceImage
        Where they are.
    targets : ndarray of int, shape (images,)
        Index of each image's class.
    labels, class_names : tuple of str
        Of the classes, in the order of the indices: as the data set has them, and as people
        are shown them.
    failed : mapping
        What was left out, and why.
    """

    images: tuple[SourceImage, ...]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of every class, shape (classes,)."""
        return np.bincount(self.targets, minlength=len(self.labels))


def labelled_images(
    source: Path,
    names: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledImages:
    """List the images of a data set with their classes, and open every one to be sure of it.

    Parameters
    ----------
    source : Path
        A folder with a folder of images a class, a table with a column ``label``, or a folder
        with the Carinthia or Carinthia-S download.
    names : mapping, optional
        What to call a class; by default what the source says, or its label.
    progress : callable, optional
        Called with the images looked at and all of them.

    Raises
    ------
    InputError
        When there is no such source, there are fewer than two classes, or a name is for no
        class or used twice.
    """
    found = find_images(source)
    failed = dict(found.failed)
    kept: list[tuple[SourceImage, str]] = []
    for number, image in enumerate(found.images, start=1):
        label = class_of(source, image)
        try:
            if not label:
                raise InputError(f"{image.path}: has no class")
            read_image(image.path, image.page)
            kept.append((image, label))
        except InputError as error:
            failed[image.name] = str(error)
        if progress is not None:
            progress(number, len(found.images))
    counts = Counter(label for _, label in kept)
    if len(counts) < 2:
        raise InputError(
            f"{source}: {len(counts)} classes with readable images, a classifier needs two or "
            "more; give a folder of images a class, or a table (CSV) with a column label"
        )
    labels = tuple(sorted(counts, key=natural_key))
    shown = _class_names(source, labels, {**found.class_names, **(names or {})}, names or {})
    index = {label: number for number, label in enumerate(labels)}
    return LabelledImages(
        images=tuple(image for image, _ in kept),
        targets=np.array([index[label] for _, label in kept]),
        labels=labels,
        class_names=shown,
        failed=failed,
    )


def class_of(source: Path, image: SourceImage) -> str:
    """Return the class of an image: as listed, else its folder below `source`; "" for none."""
    folder, _, rest = image.name.partition("/")
    return image.label or (folder if source.is_dir() and rest else "")


def _class_names(
    source: Path, labels: tuple[str, ...], names: Mapping[str, str], asked: Mapping[str, str]
) -> tuple[str, ...]:
    unknown = sorted(asked.keys() - set(labels))
    if unknown:
        raise InputError(
            f"{source}: there is no class {unknown[0]!r} to name; there are {', '.join(labels)}"
        )
    shown = tuple(names.get(label, label) for label in labels)
    twice = [name for name, count in Counter(shown).items() if count > 1]
    if twice:
        raise InputError(f"{source}: two classes would be called {twice[0]!r}")
    return shown
