"""Keys in a window of Qt's; real key events in napari's are in tests/in_napari."""

import json

import pytest
from napari.settings import get_settings
from napari.utils.key_bindings import KeyBinding
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAction,
    QApplication,
    QDockWidget,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.types import InputError
from napari_semxai.widgets.common.window import KeyGuard
from napari_semxai.widgets.settings.shortcuts import (
    SHORTCUTS,
    KeysPanel,
    KeyTable,
    normal,
    single_key,
)

ALT = Qt.KeyboardModifier.AltModifier


@pytest.fixture
def window(qtbot):
    """A window with a canvas, and a dock with a button, a field and a list."""
    window = QMainWindow()
    qtbot.addWidget(window)
    window.canvas, window.side = QWidget(), QWidget()
    window.canvas.setFocusPolicy(Qt.FocusPolicy.WheelFocus)
    window.setCentralWidget(window.canvas)
    dock = QDockWidget()
    dock.setWidget(window.side)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    layout = QVBoxLayout(window.side)
    window.field, window.list = QLineEdit(), QListWidget()
    window.button = QPushButton("Home")
    window.list.addItems(["a", "b"])
    for part in (window.field, window.list, window.button):
        layout.addWidget(part)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.canvas.setFocus()
    return window


@pytest.fixture
def made(window, tmp_path):
    """What was pressed, and a maker of tables of the one file."""
    pressed, tables = [], []
    actions = {each.name: lambda name=each.name: pressed.append(name) for each in SHORTCUTS}

    def table():
        for other in tables:
            other.release()
        tables[:] = [KeyTable(window.canvas, actions, tmp_path / "keys.json")]
        return tables[0]

    yield table, pressed
    for other in tables:
        other.release()


def press(widget, key):
    """Press a key as people write it, "Alt+Y"."""
    *modifiers, name = key.split("+")
    known = {"Alt": ALT, "Shift": Qt.KeyboardModifier.ShiftModifier}
    known["Ctrl"] = Qt.KeyboardModifier.ControlModifier
    held = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        held |= known[modifier]
    code = QKeySequence(name)[0]
    code = code.key() if hasattr(code, "key") else Qt.Key(code)
    QTest.keyClick(widget, code, held)


def test_every_key_works_wherever_the_focus_is(made, window, qtbot):
    table, pressed = made
    table()
    for part in (window.canvas, window.button, window.list, window.field):
        for shortcut in SHORTCUTS:
            part.setFocus()
            qtbot.waitUntil(part.hasFocus)
            if part is window.field and shortcut.name in ("undo", "redo"):
                # A field undoes what was typed.
                continue
            press(part, shortcut.key.replace("-", "+"))
            assert pressed == [shortcut.name], shortcut
            pressed.clear()


def test_single_keys_work_on_the_canvas_alone(made, window, qtbot):
    table, pressed = made
    keys = table()
    press(window.canvas, "Y")
    press(window.canvas, "0")
    assert pressed == ["accept", "no defect"]
    for part in (window.field, window.list):
        part.setFocus()
        qtbot.waitUntil(part.hasFocus)
        press(part, "Y")
    assert window.field.text() == "y"
    assert pressed == ["accept", "no defect"]
    # They go along with what was chosen, and can be switched off.
    window.canvas.setFocus()
    keys.change("accept", "Alt+H")
    press(window.canvas, "Y")
    press(window.canvas, "H")
    assert pressed[2:] == ["accept"]
    keys.set_single(False)
    press(window.canvas, "H")
    assert pressed[2:] == ["accept"]
    assert not table().single


@pytest.mark.parametrize(
    ("name", "key", "single"),
    [
        ("accept", "Alt-Y", "Y"),
        ("smaller", "Alt-,", ","),
        ("undo review", "Alt-Z", ""),
        ("class 3", "Alt-3", ""),
        ("next", "Alt-Right", ""),
        ("discard answer", "Alt-Shift-T", ""),
        ("undo", "Ctrl-Z", ""),
        ("accept", "", ""),
    ],
)
def test_which_keys_need_no_alt(name, key, single):
    assert single_key(name, key) == single


def test_menus_give_up_our_keys_and_get_them_back(made, window):
    picture, other = QAction("Save Screenshot…", window), QAction(window)
    window.menuBar().addMenu("File").addActions([picture, other])
    picture.setShortcut("Alt+S")
    other.setShortcut("Alt+Shift+S")
    keys = made[0]()
    assert picture.shortcut().isEmpty()
    assert other.shortcut().toString() == "Alt+Shift+S"
    assert keys.conflicts()["save"] == "Save Screenshot"
    # napari makes a menu anew now and then; the next image takes the key again.
    picture.setShortcut("Alt+S")
    keys.bind()
    assert picture.shortcut().isEmpty()
    keys.change("save", "Alt-Shift-H")
    assert picture.shortcut().toString() == "Alt+S"
    assert "save" not in keys.conflicts()
    keys.release()
    assert picture.shortcut().toString() == "Alt+S"


def test_a_changed_key_is_remembered_and_the_old_one_is_free(made, window):
    table, pressed = made
    first = table()
    first.change("accept", "shift+alt+h")
    press(window.canvas, "Alt+Y")
    press(window.canvas, "Alt+Shift+H")
    assert pressed == ["accept"]
    assert table().text("accept") == "Alt+Shift+H"


@pytest.mark.parametrize(
    ("key", "word"),
    [("Alt-G", "'generate'"), ("K", "Alt, Shift or Ctrl"), ("", "Alt, Shift")],
)
def test_conflicts_and_plain_letters_are_refused_with_a_word_why(made, key, word):
    keys = made[0]()
    with pytest.raises(InputError, match=word):
        keys.change("accept", key)
    assert keys.text("accept") == "Alt+Y"


@pytest.mark.parametrize(
    ("key", "word"), [("Ctrl+R", "reset view"), ("Alt+F", "File menu"), ("Ctrl+W", "Close")]
)
def test_keys_of_napari_are_refused_with_what_they_do(made, window, key, word):
    close = QAction("Close Window", window)
    window.menuBar().addMenu("&File").addAction(close)
    close.setShortcut("Ctrl+W")
    with pytest.raises(InputError, match=word):
        made[0]().change("accept", key)


def test_a_key_that_napari_is_given_is_shown(made, qtbot, monkeypatch):
    keys = made[0]()
    panel = KeysPanel(keys)
    qtbot.addWidget(panel)
    assert panel.texts["generate"].text() == "Generate candidates"
    settings, before = get_settings().shortcuts, dict(get_settings().shortcuts.shortcuts)
    try:
        settings.shortcuts = {**before, "napari:toggle_grid": [KeyBinding.from_str("Alt+G")]}
        assert keys.conflicts() == {"generate": "toggle grid"}
        assert panel.texts["generate"].text() == "⚠ Generate candidates"
        assert "toggle grid" in panel.texts["generate"].toolTip()
        keys.change("generate", "Alt+H")
        assert keys.conflicts() == {}
    finally:
        settings.shortcuts = before
    panel.release()


def test_a_damaged_file_is_said_and_the_keys_are_as_they_came(made, tmp_path):
    (tmp_path / "keys.json").write_text("{")
    keys = made[0]()
    assert "keys.json" in keys.error
    assert keys.text("generate") == "Alt+G"


def test_the_panel_shows_keys_and_why_one_is_refused(qtbot, made):
    keys = made[0]()
    panel = KeysPanel(keys)
    qtbot.addWidget(panel)
    field = panel.fields["accept"]
    assert field.keySequence().toString() == "Alt+Y"
    field.setKeySequence("Alt+G")
    field.editingFinished.emit()
    assert "generate" in panel.said.text()
    assert field.keySequence().toString() == "Alt+Y"
    field.setKeySequence("Alt+H")
    field.editingFinished.emit()
    assert keys.text("accept") == "Alt+H"
    panel.single.click()
    assert not keys.single
    panel.reset.click()
    assert field.keySequence().toString() == "Alt+Y"
    assert panel.single.isChecked()
    panel.release()


def test_keys_are_spelled_as_napari_does():
    assert normal(" shift + ALT + right") == "Alt-Shift-Right"


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"accept": "Y"}, "Alt, Shift or Ctrl"),
        ({"accept": "Alt-Nonsense"}, "no such key"),
        ({"accept": "Alt-G"}, "'generate'"),
        ({"accept": "Alt-H", "reject": "alt+h"}, "is already used"),
        ({"accept": "Control-Y", "reject": "Ctrl-Y"}, "is already used"),
        ({"accept": "Ctrl-G"}, "napari"),
    ],
)
def test_a_stored_key_is_checked_as_in_the_panel(made, tmp_path, chosen, word):
    (tmp_path / "keys.json").write_text(json.dumps({"keys": chosen}))
    keys = made[0]()
    assert "keys.json" in keys.error
    assert word in keys.error
    assert keys.keys == {each.name: each.key for each in SHORTCUTS}


def test_stored_keys_may_change_places(made, tmp_path):
    (tmp_path / "keys.json").write_text('{"keys": {"accept": "Alt-R", "reject": "Alt-Y"}}')
    keys = made[0]()
    assert keys.error == ""
    assert (keys.text("accept"), keys.text("reject")) == ("Alt+R", "Alt+Y")


def test_an_older_file_keeps_its_keys_from_newer_actions(made, tmp_path):
    chosen = {each.name: each.key for each in SHORTCUTS if each.name != "outline"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": {**chosen, "accept": "Alt-K"}}))
    keys = made[0]()
    assert keys.error == ""
    assert (keys.text("accept"), keys.text("outline")) == ("Alt+K", "")
    keys.change("outline", "Alt+Y")
    assert made[0]().text("outline") == "Alt+Y"


def test_what_was_typed_is_taken_before_the_action(made, window, qtbot):
    table, pressed = made
    table()
    window.field.setFocus()
    qtbot.waitUntil(window.field.hasFocus)
    said = []
    window.field.editingFinished.connect(lambda: said.append(list(pressed)))
    QTest.keyClicks(window.field, "Right")
    press(window.field, "Alt+R")
    assert window.field.text() == "Right"
    assert pressed == ["reject"]
    assert said == [[]]
    assert QApplication.focusWidget() is window.canvas


def test_the_canvas_has_the_keys_after_a_button_and_after_enter(made, window, qtbot):
    table, pressed = made
    table()
    clicked = []
    window.button.clicked.connect(lambda: clicked.append(QApplication.focusWidget()))
    QTest.mouseClick(window.button, Qt.MouseButton.LeftButton)
    assert clicked == [window.button]
    qtbot.waitUntil(window.canvas.hasFocus)
    window.field.setFocus()
    qtbot.waitUntil(window.field.hasFocus)
    QTest.keyClicks(window.field, "edge")
    QTest.keyClick(window.field, Qt.Key.Key_Return)
    qtbot.waitUntil(window.canvas.hasFocus)
    # Qt gives the focus to the window where a dock's tab is clicked.
    window.setFocus()
    qtbot.waitUntil(window.canvas.hasFocus)
    press(window.canvas, "R")
    assert pressed == ["reject"]
    # Whoever came by Tab goes on by keys.
    window.button.setFocus()
    qtbot.waitUntil(window.button.hasFocus)
    press(window.button, "Space")
    assert clicked == [window.button, window.button]
    assert window.button.hasFocus()


@pytest.mark.parametrize("gone", ["setDisabled", "setHidden"])
def test_a_button_that_goes_leaves_the_keys_to_the_canvas(made, window, qtbot, gone):
    table, _ = made
    table()
    # Or Qt might pass them to the canvas by chance.
    QWidget.setTabOrder(window.button, window.field)
    window.button.clicked.connect(lambda: getattr(window.button, gone)(True))
    QTest.mouseClick(window.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(window.canvas.hasFocus, timeout=2000)


def test_a_field_for_keys_takes_them_itself(made, window, qtbot):
    table, pressed = made
    panel = KeysPanel(table())
    window.side.layout().addWidget(panel)
    field = panel.fields["accept"]
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QTest.keyClick(field, Qt.Key.Key_K, ALT)
    QTest.keyClick(field, Qt.Key.Key_G, ALT)
    assert pressed == []
    panel.release()


class Press:
    """A key event as X11 gives it, with a time; Qt's own cannot be given one from here."""

    def __init__(self, kind, time, key=Qt.Key.Key_0, repeat=False):
        self._values = kind, time, key, repeat
        self.accepted = False

    def type(self):
        return self._values[0]

    def timestamp(self):
        return self._values[1]

    def key(self):
        return self._values[2]

    def isAutoRepeat(self):
        return self._values[3]

    def accept(self):
        self.accepted = True


def test_a_press_at_the_time_of_its_release_is_a_held_key(window):
    held, press, release = KeyGuard(window), QEvent.Type.KeyPress, QEvent.Type.KeyRelease
    shortcut = QEvent.Type.ShortcutOverride

    def swallowed(kind, time, **more):
        event = Press(kind, time, **more)
        result = held.eventFilter(None, event)
        assert event.accepted == result
        return result

    assert not swallowed(shortcut, 100)
    assert not swallowed(press, 100)
    # The server repeats: release and press at one time, which Qt did not see together.
    assert not swallowed(release, 133)
    assert swallowed(shortcut, 133)
    assert swallowed(press, 133)
    # The view is moved for as long as Space is down, however often the server repeats it.
    assert not swallowed(release, 133, key=Qt.Key.Key_Space)
    assert not swallowed(press, 133, key=Qt.Key.Key_Space)
    # Another key, a later press of a person, what Qt knows for a repeat, and programs' events.
    assert not swallowed(press, 133, key=Qt.Key.Key_1)
    assert not swallowed(release, 200)
    assert not swallowed(press, 260)
    assert not swallowed(release, 300, repeat=True)
    assert not swallowed(press, 300, repeat=True)
    assert not swallowed(release, 0)
    assert not swallowed(press, 0)
