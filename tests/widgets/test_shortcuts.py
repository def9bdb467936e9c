"""Keys on a viewer without a window; real key events are in test_review_in_napari."""

import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import KeyBinding

from napari_semxai.layers.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.types import InputError
from napari_semxai.widgets.keys_panel import KeysPanel
from napari_semxai.widgets.shortcuts import SHORTCUTS, KeyTable, normal
from tests.layers.test_session_layers import Edit, make_image


@pytest.fixture
def made(tmp_path):
    viewer, session, pressed = ViewerModel(), Session(), []
    layers = SessionLayers(viewer, session, Edit())
    session.image = make_image()
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


def test_keys_follow_to_the_mask_of_the_next_image(made):
    viewer, layers, session, table, pressed = made
    keys = table()
    viewer.layers.remove(layers.mask_layer)
    session.image = make_image("b")
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
