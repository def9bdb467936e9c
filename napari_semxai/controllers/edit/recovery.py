"""Recovery copies of the masks of images."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.state.review import UnsavedMask
from napari_semxai.state.session import SaveState
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
    from collections.abc import Callable, Collection, Mapping

    from napari_semxai.store.disk.recovery_copies import Recovery
    from napari_semxai.types import BoolMask, SemImage


_IMAGE_KEY = re.compile("[0-9a-f]{64}")


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


def unsaved_masks(
    folder: Path, images: Mapping[str, str], stored: Callable[[str], BoolMask]
) -> list[str]:
    """Return the images whose copies are not what is stored; drop the copies that are.

    Parameters
    ----------
    folder : Path
        Of the recovery copies.
    images : mapping
        Key of a mask to the image that it is of.
    stored : callable
        The mask (M, N) that is written of an image; raises `InputError` where nobody knows.
    """
    found: dict[str, None] = {}
    for copy in list_recoveries(folder):
        if copy.key not in images or is_change(copy):
            continue
        image = images[copy.key]
        try:
            same = np.array_equal(load_recovery(copy.path)[0] != 0, stored(image))
        except InputError:
            # The copy may be all there is.
            same = False
        if same:
            discard_recovery(copy.path)
        else:
            found[image] = None
    return list(found)


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
