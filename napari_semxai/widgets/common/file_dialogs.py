"""Dialogs for files and folders; each kind begins in the folder that it was last used in."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton

from napari_semxai.store.disk import folders
from napari_semxai.store.disk.folders import last_folder, read_recent, remember_folder
from napari_semxai.widgets.common.forms import MASK_FILTER

if TYPE_CHECKING:
    from qtpy.QtWidgets import QAction, QWidget

_NO_NAME = re.compile(r'[\\/:*?"<>|\x00-\x1f]+')
"""What a file's name cannot hold on some system; a layer's can."""


class Dialog(StrEnum):
    """What is asked for."""

    IMAGE = "image"
    REFERENCE = "reference"
    LOAD_MASK = "load mask"
    SAVE_MASK = "save mask"
    TRUTH = "truth"
    WEIGHTS = "weights"
    CLASSIFIER = "classifier"
    CLASS_IMAGES = "images of a class"
    CONCEPTS = "concepts"
    PICTURE = "rendered explanation"
    PROJECT = "project"
    NEW_PROJECT = "new project"
    IMAGES = "images of a project"
    TABLE = "table"
    EXPORT = "export"
    IMPORT = "import"
    SCORES = "scores"
    FIGURE = "figure"
    SURVEY = "survey"
    DATASET = "data set"
    RESULTS = "results"
    MAPS = "maps"


def ask_open(parent: QWidget, kind: Dialog, title: str, files: str) -> Path | None:
    """Ask for a file; None where a person thinks better of it."""
    name = QFileDialog.getOpenFileName(parent, title, str(_start(kind)), files)[0]
    return _chosen(kind, name)


def ask_open_many(parent: QWidget, kind: Dialog, title: str, files: str) -> list[Path]:
    """Ask for any number of files."""
    names = QFileDialog.getOpenFileNames(parent, title, str(_start(kind)), files)[0]
    return [path for path in (_chosen(kind, name) for name in names) if path is not None]


def ask_save(
    parent: QWidget,
    kind: Dialog,
    title: str,
    proposed: str | Path,
    files: str,
    *,
    replaces: bool = True,
) -> Path | None:
    """Ask for the name of a file to write.

    Parameters
    ----------
    parent : QWidget
        What the dialog belongs to.
    kind : Dialog
        What is written.
    title : str
        Of the dialog.
    proposed : str or Path
        A name; with a folder it is proposed there, else where the dialog was last used.
    files : str
        Qt's filter of names.
    replaces : bool
        Whether an existing file is replaced, which is asked about.
    """
    # An absolute name stays as it is.
    place = str(_start(kind) / proposed) if str(proposed) else f"{_start(kind)}/"
    if replaces:
        name = QFileDialog.getSaveFileName(parent, title, place, files)[0]
    else:
        option = QFileDialog.Option.DontConfirmOverwrite
        name = QFileDialog.getSaveFileName(parent, title, place, files, "", option)[0]
    return _chosen(kind, name)


def ask_mask(parent: QWidget, name: str, image: Path | None) -> Path | None:
    """Ask where to write the mask of an image `name`: beside it, where it has a file."""
    file = f"{_NO_NAME.sub('_', name).strip(' .') or 'image'}_mask.png"
    proposed = file if image is None else image.absolute().parent / file
    return ask_save(parent, Dialog.SAVE_MASK, "Save the mask", proposed, MASK_FILTER)


def ask_folder(parent: QWidget, kind: Dialog, title: str) -> Path | None:
    """Ask for a folder."""
    name = QFileDialog.getExistingDirectory(parent, title, str(_start(kind)))
    if name:
        remember_folder(folders.last_folders_file(), kind, Path(name))
    return Path(name) if name else None


def _start(kind: Dialog) -> Path:
    # Never none: Qt would begin where any other dialog was used last.
    return last_folder(folders.last_folders_file(), kind) or Path.cwd()


def _chosen(kind: Dialog, name: str) -> Path | None:
    if not name:
        return None
    remember_folder(folders.last_folders_file(), kind, Path(name).parent)
    return Path(name)


class RecentButton(QPushButton):
    """Offers the images and projects that were opened last, in a menu."""

    wanted = Signal(str, str)
    """A path, and of a project its annotator."""

    def __init__(self) -> None:
        super().__init__("Recent")
        self.setToolTip("Images and projects that were opened last")
        self.setMenu(QMenu(self))
        self.menu().aboutToShow.connect(self._fill)
        self.menu().triggered.connect(self._on_chosen)

    def _fill(self) -> None:
        self.menu().clear()
        for path, annotator in read_recent(folders.recent_file()).items():
            place = Path(path)
            by = f", {annotator}" if annotator else ""
            offer = self.menu().addAction(f"{place.name}{by} ({place.parent})".replace("&", "&&"))
            offer.setData((path, annotator))
        if self.menu().isEmpty():
            self.menu().addAction("Nothing was opened yet").setEnabled(False)

    def _on_chosen(self, offer: QAction) -> None:
        self.wanted.emit(*offer.data())
