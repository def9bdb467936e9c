"""The keys in the dock, to be read and to be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QGridLayout, QKeySequenceEdit, QLabel

from napari_semxai.types import InputError
from napari_semxai.widgets.parts import Panel, button
from napari_semxai.widgets.shortcuts import SHORTCUTS
from napari_semxai.widgets.status import StatusText

if TYPE_CHECKING:
    from napari_semxai.widgets.shortcuts import KeyTable


class KeysPanel(Panel):
    """One field for each action; a conflict is refused with a word why.

    Parameters
    ----------
    table : KeyTable
        What is shown and changed.
    """

    def __init__(self, table: KeyTable) -> None:
        super().__init__()
        self._table = table
        self.fields = {shortcut.name: QKeySequenceEdit() for shortcut in SHORTCUTS}
        self.said = StatusText(1, table.error)
        self.reset = button("Keys as they came", "Forget every key that was changed")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for row, shortcut in enumerate(SHORTCUTS):
            field = self.fields[shortcut.name]
            field.setToolTip("Click, then press Alt, Shift or Ctrl with another key")
            field.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            field.editingFinished.connect(self._on_key_entered)
            layout.addWidget(field, row, 0)
            layout.addWidget(QLabel(shortcut.text), row, 1)
        layout.addWidget(self.said, len(SHORTCUTS), 0, 1, 2)
        layout.addWidget(self.reset, len(SHORTCUTS) + 1, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self.reset.clicked.connect(table.reset)
        table.changed.connect(self._show)
        self._show()

    def release(self) -> None:
        """Disconnect from the table."""
        self._table.changed.disconnect(self._show)

    def _show(self) -> None:
        for name, field in self.fields.items():
            field.setKeySequence(QKeySequence(self._table.text(name)))

    def _on_key_entered(self) -> None:
        name = next(name for name, field in self.fields.items() if field is self.sender())
        entered = self.fields[name].keySequence().toString().split(", ")[0]
        if entered == self._table.text(name):
            return
        try:
            self._table.change(name, entered)
            self.said.setText("")
        except InputError as error:
            self.said.setText(f"⚠ {error}")
            self._show()
