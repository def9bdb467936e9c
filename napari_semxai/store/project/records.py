"""Records of a project: what a change makes of one, and how they lie on disk."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import array_digest, file_sha256
from napari_semxai.store.images.mask_parts import region_counts, region_mask
from napari_semxai.store.images.masks import read_white_mask, write_mask
from napari_semxai.store.project.files import (
    MASK_SUFFIX,
    RECORD_SUFFIX,
    history_digest,
    mask_path,
    reaching,
    read_json,
    read_recipe,
    recipe_digest,
    recipe_values,
    record_path,
    stored_state,
    with_digest,
)
from napari_semxai.types import (
    BoolMask,
    InputError,
    MaskPart,
    MaskRecipe,
    ReviewChange,
    ReviewEvent,
    ReviewRecord,
    ReviewState,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.types import ProjectImage

_FORMAT, _VERSION = "napari-semxai record", 1
_REPLACED_FOLDER = "replaced"
_RULE = "rule"


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds(time: str) -> float:
    """Return a time of `utc_now` in seconds since the epoch; 0.0 for none."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0


def check_mask(image: ProjectImage, change: ReviewChange) -> None:
    """Raise `InputError` when the masks of a change do not have the image's size."""
    for mask in (change.mask, change.ignored):
        if mask is not None and mask.shape != image.shape:
            raise InputError(f"{image.name}: mask of shape {mask.shape}, image {image.shape}")


def new_mask(image: ProjectImage, old: ReviewRecord, change: ReviewChange) -> BoolMask | None:
    """Return the mask that `change` writes, or None where it leaves the mask alone.

    Raises
    ------
    InputError
        When a review needs a mask and there is none.
    """
    if change.state is ReviewState.NO_DEFECT:
        return np.zeros(image.shape, dtype=bool)
    if change.mask is None:
        if change.state is not None and change.state.is_truth and not old.mask_sha256:
            raise InputError(f"{image.name}: has no mask yet, so it cannot be {change.state}")
        return None
    mask = np.asarray(change.mask, dtype=bool)
    if change.back is not None:
        return mask
    ignored = region_mask(old.ignored, image.shape) if change.ignored is None else change.ignored
    return mask if ignored is None else mask & ~ignored


def imported_state(
    mask: BoolMask, told: str | None, wanted: ReviewState | None = None
) -> ReviewState:
    """Return the state of a mask that comes from elsewhere.

    Parameters
    ----------
    mask : ndarray of bool, shape (M, N)
        "No defect" where empty and nothing else was said; never so with foreground.
    told : str or None
        What stands beside the mask: a state of an export, or what another program calls so.
    wanted : ReviewState, optional
        What a person wants for masks with foreground.
    """
    implied = ReviewState.ACCEPTED if mask.any() else ReviewState.NO_DEFECT
    if told == ReviewState.BY_RULE:
        # The certificate that it rests on did not come along.
        told = ReviewState.CANDIDATE
    state = wanted or next((state for state in ReviewState if state == told), implied)
    empty_truth = wanted is not None and wanted.is_truth and not mask.any()
    return implied if state is ReviewState.NO_DEFECT or empty_truth else state


def next_record(
    image: ProjectImage, old: ReviewRecord, change: ReviewChange, mask: BoolMask | None
) -> ReviewRecord:
    """Return the record after `change`.

    A review sets the state. A changed mask without a review makes an earlier review void: the
    state is "candidate" again, and `ReviewRecord.voided` keeps what it was.

    Parameters
    ----------
    image : ProjectImage
        Whose mask it is.
    old : ReviewRecord
        The record before.
    change : ReviewChange
        What was asked for.
    mask : ndarray of bool or None
        As `new_mask` answered.
    """
    if change.back is not None:
        return _with_event(image, _as_before(change, change.back, mask), old, "undo")
    digest = old.mask_sha256 if mask is None else array_digest(mask)
    ignored = old.ignored if change.ignored is None else region_counts(change.ignored)
    redrawn = digest != old.mask_sha256
    edited = redrawn or ignored != old.ignored
    state, voided = old.state, old.voided
    if change.state is not None:
        state, voided = change.state, None
    elif edited and old.state is not ReviewState.CANDIDATE:
        state, voided = ReviewState.CANDIDATE, old.state if old.state.is_reviewed else None
    parts = old.parts if change.parts is None else change.parts
    record = replace(
        old,
        state=state,
        voided=voided,
        label=old.label if change.label is None else change.label,
        comment=old.comment if change.comment is None else change.comment,
        time=utc_now(),
        mask_sha256=digest,
        area=old.area if mask is None else int(np.count_nonzero(mask)),
        score=old.score if change.score is None else change.score,
        recipe=_next_recipe(image, old, change, mask, redrawn),
        # An edit cuts them where they are written; nothing is left of them in an empty mask.
        parts=() if change.state is ReviewState.NO_DEFECT else parts,
        rule=(change.rule or old.rule) if state is ReviewState.BY_RULE else "",
        ignored=ignored,
    )
    if change.confidence is not None:
        record = replace(
            record,
            confidence=change.confidence,
            classifier_sha256=change.classifier_sha256,
            classifier_synthetic=change.classifier_synthetic,
        )
    kind = "review" if change.state is not None else "edit" if edited else "note"
    kind = _RULE if change.state is ReviewState.BY_RULE else kind
    return _with_event(image, record, old, kind)


def _as_before(change: ReviewChange, back: ReviewRecord, mask: BoolMask | None) -> ReviewRecord:
    """Return the record to go back to, written now, for the mask of that time."""
    digest, area = "", 0
    if mask is not None:
        digest, area = array_digest(mask), int(np.count_nonzero(mask))
    ignored = back.ignored if change.ignored is None else region_counts(change.ignored)
    return replace(back, time=utc_now(), mask_sha256=digest, area=area, ignored=ignored)


def _with_event(
    image: ProjectImage, record: ReviewRecord, old: ReviewRecord, kind: str
) -> ReviewRecord:
    """Return a record with the history of `old` and what has happened now."""
    event = ReviewEvent(
        record.time, kind, record.state, record.label, record.comment, record.mask_sha256,
        image.sha256, recipe_digest(record.recipe), history_digest(image.id, old.history),
    )  # fmt: skip
    return replace(record, history=(*old.history, event))


def voided_by_hand(record: ReviewRecord, mask: BoolMask | None) -> ReviewRecord:
    """Return the record of a mask file that is not the one the record was written for.

    That is a mask changed or removed by another program, or one whose record a crash prevented.
    """
    # Of the pixels, not of the file: another program may have saved the very same mask anew.
    digest = "" if mask is None else array_digest(mask)
    if digest == record.mask_sha256:
        return record
    reviewed = record.state.is_reviewed
    return replace(
        record,
        state=ReviewState.CANDIDATE,
        voided=record.state if reviewed else record.voided,
        mask_sha256=digest,
        area=0 if mask is None else int(np.count_nonzero(mask)),
        recipe=None,
        rule="",
    )


def stored_record(folder: Path, image: ProjectImage, annotator: str) -> ReviewRecord | None:
    """Return what an annotator's `folder` says of an image; None where nothing was written.

    Raises
    ------
    InputError
        When the record or the mask cannot be read.
    """
    record, written = ReviewRecord(image.id, annotator), ""
    path, mask = record_path(folder, image.id), mask_path(folder, image.id)
    with reaching(folder):
        if path.exists():
            record, written = read_record(path)
        if not mask.exists():
            return voided_by_hand(record, None) if record.history else None
        try:
            # The file as it was written: nothing to decode, at every opening of an image.
            if file_sha256(mask) == written:
                return record
            found = read_white_mask(mask, image.shape)
        except (FileNotFoundError, InputError):
            if mask.exists():
                raise
            # A review is taken back just now: its record has gone on, and now the mask goes.
            return record if record.history else None
        return voided_by_hand(record, found)


def store_record(folder: Path, record: ReviewRecord, mask: BoolMask | None, head: str) -> None:
    """Write a new mask, if any, then the record that names it; the file of no mask is removed.

    `head` is the digest of the annotator's list of reviews before.
    """
    place = mask_path(folder, record.image)
    # The mask first: a record must never name a mask that is not there yet.
    if mask is not None:
        write_mask(place, mask)
    digest = file_sha256(place) if record.mask_sha256 else ""
    values = record_values(record, digest) | {"list_sha256": head}
    write_json(record_path(folder, record.image), with_digest(values))
    if not record.mask_sha256:
        # Last: until then a crash leaves a record that is true of its mask file.
        place.unlink(missing_ok=True)


def record_values(record: ReviewRecord, mask_file_sha256: str) -> dict[str, Any]:
    """Return a record as JSON holds it."""
    values = asdict(record)
    values["recipe"] = record.recipe and recipe_values(record.recipe)
    history = [{**entry, "state": stored_state(entry["state"])} for entry in values.pop("history")]
    return {
        "format": _FORMAT,
        "version": _VERSION,
        **values,
        "state": stored_state(record.state),
        "voided": None if record.voided is None else str(record.voided),
        "mask_file_sha256": mask_file_sha256,
        "history": history,
        "history_sha256": history_digest(record.image, record.history),
    }


def read_record(path: Path) -> tuple[ReviewRecord, str]:
    """Read a record, and the digest that its mask file had when it was written.

    Raises
    ------
    InputError
        When it cannot be read or is damaged.
    """
    record, values = read_stored(path)
    return record, str(values["mask_file_sha256"])


def read_stored(path: Path) -> tuple[ReviewRecord, dict[str, Any]]:
    """Read a record, and all that its file holds, see `read_record`."""
    values = read_json(path, _FORMAT, _VERSION)
    try:
        str(values["mask_file_sha256"])
        return record_of(values), values
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); bring back a copy of it") from error


def record_of(values: dict[str, Any]) -> ReviewRecord:
    """Return a record from what `record_values` made of it."""
    voided, recipe = values["voided"], values["recipe"]
    state, rule = ReviewState(values["state"]), values.get("rule", "")
    return ReviewRecord(
        image=values["image"],
        annotator=values["annotator"],
        state=ReviewState.BY_RULE if rule and state is ReviewState.CANDIDATE else state,
        voided=None if voided is None else ReviewState(voided),
        label=values["label"],
        comment=values["comment"],
        time=values["time"],
        mask_sha256=values["mask_sha256"],
        area=int(values["area"]),
        confidence=values["confidence"],
        # Earlier records do not say what the confidence is of.
        classifier_sha256=values.get("classifier_sha256", ""),
        classifier_synthetic=values.get("classifier_synthetic"),
        score=values["score"],
        recipe=None if recipe is None else read_recipe(recipe),
        history=tuple(
            ReviewEvent(
                **{
                    **entry,
                    "state": ReviewState.BY_RULE
                    if entry["kind"] == _RULE
                    else ReviewState(entry["state"]),
                }
            )
            for entry in values["history"]
        ),
        # Earlier records know of no parts.
        parts=tuple(MaskPart(**part) for part in values.get("parts", ())),
        rule=rule if state is ReviewState.CANDIDATE else "",
        # Nor of what is ignored.
        ignored=str(values.get("ignored", "")),
    )


def _next_recipe(
    image: ProjectImage,
    old: ReviewRecord,
    change: ReviewChange,
    mask: BoolMask | None,
    edited: bool,
) -> MaskRecipe | None:
    """Never a recipe that makes another mask than the one beside it."""
    if mask is None or (not edited and change.recipe is None):
        return old.recipe
    emptied = not mask.any() and (change.mask is None or np.any(change.mask))
    if change.recipe is not None and not emptied:
        return change.recipe
    base = "empty" if not mask.any() else "mask"
    return MaskRecipe(base, array_digest(mask), image.sha256, turned=image.turned)


def keep_replaced(
    folder: Path, record: ReviewRecord, mask: BoolMask | None, *, below: bool
) -> None:
    """Keep a record and its mask (M, N) before others take their place.

    Parameters
    ----------
    folder : Path
        The annotator's.
    record : ReviewRecord
        As it is now.
    mask : ndarray of bool or None
        That of the record.
    below : bool
        Whether it comes back after all that is kept already, not before.
    """
    name = re.sub(r"[^\dT]", "", record.time)
    if below and (others := replaced_records(folder, record.image)):
        # Names are times and order what is kept; the true time stands in the record.
        day, time = others[0].stem.split("T")
        earlier = str(int(day + time) - 1)
        name = f"{earlier[: len(day)]}T{earlier[len(day) :]}"
    place = folder / _REPLACED_FOLDER / record.image / name
    digest = ""
    if mask is not None:
        write_mask(place.with_suffix(MASK_SUFFIX), mask)
        digest = file_sha256(place.with_suffix(MASK_SUFFIX))
    write_json(place.with_suffix(RECORD_SUFFIX), with_digest(record_values(record, digest)))


def replaced_records(folder: Path, image_id: str) -> list[Path]:
    """Return the files of `keep_replaced`, the oldest first; `folder` is the annotator's."""
    with reaching(folder):
        return sorted((folder / _REPLACED_FOLDER / image_id).glob(f"*{RECORD_SUFFIX}"))


def read_replaced(path: Path, shape: tuple[int, int]) -> ReviewChange:
    """Return the change that brings a replaced review back to an image (M, N)."""
    record, _ = read_record(path)
    mask = read_white_mask(path.with_suffix(MASK_SUFFIX), shape) if record.mask_sha256 else None
    return ReviewChange(mask=mask, back=record)


def discard_replaced(path: Path) -> None:
    """Remove a record of `keep_replaced` with its mask."""
    with reaching(path):
        path.unlink()
        path.with_suffix(MASK_SUFFIX).unlink(missing_ok=True)
