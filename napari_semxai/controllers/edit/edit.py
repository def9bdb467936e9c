"""Edit: whole-mask edits, loading and saving, and recovery copies of every stroke."""

from __future__ import annotations

import os
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.controllers.edit.recipe import RecipeRecorder, automatic_settings
from napari_semxai.controllers.edit.recovery import (
    RecoveryOffer,
    StrokeCopies,
    Strokes,
    image_key,
)
from napari_semxai.state.open_image import Left, SaveStage, SaveState
from napari_semxai.state.session import Proposal
from napari_semxai.store.disk.safety_net import LONGEST_WAIT
from napari_semxai.store.images.companions import ignored_path, read_ignored, write_ignored
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.store.project.images import check_replaceable
from napari_semxai.store.project.index.open_project import voided_by_edit
from napari_semxai.types import InputError, LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_semxai.algorithms.masks.metrics import LiveMask, MaskChange
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.open_image import UnsavedMask
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, ReviewRecord

    Details = Mapping[str, Any]

_NONE: Details = MappingProxyType({})
_EDITS = {edit.name: edit.function for edit in MASK_EDITS}


class MaskClipboard:
    """Masks that can be added to the open one: one that was copied, and that of the image before.

    Parameters
    ----------
    session : Session
        Told what is copied, and what there is not.
    edit : EditController
        Has the open mask, and tells the one that was left.
    """

    def __init__(self, session: Session, edit: EditController) -> None:
        self._session, self._edit = session, edit
        self.previous: BoolMask | None = None
        self._copied: BoolMask | None = None

    def copy(self) -> None:
        """Keep the mask as it is for `paste`, also on other images."""
        if self._edit.mask is not None:
            self._copied = self._edit.mask.copy()
            self._session.say(f"Copied {np.count_nonzero(self._copied):,} pixels of the mask")

    def paste(self) -> None:
        """Add the copied mask as one undoable edit."""
        self._add(self._copied, "paste mask", "Copy a mask first")

    def add_previous(self) -> None:
        """Add the mask of the image that was open before as one undoable edit."""
        self._add(self.previous, "mask of the previous image", "No image was open before")

    def _add(self, mask: BoolMask | None, title: str, otherwise: str) -> None:
        own = self._edit.mask
        if mask is None:
            self._session.say(otherwise)
        elif own is not None:
            self._edit.propose(mask | own if mask.shape == own.shape else mask, title)


class EditController:
    """Changes the mask of the open image, and keeps a copy of every stroke.

    Parameters
    ----------
    session : Session
        Where the answers go.
    jobs : Jobs
        Runs what takes longer than a frame.
    recovery_folder : Path
        Where recovery copies lie.
    wait : float
        Longest time in seconds from a stroke to the start of its copy.

    Attributes
    ----------
    recorder : RecipeRecorder
        Told of every edit before it is made.
    copies : StrokeCopies
        Of masks whose strokes no file holds.
    recovery : RecoveryOffer
        What an earlier session left of the open mask.
    clipboard : MaskClipboard
        Other masks, to be added to this one.
    """

    edited = Signal()
    """A person changed the mask, or took a change back."""

    def __init__(
        self, session: Session, jobs: Jobs, recovery_folder: Path, wait: float = LONGEST_WAIT
    ) -> None:
        self._session, self._jobs = session, jobs
        self.recorder = RecipeRecorder(session)
        self.copies = StrokeCopies(recovery_folder, self._on_copied, jobs.deliver, wait)
        self.recovery = RecoveryOffer(session, jobs, self.copies, self.propose)
        self.clipboard = MaskClipboard(session, self)
        self._open: Strokes | None = None
        self._strokes = self._kept = 0

    @property
    def mask(self) -> BoolMask | None:
        """The mask of the current image (M, N), not to be written to; None without one."""
        return None if self._open is None else self._open.mask.mask

    @property
    def drawn(self) -> BoolMask | None:
        """What the tools draw on: the mask, or the pixels to ignore, (M, N)."""
        mask, ignored = self.mask, self._session.ignored
        if mask is None or not self._session.ignoring:
            return mask
        return np.zeros_like(mask) if ignored is None else ignored

    @property
    def unsaved(self) -> bool:
        """Whether there are strokes that no file but the recovery copy holds."""
        return self._strokes != self._kept

    def keep(self) -> None:
        """Note that the mask as it is now is being written elsewhere."""
        self._kept = self._strokes

    def kept(self, key: str, message: str) -> None:
        """Drop the recovery copy of a mask that was written elsewhere."""
        current = self._session.current
        if current is not None and key == current.key:
            if self.unsaved:
                return
            self._session.update_image(save=SaveState(SaveStage.SAVED, message=message))
        self._forget_copy(key)

    def start_mask(self, mask: LiveMask) -> None:
        """Take `mask` as the mask of the current image, and look for its recovery copy."""
        current = self._session.current
        if current is None:
            raise RuntimeError("a mask was begun without an image")
        self._open = Strokes(current.key or image_key(current.image), current.image, mask)
        self._strokes = self._kept = 0
        self.recovery.look_for(self._open, on_disk=current.save.on_disk)
        self._session.size = mask.size

    def mask_changed(self) -> None:
        """Show the size of the mask after any change, and what is ignored."""
        if self._open is not None:
            self._session.size = self._open.mask.size
            if self._session.ignored is not self._open.mask.ignored:
                self._session.ignored = self._open.mask.ignored

    def stroked(self, change: MaskChange | None = None) -> None:
        """Note a change a person made: it is copied soon, and forks the mask if it draws on it."""
        current = self._session.current
        if current is None:
            return
        self.recorder.settle()
        first = not self.unsaved
        self._strokes += 1
        # Strokes come a hundred times a second: most of them change nothing of this.
        edited = current.edited or change is None or change.drawn
        if first or edited != current.edited or current.save.state != SaveStage.UNSAVED:
            self._session.update_image(
                edited=edited,
                save=SaveState(SaveStage.UNSAVED, message="Unsaved strokes"),
                record=_voided(current.record) if first else current.record,
            )
        if self._open is not None:
            self.copies.stroked(self._open, alone=current.entry is None)
        self.edited.emit()

    def edit(self, name: str, **parameters: int) -> None:
        """Run one of `MASK_EDITS` on what is drawn on; the answer is an undoable edit."""
        opened, strokes = self._open, self._strokes
        if opened is None:
            return

        def done(result: BoolMask) -> None:
            if opened is self._open and strokes == self._strokes:
                self.draw(result, name)
            elif opened is self._open:
                # Painted meanwhile: the edit is repeated on what is there now.
                self.edit(name, **parameters)

        before = np.array(self.drawn)
        self._jobs.run("edit", lambda: _EDITS[name](before, **parameters), done)

    def apply_automatic(self) -> None:
        """Bring the automatic mask in as one undoable edit."""
        automatic = self._session.automatic
        if automatic is not None:
            details = automatic_settings(self._session, automatic)
            self.propose(automatic.truth.mask, "apply automatic mask", details)

    def toggle_ignoring(self) -> None:
        """Let the tools mark what is to be ignored, or draw the defect again."""
        self._session.ignoring = not self._session.ignoring

    def draw(self, drawn: BoolMask, title: str, details: Details = _NONE) -> None:
        """Bring in another value of `drawn` as one undoable edit; arguments as for `propose`."""
        if self.mask is None or not self._session.ignoring:
            self.propose(drawn, title, details)
        else:
            # What lies below is lost to the mask, until the edit is undone.
            self.propose(self.mask, title, details, drawn)

    def propose(
        self, mask: BoolMask, title: str, details: Details = _NONE, ignored: BoolMask | None = None
    ) -> None:
        """Bring a whole mask in as one undoable edit, which the recipe notes first.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The new mask.
        title : str
            What the edit is called.
        details : mapping
            What it was asked for, as JSON can hold it.
        ignored : ndarray of bool, shape (M, N), optional
            What is to be ignored; by default what is ignored now.
        """
        image = self._session.image
        if image is None or mask.shape != image.gray.shape:
            self._session.say(f"{title}: the mask does not have the image's size")
            return
        mask = LeftOut(region=self._session.ignored if ignored is None else ignored).seen(mask)
        if self.mask is not None:
            self.recorder.note(self.mask, mask, title, details)
        self._session.proposal = Proposal(mask, title, details, ignored)

    def load(self, path: Path) -> None:
        """Bring a mask file in as one undoable edit."""
        image = self._session.image
        if image is not None:
            self._jobs.run(
                "load mask",
                lambda: (read_mask(path, image.gray.shape), read_ignored(path, image.gray.shape)),
                lambda read: self.propose(read[0], f"load {path.name}", ignored=read[1]),
            )

    def save(self, path: Path) -> None:
        """Write the mask to a file; its recovery copy is then no longer needed."""
        opened, strokes = self._open, self._strokes
        if opened is not None:
            _, image, mask = opened
            write = partial(_write, path, image.path, mask.mask.copy(), mask.ignored)
            saved = partial(self._on_saved, path, opened, strokes)
            self._jobs.run("save mask", write, saved, self._on_save_failed)

    def leave(self) -> Left | None:
        """Let the mask go and return it, None without one; only `ImageController` calls this.

        A recovery copy of its strokes is begun at once.
        """
        left = None
        if self._open is not None:
            left = Left(self._open.mask.mask, self.unsaved)
            self.clipboard.previous = left.mask
            self.copies.hurry(self._open.key)
        self._open = None
        self._strokes = self._kept = 0
        return left

    def unsaved_masks(self) -> list[UnsavedMask]:
        """Return what strokes made outside projects and no file holds, the open image's first."""
        return self.copies.unsaved(self._open, on_disk=self._session.save.on_disk)

    def save_now(self, unsaved: UnsavedMask, path: Path) -> None:
        """Write one of `unsaved_masks` to a file, and return when it is written.

        Raises
        ------
        InputError
            When the file cannot be written, or is the image.
        """
        _write(path, unsaved.path, unsaved.mask, unsaved.ignored)
        self.copies.forget(unsaved.key)
        if self._open is not None and unsaved.key == self._open.key:
            self._session.update_image(save=_saved(path))

    def close(self) -> None:
        """Write what is not written yet, and wait for it."""
        self.leave()
        self.copies.close()

    def _on_copied(self, mask: LiveMask, state: SaveState) -> None:
        is_open = self._open is not None and mask is self._open.mask
        # A copy that was begun before the save ends after it.
        if is_open and self._session.save.state != SaveStage.SAVED:
            self._session.update_image(save=state)

    def _on_saved(self, path: Path, opened: Strokes, strokes: int, _: None) -> None:
        # Strokes made since are not in the file: they stay unsaved.
        if opened is self._open and strokes == self._strokes:
            self._session.update_image(save=_saved(path))
            self._forget_copy(opened.key)

    def _forget_copy(self, key: str) -> None:
        changed = partial(self._has_more, key, self._strokes)
        self._jobs.run("forget copy", partial(self.copies.forget, key, changed))

    def _has_more(self, key: str, strokes: int) -> bool:
        """Return whether a mask is open with more strokes than these; in any thread."""
        opened = self._open
        return opened is not None and key == opened.key and strokes != self._strokes

    def _on_save_failed(self, message: str) -> None:
        self._session.update_image(save=SaveState(SaveStage.FAILED, message=message))
        self._session.say(message)


def _voided(record: ReviewRecord | None) -> ReviewRecord | None:
    """Return a record as it is shown from the first stroke on; it is written with the mask."""
    return None if record is None else voided_by_edit(record)


def _saved(path: Path) -> SaveState:
    return SaveState(SaveStage.SAVED, path, f"Saved to {path.name}")


def _write(path: Path, image: Path | None, mask: BoolMask, ignored: BoolMask | None) -> None:
    """Write a mask and what is ignored, but never over its own image."""
    for file in (path, ignored_path(path)):
        check_replaceable(file)
    if image is not None and os.path.realpath(path) == os.path.realpath(image):
        raise InputError(f"{path}: this is the open image; choose another name")
    # First: the mask alone would be taken for all of it.
    write_ignored(path, ignored)
    write_mask(path, mask)
