"""Recovery copies of masks: written behind the strokes, found again, removed when saved."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.state.open_image import SaveState, UnsavedMask
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.recovery_copies import (
    discard_recovery,
    list_recoveries,
    load_recovery,
    save_recovery,
)
from napari_semxai.store.project.rescue import is_change
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.types import BoolMask, SemImage


_IMAGE_KEY = re.compile("[0-9a-f]{64}")


LONGEST_WAIT = 1.0
"""Seconds from the first unsaved change to the start of its write.

Throttled, not debounced: the copy is also made in the middle of long painting.
"""


class Autosave:
    """Call `save` in a thread within `wait` seconds of a change, and again for later changes.

    Parameters
    ----------
    save : callable
        Writes a copy of what is there; called from a timer's thread.
    wait : float
        Seconds.
    """

    def __init__(self, save: Callable[[], None], wait: float = LONGEST_WAIT) -> None:
        self._save = save
        self._wait = wait
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def touch(self) -> None:
        """Note that something changed."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(self._wait, self.flush)
                self._timer.name = "semxai-autosave"
                self._timer.daemon = True
                self._timer.start()

    @property
    def busy(self) -> bool:
        """Whether a change is not written yet."""
        return self._timer is not None or self._writing.locked()

    def flush(self) -> None:
        """Write now if something changed since the last write; return when it is written."""
        with self._writing:
            # Whoever takes the timer writes: there is no late write of what was taken.
            if self._take_timer():
                self._save()

    def hurry(self) -> None:
        """Start the write of what changed now, without waiting for it."""
        if self._timer is not None:
            threading.Thread(target=self.flush, name="semxai-autosave").start()

    def forget(self) -> None:
        """Write nothing of what changed so far; return when no write of it is under way."""
        with self._writing:
            self._take_timer()

    def _take_timer(self) -> bool:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None


class LateCopies:
    """Copies of masks that were let go, until they are written."""

    def __init__(self) -> None:
        self._left: list[tuple[str, Autosave]] = []

    def take(self, key: str, autosave: Autosave) -> None:
        """Start the copy of a mask that is let go; `key` names it."""
        autosave.hurry()
        self._left = [*(left for left in self._left if left[1].busy), (key, autosave)]

    def of(self, key: str) -> list[Autosave]:
        """Return those of one mask."""
        return [autosave for name, autosave in self._left if name == key]

    def flush(self) -> None:
        """Return when all are written."""
        for _, autosave in self._left:
            autosave.flush()


def image_key(image: SemImage) -> str:
    """Return what names an image in recovery copies: its pixels, whatever the file is called."""
    return array_digest(image.gray)


def write_copy(folder: Path, key: str, image: SemImage, mask: BoolMask) -> SaveState:
    """Write the copy of a mask (M, N), and return what to say of it."""
    info = {"name": image.name, "path": str(image.path or ""), "page": image.page}
    try:
        path = save_recovery(folder, key, mask, info)
    except InputError as error:
        return SaveState(
            "failed", message=f"{error}. The strokes are in memory only: save the mask elsewhere."
        )
    return SaveState("recovery", path, "Unsaved strokes, recovery copy up to date")


def find_copy(folder: Path, key: str, stored: BoolMask, *, on_disk: bool) -> Recovery | None:
    """Return the newest copy of a mask that is not the stored one, which is removed if on disk."""
    for copy in list_recoveries(folder):
        change = is_change(copy)
        # A change that waits in this process is in the stored mask already.
        if copy.key != key or (change and copy.from_this_process):
            continue
        mask = load_recovery(copy.path)[0]
        if mask.size and not np.array_equal(mask != 0, stored):
            return copy
        if on_disk and not change:
            discard_recovery(copy.path)
    return None


def own_masks(folder: Path, keys: Collection[str]) -> list[UnsavedMask]:
    """Return what this process's copies of some masks hold, newest first."""
    found = []
    for copy in list_recoveries(folder) if keys else ():
        if copy.key in keys and copy.from_this_process and not is_change(copy):
            path, name = copy.info["path"], str(copy.info["name"])
            # One that was damaged or taken away since can be asked about by nobody.
            with suppress(InputError):
                mask = load_recovery(copy.path)[0] != 0
                found.append(UnsavedMask(copy.key, name, Path(path) if path else None, mask))
    return found


def leftovers(folder: Path) -> tuple[Recovery, ...]:
    """Return what earlier sessions left of masks outside projects and nobody decided on.

    Copies of a project's images are offered when the project opens them.
    """
    return tuple(
        copy
        for copy in list_recoveries(folder)
        if _IMAGE_KEY.fullmatch(copy.key)
        and not copy.from_this_process
        and not is_change(copy)
        and copy.info.get("path")
    )


def discard_copy(folder: Path, key: str, restored: Collection[Path] = ()) -> None:
    """Remove this process's copies of a mask, and the `restored` ones of another.

    What a crash left, and nobody has decided on, stays.
    """
    for copy in list_recoveries(folder):
        own = copy.from_this_process and not is_change(copy)
        if copy.key == key and (own or copy.path in restored):
            discard_recovery(copy.path)
