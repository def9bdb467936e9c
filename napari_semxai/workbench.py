"""The window: the docks of one viewer, its keys and messages, over the parts they share."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QApplication, QDockWidget, QShortcut, QWidget

from napari_semxai.controllers.kept_settings import ChoicesController, PixelSizeController
from napari_semxai.controllers.project.certify import CertifyController
from napari_semxai.controllers.project.review import GroupReview
from napari_semxai.controllers.project.thumbnails import Thumbnails
from napari_semxai.engine.client import EngineClient
from napari_semxai.layers.mask.lasso_tool import LASSO, POLYGON
from napari_semxai.layers.mask.mask_watch import BRUSH_STEP
from napari_semxai.parts import Parts
from napari_semxai.state.open_image import SaveStage
from napari_semxai.types import ReviewState
from napari_semxai.widgets.candidates.dock import CandidatesDock
from napari_semxai.widgets.common.forms import WholeStrokes, note
from napari_semxai.widgets.common.numbers import FOCUS_FRAME
from napari_semxai.widgets.common.progress_bar import WorkLine, WorkMonitor
from napari_semxai.widgets.common.window import (
    CanvasRoom,
    ClosingQuestion,
    FloatingPanel,
    Notices,
    settings_saved_once,
)
from napari_semxai.widgets.edit import dock as edit_dock
from napari_semxai.widgets.edit.dock import QUEUE, REVIEW, EditDock
from napari_semxai.widgets.edit.panels import ClickPanel, DefectsPanel, SizePanel
from napari_semxai.widgets.explain.dock import ExplainDock
from napari_semxai.widgets.project.gallery import SIDE, Gallery
from napari_semxai.widgets.project.project_panel import ProjectPanel, StoragePanel
from napari_semxai.widgets.project.queue_panel import QueuePanel
from napari_semxai.widgets.project.review_panel import AnnotatorsPanel, CertifyPanel, ReviewPanel
from napari_semxai.widgets.research.dock import ResearchDock
from napari_semxai.widgets.scores.dock import ScoresDock
from napari_semxai.widgets.settings.shortcuts import CLASS_KEYS, KeysPanel, KeyTable
from napari_semxai.widgets.survey.dock import SurveyDock

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_semxai.store.disk.folders import Folders
    from napari_semxai.widgets.common.forms import Panel, ScrolledDock

_logger = logging.getLogger(__name__)
T = TypeVar("T")
CANDIDATES, EDIT, EXPLAIN = "Mask candidates", "Edit & review", "Explain"
SCORES, SURVEY, RESEARCH = "Scores", "Survey", "Research"
_MOMENT = 50
"""Milliseconds that the window has for itself before another dock is made."""


class Workbench(Parts):
    """The docks of one viewer over the parts that they share, its keys and messages.

    Parameters are those of `Parts`.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        folders: Folders | None = None,
        start_engine: Callable[..., EngineClient] = EngineClient,
    ) -> None:
        super().__init__(viewer, folders, start_engine)
        self.docks: dict[str, ScrolledDock] = {}
        self._places: dict[str, QWidget] = {}
        self._later = QTimer(singleShot=True, interval=_MOMENT)
        self._later.timeout.connect(self._make_next)
        self._start_window()
        self.segment.warm()

    def _start_window(self) -> None:
        """Say messages, take up what was chosen before, bind the keys."""
        window = self.viewer.window._qt_window
        canvas = window._qt_viewer.canvas.native
        self.monitor = self._owned(WorkMonitor(self.session))
        self.notices = self._owned(Notices(canvas), "clear")
        self.monitor.said.connect(self.notices.show)
        self.monitor.over.connect(self.notices.end)
        self.choices = ChoicesController(self.session, self.writes, self.folders.choices)
        self.keys = self._owned(KeyTable(canvas, _key_actions(self), self.folders.shortcuts))
        # napari makes its menus anew now and then; each image takes our keys from them again.
        self.layers.mask_layer_changed.connect(self.keys.bind)
        self.strokes = WholeStrokes(canvas)
        self.closing = ClosingQuestion(window, self.edit)
        self.room: CanvasRoom | None = None
        self._help = QShortcut(QKeySequence("?"), window, activated=self.show_keys)
        self._side = QShortcut(QKeySequence("F6"), window, activated=self.switch_side)
        # Of `removed`, napari's own callbacks hear first, and those delete.
        removing = self.viewer.layers.events.removing
        removing.connect(self._on_layer_removing)
        self._closing.callback(removing.disconnect, self._on_layer_removing)

    def dock(self, title: str) -> ScrolledDock:
        """Return the dock of this title, created on first use."""
        if title not in self.docks:
            dock = self.docks[title] = DOCKS[title].make(self)
            dock.keep_sections(self.choices)
            dock.set_foot(WorkLine(self.monitor, self.show_log))
            dock.destroyed.connect(partial(self._on_dock_destroyed, title))
            place = self._places.pop(title, None)
            if place is not None and isalive(place):
                place.parentWidget().setWidget(dock)
                place.deleteLater()
        return self.docks[title]

    def dock_of_menu(self, title: str) -> ScrolledDock:
        """Return the dock of this title for a menu, which opens it; then it joins the others."""
        QTimer.singleShot(0, partial(self._join, title))
        return self.dock(title)

    def _join(self, title: str) -> None:
        """Make a dock a tab beside the others: napari lays it in a strip below them."""
        dock = self._holder(self.docks.get(title))
        parts = [*self.docks.values(), *self._places.values()]
        others = [one for one in map(self._holder, parts) if one not in (None, dock)]
        if dock is not None and others:
            dock.setWindowTitle(DOCKS[title].tab)
            self.viewer.window._qt_window.tabifyDockWidget(others[-1], dock)
            # Qt brings no tab to the front that lies over all other parts already, or is not laid.
            others[-1].raise_()
            QTimer.singleShot(0, dock.raise_)

    def _holder(self, widget: QWidget | None) -> QDockWidget | None:
        """Return what holds a dock's widget at the right edge of the window."""
        holder = widget.parentWidget() if widget is not None and isalive(widget) else None
        if not isinstance(holder, QDockWidget) or holder.isFloating():
            return None
        area = self.viewer.window._qt_window.dockWidgetArea(holder)
        return holder if area == Qt.DockWidgetArea.RightDockWidgetArea else None

    def show(self) -> None:
        """Open all docks as tabs on the right.

        The one in front is there at once; the others are made while nothing else is to be done,
        or when they are asked for.
        """
        with settings_saved_once():
            for title, entry in DOCKS.items():
                widget = self._dock_or_place(title)
                if widget.parent() is None:
                    # The name that napari's menus give it, so that they toggle this same dock.
                    name = f"{title} (SEMXAI)"
                    dock = self.viewer.window.add_dock_widget(
                        widget, name=name, area="right", tabify=True
                    )
                    dock.setWindowTitle(entry.tab)
                widget.parent().show()
        front = self.dock(CANDIDATES).parent()
        front.raise_()
        self.room = self.room or CanvasRoom(self.viewer.window._qt_window, front)
        self._later.start()
        # Single keys are the image's.
        self.viewer.window._qt_viewer.canvas.native.setFocus()

    def _dock_or_place(self, title: str) -> QWidget:
        """Return a dock, or what stands in its place until it is made."""
        if title in self.docks or title == CANDIDATES:
            return self.dock(title)
        if title not in self._places or not isalive(self._places[title]):
            self._places[title] = QWidget()
        return self._places[title]

    def _make_next(self) -> None:
        """Make one more dock, and go on when everything else has had its turn."""
        title = next(iter(self._places), None)
        if title is not None:
            if isalive(self._places[title]):
                self.dock(title)
            self._places.pop(title, None)
            self._later.start()

    def close(self) -> None:
        """Write what is unsaved, end the engines and let go of the viewer."""
        self._later.stop()
        for dock in self.docks.values():
            dock.release()
        self.docks = {}
        project = self.session.project
        super().close()
        if project is not None:
            # Nobody was told of the last writes: their copies are there still.
            project.unsaved(self.folders.recovery)
            # The window can show nothing any more.
            for line in project.unwritten:
                _logger.warning(line)

    def show_log(self) -> None:
        """Show what was said in this session, in a window that goes when it is closed."""
        said = note("\n".join(self.monitor.log))
        shown = FloatingPanel("Messages", said, self.viewer.window._qt_window)
        shown.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        shown.bring()

    def show_keys(self) -> None:
        """Show all keys in a window of their own."""
        dock = self.dock(EDIT)
        if isinstance(dock, EditDock):
            dock.keys.bring()

    def switch_side(self) -> None:
        """Let the keys go to the dock in front, or back to the image, which keeps Tab."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        front = next((dock for dock in self.docks.values() if dock.on_screen), canvas)
        if front.isAncestorOf(QApplication.focusWidget() or canvas):
            front = canvas
        front.setFocus(Qt.FocusReason.ShortcutFocusReason)
        if front is not canvas:
            # Not before: styling all docks takes a tenth of the time to open them. And once.
            if not front.styleSheet():
                front.setStyleSheet(FOCUS_FRAME)
            front.focusNextPrevChild(True)

    def open_sample(self) -> None:
        """Open the synthetic sample image with its exact mask."""
        self.viewer.open_sample("napari-semxai", "defect")

    def focus(self, panel: str, field: str) -> None:
        """Let a person type into a field of the *Edit & review* dock."""
        dock = self.dock(EDIT)
        if isinstance(dock, EditDock):
            _bring(dock, getattr(dock.panels[panel], field))

    def focus_alpha(self) -> None:
        """Let the arrow keys move α, in the *Mask candidates* dock; Tab goes on from there."""
        dock = self.dock(CANDIDATES)
        if isinstance(dock, CandidatesDock):
            _bring(dock, dock.alpha)

    def save(self) -> None:
        """Save the mask in the project or where it was saved last, or ask."""
        if self.review.save():
            return
        path = self.session.save.path
        if self.session.save.state in (SaveStage.SAVED, SaveStage.FAILED) and path is not None:
            self.edit.save(path)
            return
        dock = self.dock(EDIT)
        if isinstance(dock, EditDock):
            dock.save()

    def _make_candidates(self) -> ScrolledDock:
        dock = CandidatesDock(
            self.session, self.images, self.segment, self.downloads, self.layers, self.learning
        )
        dock.sample_wanted.connect(self.open_sample)
        dock.welcome.recent.wanted.connect(self.projects.open_recent)
        dock.welcomed.connect(partial(self.images.look_for_leftovers, self.folders.recovery))
        dock.welcome_if_empty()
        return dock

    def _make_edit(self) -> ScrolledDock:
        return EditDock(self.session, self.edit, self.layers, _edit_panels(self), self.lasso)

    def _make_scores(self) -> ScrolledDock:
        dock = ScoresDock(self.viewer, self.session, self.evaluate, self.comparison, self.table)
        dock.tau_picked.connect(self.explaining.masks.set_threshold)
        return dock

    def _on_layer_removing(self) -> None:
        """Let napari delete what a layer was drawn with in the context that drew it.

        It does so at once, outside of any drawing, in whatever OpenGL context is current: most
        often the one in which Qt puts the window together. Mesa frees the programs of another
        context later, and unbinds the ones in use with them: the process dies (SIGSEGV) when one
        program draws before and after, as two presses of the mouse make it.
        """
        self.viewer.window._qt_viewer.canvas.native.makeCurrent()

    def _on_dock_destroyed(self, title: str) -> None:
        if (dock := self.docks.pop(title, None)) is not None:
            dock.release()


def _bring(dock: ScrolledDock, part: QWidget) -> None:
    """Bring a dock to the front, and give a part of it the keys."""
    if dock.parentWidget() is not None:
        dock.parentWidget().show()
        dock.parentWidget().raise_()
        dock.ensureWidgetVisible(part)
        part.setFocus(Qt.FocusReason.ShortcutFocusReason)


def _key_actions(bench: Workbench) -> dict[str, Callable[[], object]]:
    """Return what each of `SHORTCUTS` does."""
    review, queue, layers = bench.review, bench.queue, bench.layers
    look_at = layers.layout.look_at
    return {
        "generate": bench.segment.generate,
        "alpha": bench.focus_alpha,
        "accept": review.accept,
        "no defect": partial(review.review, ReviewState.NO_DEFECT),
        "reject": partial(review.review, ReviewState.REJECTED),
        "unsure": partial(review.review, ReviewState.UNSURE),
        "undo review": review.undo,
        "next": partial(queue.step, 1),
        "previous": partial(queue.step, -1),
        "next unreviewed": queue.next_unreviewed,
        "jump": partial(bench.focus, QUEUE, "jump"),
        "comment": partial(bench.focus, REVIEW, "comment"),
        "mask": layers.toggle_mask,
        "explanation": bench.explanations.toggle,
        "next defect": partial(
            bench.defects.find_next, lambda one: look_at(one.box if one else None)
        ),
        "next heat map": bench.explaining.heatmaps.show_next,
        "before": layers.toggle_before,
        "beside": bench.side_by_side.toggle,
        "reference": layers.references.blink,
        "outline": layers.tool.toggle_outline,
        "opacity": layers.tool.next_opacity,
        "move": partial(layers.take_tool, "pan_zoom"),
        "brush": partial(layers.take_tool, "paint"),
        "erase": partial(layers.take_tool, "erase"),
        "lasso": partial(bench.lasso.activate, LASSO),
        "polygon": partial(bench.lasso.activate, POLYGON),
        "ignore": bench.edit.toggle_ignoring,
        "ignored": layers.tool.toggle_ignored,
        "smaller": partial(layers.tool.scale_brush, 1 / BRUSH_STEP),
        "larger": partial(layers.tool.scale_brush, BRUSH_STEP),
        "undo": layers.undo,
        "redo": partial(layers.undo, again=True),
        "click": partial(bench.clicks.activate, True),
        "new object": bench.clicks.begin_object,
        "apply answer": bench.clicks.apply_offer,
        "discard answer": bench.clicks.discard_offer,
        "automatic": bench.edit.apply_automatic,
        "previous mask": bench.edit.clipboard.add_previous,
        "copy": bench.edit.clipboard.copy,
        "paste": bench.edit.clipboard.paste,
        "save": bench.save,
        **{f"class {n}": partial(review.set_class, n) for n in CLASS_KEYS},
    }


def _edit_panels(bench: Workbench) -> dict[str, Panel]:
    """Make the panels of *Edit & review*."""
    session, review = bench.session, bench.review
    small = Thumbnails(session, bench.jobs)
    large = Thumbnails(session, bench.jobs, SIDE, outlined=True)
    group = GroupReview(session, review, bench.writes)
    certify = CertifyController(session, bench.queue, group, bench.writes)
    queue = QueuePanel(
        session, bench.projects, bench.queue, bench.images, bench.queue_masks, small
    )
    queue.add_gallery(Gallery(session, large, group, review, bench.images, bench.queue))
    queue.annotator.setText(bench.choices.annotator)
    sizes = PixelSizeController(session, bench.writes)
    return {
        QUEUE: queue,
        REVIEW: ReviewPanel(session, review),
        edit_dock.ANNOTATORS: AnnotatorsPanel(session, bench.annotators, bench.tools),
        edit_dock.CERTIFY: CertifyPanel(session, certify),
        edit_dock.PROJECT: ProjectPanel(session, bench.tools),
        edit_dock.CLICKS: ClickPanel(session, bench.clicks, bench.click_preview, bench.choices),
        edit_dock.KEYS: KeysPanel(bench.keys),
        edit_dock.DEFECTS: DefectsPanel(session, bench.defects, bench.layers.layout.look_at),
        edit_dock.SIZE: SizePanel(session, sizes, bench.ruler),
        edit_dock.STORAGE: StoragePanel(bench.jobs),
    }


class _Dock(NamedTuple):
    """The short name of a dock's tab, six of which fit a small laptop, and what makes it."""

    tab: str
    make: Callable[[Workbench], ScrolledDock]


DOCKS = {
    CANDIDATES: _Dock("Candidates", Workbench._make_candidates),
    EDIT: _Dock("Edit", Workbench._make_edit),
    EXPLAIN: _Dock("Explain", lambda b: ExplainDock(b.session, b.explaining, b.explanations)),
    SCORES: _Dock("Scores", Workbench._make_scores),
    SURVEY: _Dock("Survey", lambda b: SurveyDock(b.session, b.survey, b.jobs)),
    RESEARCH: _Dock(
        "Research",
        lambda b: ResearchDock(
            b.session, b.research, b.curves, b.segment, runs=b.runs, jobs=b.jobs
        ),
    ),
}
