"""What is asked before a person closes the window: masks outside projects that no file holds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox

from napari_semxai.types import InputError
from napari_semxai.widgets.common.file_dialogs import ask_mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QMainWindow

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.state.open_image import UnsavedMask

_NAMED = 5
_Button = QMessageBox.StandardButton


class ClosingQuestion(QObject):
    """Asks to save or discard masks before the window closes, or lets it stay open.

    Only where a person closes it, by its frame, menu or key; a script's ``viewer.close()`` asks
    nobody, and recovery copies stay then.

    Parameters
    ----------
    window : QMainWindow
        napari's.
    edit : EditController
        Knows the masks.
    """

    def __init__(self, window: QMainWindow, edit: EditController) -> None:
        super().__init__(window)
        self._edit = edit
        window.installEventFilter(self)
        # napari's menu closes by this method and tells Qt nothing that a filter could see.
        window.close = partial(_close, ref(window), self.may_close)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask where the close came from the window's frame."""
        if event.type() == QEvent.Type.Close and event.spontaneous() and not self.may_close():
            event.ignore()
            return True
        return False

    def may_close(self) -> bool:
        """Ask about masks that no file holds; False where the window is to stay."""
        unsaved = self._edit.unsaved_masks()
        if not unsaved:
            return True
        answer = self._ask(unsaved)
        if answer == _Button.Discard:
            self._edit.copies.discard_when_closed(unsaved)
        return answer == _Button.Discard or (
            answer == _Button.Save and all(map(self._save, unsaved))
        )

    def _ask(self, unsaved: list[UnsavedMask]) -> QMessageBox.StandardButton:
        names = ", ".join(mask.name for mask in unsaved[:_NAMED])
        more = f" and {len(unsaved) - _NAMED:,} more" if len(unsaved) > _NAMED else ""
        one = len(unsaved) == 1
        which, verb = ("The mask of", "is") if one else ("The masks of", "are")
        box = QMessageBox(
            QMessageBox.Icon.Warning,
            "Unsaved masks",
            f"{which} {names}{more} {verb} not saved.",
            _Button.Save | _Button.Discard | _Button.Cancel,
            self.parent(),
        )
        where = "a file" if one else "a file for each"
        box.setInformativeText(f"Save asks for {where}. Discard deletes the strokes.")
        box.setDefaultButton(_Button.Save)
        # A plain number on PyQt6.
        answer = _Button(box.exec())
        box.deleteLater()
        return answer

    def _save(self, mask: UnsavedMask) -> bool:
        path = ask_mask(self.parent(), mask.name, mask.path)
        if path is None:
            return False
        try:
            self._edit.save_now(mask, path)
        except InputError as error:
            QMessageBox.warning(self.parent(), "Unsaved masks", str(error))
            return False
        return True


def _close(
    window: ref[QMainWindow],
    may_close: Callable[[], bool],
    quit_app: bool = False,
    confirm_need: bool = False,
) -> object:
    """Close napari's window as it does itself, after a question where a person asked for it."""
    known = window()
    if known is None or (confirm_need and not may_close()):
        return None
    return type(known).close(known, quit_app, confirm_need)
