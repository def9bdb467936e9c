"""The whole project: exports, images, names of classes, imports, and where files lie."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHeaderView,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_semxai.reports.lot_report import write_report
from napari_semxai.store.disk.folders import clear_caches, stored_files
from napari_semxai.store.project.exports import EXPORT_FORMATS
from napari_semxai.store.project.files import annotator_key
from napari_semxai.widgets.common.file_dialogs import Dialog, ask_folder, ask_open, ask_save
from napari_semxai.widgets.common.forms import MASK_SET_FILTER, TABLE_FILTER, Panel, button, note
from napari_semxai.widgets.common.status import StatusText
from napari_semxai.widgets.project.dialogs import (
    ImportQuestions,
    KlarfQuestions,
    show_klarf_changes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from qtpy.QtGui import QShowEvent

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.tools import Imported, ProjectTools
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.disk.folders import StoredFiles
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.store.project.klarf_export import KlarfChoices, KlarfEdit, KlarfOffer
    from napari_semxai.widgets.common.forms import Connections

    Tell = Callable[[int, int], None]
    Offered: TypeAlias = tuple[KlarfOffer | None, Mapping[str, Any]]
    KlarfCopied: TypeAlias = tuple[Path, tuple[KlarfEdit, ...], Mapping[str, str]]

REPORT_FILTER = "Report (*.html)"
_JOB = "files of the program"
_ROW_HEIGHT = 22
_ROWS = 4


class ProjectPanel(Panel):
    """Export and import masks, add images, name classes.

    Parameters
    ----------
    session : Session
        What is shown.
    tools : ProjectTools
        What is called.
    """

    def __init__(self, session: Session, tools: ProjectTools) -> None:
        super().__init__()
        self._session, self._tools = session, tools
        self._create()
        self._lay_out()
        outside: Connections = (
            (session.events.queue, self._on_queue_changed),
            (tools.asked, self._on_import_asked),
            (tools.copied, self._on_klarf_copied),
        )
        inside: Connections = (
            (self.export.clicked, self._on_export_wanted),
            (self.report.clicked, self._on_report_wanted),
            (self.folder.triggered, self._on_folder_wanted),
            (self.table.triggered, self._on_table_wanted),
            (self.masks_folder.triggered, self._on_masks_folder_wanted),
            (self.masks_file.triggered, self._on_masks_file_wanted),
            (self.restore.triggered, tools.restore_replaced),
            (self.names.cellChanged, self._on_name_entered),
        )
        self.connect_all(outside=outside, inside=inside)
        self._on_queue_changed(session.queue)

    def export_to(self, target: Path, choices: KlarfChoices | None = None) -> None:
        """Export what is chosen."""
        form, whose = self.form.currentData(), self.whose.currentText()
        self._tools.export(form, whose, target, every=self.every.isChecked(), choices=choices)

    def _create(self) -> None:
        self.form, self.whose = QComboBox(), QComboBox()
        for name, form in EXPORT_FORMATS.items():
            self.form.addItem(form.title, name)
        self.form.setToolTip("Format of the export")
        self.whose.setToolTip(
            "Annotator whose masks are exported; consensus: pixels that most annotators marked"
        )
        self.every = QCheckBox("Include unreviewed")
        self.every.setToolTip("Export candidates, rejected and unsure masks too")
        self.export = button("Export…", "Export masks marked accepted, corrected or no defect")
        self.report = button(
            "Report…",
            "Write wafer map, sizes, classes and a table with pictures into one HTML file",
        )
        self.add = button("Add images…", "Add images at the end of this project")
        menu = QMenu(self.add)
        self.folder = menu.addAction("Folder of images…")
        self.table = menu.addAction("KLARF file or table…")
        self.add.setMenu(menu)
        self.bring = button("Import masks…", "Import existing masks as your reviews")
        menu = QMenu(self.bring)
        self.masks_folder = menu.addAction("Folder of masks…")
        self.masks_file = menu.addAction("COCO JSON or table…")
        self.restore = menu.addAction("Restore replaced reviews")
        self.bring.setMenu(menu)
        self.names = QTableWidget(0, 2)
        self.names.setHorizontalHeaderLabels(["Class", "Name"])
        self.names.setToolTip("Names of the classes; add a class in the last row")
        self.names.verticalHeader().hide()
        self.names.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.names.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.names.setColumnWidth(0, 60)
        self.names.setFixedHeight(_ROW_HEIGHT * (_ROWS + 1) + 4)

    def _lay_out(self) -> None:
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        rows: tuple[tuple[QWidget, ...], ...] = (
            (self.form, self.whose),
            (self.export, self.report),
            (self.every,),
            (self.names,),
            (self.add, self.bring),
        )
        for number, parts in enumerate(rows):
            for column, part in enumerate(parts):
                layout.addWidget(part, number, column, 1, 2 // len(parts))
        for combo in (self.form, self.whose):
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumContentsLength(8)

    def _on_queue_changed(self, queue: Queue | None) -> None:
        if queue is None:
            return
        me = annotator_key(queue.annotator)
        others = [name for name in queue.annotators if name != me]
        # A majority of one is that one's mask.
        items = [me, *others, *(["consensus"] if others else [])]
        if [self.whose.itemText(i) for i in range(self.whose.count())] != items:
            with signals_blocked(self.whose):
                self.whose.clear()
                self.whose.addItems(items)
        names = queue.class_names
        # One row more than there are classes: the empty last one adds a class.
        if names != self._shown_names() or self.names.rowCount() != len(names) + 1:
            self._show_names(names)

    def _show_names(self, names: Mapping[str, str]) -> None:
        rows = [*names.items(), ("", "")]
        # Filling a cell tells the same as typing into it, and would write the names back.
        with signals_blocked(self.names):
            self.names.setRowCount(len(rows))
            for row, texts in enumerate(rows):
                for column, text in enumerate(texts):
                    item = QTableWidgetItem(text)
                    if column == 0 and text:
                        # A label stands in records; only its name can be another.
                        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                    self.names.setItem(row, column, item)

    def _shown_names(self) -> dict[str, str]:
        cells = (
            [self.names.item(row, column).text().strip() for column in (0, 1)]
            for row in range(self.names.rowCount())
        )
        return {label: name for label, name in cells if label}

    def _on_name_entered(self) -> None:
        queue, shown = self._session.queue, self._shown_names()
        if queue is None:
            return
        changed = {key: name for key, name in shown.items() if queue.class_names.get(key) != name}
        # A new label waits for its name.
        changed = {key: name for key, name in changed.items() if name or key in queue.class_names}
        if changed:
            self._tools.name_classes(changed)

    def _on_klarf_copied(self, copied: KlarfCopied) -> None:
        show_klarf_changes(self, *copied)

    def _on_export_wanted(self) -> None:
        if EXPORT_FORMATS[self.form.currentData()].offer is None:
            self._ask_target(None)
        elif not self._tools.hides(self.whose.currentText()):
            self._find_offer(None)

    def _find_offer(self, source: Path | None) -> None:
        """Find out what can be chosen, of another file than the project's where one is given."""
        work = partial(_offered, self.form.currentData(), self.whose.currentText(), source)
        self._tools.begin("Export", work, self._on_offered)

    def _on_offered(self, offered: Offered) -> None:
        offer, chosen = offered
        if offer is None:
            path = ask_open(self, Dialog.TABLE, "KLARF file to copy", "KLARF (*)")
            if path is not None:
                self._find_offer(path)
            return
        dialog = KlarfQuestions(offer, chosen, self)
        if dialog.exec():
            self._ask_target(dialog.choices)
        dialog.deleteLater()

    def _ask_target(self, choices: KlarfChoices | None) -> None:
        files = EXPORT_FORMATS[self.form.currentData()].file_filter
        if not files:
            path = ask_folder(self, Dialog.EXPORT, "Choose a folder for the masks")
        else:
            path = ask_save(self, Dialog.EXPORT, "Export", "", files)
        if path is not None:
            self.export_to(path, choices)

    def _on_report_wanted(self) -> None:
        path = ask_save(self, Dialog.EXPORT, "Write a report", "report.html", REPORT_FILTER)
        if path is not None:
            self._tools.report(write_report, path)

    def _on_masks_folder_wanted(self) -> None:
        path = ask_folder(self, Dialog.IMPORT, "A folder of masks, named as the images")
        if path is not None:
            self._tools.import_masks(path)

    def _on_masks_file_wanted(self) -> None:
        path = ask_open(self, Dialog.IMPORT, "COCO JSON, or a table of masks", MASK_SET_FILTER)
        if path is not None:
            self._tools.import_masks(path)

    def _on_import_asked(self, imported: Imported) -> None:
        dialog = ImportQuestions(imported, self)
        if dialog.exec() and dialog.choices is not None:
            self._tools.import_masks(imported.source, dialog.choices)
        # Qt would keep it, with all it knows of the import, as long as the panel.
        dialog.deleteLater()

    def _on_folder_wanted(self) -> None:
        path = ask_folder(self, Dialog.IMAGES, "Choose a folder of images")
        if path is not None:
            self._tools.add(path)

    def _on_table_wanted(self) -> None:
        path = ask_open(self, Dialog.TABLE, "Open a KLARF file or a table", TABLE_FILTER)
        if path is not None:
            self._tools.add(path)


class StoragePanel(Panel):
    """A line for each folder; measured when the panel comes into view.

    Parameters
    ----------
    jobs : Jobs
        Measures and clears.
    """

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self.text, self.said = note(), StatusText()
        self.clear = button(
            "Clear caches",
            "Delete cached project indexes and concepts; they are rebuilt when needed",
        )
        self.again = button("Update sizes", "Measure the folders again")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.again, 0, 0)
        layout.addWidget(self.clear, 0, 1)
        layout.addWidget(self.said, 1, 0, 1, 2)
        # Last: it grows when it is known what to say.
        layout.addWidget(self.text, 2, 0, 1, 2)
        self.again.clicked.connect(self.measure)
        self.clear.clicked.connect(self._on_clear_wanted)

    def showEvent(self, event: QShowEvent) -> None:
        """Measure."""
        super().showEvent(event)
        self.measure()

    def measure(self) -> None:
        """Look how big the folders are."""
        self._jobs.run(_JOB, stored_files, self.set_stored, self._on_failed)

    def release(self) -> None:
        """Let go of what is still measured."""
        self._jobs.forget(_JOB)

    def set_stored(self, stored: tuple[StoredFiles, ...]) -> None:
        """Show folders and sizes."""
        lines = (
            f"<b>{one.name}</b>{' (cache)' if one.cache else ''}: {_megabytes(one.size)}<br>"
            f"{one.folder}"
            for one in stored
        )
        self.text.setText("<br>".join(lines))
        self.said.setText("")

    def _on_clear_wanted(self) -> None:
        self._jobs.run(_JOB, _cleared, self.set_stored, self._on_failed)

    def _on_failed(self, message: str) -> None:
        self.said.setText(message)


def _offered(
    form: str, annotator: str, source: Path | None, opened: OpenProject, tell: Tell
) -> Offered:
    """Return what a form of export lets one choose, and what was chosen last."""
    offer = EXPORT_FORMATS[form].offer
    offered = None if offer is None else offer(opened.project, annotator, source, tell)
    return offered, opened.project.info.exports.get(form, {})


def _cleared() -> tuple[StoredFiles, ...]:
    clear_caches()
    return stored_files()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else "empty"
