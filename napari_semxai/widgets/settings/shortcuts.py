"""The keys of the workbench, in one place: what they do, what they are, and changing them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from napari.layers import Labels
from napari.utils.key_bindings import KeyBinding
from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QAction,
    QApplication,
    QComboBox,
    QGridLayout,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QShortcut,
)

from napari_semxai.store.disk.preferences import read_shortcuts, write_shortcuts
from napari_semxai.types import InputError
from napari_semxai.widgets.common.forms import Panel, button
from napari_semxai.widgets.common.status import StatusText

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from napari.components import ViewerModel
    from qtpy.QtWidgets import QMainWindow, QWidget

    from napari_semxai.layers.mask.session_layers import SessionLayers


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
        self.reset = button("Restore defaults", "Reset all shortcuts to their defaults")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for row, shortcut in enumerate(SHORTCUTS):
            field = self.fields[shortcut.name]
            field.setToolTip("Click, then press Alt, Shift or Ctrl together with another key")
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


class Shortcut(NamedTuple):
    """An action and the key it comes with."""

    name: str
    key: str
    text: str


CLASS_KEYS = range(1, 10)
SHORTCUTS = (
    Shortcut("generate", "Alt-G", "Generate candidates"),
    Shortcut("accept", "Alt-Y", "Accept the mask (as corrected if it was changed)"),
    Shortcut("no defect", "Alt-0", "Review as no defect"),
    Shortcut("reject", "Alt-R", "Review as rejected"),
    Shortcut("unsure", "Alt-Q", "Review as unsure"),
    Shortcut("undo review", "Alt-Z", "Undo the latest review"),
    Shortcut("next", "Alt-Right", "Next image"),
    Shortcut("previous", "Alt-Left", "Previous image"),
    Shortcut("next unreviewed", "Alt-U", "Next image without a review"),
    Shortcut("jump", "Alt-J", "Jump to an image by number or name"),
    Shortcut("comment", "Alt-D", "Write a comment"),
    Shortcut("mask", "Alt-M", "Show or hide the mask"),
    Shortcut("explanation", "Alt-X", "Show or hide explanations"),
    Shortcut("next heat map", "Alt-Shift-X", "Next heat map of this image, then its concepts"),
    Shortcut("next defect", "Alt-O", "Zoom to the next defect, then to the whole image"),
    Shortcut("brush", "Alt-B", "Brush"),
    Shortcut("erase", "Alt-E", "Eraser"),
    Shortcut("click", "Alt-C", "SAM click"),
    Shortcut("new object", "Alt-N", "Start another object with the next SAM click"),
    Shortcut("apply answer", "Alt-T", "Apply the SAM 2 answer"),
    Shortcut("discard answer", "Alt-Shift-T", "Discard the SAM 2 answer"),
    Shortcut("automatic", "Alt-A", "Apply the automatic mask"),
    Shortcut("save", "Alt-S", "Save the mask"),
    *(
        Shortcut(f"class {n}", f"Alt-{n}", f"Set class {n} of the project's list")
        for n in CLASS_KEYS
    ),
)
"""Shift and Alt combinations: napari's layers take the plain letters."""
_MODIFIERS = {"Alt", "Shift", "Ctrl", "Control", "Meta"}
_FIELDS = (QLineEdit, QComboBox, QAbstractSpinBox)


_KEY_EVENTS = (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress, QEvent.Type.KeyRelease)


class HeldKeys(QObject):
    """Swallows repeats of a held key that Qt takes for new presses.

    X11 repeats a key as releases and presses, each pair at one time. Qt tells them from a person's
    by the press that waits behind the release; on a busy machine it has not arrived yet, and a key
    held for a second would review several images.
    """

    def __init__(self) -> None:
        super().__init__()
        self._released: tuple[int, int] | None = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let no press pass that has the time of the same key's release."""
        kind = event.type()
        if kind not in _KEY_EVENTS or event.isAutoRepeat():
            return False
        # Events that a program sends have no time.
        stamp = (event.key(), event.timestamp()) if event.timestamp() else None
        if kind == QEvent.Type.KeyRelease:
            self._released = stamp
            return False
        repeated = stamp is not None and stamp == self._released
        if repeated:
            event.accept()
        return repeated


class KeyTable:
    """Bind the keys on the viewer, on the defect mask and in the docks, and change them.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Gets the keys; so does the defect mask, because a layer's keys go before the viewer's.
    layers : SessionLayers
        Knows the defect mask.
    actions : mapping
        What each of `SHORTCUTS` calls, by name.
    path : Path
        File of the keys that were chosen.
    window : QMainWindow, optional
        Its menus give up keys that are ours; they would go before the viewer's and the docks'.
    """

    changed = Signal()
    """Some action has another key."""

    def __init__(
        self,
        viewer: ViewerModel,
        layers: SessionLayers,
        actions: Mapping[str, Callable[[], object]],
        path: Path,
        window: QMainWindow | None = None,
    ) -> None:
        self._viewer, self._layers, self._path = viewer, layers, path
        # napari takes a window that anybody holds for a leak.
        self._window = None if window is None else ref(window)
        self._taken: list[tuple[QAction, QKeySequence]] = []
        self._actions = actions
        self._bound: list[tuple[ViewerModel | Labels, str]] = []
        self._in_docks: dict[int, dict[str, QShortcut]] = {}
        self.keys = {shortcut.name: shortcut.key for shortcut in SHORTCUTS}
        self.error = ""
        try:
            chosen = read_shortcuts(path)
        except InputError as error:
            self.error, chosen = str(error), {}
        try:
            known = {name: key for name, key in chosen.items() if name in self.keys}
            self.keys = self._checked(known)
        except InputError as error:
            self.error = f"{path}: {error}. Using the default shortcuts."
        self._held = HeldKeys()
        QApplication.instance().installEventFilter(self._held)
        layers.mask_layer_changed.connect(self._bind)
        self._bind()

    def attach(self, dock: QWidget) -> None:
        """Let the keys work while any part of a dock has the focus, too."""
        made = {}
        for name, action in self._actions.items():
            made[name] = QShortcut(dock)
            # A key that is held reviews once; napari itself repeats none of them on the canvas.
            made[name].setAutoRepeat(False)
            made[name].setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            made[name].activated.connect(partial(_finish_then, action))
        self._in_docks[id(dock)] = made
        dock.destroyed.connect(partial(self._on_dock_destroyed, id(dock)))
        self._name_keys(made)

    def release(self) -> None:
        """Bind nothing any more."""
        QApplication.instance().removeEventFilter(self._held)
        self._layers.mask_layer_changed.disconnect(self._bind)
        self._unbind()
        self._give_back()

    def change(self, name: str, key: str) -> None:
        """Give an action another key, and remember it.

        Raises
        ------
        InputError
            When the key is none, lacks Alt, Shift or Ctrl, or belongs to another action, ours
            or napari's.
        """
        self.keys = self._checked({name: key})
        write_shortcuts(self._path, self.keys)
        self._bind()
        self.changed.emit()

    def reset(self) -> None:
        """Go back to the keys that the program comes with."""
        self.keys = {shortcut.name: shortcut.key for shortcut in SHORTCUTS}
        write_shortcuts(self._path, self.keys)
        self._bind()
        self.changed.emit()

    def text(self, name: str) -> str:
        """Return a key as people read it."""
        return self.keys[name].replace("-", "+")

    def _checked(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return all keys with the chosen ones among them, or refuse them."""
        keys = {**self.keys, **{name: normal(key) for name, key in chosen.items()}}
        for name in chosen:
            key = keys[name]
            for other, taken in keys.items():
                if other != name and taken == key:
                    raise InputError(f"{key} is already used for {other!r}; choose another key")
            if key != self.keys[name] and self._napari_has(key):
                raise InputError(f"{key} is already used by napari; choose another key")
        return keys

    def _napari_has(self, key: str) -> bool:
        wanted = KeyBinding.from_str(key.replace("-", "+"))
        ours = {KeyBinding.from_str(mine.replace("-", "+")) for mine in self.keys.values()}
        mask = self._layers.mask_layer
        maps = [self._viewer.keymap, type(self._viewer).class_keymap, Labels.class_keymap]
        maps += [] if mask is None else [mask.keymap]
        return wanted not in ours and any(wanted in each for each in maps)

    def _bind(self) -> None:
        self._unbind()
        mask = self._layers.mask_layer
        targets = [self._viewer] if mask is None else [self._viewer, mask]
        for target in targets:
            for name, action in self._actions.items():
                target.bind_key(self.keys[name], _handler(action), overwrite=True)
                self._bound.append((target, self.keys[name]))
        for shortcuts in self._in_docks.values():
            self._name_keys(shortcuts)
        self._take_from_menus()

    def _take_from_menus(self) -> None:
        """Leave the menus of napari no key of ours: they make screenshots by Alt+S and Alt+C."""
        self._give_back()
        ours = {QKeySequence(self.text(name)).toString() for name in self._actions}
        # The actions themselves belong to the application.
        window = None if self._window is None else self._window()
        menus = [] if window is None else [entry.menu() for entry in window.menuBar().actions()]
        for action in (action for menu in menus if menu for action in menu.actions()):
            if action.shortcut().toString() in ours:
                self._taken.append((action, action.shortcut()))
                action.setShortcut(QKeySequence())

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        for action, key in taken:
            if isalive(action):
                action.setShortcut(key)

    def _name_keys(self, shortcuts: Mapping[str, QShortcut]) -> None:
        for name, shortcut in shortcuts.items():
            shortcut.setKey(QKeySequence(self.text(name)))

    def _on_dock_destroyed(self, number: int, *_: object) -> None:
        self._in_docks.pop(number, None)

    def _unbind(self) -> None:
        bound, self._bound = self._bound, []
        for target, key in bound:
            target.bind_key(key, None)


def normal(key: str) -> str:
    """Return a key as napari spells it, "Alt-G" for "alt+g".

    Raises
    ------
    InputError
        When it is no key, or lacks Alt, Shift or Ctrl.
    """
    parts = [part.strip() for part in key.replace("+", "-").split("-") if part.strip()]
    parts = ["Ctrl" if part.casefold() == "control" else part for part in parts]
    names = [part.capitalize() if len(part) > 1 else part.upper() for part in parts]
    named = [name for name in names if name not in _MODIFIERS]
    if len(named) != 1 or len(names) < 2:
        raise InputError(
            f"{key!r} is no shortcut; combine Alt, Shift or Ctrl with one other key, like Alt+G"
        )
    # What it does not know has the key code 0.
    if not KeyBinding.from_str("+".join(names)).part0.key:
        raise InputError(f"{key!r}: there is no such key")
    return "-".join([*sorted(set(names) - set(named)), *named])


def _handler(action: Callable[[], object]) -> Callable[[object], None]:
    """Return a key handler that leaves out the viewer or layer that napari passes."""

    def handle(_: object) -> None:
        action()

    return handle


def _finish_then(action: Callable[[], object]) -> None:
    """Take what was typed in a field, give the keys back to the canvas, and do the action."""
    field = QApplication.focusWidget()
    if isinstance(field, _FIELDS):
        field.clearFocus()
    action()
