"""Existing masks brought into a project as somebody's reviews."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.tables import all_reasons, read_table, read_text
from napari_semxai.store.images.coco import read_coco
from napari_semxai.store.images.companions import VOID, is_ignored_file, read_ignored
from napari_semxai.store.images.mask_parts import numbered_parts, region_counts
from napari_semxai.store.images.masks import MaskReader, MaskReading, image_stem, stored_mask
from napari_semxai.store.images.read import image_files
from napari_semxai.store.project.create import name_classes
from napari_semxai.store.project.exports import CLASSES_TABLE, IGNORED_NAME, MASKS_TABLE
from napari_semxai.store.project.masks import recipe_beside
from napari_semxai.store.project.records import imported_state
from napari_semxai.store.sources.image_tables import find_table, table_images
from napari_semxai.types import InputError, ReviewChange, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_semxai.store.images.coco import CocoImage, CocoSet
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import MaskRecipe, ProjectImage, ReviewRecord

    Load: TypeAlias = Callable[[ProjectImage], MaskReading]


class ReviewedError(InputError):
    """A mask that would take the place of a review without anybody having said so."""


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
    unannotated : bool
        Whether images of a COCO file that have no annotation are without defect; otherwise they
        are left out.
    unclear : ForegroundRule or None
        What is foreground in masks that could be read in two ways; by default they are refused.
    only : frozenset of str or None
        Names of the masks to bring in, as the import before named what it refused; by default
        all.
    """

    state: ReviewState | None = None
    rule: ForegroundRule = AUTO
    replace: bool = False
    unannotated: bool = False
    unclear: ForegroundRule | None = None
    only: frozenset[str] | None = None

    def wants(self, found: _Found) -> bool:
        """Return whether a mask of the source is to be brought in."""
        return self.only is None or found.name in self.only


def import_masks(
    project: Project,
    source: Path,
    annotator: str,
    choices: ImportChoices | None = None,
    failed: dict[str, str] | None = None,
    masks: MaskReader | None = None,
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
        Gets the message of each mask that cannot be brought in, or not with its settings; without
        it the first one raises.
    masks : MaskReader, optional
        Reads and counts them, also where nothing can be brought in.

    Returns
    -------
    MaskReader
        What was brought in, counted.

    Raises
    ------
    InputError
        When the source cannot be read, none of its masks belongs to an image of the project, or
        another program writes as this annotator.
    """
    # Before anything is read: each mask that could not be written would be kept elsewhere.
    project.claim(annotator)
    choices = choices or ImportChoices()
    reader = masks or MaskReader(choices.rule, choices.unclear)
    problems: dict[str, str] = {}
    seen: dict[str, str] = {}
    found_masks = _masks_of(source, project, reader, choices, problems)
    for found in filter(choices.wants, found_masks):
        try:
            image = project.find(found.name, found.id)
            if image.id in seen:
                raise InputError(f"{found.name}: {seen[image.id]} is of the same image")
            reading = found.load(image)
            change = _change(found, image, reading, choices.state)
            recipe, problem = _recipe(found, image, reading)
            _write(project, image, annotator, replace(change, recipe=recipe), choices)
            if problem:
                problems[f"{found.name}, settings"] = problem
            # Only now: a mask that was refused leaves the place to another of the same image.
            seen[image.id] = found.name
        except InputError as error:
            problems[found.name] = str(error)
            reader.refuse(found.name, error)
            if failed is None:
                raise
        else:
            reader.count(reading)
    if failed is not None:
        failed.update(problems)
    elif problems:
        raise InputError(all_reasons(problems.values()))
    if not reader.brought:
        reasons = all_reasons(problems.values())
        none = f"{source}: holds no mask of a kind that is read (PNG, TIFF, BMP, JPEG, COCO JSON)"
        raise InputError(
            reasons or (f"{source}: holds no mask; {reader}" if reader.left_out else none)
        )
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
            raise ReviewedError(
                f"{image.name}: has a review of {annotator} ({old.voided or old.state}); "
                "--replace puts the new mask in its place and keeps the old one"
            )
    project.write_review(image.id, annotator, change, keep=choices.replace)


def _says(old: ReviewRecord, change: ReviewChange) -> bool:
    return (
        change.state is old.state
        and change.mask is not None
        and array_digest(change.mask) == old.mask_sha256
        and change.parts in (None, old.parts)
        and (change.ignored is None or region_counts(change.ignored) == old.ignored)
        and change.label in (None, old.label)
        and change.comment in (None, old.comment)
        and change.recipe in (None, old.recipe)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A mask of a source, by the name of its image, and what stands beside it."""

    name: str
    load: Load
    id: str = ""
    label: str | None = None
    state: str | None = None
    comment: str | None = None
    sha256: str | None = None
    path: Path | None = field(default=None, kw_only=True)


def _recipe(
    found: _Found, image: ProjectImage, reading: MaskReading
) -> tuple[MaskRecipe | None, str]:
    """Return how a mask was made, where something tells that, and why that cannot be taken."""
    if found.path is None:
        return None, ""
    try:
        return recipe_beside(found.path, reading.mask, image), ""
    except InputError as error:
        return None, str(error)


def _change(
    found: _Found, image: ProjectImage, reading: MaskReading, state: ReviewState | None
) -> ReviewChange:
    # A mask of an older picture would lie beside the defect, and nothing would show it.
    if found.sha256 not in (None, image.sha256):
        raise InputError(
            f"{found.name}: the mask was made of other pixels than {image.path} has; bring in the "
            "masks of this image"
        )
    label, comment = found.label or reading.label, found.comment or reading.comment
    state = imported_state(reading.mask, found.state, state)
    new_label = None if label in (None, "", image.label) else label
    told = comment or None
    return ReviewChange(
        state,
        reading.mask,
        label=new_label,
        comment=told,
        parts=reading.parts,
        ignored=reading.ignored,
    )


def _masks_of(
    source: Path,
    project: Project,
    reader: MaskReader,
    choices: ImportChoices,
    problems: dict[str, str],
) -> Iterator[_Found]:
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    table = find_table(source) if source.is_dir() else source
    if table is None:
        yield from _folder_masks(source, project, reader)
    elif table.suffix.casefold() == ".json":
        yield from _coco_masks(table, project, reader, choices, problems)
    else:
        listed = table_images(table)
        problems.update(listed.failed)
        for entry in listed.images:
            if entry.mask is not None:
                load = partial(_read, reader, listed.mask_rule, entry.mask)
                told = (entry.label, entry.state, entry.comment)
                name = entry.path.with_name(entry.name).as_posix()
                yield _Found(name, load, "", *told, path=entry.mask)


def _folder_masks(folder: Path, project: Project, reader: MaskReader) -> Iterator[_Found]:
    """Yield the masks of a folder, as its table says where an export wrote one."""
    table = folder / MASKS_TABLE
    listed = _listed_masks(table, reader) if table.is_file() else {}
    yield from listed.values()
    # An export of class numbers, among which there is one for what is ignored.
    classes = folder / CLASSES_TABLE
    numbers = classes.is_file() and f"{VOID},,{IGNORED_NAME}" in read_text(classes)
    # Masks may lie beside their images, and an image is no mask of itself.
    pictures = {os.path.realpath(image.path) for image in project.images}
    for path in image_files(folder):
        if path in listed or os.path.realpath(path) in pictures or is_ignored_file(path):
            continue
        refused = partial(_refuse, f"{path}: {table.name} does not list it")
        load = refused if listed else partial(_read, reader, AUTO, path)
        if numbers:
            load = partial(_read_numbers, path)
        # The ending is the mask's; a folder tells equal names apart.
        place = path.relative_to(folder).with_name(image_stem(path.stem))
        yield _Found(place.as_posix(), load, path=path)


def _listed_masks(table: Path, reader: MaskReader) -> dict[Path, _Found]:
    stored = read_table(table)
    if not {"id", "file", "state"} <= set(stored.names):
        raise InputError(f"{table}: has no columns id, file and state; give it another name")
    found = {}
    for _, cells in stored.rows:
        row = dict(zip(stored.names, cells, strict=False))
        path = table.parent / row.get("file", "")
        told = (row.get(name) for name in ("class", "state", "comment"))
        image_id = row.get("id", "")
        found[path] = _Found(image_id, partial(_read, reader, BRIGHT, path), image_id, *told)
    return found


def _coco_masks(
    path: Path,
    project: Project,
    reader: MaskReader,
    choices: ImportChoices,
    problems: dict[str, str],
) -> Iterator[_Found]:
    """Yield the masks of a COCO file, and give the project the names of its categories."""
    stored = read_coco(path)
    problems.update(
        (f"{path.name} {n}", f"{path}: {one}") for n, one in enumerate(stored.problems, 1)
    )
    labels = _labels_of(stored, project)
    for image in stored.images:
        values, image_id = image.values, str(image.values.get("semxai_id") or "")
        if not image.annotations and not values.get("state") and not choices.unannotated:
            reader.leave_out(image.name)
            continue
        load = partial(_from_coco, image, labels, stored.rule, problems)
        told = (values.get(name) for name in ("label", "state", "comment"))
        label, state, comment = (None if one is None else str(one) for one in told)
        # Another program's digest may be that of anything.
        digest = values.get("sha256") if image_id else None
        yield _Found(image.name, load, image_id, label, state, comment, digest)
    known = project.info.class_names
    new = {
        label: str(stored.categories[key].get("name") or label)
        for key, label in labels.items()
        if label and label not in known
    }
    # Names of categories that no mask has come in with would only litter the project.
    if new and reader.brought:
        project.info = name_classes(project.folder, new)


def _labels_of(stored: CocoSet, project: Project) -> dict[str, str]:
    """Return the class label of every category: the project's for its name, else its number."""
    named = {name: label for label, name in project.info.class_names.items()}
    labels = {}
    for key, category in stored.categories.items():
        name = str(category.get("name") or key)
        if isinstance(category.get("label"), str):
            labels[key] = category["label"]
        elif name in named:
            labels[key] = named[name]
        else:
            # A number that means something else here already.
            labels[key] = name if key in project.info.class_names else key
    return labels


def _from_coco(
    entry: CocoImage,
    labels: Mapping[str, str],
    rule: str,
    problems: dict[str, str],
    image: ProjectImage,
) -> MaskReading:
    read = entry.mask(image.shape)
    if read.problems and not read.mask.any() and read.ignored is None:
        raise InputError(all_reasons(read.problems))
    for number, problem in enumerate(read.problems, start=1):
        problems[f"{entry.name} {number}"] = problem
    found = [labels.get(key, key) for key in read.categories if labels.get(key, key)]
    comment = f"classes: {', '.join(found)}" if len(found) > 1 else None
    parts = tuple(replace(part, label=labels.get(part.label, part.label)) for part in read.parts)
    label = found[0] if found else None
    return MaskReading(read.mask, rule, label, comment, parts, read.ignored)


def _read_numbers(path: Path, image: ProjectImage) -> MaskReading:
    values = stored_mask(path).values
    if values.shape != image.shape:
        raise InputError(f"{path}: has shape {values.shape}, the image {image.shape}")
    ignored = values == VOID
    mask = (values != 0) & ~ignored
    apart = numbered_parts(np.where(mask, values, 0))
    parts = apart if len(apart) > 1 else ()
    return MaskReading(
        mask, "class numbers", None, None, parts, ignored if ignored.any() else None
    )


def _refuse(reason: str, image: ProjectImage) -> MaskReading:
    raise InputError(f"{reason}; add it there, or move it away")


def _read(
    reader: MaskReader, told: ForegroundRule, path: Path, image: ProjectImage
) -> MaskReading:
    reading = reader.read(path, image.shape, told)
    ignored = read_ignored(path, image.shape)
    return reading if ignored is None else replace(reading, ignored=ignored)
