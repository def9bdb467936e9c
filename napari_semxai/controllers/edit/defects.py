"""The list of a mask's defects, and edits of single ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_semxai.algorithms.masks.components import (
    find_defects,
    join_defects,
    keep_defects,
    label_defects,
    remove_defects,
    split_defects,
)
from napari_semxai.store.images.mask_parts import part_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.algorithms.masks.components import Defect
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, ReviewRecord

_LIST = "list of defects"


class DefectEdit(NamedTuple):
    """What a person can do with chosen defects.

    Attributes
    ----------
    title : str
        On the button.
    tip : str
        One line for the tooltip.
    function : callable
        Takes a mask (M, N) and a pixel of each chosen defect (k, 2), and returns a new mask.
    least : int
        How many defects must be chosen.
    """

    title: str
    tip: str
    function: Callable[[BoolMask, NDArray[np.int_]], BoolMask]
    least: int = 1


DEFECT_EDITS = (
    DefectEdit("Delete", "Remove the chosen defects from the mask", remove_defects),
    DefectEdit("Keep only", "Remove all other defects from the mask", keep_defects),
    DefectEdit("Join", "Connect the chosen defects by the shortest bridges", join_defects, 2),
    DefectEdit("Split", "Cut each of the chosen defects in two at its waist", split_defects),
)


class DefectsController:
    """Keeps `Session.defects` that of the mask while somebody looks at it.

    Parameters
    ----------
    session : Session
        Where the list goes; None while nobody looks.
    edit : EditController
        Has the mask, and takes edits of it.
    jobs : Jobs
        Lists and edits: a large mask takes longer than a frame.
    """

    def __init__(self, session: Session, edit: EditController, jobs: Jobs) -> None:
        self._session, self._edit, self._jobs = session, edit, jobs
        self._watched = self._busy = self._late = False
        self._shown = 0
        session.events.size.connect(self._on_mask_changed)
        session.events.image.connect(self._on_image_changed)
        session.events.record.connect(self._on_mask_changed)

    def release(self) -> None:
        """Disconnect from the session."""
        self._jobs.forget(_LIST)
        self._session.events.size.disconnect(self._on_mask_changed)
        self._session.events.image.disconnect(self._on_image_changed)
        self._session.events.record.disconnect(self._on_mask_changed)

    def watch(self, watched: bool) -> None:
        """Keep the list up to date from now on, or drop it."""
        self._watched = watched
        if watched:
            self._on_mask_changed()
        else:
            self._jobs.forget(_LIST)
            self._busy = self._late = False
            self._session.defects = None

    def edit(self, edit: DefectEdit, defects: Sequence[Defect]) -> None:
        """Do one of `DEFECT_EDITS` to the chosen defects, as one undoable edit."""
        if self._edit.mask is None or len(defects) < edit.least:
            return
        mask = self._edit.mask.copy()
        seeds = np.array([one.seed for one in defects])
        numbers = ", ".join(str(one.number) for one in defects)
        title = f"{edit.title.lower()} {'defect' if len(defects) == 1 else 'defects'} {numbers}"

        def changed() -> BoolMask | None:
            result = edit.function(mask, seeds)
            return None if np.array_equal(result, mask) else result

        def done(result: BoolMask | None) -> None:
            now = self._edit.mask
            # Painted meanwhile: what was chosen may be something else now.
            if now is None or not np.array_equal(now, mask):
                self._session.say(f"{title}: the mask has changed meanwhile; choose again")
            elif result is None:
                self._session.say(f"{title}: nothing to change")
            else:
                self._edit.propose(result, title)

        self._jobs.run("edit defects", changed, done)

    def find_next(self, show: Callable[[Defect | None], None]) -> None:
        """Hand `show` the next defect of the mask, the largest first; None after the last one."""
        mask = self._edit.mask
        if mask is None:
            show(None)
            return

        def found(defects: tuple[Defect, ...]) -> None:
            by_size = sorted(defects, key=lambda one: -one.area)
            last = self._shown >= len(by_size)
            wanted = None if last else by_size[self._shown]
            self._shown = 0 if last else self._shown + 1
            show(wanted)

        self._jobs.run("next defect", partial(find_defects, mask.copy()), found)

    def _on_image_changed(self) -> None:
        self._shown = 0
        self._on_mask_changed()

    def _on_mask_changed(self) -> None:
        if not self._watched:
            return
        mask = self._edit.mask
        if mask is None or self._session.image is None:
            self._session.defects = ()
            return
        if self._busy:
            # Strokes come a hundred times a second: one list at a time, and the last one counts.
            self._late = True
            return
        self._busy = True
        listed = partial(_list_defects, mask.copy(), self._session.record)
        self._jobs.run(_LIST, listed, self._on_listed)

    def _on_listed(self, defects: tuple[Defect, ...]) -> None:
        self._busy = False
        if not self._watched:
            return
        self._session.defects = defects
        if self._late:
            self._late = False
            self._on_mask_changed()


def _list_defects(mask: BoolMask, record: ReviewRecord | None) -> tuple[Defect, ...]:
    """Return the defects of a mask with their classes, as far as its review knows them."""
    defects = find_defects(mask)
    if record is None:
        return defects
    named = ((part.label, part_mask(part, mask.shape)) for part in record.parts if part.label)
    return label_defects(mask, defects, record.label, named)
