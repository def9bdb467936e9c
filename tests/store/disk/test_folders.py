"""Folders of the program's own files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from napari_semxai.store.disk import folders as module
from napari_semxai.store.disk.folders import (
    clear_caches,
    last_folder,
    model_folders,
    models_folder,
    read_choices,
    read_recent,
    read_shortcuts,
    recovery_folder,
    remember_folder,
    remember_recent,
    stored_files,
    write_choice,
    write_shortcuts,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tmp_path))
    assert models_folder() == tmp_path
    assert model_folders()[0] == tmp_path
    assert len(model_folders()) == 2


def test_without_the_environment_only_the_user_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMXAI_MODEL_DIR", raising=False)
    assert model_folders() == (models_folder(),)
    assert models_folder().name == "models"


def test_recovery_folder_is_absolute_and_not_made(tmp_path: Path) -> None:
    assert recovery_folder().is_absolute()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    names = ("project_index", "concepts", "features", "models", "recovery", "projects")
    for name in names:
        monkeypatch.setattr(module, f"{name}_folder", lambda name=name: tmp_path / name)
    return tmp_path


def test_sizes_are_told_and_only_caches_are_cleared(folders):
    for name, size in (("project_index", 10), ("concepts/deep", 20), ("models", 300)):
        (folders / name).mkdir(parents=True)
        (folders / name / "file").write_bytes(bytes(size))
    assert [(one.size, one.cache) for one in stored_files()] == [
        (10, True),
        (20, True),
        (0, True),
        (300, False),
        (0, False),
        (0, False),
    ]
    clear_caches()
    assert [one.size for one in stored_files()] == [0, 0, 0, 300, 0, 0]


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
