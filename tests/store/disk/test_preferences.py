import json

import pytest

from napari_semxai.store.disk.preferences import (
    last_folder,
    read_choices,
    read_recent,
    read_shortcuts,
    remember_folder,
    remember_recent,
    write_choice,
    write_shortcuts,
)
from napari_semxai.types import InputError


def test_keys_round_trip_and_none_is_none(tmp_path):
    path = tmp_path / "config" / "keys.json"
    assert read_shortcuts(path) == {}
    write_shortcuts(path, {"accept": "Alt-K"})
    assert read_shortcuts(path) == {"accept": "Alt-K"}


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 3}', "{"])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"keys\.json"):
        read_shortcuts(path)


def test_a_choice_is_found_again_beside_the_others(tmp_path):
    path = tmp_path / "config/choices.json"
    assert read_choices(path) == {}
    write_choice(path, "algorithm", "paper")
    write_choice(path, "other", "one")
    write_choice(path, "algorithm", "robust")
    assert read_choices(path) == {"algorithm": "robust", "other": "one"}


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"choices": 3})])
def test_a_damaged_file_is_named_and_the_next_choice_replaces_it(tmp_path, text):
    path = tmp_path / "choices.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"choices\.json"):
        read_choices(path)
    write_choice(path, "algorithm", "paper")
    assert read_choices(path) == {"algorithm": "paper"}


def test_each_kind_has_its_own(tmp_path):
    file = tmp_path / "config" / "last_folders.json"
    assert last_folder(file, "truth") is None
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    remember_folder(file, "truth", tmp_path / "one")
    remember_folder(file, "export", tmp_path / "two")
    assert last_folder(file, "truth") == tmp_path / "one"
    assert last_folder(file, "export") == tmp_path / "two"
    assert last_folder(file, "weights") is None


def test_a_folder_that_is_gone_is_no_proposal(tmp_path):
    file = tmp_path / "last_folders.json"
    remember_folder(file, "truth", tmp_path / "gone")
    assert last_folder(file, "truth") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"folders": 3}', "\x00"])
def test_a_damaged_file_knows_none_and_is_replaced(tmp_path, text):
    file = tmp_path / "last_folders.json"
    file.write_text(text)
    assert last_folder(file, "truth") is None
    remember_folder(file, "truth", tmp_path)
    assert last_folder(file, "truth") == tmp_path


def test_where_it_cannot_be_written_nothing_happens(tmp_path):
    file = tmp_path / "a file" / "last_folders.json"
    file.parent.write_text("")
    remember_folder(file, "truth", tmp_path)
    assert last_folder(file, "truth") is None


def test_what_was_opened_last_comes_first(tmp_path):
    file = tmp_path / "recent.json"
    assert read_recent(file) == {}
    for number in range(12):
        remember_recent(file, tmp_path / f"{number}.png")
    remember_recent(file, tmp_path / "project", "Anna")
    remember_recent(file, tmp_path / "7.png")
    found = list(read_recent(file).items())
    assert found[:3] == [
        (str(tmp_path / "7.png"), ""),
        (str(tmp_path / "project"), "Anna"),
        (str(tmp_path / "11.png"), ""),
    ]
    assert len(found) == 10
    file.write_text("{")
    assert read_recent(file) == {}
    remember_recent(file, tmp_path / "7.png")
    assert list(read_recent(file)) == [str(tmp_path / "7.png")]
    # Where it cannot be written nothing happens.
    remember_recent(file / "under a file", tmp_path)
