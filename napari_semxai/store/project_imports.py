"""Existing masks brought into a project as somebody's reviews."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from napari_semxai.store.coco import read_coco
from napari_semxai.store.image_tables import find_table, table_images
from napari_semxai.store.images import image_files
from napari_semxai.store.masks import read_mask
from napari_semxai.types import InputError, ReviewChange, ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_semxai.store.project import Project
    from napari_semxai.types import BoolMask, ProjectImage

    Load: TypeAlias = Callable[[ProjectImage], BoolMask]

_ENDINGS = ("_mask", "-mask")


def import_masks(
    project: Project,
    source: Path,
    annotator: str,
    state: ReviewState | None = None,
    failed: dict[str, str] | None = None,
) -> int:
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
    state : ReviewState, optional
        Of masks with foreground; empty ones are "no defect" where this is accepted or corrected.
        By default the state that an export wrote beside the mask, or accepted.
    failed : dict, optional
        Gets the message of each mask that cannot be brought in; without it the first one raises.

    Returns
    -------
    int
        Masks brought in.

    Raises
    ------
    InputError
        When the source cannot be read or none of its masks belongs to an image of the project.
    """
    finder = _Finder(project)
    problems: dict[str, str] = {}
    count = 0
    for found in _masks_of(source):
        try:
            image = finder.find(found.name)
            project.write_review(image.id, annotator, _change(found, image, state))
        except InputError as error:
            problems[found.name] = str(error)
            if failed is None:
                raise
        else:
            count += 1
    if failed is not None:
        failed.update(problems)
    if not count:
        raise InputError(next(iter(problems.values()), f"{source}: holds no mask"))
    return count


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A mask of a source, by the name of its image, and what stands beside it."""

    name: str
    load: Load
    label: str | None = None
    state: ReviewState | None = None
    comment: str | None = None


def _change(found: _Found, image: ProjectImage, state: ReviewState | None) -> ReviewChange:
    mask = found.load(image)
    kept = state or found.state or ReviewState.ACCEPTED
    if kept.is_truth:
        if not mask.any():
            kept = ReviewState.NO_DEFECT
        elif kept is ReviewState.NO_DEFECT:
            kept = ReviewState.ACCEPTED
    own = None if found.label in (None, "", image.label) else found.label
    return ReviewChange(kept, mask, label=own, comment=found.comment)


def _masks_of(source: Path) -> Iterator[_Found]:
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    table = find_table(source) if source.is_dir() else source
    if table is None:
        for path in image_files(source):
            stem = path.stem
            for ending in _ENDINGS:
                stem = stem.removesuffix(ending)
            yield _Found(stem, partial(_read, path))
    elif table.suffix.casefold() == ".json":
        for values, mask in read_coco(table):
            name = values.get("semxai_id") or str(values["file_name"]).rsplit(".", 1)[0]
            yield _Found(
                name.rsplit("/", 1)[-1],
                partial(_given, mask),
                values.get("label"),
                _state(values.get("state")),
                values.get("comment"),
            )
    else:
        listed = table_images(table)
        for entry in listed.images:
            if entry.mask is not None:
                yield _Found(entry.name, partial(_read, entry.mask), entry.label)


def _state(text: str | None) -> ReviewState | None:
    """Return a state that an export wrote; None for what other programs call so."""
    try:
        return ReviewState(text or "")
    except ValueError:
        return None


def _read(path: Path, image: ProjectImage) -> BoolMask:
    return read_mask(path, image.shape)


def _given(mask: BoolMask, image: ProjectImage) -> BoolMask:
    if mask.shape != image.shape:
        raise InputError(f"{image.id}: mask of shape {mask.shape}, image {image.shape}")
    return mask


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
