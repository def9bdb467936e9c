"""Reviews that an import replaced: kept beside the others, and brought back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.masks import read_own_mask, write_mask
from napari_semxai.store.project.files import (
    MASK_SUFFIX,
    RECORD_SUFFIX,
    annotator_folder,
    reaching,
)
from napari_semxai.store.project.records import read_record, record_values
from napari_semxai.types import InputError, ReviewChange

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask, ReviewRecord

REPLACED_FOLDER = "replaced"


def keep_replaced(folder: Path, record: ReviewRecord, mask: BoolMask | None) -> None:
    """Keep a record and its mask (M, N) before others take their place.

    Parameters
    ----------
    folder : Path
        The annotator's.
    record : ReviewRecord
        As it is now.
    mask : ndarray of bool or None
        That of the record.
    """
    place = _folder(folder, record.image) / re.sub(r"[^\dT]", "", record.time)
    digest = ""
    if mask is not None:
        write_mask(place.with_suffix(MASK_SUFFIX), mask)
        digest = file_sha256(place.with_suffix(MASK_SUFFIX))
    write_json(place.with_suffix(RECORD_SUFFIX), record_values(record, digest))


def replaced_images(project: Project, annotator: str) -> list[str]:
    """Return the ids of the images that have something to bring back."""
    folder = annotator_folder(project.folder, annotator)
    with reaching(folder):
        return [image.id for image in project.images if _kept(folder, image.id)]


def restore_replaced(project: Project, image_id: str, annotator: str) -> ReviewRecord:
    """Bring back what was replaced last; what is there now is kept in its place.

    Parameters
    ----------
    project : Project
        Is written.
    image_id, annotator : str
        Whose review of which image.

    Raises
    ------
    InputError
        When nothing was replaced, or it cannot be read or written.
    """
    image = project.image(image_id)
    folder = annotator_folder(project.folder, annotator)
    with reaching(folder):
        kept = _kept(folder, image_id)
    if not kept:
        raise InputError(f"{image_id}: nothing of {annotator} was replaced")
    path, mask = kept[-1], None
    record, _ = read_record(path)
    picture = path.with_suffix(MASK_SUFFIX)
    if record.mask_sha256:
        mask = read_own_mask(picture, image.shape)
    change = ReviewChange(
        state=record.state,
        mask=mask,
        recipe=record.recipe,
        label=record.label,
        comment=record.comment,
        score=record.score,
    )
    restored = project.write_review(image_id, annotator, change, keep=True)
    with reaching(folder):
        path.unlink()
        picture.unlink(missing_ok=True)
    return restored


def _folder(folder: Path, image_id: str) -> Path:
    return folder / REPLACED_FOLDER / image_id


def _kept(folder: Path, image_id: str) -> list[Path]:
    """Return the records that were replaced, the oldest first."""
    return sorted(_folder(folder, image_id).glob(f"*{RECORD_SUFFIX}"))
