"""The composition root of the window: what the docks of one viewer share, their keys."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.controllers.edit.defects import DefectsController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.edit.preview import ClickPreview
from napari_semxai.controllers.explain.explain import Explaining
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.kept_settings import ChoicesController, PixelSizeController
from napari_semxai.controllers.project.annotators import AnnotatorsController
from napari_semxai.controllers.project.batch_masks import QueueMasks
from napari_semxai.controllers.project.images import ImageController
from napari_semxai.controllers.project.learning import LearningController
from napari_semxai.controllers.project.projects import ProjectController
from napari_semxai.controllers.project.queue import QueueController
from napari_semxai.controllers.project.review import GroupReview, ReviewController
from napari_semxai.controllers.project.review_writer import ReviewWriter
from napari_semxai.controllers.project.thumbnails import Thumbnails
from napari_semxai.controllers.project.tools import ProjectTools
from napari_semxai.controllers.research.research import ResearchController
from napari_semxai.controllers.research.runs import RunController
from napari_semxai.controllers.scores.comparison_table import ComparisonTableController
from napari_semxai.controllers.scores.evaluate import EvaluateController
from napari_semxai.controllers.scores.threshold_curves import ThresholdCurvesController
from napari_semxai.controllers.segment.download import DownloadController
from napari_semxai.controllers.segment.segment import SegmentController
from napari_semxai.controllers.survey import SurveyController
from napari_semxai.engine.client import EngineClient
from napari_semxai.layers.explain.explanations import ExplanationLayers
from napari_semxai.layers.mask.click_tool import ClickTool, Ruler
from napari_semxai.layers.mask.comparison import Comparison, SideBySide
from napari_semxai.layers.mask.mask_watch import BRUSH_STEP
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.open_image import SaveStage
from napari_semxai.state.session import Session
from napari_semxai.store.disk.folders import Folders
from napari_semxai.types import ReviewState
from napari_semxai.widgets.candidates.dock import CandidatesDock
from napari_semxai.widgets.common.progress_bar import MainThread, WorkLine, WorkMonitor
from napari_semxai.widgets.common.window import (
    CanvasRoom,
    ClosingQuestion,
    Notices,
    settings_saved_once,
    show_text,
)
from napari_semxai.widgets.edit import dock as edit_dock
from napari_semxai.widgets.edit.dock import QUEUE, REVIEW, EditDock
from napari_semxai.widgets.edit.panels import ClickPanel, DefectsPanel, SizePanel
from napari_semxai.widgets.explain.dock import ExplainDock
from napari_semxai.widgets.project.gallery import SIDE, Gallery
from napari_semxai.widgets.project.project_panel import ProjectPanel, StoragePanel
from napari_semxai.widgets.project.queue_panel import QueuePanel
from napari_semxai.widgets.project.review_panel import AnnotatorsPanel, ReviewPanel
from napari_semxai.widgets.research.dock import ResearchDock
from napari_semxai.widgets.scores.dock import ScoresDock
from napari_semxai.widgets.settings.shortcuts import CLASS_KEYS, KeysPanel, KeyTable
from napari_semxai.widgets.survey.dock import SurveyDock

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_semxai.widgets.common.forms import Panel, ScrolledDock

_logger = logging.getLogger(__name__)
T = TypeVar("T")
CANDIDATES, EDIT, EXPLAIN = "Mask candidates", "Edit & review", "Explain"
SCORES, SURVEY, RESEARCH = "Scores", "Survey", "Research"


class Workbench:
    """Session, controllers, engines and layers of one viewer, shared by its docks.

    One method starts each feature, lowest first: a feature knows only those before it. `close`
    ends them the other way round.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    folders : Folders, optional
        Where what outlives the window is kept; by default the user's own.
    start_engine : callable, optional
        Makes the client of an engine of this name.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        folders: Folders | None = None,
        start_engine: Callable[..., EngineClient] = EngineClient,
    ) -> None:
        self.viewer, self.folders, self._start_engine = viewer, folders or Folders(), start_engine
        self.session = Session()
        self.docks: dict[str, ScrolledDock] = {}
        self._closing = ExitStack()
        self._start_threads()
        self._start_segment()
        self._start_edit()
        self._start_project()
        self._start_layers()
        self._start_explain()
        self._start_scores()
        self._start_research()
        self._start_window()
        self.segment.warm()

    def _start_threads(self) -> None:
        self.main_thread = self._owned(MainThread(), "close")
        deliver, say = self.main_thread.deliver, self.session.say
        self.writes = self._owned(Jobs(deliver, threads=1, say=say), "close")
        self.jobs = self._owned(Jobs(deliver, say=say), "close")
        self.explain_engine = self._owned(self._start_engine("explain", deliver=deliver), "close")
        self.engine = self._owned(self._start_engine("segment", deliver=deliver), "close")

    def _start_segment(self) -> None:
        session, jobs = self.session, self.jobs
        self.segment = SegmentController(session, self.engine, jobs)
        self.downloads = self._owned(DownloadController(session, jobs, self.segment), "cancel")

    def _start_edit(self) -> None:
        session = self.session
        self.edit = self._owned(EditController(session, self.jobs, self.folders.recovery), "close")
        self.clicks = ClickController(session, self.engine, self.edit)
        self.click_preview = ClickPreview(session, self.engine, self.jobs, self.clicks)
        self.defects = self._owned(DefectsController(session, self.edit, self.jobs))

    def _start_project(self) -> None:
        session, jobs, writes = self.session, self.jobs, self.writes
        writer = ReviewWriter(session, self.edit, writes)
        self.images = ImageController(session, jobs, self.segment, self.edit, writer)
        self.review = ReviewController(session, self.images, self.edit, writer, writes)
        self.queue = QueueController(session, self.images, writes)
        # Before `edit` closes: the strokes of a project's image are written as it is left.
        self.projects = self._owned(
            ProjectController(session, self.images, writer, jobs, writes, self.folders), "close"
        )
        self.annotators = AnnotatorsController(session, self.edit, jobs)
        self.tools = self._owned(ProjectTools(session, self.projects, jobs, writes), "cancel")
        masks = QueueMasks(session, self.images, self.queue, self.engine, jobs, writes)
        self.queue_masks = self._owned(masks, "cancel")
        engine = self._owned(
            self._start_engine("learn", deliver=self.main_thread.deliver), "close"
        )
        self.learning = LearningController(session, self.segment, engine, jobs)

    def _start_layers(self) -> None:
        viewer, session = self.viewer, self.session
        self.layers = self._owned(SessionLayers(viewer, session, self.edit))
        self.layers.mask_closed.connect(self.images.leave_mask)
        self.side_by_side = self._owned(SideBySide(viewer, session, self.layers))
        tool = ClickTool(viewer, session, self.layers, self.clicks, self.click_preview)
        self.click_tool = self._owned(tool)
        self.ruler = self._owned(Ruler(viewer, session, self.layers, self.clicks))

    def _start_explain(self) -> None:
        session, engine = self.session, self.explain_engine
        self.explaining = self._owned(
            Explaining(session, engine, self.jobs, self.images.open, self.edit, self.clicks)
        )
        self.explanations = self._owned(ExplanationLayers(self.viewer, session, self.layers))

    def _start_scores(self) -> None:
        session, jobs = self.session, self.jobs
        self.evaluate = EvaluateController(session, jobs)
        self.table = ComparisonTableController(session, jobs)
        self.curves = ThresholdCurvesController(
            session, jobs, self.evaluate, self.explaining.masks
        )
        self.comparison = self._owned(Comparison(self.viewer, self.layers, self.evaluate))

    def _start_research(self) -> None:
        session, jobs = self.session, self.jobs
        self.research = ResearchController(session, jobs, self.evaluate, self.edit.propose)
        self.runs = self._owned(RunController(session, self.main_thread.deliver), "close")
        self.survey = SurveyController(session, jobs)

    def _start_window(self) -> None:
        """Say messages, take up what was chosen before, bind the keys."""
        window = self.viewer.window._qt_window
        canvas = window._qt_viewer.canvas.native
        self.monitor = self._owned(WorkMonitor(self.session))
        self.notices = self._owned(Notices(canvas), "clear")
        self.monitor.said.connect(self.notices.show)
        self.choices = ChoicesController(self.session, self.writes, self.folders.choices)
        self.keys = self._owned(KeyTable(canvas, _key_actions(self), self.folders.shortcuts))
        # napari makes its menus anew now and then; each image takes our keys from them again.
        self.layers.mask_layer_changed.connect(self.keys.bind)
        self.closing = ClosingQuestion(window, self.edit)
        self.room: CanvasRoom | None = None
        self._help = QShortcut(QKeySequence("?"), window, activated=self.show_keys)

    def _owned(self, part: T, end: str = "release") -> T:
        """Return a part whose method `end` closes it, before the parts that were made earlier."""
        self._closing.callback(getattr(part, end))
        return part

    def dock(self, title: str) -> ScrolledDock:
        """Return the dock of this title, created on first use."""
        if title not in self.docks:
            dock = self.docks[title] = DOCKS[title].make(self)
            dock.keep_sections(self.choices)
            dock.set_foot(WorkLine(self.monitor, self.show_log))
            dock.destroyed.connect(partial(self._on_dock_destroyed, title))
        return self.docks[title]

    def show(self) -> None:
        """Open all docks as tabs on the right."""
        with settings_saved_once():
            for title, entry in DOCKS.items():
                widget = self.dock(title)
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
        # Single keys are the image's.
        self.viewer.window._qt_viewer.canvas.native.setFocus()

    def close(self) -> None:
        """Write what is unsaved, end the engines and let go of the viewer."""
        for dock in self.docks.values():
            dock.release()
        self.docks = {}
        project = self.session.project
        self._closing.close()
        if project is not None:
            # Nobody was told of the last writes: their copies are there still.
            project.unsaved(self.folders.recovery)
            # The window can show nothing any more.
            for line in project.unwritten:
                _logger.warning(line)

    def show_log(self) -> None:
        """Show what was said in this session."""
        show_text("Messages", "\n".join(self.monitor.log), self.viewer.window._qt_window)

    def show_keys(self) -> None:
        """Show all keys in a window of their own."""
        dock = self.dock(EDIT)
        if isinstance(dock, EditDock):
            dock.keys.bring()

    def open_sample(self) -> None:
        """Open the synthetic sample image with its exact mask."""
        self.viewer.open_sample("napari-semxai", "defect")

    def focus(self, panel: str, field: str) -> None:
        """Let a person type into a field of the *Edit & review* dock."""
        dock = self.dock(EDIT)
        if isinstance(dock, EditDock) and dock.parentWidget() is not None:
            dock.parentWidget().show()
            dock.parentWidget().raise_()
            part = getattr(dock.panels[panel], field)
            dock.ensureWidgetVisible(part)
            part.setFocus(Qt.FocusReason.ShortcutFocusReason)

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

    def _make_scores(self) -> ScrolledDock:
        dock = ScoresDock(self.viewer, self.session, self.evaluate, self.comparison, self.table)
        dock.tau_picked.connect(self.explaining.masks.set_threshold)
        return dock

    def _on_dock_destroyed(self, title: str) -> None:
        dock = self.docks.pop(title, None)
        if dock is not None:
            dock.release()


def _key_actions(bench: Workbench) -> dict[str, Callable[[], object]]:
    """Return what each of `SHORTCUTS` does."""
    review, queue, layers = bench.review, bench.queue, bench.layers
    look_at = layers.layout.look_at
    return {
        "generate": bench.segment.generate,
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
        "outline": layers.tool.toggle_outline,
        "opacity": layers.tool.next_opacity,
        "move": partial(layers.take_tool, "pan_zoom"),
        "brush": partial(layers.take_tool, "paint"),
        "erase": partial(layers.take_tool, "erase"),
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
    queue = QueuePanel(
        session, bench.projects, bench.queue, bench.images, bench.queue_masks, small
    )
    queue.add_gallery(Gallery(session, large, group, review, bench.images))
    queue.annotator.setText(bench.choices.annotator)
    sizes = PixelSizeController(session, bench.writes)
    return {
        QUEUE: queue,
        REVIEW: ReviewPanel(session, review),
        edit_dock.ANNOTATORS: AnnotatorsPanel(session, bench.annotators, bench.tools),
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
    EDIT: _Dock("Edit", lambda b: EditDock(b.session, b.edit, b.layers, _edit_panels(b))),
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
