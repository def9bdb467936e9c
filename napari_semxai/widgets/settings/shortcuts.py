"""The keys of the workbench, in one place: what they do, what they are, and changing them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from napari.settings import get_settings
from napari.utils.key_bindings import KeyBinding
from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAction,
    QApplication,
    QCheckBox,
    QGridLayout,
    QKeySequenceEdit,
    QLabel,
    QShortcut,
)

from napari_semxai.store.disk.folders import read_shortcuts, write_shortcuts
from napari_semxai.types import InputError
from napari_semxai.widgets.common.forms import FIELDS, Panel, button
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.common.window import KeyGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from qtpy.QtWidgets import QWidget


class KeysPanel(Panel):
    """One field for each action; a conflict is refused, or shown, with a word why.

    Parameters
    ----------
    table : KeyTable
        What is shown and changed.
    """

    def __init__(self, table: KeyTable) -> None:
        super().__init__()
        self._table = table
        self.fields = {shortcut.name: QKeySequenceEdit() for shortcut in SHORTCUTS}
        self.texts = {shortcut.name: QLabel() for shortcut in SHORTCUTS}
        self.said = StatusText(1, table.error)
        self.single = QCheckBox("Single keys on the canvas")
        self.single.setToolTip(
            "With the focus on the image Y does what Alt+Y does, B what Alt+B does, and so on; "
            "0 to 9 and Z stay napari's, but for 0 (no defect)"
        )
        self.reset = button("Restore defaults", "Reset all shortcuts to their defaults")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Every key is read in full, whatever it is changed to.
        room = self.fontMetrics().horizontalAdvance("Ctrl+Alt+Shift+Right") + 12
        for row, name in enumerate(self.fields):
            field = self.fields[name]
            field.setFixedWidth(room)
            field.setToolTip("Click, then press Alt, Shift or Ctrl together with another key")
            field.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            field.editingFinished.connect(self._on_key_entered)
            layout.addWidget(field, row, 0)
            layout.addWidget(self.texts[name], row, 1)
        for row, part in enumerate((self.said, self.single, self.reset), len(SHORTCUTS)):
            layout.addWidget(part, row, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self.reset.clicked.connect(table.reset)
        self.single.clicked.connect(table.set_single)
        table.changed.connect(self._show)
        self._show()

    def release(self) -> None:
        """Disconnect from the table."""
        self._table.changed.disconnect(self._show)

    def _show(self) -> None:
        conflicts = self._table.conflicts()
        for shortcut in SHORTCUTS:
            key, text = self._table.text(shortcut.name), self.texts[shortcut.name]
            self.fields[shortcut.name].setKeySequence(QKeySequence(key))
            theirs = conflicts.get(shortcut.name)
            text.setText(shortcut.text if theirs is None else f"⚠ {shortcut.text}")
            text.setToolTip(
                ""
                if theirs is None
                else f"napari uses {key} for “{theirs}”. Here it is this "
                "action's; choose another key to leave it to napari."
            )
        self.single.setChecked(self._table.single)

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
    Shortcut("alpha", "Alt-Shift-A", "Move α by the arrow keys; Tab goes on to β"),
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
    Shortcut("before", "Alt-Shift-M", "Mask before your edits, and back"),
    Shortcut("beside", "Alt-Shift-I", "Image without its mask, and its reference, beside it"),
    Shortcut("reference", "Alt-Shift-R", "Reference in the place of the image, and back"),
    Shortcut("outline", "Alt-K", "Mask as outline, or filled"),
    Shortcut("opacity", "Alt-Shift-K", "Next opacity of the mask"),
    Shortcut("move", "Alt-I", "Move and zoom the image (or hold Space)"),
    Shortcut("brush", "Alt-B", "Brush"),
    Shortcut("erase", "Alt-E", "Eraser"),
    Shortcut("lasso", "Alt-Shift-L", "Lasso: outline along the edges of the picture"),
    Shortcut("polygon", "Alt-Shift-O", "Polygon: outline of straight lines"),
    Shortcut("ignore", "Alt-Shift-G", "Mark what is to be ignored, or the defect again"),
    Shortcut("ignored", "Alt-Shift-N", "Show or hide what is ignored"),
    Shortcut("smaller", "Alt-,", "Smaller brush"),
    Shortcut("larger", "Alt-.", "Larger brush"),
    Shortcut("undo", "Ctrl-Z", "Undo the latest edit"),
    Shortcut("redo", "Ctrl-Shift-Z", "Redo the edit that was undone"),
    Shortcut("click", "Alt-C", "SAM click"),
    Shortcut("new object", "Alt-N", "Start another object with the next SAM click"),
    Shortcut("apply answer", "Alt-T", "Apply the SAM 2 answer"),
    Shortcut("discard answer", "Alt-Shift-T", "Discard the SAM 2 answer"),
    Shortcut("automatic", "Alt-A", "Apply the automatic mask"),
    Shortcut("previous mask", "Alt-Shift-P", "Add the mask of the previous image"),
    Shortcut("copy", "Alt-Shift-D", "Copy the mask"),
    Shortcut("paste", "Alt-Shift-V", "Add the copied mask"),
    Shortcut("save", "Alt-S", "Save the mask"),
    *(
        Shortcut(f"class {n}", f"Alt-{n}", f"Set class {n} of the project's list")
        for n in CLASS_KEYS
    ),
)
"""Shift and Alt combinations work everywhere; see `single_key` for plain ones."""
_MODIFIERS = {"Alt", "Shift", "Ctrl", "Control", "Meta"}
_SINGLE, _OFF = "single keys", "off"
_NEVER_SINGLE = {"undo review", *(f"class {n}" for n in CLASS_KEYS)}
"""napari's tools on 1 to 7 and Z stay what they are, and a slip undoes no review."""


class KeyTable:
    """Bind the keys in a window, whatever has the focus there, and change them.

    As shortcuts of Qt they go before the keys of napari's viewer and layers, and before buttons
    and lists; text fields keep what they need for typing.

    Parameters
    ----------
    canvas : QWidget
        Shows the images, in napari's window. Single keys work while it has the focus.
    actions : mapping
        What each of `SHORTCUTS` calls, by name.
    path : Path
        File of the keys that were chosen.
    """

    changed = Signal()
    """Some action has another key."""

    def __init__(
        self, canvas: QWidget, actions: Mapping[str, Callable[[], object]], path: Path
    ) -> None:
        # napari takes a window that anybody holds for a leak.
        self._window, self._canvas, self._path = ref(canvas.window()), ref(canvas), path
        self._taken: list[tuple[str, QAction, QKeySequence]] = []
        self.keys = {shortcut.name: shortcut.key for shortcut in SHORTCUTS}
        self.single, self.error = True, ""
        try:
            chosen = read_shortcuts(path)
        except InputError as error:
            self.error, chosen = str(error), {}
        self._take_up(chosen)
        self._guard = KeyGuard(canvas)
        QApplication.instance().installEventFilter(self._guard)
        self._everywhere, self._on_canvas = (
            {name: self._shortcut(parent, context, action) for name, action in actions.items()}
            for parent, context in (
                (canvas.window(), Qt.ShortcutContext.WindowShortcut),
                (canvas, Qt.ShortcutContext.WidgetShortcut),
            )
        )
        get_settings().shortcuts.events.shortcuts.connect(self._on_napari_changed)
        self.bind()

    def release(self) -> None:
        """Bind nothing any more."""
        get_settings().shortcuts.events.shortcuts.disconnect(self._on_napari_changed)
        QApplication.instance().removeEventFilter(self._guard)
        for shortcut in (*self._everywhere.values(), *self._on_canvas.values()):
            if isalive(shortcut):
                shortcut.setEnabled(False)
                shortcut.deleteLater()
        self._everywhere, self._on_canvas = {}, {}
        self._give_back()

    def change(self, name: str, key: str) -> None:
        """Give an action another key, and remember it.

        Raises
        ------
        InputError
            When the key is none, lacks Alt, Shift or Ctrl, or belongs to another action, ours
            or napari's.
        """
        self.keys = self._checked({name: normal(key)})
        self._remember()

    def set_single(self, single: bool) -> None:
        """Let keys work without Alt on the canvas, or not, and remember it."""
        self.single = single
        self._remember()

    def reset(self) -> None:
        """Go back to the keys that the program comes with."""
        self.keys, self.single = {shortcut.name: shortcut.key for shortcut in SHORTCUTS}, True
        self._remember()

    def text(self, name: str) -> str:
        """Return a key as people read it; "" for an action without one."""
        return self.keys[name].replace("-", "+")

    def conflicts(self) -> dict[str, str]:
        """Return the actions whose keys napari has, too, and what it does by them."""
        theirs = dict(self._napari_keys())
        found = {name: theirs.get(_binding(key)) for name, key in self.keys.items() if key}
        return {name: title for name, title in found.items() if title is not None}

    def bind(self) -> None:
        """Set the keys, and take them from napari's menus, which it makes anew now and then."""
        for name in self._everywhere:
            self._everywhere[name].setKey(QKeySequence(self.text(name)))
            single = single_key(name, self.keys[name]) if self.single else ""
            self._on_canvas[name].setKey(QKeySequence(single))
        self._give_back()
        ours = {QKeySequence(self.text(name)).toString() for name in self.keys} - {""}
        for action in self._menu_actions():
            if action.shortcut().toString() in ours:
                # Two of one key in a window: Qt would do neither.
                self._taken.append((action.text(), action, action.shortcut()))
                action.setShortcut(QKeySequence())

    def _shortcut(
        self, parent: QWidget, context: Qt.ShortcutContext, action: Callable[[], object]
    ) -> QShortcut:
        made = QShortcut(parent)
        # A key that is held reviews once.
        made.setAutoRepeat(False)
        made.setContext(context)
        made.activated.connect(partial(_finish_then, self._canvas, action))
        return made

    def _take_up(self, chosen: Mapping[str, str]) -> None:
        """Take the keys of a file; a newer action gives way to a key that was chosen before."""
        known = {name: key for name, key in chosen.items() if name in self.keys}
        self.single = chosen.get(_SINGLE) != _OFF
        # The program writes all keys that it knows: what its file is silent of is newer than that.
        newer = self.keys.keys() - known.keys() if len(known) > 1 else set()
        before = self.keys
        self.keys = {
            name: "" if name in newer and key in known.values() else key
            for name, key in before.items()
        }
        try:
            self.keys = self._checked(known)
        except InputError as error:
            self.keys = before
            self.error = f"{self._path}: {error}. Using the default shortcuts."

    def _remember(self) -> None:
        write_shortcuts(self._path, {**self.keys, **({} if self.single else {_SINGLE: _OFF})})
        self.bind()
        self.changed.emit()

    def _checked(self, chosen: Mapping[str, str]) -> dict[str, str]:
        """Return all keys with the chosen ones among them, or refuse them."""
        keys = {**self.keys, **{name: key and normal(key) for name, key in chosen.items()}}
        theirs = dict(self._napari_keys())
        for name in chosen:
            key = keys[name]
            for other, taken in keys.items():
                if key and other != name and taken == key:
                    raise InputError(f"{key} is already used for {other!r}; choose another key")
            title = theirs.get(_binding(key)) if key and key != self.keys[name] else None
            # What one of ours had from the start was ours before.
            if title is not None and key not in self.keys.values():
                raise InputError(
                    f"{key} is already used by napari for “{title}”; choose another key"
                )
        return keys

    def _napari_keys(self) -> Iterator[tuple[KeyBinding, str]]:
        """Yield the keys of napari's settings and menus, and what they do."""
        for name, bindings in get_settings().shortcuts.shortcuts.items():
            for binding in bindings:
                yield binding, name.removeprefix("napari:").replace("_", " ")
        entries = [(action.text(), action.shortcut()) for action in self._menu_actions()]
        entries += [(title, key) for title, _, key in self._taken]
        window = self._window()
        menus = [] if window is None else [menu.text() for menu in window.menuBar().actions()]
        # Alt and the letter that is underlined opens the menu.
        entries += [(f"{name} menu", QKeySequence.mnemonic(name)) for name in menus]
        for title, key in entries:
            if not key.isEmpty():
                yield _binding(key.toString()), title.replace("&", "").strip("… .\u200e")

    def _menu_actions(self) -> Iterator[QAction]:
        window = self._window()
        menus = [] if window is None else [entry.menu() for entry in window.menuBar().actions()]
        # The actions themselves belong to the application.
        return (action for menu in menus if menu for action in menu.actions())

    def _on_napari_changed(self, _: object = None) -> None:
        self.changed.emit()

    def _give_back(self) -> None:
        taken, self._taken = self._taken, []
        for _, action, key in taken:
            if isalive(action):
                action.setShortcut(key)


def single_key(name: str, key: str) -> str:
    """Return the key that does the same on the canvas as `key`, "Y" for "Alt-Y"; "" for none."""
    plain = key.removeprefix("Alt-")
    return plain if len(plain) == 1 and plain != key and name not in _NEVER_SINGLE else ""


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


def _binding(key: str) -> KeyBinding:
    return KeyBinding.from_str(key.replace("-", "+"))


def _finish_then(canvas: ref[QWidget], action: Callable[[], object]) -> None:
    """Take what was typed in a field, give the keys back to the canvas, and do the action."""
    widget = canvas()
    if widget is not None and isinstance(QApplication.focusWidget(), FIELDS):
        widget.setFocus(Qt.FocusReason.ShortcutFocusReason)
    action()
