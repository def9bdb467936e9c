"""Keys on a viewer without a window; real key events are in test_review_in_napari."""

import json

import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.key_bindings import KeyBinding
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAction,
    QApplication,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.types import InputError
from napari_semxai.widgets.settings.shortcuts import (
    SHORTCUTS,
    HeldKeys,
    KeysPanel,
    KeyTable,
    normal,
)
from tests.doubles import Edit
from tests.open_images import make_image, open_image


@pytest.fixture
def made(tmp_path):
    viewer, session, pressed = ViewerModel(), Session(), []
    layers = SessionLayers(viewer, session, Edit())
    open_image(session, make_image())
    actions = {each.name: lambda name=each.name: pressed.append(name) for each in SHORTCUTS}

    def table():
        return KeyTable(viewer, layers, actions, tmp_path / "keys.json")

    yield viewer, layers, session, table, pressed
    layers.release()


def press(target, key):
    target.keymap[KeyBinding.from_str(key)](target)


def test_every_key_works_on_the_viewer_and_on_the_mask(made):
    viewer, layers, _, table, pressed = made
    table()
    for shortcut in SHORTCUTS:
        for target in (viewer, layers.mask_layer):
            press(target, shortcut.key.replace("-", "+"))
    assert pressed == [each.name for each in SHORTCUTS for _ in range(2)]


def test_menus_give_up_our_keys_and_get_them_back(made, qtbot, tmp_path):
    viewer, layers, session, *_ = made
    window = QMainWindow()
    qtbot.addWidget(window)
    picture, other = QAction(window), QAction(window)
    window.menuBar().addMenu("File").addActions([picture, other])
    picture.setShortcut("Alt+S")
    other.setShortcut("Alt+Shift+S")
    actions = {each.name: lambda: None for each in SHORTCUTS}
    keys = KeyTable(viewer, layers, actions, tmp_path / "keys.json", window)
    assert picture.shortcut().isEmpty()
    assert other.shortcut().toString() == "Alt+Shift+S"
    # napari makes a menu anew now and then; the next image takes the key again.
    picture.setShortcut("Alt+S")
    open_image(session, make_image("b"))
    assert picture.shortcut().isEmpty()
    keys.change("save", "Alt-Shift-S")
    assert picture.shortcut().toString() == "Alt+S"
    assert other.shortcut().isEmpty()
    keys.release()
    assert other.shortcut().toString() == "Alt+Shift+S"


def test_keys_follow_to_the_mask_of_the_next_image(made):
    viewer, layers, session, table, pressed = made
    keys = table()
    viewer.layers.remove(layers.mask_layer)
    open_image(session, make_image("b"))
    press(layers.mask_layer, "Alt+G")
    assert pressed == ["generate"]
    keys.release()


def test_a_changed_key_is_remembered_and_the_old_one_is_free(made):
    viewer, _, _, table, pressed = made
    first = table()
    first.change("accept", "shift+alt+k")
    press(viewer, "Alt+Shift+K")
    assert KeyBinding.from_str("Alt+Y") not in viewer.keymap
    first.release()
    assert table().text("accept") == "Alt+Shift+K"
    assert pressed == ["accept"]


@pytest.mark.parametrize(
    ("key", "word"),
    [("Alt-G", "'generate'"), ("K", "Alt, Shift or Ctrl"), ("", "Alt, Shift")],
)
def test_conflicts_and_plain_letters_are_refused_with_a_word_why(made, key, word):
    _, _, _, table, _ = made
    keys = table()
    with pytest.raises(InputError, match=word):
        keys.change("accept", key)
    assert keys.text("accept") == "Alt+Y"


def test_keys_of_napari_are_refused(made):
    viewer, _, _, table, _ = made
    keys = table()
    viewer.bind_key("Control-R", lambda _: None)
    with pytest.raises(InputError, match="napari"):
        keys.change("accept", "Ctrl+R")


def test_a_damaged_file_is_said_and_the_keys_are_as_they_came(made, tmp_path):
    (tmp_path / "keys.json").write_text("{")
    keys = made[3]()
    assert "keys.json" in keys.error
    assert keys.text("generate") == "Alt+G"


def test_the_panel_shows_keys_and_why_one_is_refused(qtbot, made):
    keys = made[3]()
    panel = KeysPanel(keys)
    qtbot.addWidget(panel)
    field = panel.fields["accept"]
    assert field.keySequence().toString() == "Alt+Y"
    field.setKeySequence("Alt+G")
    field.editingFinished.emit()
    assert "generate" in panel.said.text()
    assert field.keySequence().toString() == "Alt+Y"
    field.setKeySequence("Alt+K")
    field.editingFinished.emit()
    assert keys.text("accept") == "Alt+K"
    panel.reset.click()
    assert field.keySequence().toString() == "Alt+Y"
    panel.release()


def test_keys_are_spelled_as_napari_does():
    assert normal(" shift + ALT + right") == "Alt-Shift-Right"


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"accept": "Y"}, "Alt, Shift or Ctrl"),
        ({"accept": "Alt-Nonsense"}, "no such key"),
        ({"accept": "Alt-G"}, "'generate'"),
        ({"accept": "Alt-K", "reject": "alt+k"}, "is already used"),
        ({"accept": "Control-Y", "reject": "Ctrl-Y"}, "is already used"),
        ({"accept": "Ctrl-I"}, "napari"),
    ],
)
def test_a_stored_key_is_checked_as_in_the_panel(made, tmp_path, monkeypatch, chosen, word):
    keymap = {KeyBinding.from_str("Ctrl+I"): print}
    monkeypatch.setattr(Labels, "class_keymap", {**Labels.class_keymap, **keymap})
    (tmp_path / "keys.json").write_text(json.dumps({"keys": chosen}))
    keys = made[3]()
    assert "keys.json" in keys.error
    assert word in keys.error
    assert keys.keys == {each.name: each.key for each in SHORTCUTS}


def test_stored_keys_may_change_places(made, tmp_path):
    (tmp_path / "keys.json").write_text('{"keys": {"accept": "Alt-R", "reject": "Alt-Y"}}')
    keys = made[3]()
    assert keys.error == ""
    assert (keys.text("accept"), keys.text("reject")) == ("Alt+R", "Alt+Y")


@pytest.fixture
def dock(qtbot):
    dock = QWidget()
    qtbot.addWidget(dock)
    layout = QVBoxLayout(dock)
    dock.field, dock.list = QLineEdit(), QListWidget()
    dock.list.addItems(["a", "b"])
    for part in (dock.field, dock.list):
        layout.addWidget(part)
    dock.show()
    qtbot.waitExposed(dock)
    dock.activateWindow()
    qtbot.waitUntil(dock.isActiveWindow)
    return dock


ALT = Qt.KeyboardModifier.AltModifier


def test_keys_work_with_the_focus_anywhere_in_a_dock(made, dock, qtbot):
    _, _, _, table, pressed = made
    keys = table()
    keys.attach(dock)
    dock.list.setFocus()
    QTest.keyClick(dock.list, Qt.Key.Key_Right, ALT)
    dock.field.setFocus()
    qtbot.waitUntil(dock.field.hasFocus)
    said = []
    dock.field.editingFinished.connect(lambda: said.append(list(pressed)))
    QTest.keyClicks(dock.field, "Right")
    QTest.keyClick(dock.field, Qt.Key.Key_R, ALT)
    assert dock.field.text() == "Right"
    assert pressed == ["next", "reject"]
    # What was typed is taken before the action, and the canvas has the keys again.
    assert said == [["next"]]
    assert QApplication.focusWidget() is not dock.field
    keys.change("next", "Alt+K")
    dock.list.setFocus()
    QTest.keyClick(dock.list, Qt.Key.Key_Right, ALT)
    QTest.keyClick(dock.list, Qt.Key.Key_K, ALT)
    assert pressed == ["next", "reject", "next"]


def test_a_dock_that_is_gone_is_let_go_of(made, qtbot):
    keys = made[3]()
    dock = QWidget()
    keys.attach(dock)
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    keys.change("next", "Alt+K")


def test_a_field_for_keys_takes_them_itself(made, qtbot):
    _, _, _, table, pressed = made
    keys = table()
    panel = KeysPanel(keys)
    qtbot.addWidget(panel)
    keys.attach(panel)
    panel.show()
    qtbot.waitExposed(panel)
    panel.activateWindow()
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


def test_a_press_at_the_time_of_its_release_is_a_held_key(qapp):
    held, press, release = HeldKeys(), QEvent.Type.KeyPress, QEvent.Type.KeyRelease
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
    # Another key, a later press of a person, what Qt knows for a repeat, and programs' events.
    assert not swallowed(press, 133, key=Qt.Key.Key_1)
    assert not swallowed(release, 200)
    assert not swallowed(press, 260)
    assert not swallowed(release, 300, repeat=True)
    assert not swallowed(press, 300, repeat=True)
    assert not swallowed(release, 0)
    assert not swallowed(press, 0)
