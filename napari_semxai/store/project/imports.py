"""Existing masks brought into a project as somebody's reviews."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.tables import all_reasons, read_table
from napari_semxai.store.images.coco import read_coco
from napari_semxai.store.images.masks import MaskReader, MaskReading, image_stem
from napari_semxai.store.images.read import image_files
from napari_semxai.store.project.exports import MASKS_TABLE
from napari_semxai.store.project.records import imported_state
from napari_semxai.store.sources.image_tables import find_table, table_images
from napari_semxai.types import InputError, ReviewChange, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask, ProjectImage, ReviewRecord

    Load: TypeAlias = Callable[[ProjectImage], MaskReading]


@dataclass(frozen=True, slots=True)
class ImportChoices:
    """How masks are brought in.

    Attributes
    ----------
    state : ReviewState or None
        Of masks with foreground; empty ones are "no defect" where this is accepted or corrected.
        By default the state that an export wrote beside the mask, or accepted.
    rule : ForegroundRule
        What in them is foreground.
    replace : bool
        Whether they take the place of reviews of the same annotator, which are then kept: see
        `Project.restore_replaced`. Otherwise those are refused by name.
    """

    state: ReviewState | None = None
    rule: ForegroundRule = AUTO
    replace: bool = False


def import_masks(
    project: Project,
    source: Path,
    annotator: str,
    choices: ImportChoices | None = None,
    failed: dict[str, str] | None = None,
) -> MaskReader:
    """Write existing masks as an annotator's reviews.

    Parameters
    ----------
    project : Project
        Gets the masks.
    source : Path
        A folder of mask files named as the images (``<name>.png`` or ``<name>_mask.png``), a
        Carinthia-S download, a table with a mask column, or a COCO JSON file.
    annotator : str
        Whose reviews they become.
    choices : ImportChoices, optional
        How they are brought in.
    failed : dict, optional
        Gets the message of each mask that cannot be brought in; without it the first one raises.

    Returns
    -------
    MaskReader
        What was brought in, counted.

    Raises
    ------
    InputError
        When the source cannot be read or none of its masks belongs to an image of the project.
    """
    choices = choices or ImportChoices()
    finder, reader = _Finder(project), MaskReader(choices.rule)
    problems: dict[str, str] = {}
    for found in _masks_of(source, project, reader):
        try:
            image = finder.find(found.name)
            reading = found.load(image)
            change = _change(found, image, reading.mask, choices.state)
            _write(project, image, annotator, change, choices)
        except InputError as error:
            problems[found.name] = str(error)
            if failed is None:
                raise
        else:
            reader.count(reading)
    if failed is not None:
        failed.update(problems)
    if not reader.brought:
        raise InputError(all_reasons(problems.values()) or f"{source}: holds no mask")
    return reader


def _write(
    project: Project,
    image: ProjectImage,
    annotator: str,
    change: ReviewChange,
    choices: ImportChoices,
) -> None:
    """Write a mask unless it would take the place of a review; the same one again is nothing."""
    old = project.record(image.id, annotator)
    reviewed = old is not None and (old.state is not ReviewState.CANDIDATE or old.voided)
    if old is not None and reviewed:
        # So that an import that was interrupted can simply be run again.
        if _says(old, change):
            return
        if not choices.replace:
            raise InputError(
                f"{image.id}: has a review of {annotator} ({old.voided or old.state}); "
                "--replace puts the new mask in its place and keeps the old one"
            )
    project.write_review(image.id, annotator, change, keep=choices.replace)


def _says(old: ReviewRecord, change: ReviewChange) -> bool:
    return (
        change.state is old.state
        and change.mask is not None
        and array_digest(change.mask) == old.mask_sha256
        and change.label in (None, old.label)
        and change.comment in (None, old.comment)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A mask of a source, by the name of its image, and what stands beside it."""

    name: str
    load: Load
    label: str | None = None
    state: str | None = None
    comment: str | None = None
    sha256: str | None = None


def _change(
    found: _Found, image: ProjectImage, mask: BoolMask, state: ReviewState | None
) -> ReviewChange:
    if found.sha256 not in (None, image.sha256):
        raise InputError(
            f"{found.name}: the mask was made of other pixels than {image.path} has; bring in the "
            "masks of this image"
        )
    own = None if found.label in (None, "", image.label) else found.label
    comment = found.comment or None
    return ReviewChange(imported_state(mask, found.state, state), mask, label=own, comment=comment)


def _masks_of(source: Path, project: Project, reader: MaskReader) -> Iterator[_Found]:
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    table = find_table(source) if source.is_dir() else source
    if table is None:
        yield from _folder_masks(source, project, reader)
    elif table.suffix.casefold() == ".json":
        yield from (_coco_mask(values, mask) for values, mask in read_coco(table))
    else:
        listed = table_images(table)
        for entry in listed.images:
            if entry.mask is not None:
                load = partial(_read, reader, listed.mask_rule, entry.mask)
                yield _Found(entry.name, load, entry.label, entry.state, entry.comment)


def _folder_masks(folder: Path, project: Project, reader: MaskReader) -> Iterator[_Found]:
    """Yield the masks of a folder, as its table says where an export wrote one."""
    table = folder / MASKS_TABLE
    listed = _listed_masks(table, reader) if table.is_file() else {}
    yield from listed.values()
    pictures = {os.path.realpath(image.path) for image in project.images}
    for path in image_files(folder):
        if path in listed or os.path.realpath(path) in pictures:
            continue
        refused = partial(_refuse, f"{path}: {table.name} does not list it")
        load = refused if listed else partial(_read, reader, AUTO, path)
        yield _Found(image_stem(path.stem), load)


def _listed_masks(table: Path, reader: MaskReader) -> dict[Path, _Found]:
    stored = read_table(table)
    if not {"id", "file", "state"} <= set(stored.names):
        raise InputError(f"{table}: has no columns id, file and state; give it another name")
    found = {}
    for _, cells in stored.rows:
        row = dict(zip(stored.names, cells, strict=False))
        path = table.parent / row.get("file", "")
        told = (row.get(name) for name in ("class", "state", "comment"))
        found[path] = _Found(row.get("id", ""), partial(_read, reader, BRIGHT, path), *told)
    return found


def _coco_mask(values: dict[str, Any], mask: BoolMask) -> _Found:
    own = values.get("semxai_id")
    name = own or str(values["file_name"]).rsplit(".", 1)[0]
    return _Found(
        name.rsplit("/", 1)[-1],
        partial(_given, mask),
        values.get("label"),
        values.get("state"),
        values.get("comment"),
        # Another program's may be the digest of anything.
        values.get("sha256") if own else None,
    )


def _refuse(reason: str, image: ProjectImage) -> MaskReading:
    raise InputError(f"{reason}; add it there, or move it away")


def _read(
    reader: MaskReader, told: ForegroundRule, path: Path, image: ProjectImage
) -> MaskReading:
    return reader.read(path, image.shape, told)


def _given(mask: BoolMask, image: ProjectImage) -> MaskReading:
    if mask.shape != image.shape:
        raise InputError(f"{image.id}: mask of shape {mask.shape}, image {image.shape}")
    return MaskReading(mask, "COCO JSON")


class _Finder:
    """Finds the image that a name means: its id, or its file's name where only one has it."""

    def __init__(self, project: Project) -> None:
        self._folder = project.folder
        self._by_id = {image.id.casefold(): image for image in project.images}
        counts = Counter(image.path.stem for image in project.images)
        self._by_stem = {
            image.path.stem: image for image in project.images if counts[image.path.stem] == 1
        }

    def find(self, name: str) -> ProjectImage:
        found = self._by_id.get(name.casefold()) or self._by_stem.get(name)
        if found is None:
            raise InputError(f"{name}: the project {self._folder} has no image of this name")
        return found
