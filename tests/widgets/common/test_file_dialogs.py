"""Where file dialogs begin; the dialogs themselves are Qt's."""

import os
from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_semxai.store.disk import folders
from napari_semxai.store.disk.folders import remember_recent
from napari_semxai.widgets.common.file_dialogs import (
    Dialog,
    RecentButton,
    ask_folder,
    ask_mask,
    ask_open,
    ask_open_many,
    ask_save,
)


@pytest.fixture
def parent(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def asked(monkeypatch):
    """Answer dialogs with `asked.answer`, and note where they begin."""

    class Asked(list):
        answer = ""

    asked = Asked()

    def file(parent, title, start, *_):
        asked.append(start)
        return asked.answer, ""

    def files(parent, title, start, *_):
        asked.append(start)
        return [asked.answer] if asked.answer else [], ""

    def folder(parent, title, start):
        asked.append(start)
        return asked.answer

    monkeypatch.setattr(QFileDialog, "getOpenFileName", file)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", file)
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", files)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", folder)
    return asked


def test_each_kind_begins_where_it_was_used_last(parent, asked, tmp_path):
    ways = {
        Dialog.IMAGE: lambda: ask_open(parent, Dialog.IMAGE, "", ""),
        Dialog.CLASS_IMAGES: lambda: ask_open_many(parent, Dialog.CLASS_IMAGES, "", ""),
        Dialog.PROJECT: lambda: ask_folder(parent, Dialog.PROJECT, ""),
        Dialog.EXPORT: lambda: ask_save(parent, Dialog.EXPORT, "", "", ""),
    }
    for kind, ask in ways.items():
        (tmp_path / kind).mkdir()
        asked.answer = str(tmp_path / kind / ("" if kind is Dialog.PROJECT else "file"))
        assert ask()
    assert {Path(start) for start in asked} == {Path.cwd()}
    asked.answer = ""
    for ask in ways.values():
        assert not ask()
    assert [Path(start) for start in asked[4:]] == [tmp_path / kind for kind in ways]
    # Called off: nothing is forgotten.
    ways[Dialog.IMAGE]()
    assert Path(asked[-1]) == tmp_path / Dialog.IMAGE


def test_folders_whose_names_are_no_text(parent, asked, tmp_path, monkeypatch):
    """Where the last dialog was, or where the program was started."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/lot\xe9"))
    folder.mkdir()
    monkeypatch.chdir(folder)
    asked.answer = str(folder / os.fsdecode(b"\xff.png"))
    for _ in range(2):
        assert ask_open(parent, Dialog.IMAGE, "", "") == Path(asked.answer)
        assert Path(asked[-1]) == folder
        # Qt takes what it is given.
        QFileDialog(parent, "", asked[-1])
    ask_mask(parent, "a", folder / "a.tif")
    assert Path(asked[-1]) == folder / "a_mask.png"


def test_a_mask_is_proposed_beside_its_image_always(parent, asked, tmp_path):
    asked.answer = str(tmp_path / "elsewhere" / "other.png")
    for _ in range(2):
        ask_mask(parent, "die 3", tmp_path / "lot" / "die 3.tif")
    assert [Path(start) for start in asked] == [tmp_path / "lot" / "die 3_mask.png"] * 2


@pytest.mark.parametrize(
    ("name", "file"),
    [("sample", "sample_mask.png"), ("lot/a: 3?", "lot_a_ 3__mask.png"), ("..", "image_mask.png")],
)
def test_an_image_without_a_file_has_its_mask_where_masks_went_last(
    parent, asked, tmp_path, name, file
):
    ask_mask(parent, name, None)
    assert Path(asked[-1]) == Path.cwd() / file
    asked.answer = str(tmp_path / "x.png")
    ask_mask(parent, "a", tmp_path / "lot" / "a.tif")
    ask_mask(parent, name, None)
    assert Path(asked[-1]) == tmp_path / file


def test_recent_files_are_offered_in_a_menu(qtbot, tmp_path):
    offer = RecentButton()
    qtbot.addWidget(offer)
    offer.menu().aboutToShow.emit()
    assert not offer.menu().actions()[0].isEnabled()
    remember_recent(folders.recent_file(), tmp_path / "a & b.png")
    remember_recent(folders.recent_file(), tmp_path / "project", "Anna")
    offer.menu().aboutToShow.emit()
    project, image = offer.menu().actions()
    assert project.text() == f"project, Anna ({tmp_path})"
    assert image.text().startswith("a && b.png")
    with qtbot.waitSignal(offer.wanted) as wanted:
        image.trigger()
    assert wanted.args == [str(tmp_path / "a & b.png"), ""]
    with qtbot.waitSignal(offer.wanted) as wanted:
        project.trigger()
    assert wanted.args == [str(tmp_path / "project"), "Anna"]
