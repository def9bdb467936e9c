"""Who reviews, and which project."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QWidget

from napari_semxai.widgets.file_dialogs import Dialog, ask_folder, ask_open
from napari_semxai.widgets.parts import TABLE_FILTER, button

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.controllers.projects import ProjectController


class OpenProject(QWidget):
    """Open a project, or make one: in the user's own data folder, or where a person says.

    Parameters
    ----------
    projects : ProjectController
        The controller that is called.
    """

    def __init__(self, projects: ProjectController) -> None:
        super().__init__()
        self._projects = projects
        self.annotator = QLineEdit(getpass.getuser())
        self.annotator.setToolTip("Who reviews; each annotator's masks and reviews are apart")
        self.open = button("Open project…", "A project, a folder of images, Carinthia or KLARF")
        menu = QMenu(self.open)
        self.folder = menu.addAction("Folder: project, images, Carinthia…")
        self.table = menu.addAction("KLARF file or table…")
        menu.addSeparator()
        self.new_of_folder = menu.addAction("New project in…: folder of images")
        self.new_of_table = menu.addAction("New project in…: KLARF file or table")
        self.open.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.open, self.annotator):
            layout.addWidget(part, stretch=1)
        self.folder.triggered.connect(self.open_folder)
        self.table.triggered.connect(self.open_table)
        self.new_of_folder.triggered.connect(self.make_of_folder)
        self.new_of_table.triggered.connect(self.make_of_table)

    def open_folder(self) -> None:
        """Ask for a project's folder or a folder of images, and open it."""
        source = ask_folder(self, Dialog.PROJECT, "A project, or a folder of images")
        if source is not None:
            self._projects.open(source, self.annotator.text())

    def open_table(self) -> None:
        """Ask for a KLARF file or a table of images, and open it."""
        source = self._ask_table()
        if source is not None:
            self._projects.open(source, self.annotator.text())

    def make_of_folder(self) -> None:
        """Ask for a folder of images and for the folder of its project, for a shared drive."""
        self._make(ask_folder(self, Dialog.IMAGES, "A folder of images"))

    def make_of_table(self) -> None:
        """Ask for a table and for the folder of its project, for a shared drive."""
        self._make(self._ask_table())

    def _make(self, source: Path | None) -> None:
        if source is None:
            return
        place = ask_folder(self, Dialog.NEW_PROJECT, "An empty folder for the project")
        if place is not None:
            self._projects.open(source, self.annotator.text(), place)

    def _ask_table(self) -> Path | None:
        return ask_open(self, Dialog.TABLE, "A KLARF file or a table", TABLE_FILTER)
