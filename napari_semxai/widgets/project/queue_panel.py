"""The queue of a project: where one is, and where to go."""

from __future__ import annotations

import getpass
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QTimer
from qtpy.QtWidgets import (
    QGridLayout,
    QInputDialog,
    QLineEdit,
    QListView,
    QMenu,
    QProgressBar,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_semxai.types import time_left
from napari_semxai.widgets.common.file_dialogs import Dialog, RecentButton, ask_folder, ask_open
from napari_semxai.widgets.common.forms import TABLE_FILTER, Panel, Section, button, row
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.common.window import FloatingPanel
from napari_semxai.widgets.project.queue_list import QueueFilters, QueueModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_semxai.controllers.project.batch_masks import QueueMasks
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.projects import ProjectController
    from napari_semxai.controllers.project.queue import QueueController
    from napari_semxai.controllers.project.thumbnails import Thumbnails
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.types import Progress
    from napari_semxai.widgets.common.forms import Connections


class ProjectOpener(QWidget):
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
        self.annotator.setToolTip("Annotator name; everybody's masks and reviews are stored apart")
        self.open = button(
            "Open project…", "Open a project, a folder of images, a Carinthia download or KLARF"
        )
        menu = QMenu(self.open)
        self.folder = menu.addAction("Open folder (project, images, Carinthia)…")
        self.table = menu.addAction("Open KLARF file or table…")
        menu.addSeparator()
        self.new_of_folder = menu.addAction("New project from image folder…")
        self.new_of_table = menu.addAction("New project from KLARF file or table…")
        menu.addSeparator()
        self.another = menu.addAction("Review as another annotator…")
        self.open.setMenu(menu)
        self.recent = RecentButton()
        row(self, self.open, self.recent, self.annotator)
        self.recent.wanted.connect(projects.open_recent)
        self.folder.triggered.connect(self.open_folder)
        self.table.triggered.connect(self.open_table)
        self.new_of_folder.triggered.connect(self.make_of_folder)
        self.new_of_table.triggered.connect(self.make_of_table)
        self.another.triggered.connect(self.change_annotator)
        self.show_project(None)

    def show_project(self, queue: Queue | None) -> None:
        """Take up whose project is open; the name in the field is for the next one."""
        self._queue = queue
        self.another.setEnabled(queue is not None)
        # The write lock is the annotator's: another name needs the project opened anew.
        self.annotator.setReadOnly(queue is not None)
        if queue is not None:
            self.annotator.setText(queue.annotator)

    def change_annotator(self) -> None:
        """Ask for a name, and open the project anew for it, at the same image."""
        queue = self._queue
        if queue is not None:
            question = "Name of the annotator who reviews from now on"
            name, agreed = QInputDialog.getText(self, "Annotator", question, text=queue.annotator)
            if agreed and name.strip() != queue.annotator:
                self._projects.open(queue.folder, name.strip(), at=queue.current)

    def open_folder(self) -> None:
        """Ask for a project's folder or a folder of images, and open it."""
        source = ask_folder(self, Dialog.PROJECT, "Open a project or a folder of images")
        if source is not None:
            self._projects.open(source, self.annotator.text())

    def open_table(self) -> None:
        """Ask for a KLARF file or a table of images, and open it."""
        source = self._ask_table()
        if source is not None:
            self._projects.open(source, self.annotator.text())

    def make_of_folder(self) -> None:
        """Ask for a folder of images and for the folder of its project, for a shared drive."""
        self._make(ask_folder(self, Dialog.IMAGES, "Choose a folder of images"))

    def make_of_table(self) -> None:
        """Ask for a table and for the folder of its project, for a shared drive."""
        self._make(self._ask_table())

    def _make(self, source: Path | None) -> None:
        if source is None:
            return
        place = ask_folder(self, Dialog.NEW_PROJECT, "Choose an empty folder for the project")
        if place is not None:
            self._projects.open(source, self.annotator.text(), place)

    def _ask_table(self) -> Path | None:
        return ask_open(self, Dialog.TABLE, "Open a KLARF file or a table", TABLE_FILTER)


_LOOK_MILLISECONDS = 20_000
"""How often others' progress is looked for."""
_WELCOME = (
    "No project is open. Open a folder or a KLARF file and review it image by image; your images "
    "are never changed."
)


class QueuePanel(Panel):
    """Open a project, see "12 of 4,591", go on, jump, filter.

    Parameters
    ----------
    session : Session
        What is shown.
    projects, queue, images, masks
        The controllers that are called.
    thumbnails : Thumbnails
        Small pictures of the images.
    """

    def __init__(
        self,
        session: Session,
        projects: ProjectController,
        queue: QueueController,
        images: ImageController,
        masks: QueueMasks,
        thumbnails: Thumbnails,
    ) -> None:
        super().__init__()
        self.gallery: FloatingPanel | None = None
        self._released: list[Callable[[], None]] = []
        self._session, self._projects = session, projects
        self._queue, self._images, self._masks = queue, images, masks
        self.model = QueueModel(thumbnails)
        self._create()
        self._lay_out()
        outside: Connections = (
            (session.events.queue, self._on_queue_changed),
            (session.events.batch, self._on_batch_changed),
            (session.events.tally, self._show_summary),
            (thumbnails.ready, self.model.refresh),
        )
        self.connect_all(outside=outside, inside=self._inside_table())
        self._on_queue_changed(session.queue)
        self._on_batch_changed(session.batch)
        self.keep_view.setChecked(session.keep_view)
        self._timer = QTimer(self)
        # By the clock: a shared drive tells nobody when another annotator has written.
        self._timer.timeout.connect(queue.watch)
        self._timer.start(_LOOK_MILLISECONDS)

    def add_gallery(self, gallery: Panel) -> None:
        """Let a button show large pictures of the images, in a window of their own."""
        self.gallery = FloatingPanel("Gallery", gallery, self)
        self.gallery.resize(820, 560)
        self.bring.clicked.connect(self.gallery.bring)
        self._released.append(gallery.release)

    def release(self) -> None:
        """Disconnect from the session."""
        for release in self._released:
            release()
        self._timer.stop()
        super().release()

    def _create(self) -> None:
        self.opening = ProjectOpener(self._projects)
        self.annotator = self.opening.annotator
        self.where, self.summary = StatusText(2), StatusText()
        self.previous = button("◀ Previous", "Previous image in the list (Alt+Left)")
        self.following = button("Next ▶", "Next image in the list (Alt+Right)")
        self.unreviewed = button(
            "Next unreviewed", "Next image in the list without a review (Alt+U)"
        )
        self.jump = QLineEdit()
        self.jump.setPlaceholderText("Number or name ⏎")
        self.jump.setToolTip("Jump to an image by its number or part of its name (Alt+J)")
        self.filters = QueueFilters(self._queue)
        self.list = QListView()
        self.list.setModel(self.model)
        # Else Qt would measure all rows, and ask for the picture of each.
        self.list.setUniformItemSizes(True)
        self.list.setFixedHeight(150)
        self.masks = button(
            "Generate all masks",
            "Generate masks for all unreviewed images in the background, with the current "
            "settings",
        )
        tip = "Show the next image of the same size where this one is seen; else all of it"
        self.keep_view = button("Keep zoom", tip, checkable=True)
        self.bring = button("Gallery…", "Choose several images by their pictures, and review")
        self.refresh = button("Refresh", "Load the latest reviews of other annotators")
        self.progress, self.cancel = (
            QProgressBar(),
            button("Cancel", "Cancel; finished work is kept"),
        )

    def _lay_out(self) -> None:
        browser, another = QWidget(), button("Open project…", self.opening.open.toolTip())
        another.setMenu(self.opening.open.menu())
        grid = QGridLayout(browser)
        grid.setContentsMargins(0, 0, 0, 0)
        rows: tuple[tuple[QWidget, ...], ...] = (
            (another, row(QWidget(), self.refresh, self.bring)),
            (self.filters,),
            (self.keep_view, self.masks),
            (self.list,),
            (self._batch_row(),),
        )
        for number, parts in enumerate(rows):
            for column, part in enumerate(parts):
                grid.addWidget(part, number, column, 1, 2 // len(parts))
        self.browser = Section("Image list", browser)
        # In the place of each other: without a project there is nowhere to go, with one it is
        # opened already.
        self.first = QStackedWidget()
        steps = row(QWidget(), self.previous, self.following, self.unreviewed, self.jump)
        for part in (self.opening, steps):
            self.first.addWidget(part)
        self.first.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.where, self.first, self.browser):
            layout.addWidget(part)

    def _batch_row(self) -> QWidget:
        """Return one row: what is reviewed, or how far the job is that runs now."""
        self.said = QStackedWidget()
        for page in (self.summary, self.progress):
            self.said.addWidget(page)
        self.said.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return row(QWidget(), self.said, self.cancel)

    def _inside_table(self) -> Connections:
        return (
            (self.previous.clicked, self._on_previous_wanted),
            (self.following.clicked, self._on_next_wanted),
            (self.unreviewed.clicked, self._queue.next_unreviewed),
            (self.jump.returnPressed, self._on_jump_wanted),
            (self.refresh.clicked, self._queue.refresh),
            (self.masks.clicked, self._masks.start),
            (self.cancel.clicked, self._on_cancel_wanted),
            (self.keep_view.clicked, partial(setattr, self._session, "keep_view")),
            (self.list.activated, self._on_row_activated),
            (self.list.clicked, self._on_row_activated),
        )

    def _on_queue_changed(self, queue: Queue | None) -> None:
        for part in (self.previous, self.following, self.unreviewed, self.jump, self.masks):
            part.setEnabled(queue is not None)
        self.browser.setVisible(queue is not None)
        self.first.setCurrentIndex(int(queue is not None))
        self.opening.show_project(queue)
        if queue is None:
            self.model.set_rows(())
            self.where.setText(_WELCOME)
            self.summary.setText("")
            return
        self.model.set_rows(queue.shown, queue.unreadable, queue.filter.ranked)
        self.where.setText(_where(queue))
        self._show_summary()
        self.filters.show_filter(queue)
        if queue.position is None:
            # The open image does not pass the filter: no other one stands for it.
            self.list.setCurrentIndex(QModelIndex())
        else:
            index = self.model.index(queue.position)
            # Selecting opens nothing: only a click or Enter does.
            self.list.setCurrentIndex(index)
            self.list.scrollTo(index)

    def _show_summary(self) -> None:
        queue, tally = self._session.queue, self._session.tally
        if queue is None:
            return
        parts = [f"{queue.reviewed:,} of {queue.total:,} reviewed"]
        if queue.unreadable:
            parts.append(f"{len(queue.unreadable):,} unreadable")
        if tally.per_hour is not None:
            parts.append(f"{tally.per_hour:,.0f} an hour")
            states = ", ".join(f"{n:,} {state}" for state, n in tally.states.items() if n)
            self.summary.setToolTip(
                f"This session: {states}; {tally.seconds / tally.count:.1f} s an image, without "
                "breaks over five minutes"
            )
        self.summary.setText(", ".join(parts))

    def _on_batch_changed(self, batch: Progress) -> None:
        running = batch.running
        self.said.setCurrentWidget(self.progress if running else self.summary)
        self.cancel.setEnabled(running)
        self.progress.setRange(0, batch.total)
        self.progress.setValue(batch.done)
        self.progress.setFormat(f"{batch.stage} %v of %m{time_left(batch.seconds_left)}")

    def _on_previous_wanted(self) -> None:
        self._queue.step(-1)

    def _on_next_wanted(self) -> None:
        self._queue.step(1)

    def _on_jump_wanted(self) -> None:
        self._queue.find(self.jump.text())
        self.jump.clear()

    def _on_row_activated(self, index: QModelIndex) -> None:
        self._images.go(self.model.image_at(index.row()))

    def _on_cancel_wanted(self) -> None:
        # One button for whichever of them runs; the others ignore it.
        for part in (self._projects, self._masks, self._queue):
            part.cancel()


def _where(queue: Queue) -> str:
    whose = f"{escape(queue.name)}, {escape(queue.annotator)} · {queue.reviewed:,} reviewed"
    if not queue.current:
        return f"<b>{queue.total:,} images</b><br>{whose}"
    text = f"<b>{queue.number:,} of {queue.total:,}</b> · {escape(queue.title)}<br>{whose}"
    if len(queue.shown) != queue.total:
        place = "–" if queue.position is None else f"{queue.position + 1:,}"
        text += f" · {place} of {len(queue.shown):,} listed"
    return text
