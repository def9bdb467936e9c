"""Recovery copies of masks: written behind the strokes, found again, removed when saved."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_semxai.state.open_image import SaveStage, SaveState, UnsavedMask
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.safety_net import (
    LONGEST_WAIT,
    SafetyNet,
    discard_recovery,
    list_recoveries,
    load_recovery,
    save_recovery,
)
from napari_semxai.types import InputError, parted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_semxai.algorithms.masks.metrics import LiveMask
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.safety_net import Recovery
    from napari_semxai.types import SemImage


_IMAGE_KEY = re.compile("[0-9a-f]{64}")


class Strokes(NamedTuple):
    """A mask that has strokes, the image that it is of, and what names its copies."""

    key: str
    image: SemImage
    mask: LiveMask


class StrokeCopies(SafetyNet[str, Strokes]):
    """Copies of masks while they are painted, by the key of each; what is found of earlier ones.

    Parameters
    ----------
    folder : Path
        Where the copies lie.
    on_copied : callable
        Told of a mask what became of its copy.
    deliver : callable
        Runs a function on the thread where that is told.
    wait : float
        As in `SafetyNet`.
    """

    def __init__(
        self,
        folder: Path,
        on_copied: Callable[[LiveMask, SaveState], None],
        deliver: Callable[[Callable[[], None]], None],
        wait: float = LONGEST_WAIT,
    ) -> None:
        # A mask changes in place: the copy of its newest stroke holds all before it.
        super().__init__(self._write_copy, lambda strokes: id(strokes.mask), wait)
        self._folder, self._on_copied, self._deliver = folder, on_copied, deliver
        self._alone: set[str] = set()
        self._discarded: set[str] = set()
        self.restored: set[Path] = set()
        """Copies of other programs that were brought into the mask; they go when that is saved."""

    def stroked(self, strokes: Strokes, *, alone: bool) -> None:
        """Copy a mask soon; one that is `alone`, outside projects, is asked about on closing."""
        if alone:
            self._alone.add(strokes.key)
            self._discarded.discard(strokes.key)
        # A value of its own each time, so that one that is written is told from a newer one.
        self.touch(strokes.key, Strokes(*strokes))

    def discard_when_closed(self, unsaved: list[UnsavedMask]) -> None:
        """Let `close` remove copies; until then, and after another stroke, they stay."""
        self._discarded |= {mask.key for mask in unsaved}

    def close(self) -> None:
        """Write what is not written yet, and wait for it."""
        self.flush()
        for key in self._discarded:
            self.forget(key)

    def forget(self, key: str, changed: Callable[[], bool] = lambda: False) -> None:
        """Remove the copies of a mask that was written elsewhere, once none is being written.

        What a crash left, and nobody has decided on, stays.

        Parameters
        ----------
        key : str
            Of the mask.
        changed : callable
            Whether there are newer strokes, whose copy must stay.
        """
        # A copy that came later would bring back what the written mask is without.
        with self.held(key):
            if changed():
                return
            self.drop(key, *self.waiting(key))
            for copy in list_recoveries(self._folder):
                written = copy.from_this_process and not copy.is_change
                if copy.key == key and (written or copy.path in self.restored):
                    discard_recovery(copy.path)

    def find(
        self, key: str, mask: LiveMask, stored: NDArray[np.uint8], *, on_disk: bool
    ) -> Recovery | None:
        """Return the newest copy of a mask that is not as stored, with what is ignored.

        One that is goes if that is on disk.
        """
        # A copy of strokes on the mask as it is now would take the place of the one looked for.
        if not any(strokes.mask is mask for strokes in self.waiting(key)):
            self.flush(key)
        for copy in list_recoveries(self._folder):
            # A change that waits in this process is in the stored mask already.
            if copy.key != key or (copy.is_change and copy.from_this_process):
                continue
            found = load_recovery(copy.path)[0]
            # Earlier copies are of other types, without anything ignored.
            labels = found if found.dtype == np.uint8 else found != 0
            if found.size and not np.array_equal(labels, stored):
                return copy
            if on_disk and not copy.is_change:
                discard_recovery(copy.path)
        return None

    def unsaved(self, strokes: Strokes | None, *, on_disk: bool) -> list[UnsavedMask]:
        """Return what strokes made outside projects and no file holds.

        Parameters
        ----------
        strokes : Strokes or None
            Of the open image, whose mask comes first.
        on_disk : bool
            Whether a file holds that.
        """
        self.flush()
        found, keys = [], self._alone
        if strokes is not None:
            key, image, mask = strokes
            if key in keys and not on_disk:
                found.append(_unsaved(key, image.name, image.path, mask.labels))
            keys = keys - {key}
        for copy in list_recoveries(self._folder) if keys else ():
            if copy.key in keys and copy.from_this_process and not copy.is_change:
                path, name = copy.info["path"], str(copy.info["name"])
                # One that was damaged or taken away since can be asked about by nobody.
                with suppress(InputError):
                    labels = load_recovery(copy.path)[0]
                    found.append(_unsaved(copy.key, name, Path(path) if path else None, labels))
        return [one for one in found if one.mask.any() or one.ignored is not None]

    def _write_copy(self, key: str, strokes: Strokes) -> None:
        state = write_copy(self._folder, key, strokes.image, strokes.mask.labels)
        self._deliver(partial(self._on_copied, strokes.mask, state))


class RecoveryOffer:
    """What an earlier session left of the open image's strokes: offered, restored or deleted.

    Parameters
    ----------
    session : Session
        Has the offer.
    jobs : Jobs
        Read copies.
    copies : StrokeCopies
        Find them.
    propose : callable
        Brings in a mask, by a title, with what is ignored.
    """

    def __init__(
        self, session: Session, jobs: Jobs, copies: StrokeCopies, propose: Callable[..., None]
    ) -> None:
        self._session, self._jobs = session, jobs
        self._copies, self._propose = copies, propose

    def look_for(self, strokes: Strokes, *, on_disk: bool) -> None:
        """Find the copy of a mask that has just opened; a mask that is `on_disk` needs none."""
        self._session.recovery = None
        key, _, mask = strokes
        find = partial(self._copies.find, key, mask, mask.labels, on_disk=on_disk)
        self._jobs.run("recovery", find, self._on_found)

    def restore(self) -> None:
        """Bring the offered copy in as one undoable edit; it goes when that is saved."""
        recovery, self._session.recovery = self._session.recovery, None
        if recovery is not None:
            self._jobs.run("restore", partial(load_recovery, recovery.path), self._on_read)
            self._copies.restored.add(recovery.path)

    def discard(self) -> None:
        """Delete the offered copy."""
        recovery, self._session.recovery = self._session.recovery, None
        if recovery is not None:
            discard_recovery(recovery.path)

    def _on_found(self, recovery: Recovery | None) -> None:
        self._session.recovery = recovery
        if recovery is not None and recovery.from_this_process:
            # Back on an image left without saving: its strokes are simply still there.
            self.restore()

    def _on_read(self, found: tuple[NDArray[Any], Recovery]) -> None:
        mask, ignored = parted(found[0])
        self._propose(mask, "restore unsaved strokes", ignored=ignored)


def _unsaved(key: str, name: str, path: Path | None, labels: NDArray[Any]) -> UnsavedMask:
    mask, region = parted(labels)
    return UnsavedMask(key, name, path, mask, region if region.any() else None)


def image_key(image: SemImage) -> str:
    """Return what names an image in recovery copies: its pixels, whatever the file is called."""
    return array_digest(image.gray)


def write_copy(folder: Path, key: str, image: SemImage, mask: NDArray[Any]) -> SaveState:
    """Write the copy of a mask (M, N) or of its labels, and return what to say of it."""
    info = {"name": image.name, "path": str(image.path or ""), "page": image.page}
    try:
        path = save_recovery(folder, key, mask, info)
    except InputError as error:
        said = f"{error}. The strokes are in memory only: save the mask elsewhere."
        return SaveState(SaveStage.FAILED, message=said)
    return SaveState(SaveStage.RECOVERY, path, "Unsaved strokes, recovery copy up to date")


def leftovers(folder: Path) -> tuple[Recovery, ...]:
    """Return what earlier sessions left of masks outside projects and nobody decided on.

    Copies of a project's images are offered when the project opens them.
    """
    return tuple(
        copy
        for copy in list_recoveries(folder)
        if _IMAGE_KEY.fullmatch(copy.key)
        and not copy.from_this_process
        and not copy.is_change
        and copy.info.get("path")
    )
