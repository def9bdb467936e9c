"""Edit: whole-mask edits, loading and saving, and recovery copies of every stroke."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.controllers.edit.recipe import RecipeRecorder, automatic_settings
from napari_semxai.controllers.edit.recovery import (
    LONGEST_WAIT,
    Autosave,
    LateCopies,
    discard_copy,
    find_copy,
    image_key,
    own_masks,
    write_copy,
)
from napari_semxai.state.open_image import Left, SaveState, UnsavedMask
from napari_semxai.state.session import Proposal
from napari_semxai.store.disk.recovery_copies import Recovery, discard_recovery, load_recovery
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.store.project.originals import check_replaceable
from napari_semxai.types import BoolMask, InputError, ReviewState, SemImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_semxai.algorithms.masks.metrics import LiveMask
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.types import ReviewRecord


_EDITS = {edit.name: edit.function for edit in MASK_EDITS}


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
    """

    edited = Signal()
    """A person changed the mask, or took a change back."""

    def __init__(
        self, session: Session, jobs: Jobs, recovery_folder: Path, wait: float = LONGEST_WAIT
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._folder = recovery_folder
        self._wait = wait
        self.recorder = RecipeRecorder(session)
        self._mask: LiveMask | None = None
        self._autosave: Autosave | None = None
        self._late = LateCopies()
        self._strokes = self._kept = 0
        self._image: SemImage | None = None
        self._restored: set[Path] = set()
        self._stroked: set[str] = set()
        self._discarded: set[str] = set()
        self._key = ""

    @property
    def mask(self) -> BoolMask | None:
        """The mask of the current image (M, N), not to be written to; None without one."""
        return None if self._mask is None else self._mask.mask

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
            if self._autosave is not None:
                self._autosave.forget()
            self._session.update_image(save=SaveState("saved", message=message))
        self._forget_copy(key)

    def give_up(self, key: str) -> None:
        """Remove the recovery copies of a mask before another one takes its place."""
        own = [self._autosave] if key == self._key and self._autosave is not None else []
        self._drop_copies(key, [*self._late.of(key), *own], frozenset(self._restored))

    def start_mask(self, mask: LiveMask) -> None:
        """Take `mask` as the mask of the current image, and look for its recovery copy."""
        current = self._session.current
        if current is None:
            raise RuntimeError("a mask was begun without an image")
        image = current.image
        self._mask, self._image = mask, image
        self._key = current.key or image_key(image)
        self._strokes = self._kept = 0
        self._autosave = Autosave(partial(self._write_copy, self._key, image, mask), self._wait)
        self._session.recovery = None
        self._session.size = mask.size
        self._jobs.run(
            "recovery",
            partial(self._find_copy, self._key, mask.mask.copy(), current.save.on_disk),
            self._on_copy_found,
        )

    def mask_changed(self) -> None:
        """Show the size of the mask after any change."""
        if self._mask is not None:
            self._session.size = self._mask.size

    def stroked(self) -> None:
        """Note a change a person made: it forks the mask and is copied soon."""
        current = self._session.current
        if current is None:
            return
        self.recorder.settle()
        self._strokes += 1
        if current.entry is None:
            self._stroked.add(self._key)
            self._discarded.discard(self._key)
        first = self._strokes == self._kept + 1
        # Strokes come a hundred times a second: most of them change nothing of this.
        if first or not current.edited or current.save.state != "unsaved":
            self._session.update_image(
                edited=True,
                save=SaveState("unsaved", message="Unsaved strokes"),
                record=_voided(current.record) if first else current.record,
            )
        if self._autosave is not None:
            self._autosave.touch()
        self.edited.emit()

    def edit(self, name: str, **parameters: int) -> None:
        """Run one of `MASK_EDITS` on the mask; the answer is an undoable edit."""
        if self._mask is None:
            return
        self._edit(name, parameters, self._mask, self._strokes)

    def apply_automatic(self) -> None:
        """Bring the automatic mask in as one undoable edit."""
        automatic = self._session.automatic
        if automatic is not None:
            details = automatic_settings(self._session, automatic)
            self.propose(automatic.truth.mask, "apply automatic mask", details)

    def propose(
        self, mask: BoolMask, title: str, details: Mapping[str, Any] = MappingProxyType({})
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
        """
        image = self._session.image
        if image is None or mask.shape != image.gray.shape:
            self._session.say(f"{title}: the mask does not have the image's size")
            return
        if self._mask is not None:
            self.recorder.note(self._mask.mask, mask, title, details)
        self._session.proposal = Proposal(mask, title, details)

    def load(self, path: Path) -> None:
        """Bring a mask file in as one undoable edit."""
        image = self._session.image
        if image is not None:
            self._jobs.run(
                "load mask",
                partial(read_mask, path, image.gray.shape),
                lambda mask: self.propose(mask, f"load {path.name}"),
            )

    def save(self, path: Path) -> None:
        """Write the mask to a file; its recovery copy is then no longer needed."""
        if self._mask is None or self._image is None:
            return
        strokes, mask, image = self._strokes, self._mask.mask.copy(), self._image

        self._jobs.run(
            "save mask",
            partial(_write, path, image.path, mask),
            lambda _: self._on_saved(path, image, strokes),
            self._on_save_failed,
        )

    def leave(self) -> Left | None:
        """Let the mask go and return it, None without one; only `ImageController` calls this.

        A recovery copy of its strokes is begun at once.
        """
        left = None if self._mask is None else Left(self._mask.mask, self.unsaved)
        if self._autosave is not None:
            self._late.take(self._key, self._autosave)
        self._mask = self._autosave = self._image = None
        self._key, self._strokes, self._kept = "", 0, 0
        return left

    def unsaved_masks(self) -> list[UnsavedMask]:
        """Return what strokes made outside projects and no file holds, the open image's first."""
        found, image, mask = [], self._image, self.mask
        unsaved = not self._session.save.on_disk
        if image is not None and mask is not None and unsaved and self._key in self._stroked:
            found.append(UnsavedMask(self._key, image.name, image.path, mask.copy()))
        self._late.flush()
        found += own_masks(self._folder, self._stroked - {self._key})
        return [each for each in found if each.mask.any()]

    def save_now(self, unsaved: UnsavedMask, path: Path) -> None:
        """Write one of `unsaved_masks` to a file, and return when it is written.

        Raises
        ------
        InputError
            When the file cannot be written, or is the image.
        """
        _write(path, unsaved.path, unsaved.mask)
        self.give_up(unsaved.key)
        if unsaved.key == self._key:
            self._session.update_image(save=SaveState("saved", path, f"Saved to {path.name}"))

    def discard_when_closed(self, unsaved: list[UnsavedMask]) -> None:
        """Let `close` remove recovery copies; until then, and after another stroke, they stay."""
        self._discarded |= {each.key for each in unsaved}

    def close(self) -> None:
        """Write what is not written yet, and wait for it."""
        self.leave()
        self._late.flush()
        for key in self._discarded:
            discard_copy(self._folder, key, frozenset(self._restored))

    def restore(self) -> None:
        """Bring the offered recovery copy in as one undoable edit; it goes when that is saved."""
        recovery = self._session.recovery
        if recovery is not None:
            self._jobs.run(
                "restore",
                partial(load_recovery, recovery.path),
                lambda found: self.propose(found[0] != 0, "restore unsaved strokes"),
            )
            self._restored.add(recovery.path)
            self._session.recovery = None

    def discard(self) -> None:
        """Delete the offered recovery copy."""
        recovery = self._session.recovery
        if recovery is not None:
            discard_recovery(recovery.path)
            self._session.recovery = None

    def _edit(self, name: str, parameters: dict[str, int], mask: LiveMask, strokes: int) -> None:
        def done(result: BoolMask) -> None:
            if mask is self._mask and strokes == self._strokes:
                self.propose(result, name)
            elif mask is self._mask:
                # Painted meanwhile: the edit is repeated on what is there now.
                self._edit(name, parameters, mask, self._strokes)

        before = mask.mask.copy()
        self._jobs.run("edit", lambda: _EDITS[name](before, **parameters), done)

    def _write_copy(self, key: str, image: SemImage, mask: LiveMask) -> None:
        """Write a recovery copy; called in a thread."""
        state = write_copy(self._folder, key, image, mask.mask.copy())
        self._jobs.deliver(lambda: self._on_copied(mask, state))

    def _on_copied(self, mask: LiveMask, state: SaveState) -> None:
        if mask is self._mask and self._session.save.state != "saved":
            self._session.update_image(save=state)

    def _find_copy(self, key: str, stored: BoolMask, on_disk: bool) -> Recovery | None:
        self._late.flush()
        return find_copy(self._folder, key, stored, on_disk=on_disk)

    def _on_copy_found(self, recovery: Recovery | None) -> None:
        self._session.recovery = recovery
        if recovery is not None and recovery.from_this_process:
            # Back on an image left without saving: its strokes are simply still there.
            self.restore()

    def _on_saved(self, path: Path, image: SemImage, strokes: int) -> None:
        if image is not self._image or strokes != self._strokes:
            return
        if self._autosave is not None:
            self._autosave.forget()
        self._session.update_image(save=SaveState("saved", path, f"Saved to {path.name}"))
        self._forget_copy(self._key)

    def _forget_copy(self, key: str) -> None:
        forget = partial(self._drop_copies, key, self._late.of(key), frozenset(self._restored))
        self._jobs.run("forget copy", forget)

    def _drop_copies(self, key: str, late: list[Autosave], restored: frozenset[Path]) -> None:
        for autosave in late:
            # A copy that came later would bring back what the written mask is without.
            autosave.forget()
        discard_copy(self._folder, key, restored)

    def _on_save_failed(self, message: str) -> None:
        self._session.update_image(save=SaveState("failed", message=message))
        self._session.say(message)


def _voided(record: ReviewRecord | None) -> ReviewRecord | None:
    """Return a record as it is shown from the first stroke on; it is written with the mask."""
    if record is None or not record.state.is_reviewed:
        return record
    return replace(record, state=ReviewState.CANDIDATE, voided=record.state)


def _write(path: Path, image: Path | None, mask: BoolMask) -> None:
    """Write a mask, but never over its own image."""
    check_replaceable(path)
    if image is not None and os.path.realpath(path) == os.path.realpath(image):
        raise InputError(f"{path}: this is the open image; choose another name")
    write_mask(path, mask)
