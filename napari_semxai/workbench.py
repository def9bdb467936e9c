"""The composition root of the window: what the docks of one viewer share, their keys."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from napari.settings import get_settings
from napari.utils.notifications import show_warning
from qtpy.QtCore import Qt

from napari_semxai.controllers.choices import ChoicesController
from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.edit.images import ImageController
from napari_semxai.controllers.edit.recipe import RecipeRecorder
from napari_semxai.controllers.explain.explain import Explaining
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.project.annotators import AnnotatorsController
from napari_semxai.controllers.project.batch_masks import QueueMasks
from napari_semxai.controllers.project.image_opener import ImageOpener
from napari_semxai.controllers.project.pixel_size import PixelSizeController
from napari_semxai.controllers.project.projects import ProjectController
from napari_semxai.controllers.project.queue import QueueController
from napari_semxai.controllers.project.review import ReviewController
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
from napari_semxai.layers.mask.annotator_tiles import SideBySide
from napari_semxai.layers.mask.click_tool import ClickTool
from napari_semxai.layers.mask.comparison import Comparison
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.store.disk.folders import (
    choices_file,
    projects_folder,
    recovery_folder,
    shortcuts_file,
)
from napari_semxai.types import ReviewState
from napari_semxai.widgets.candidates.dock import CandidatesDock
from napari_semxai.widgets.common.main_thread import MainThread
from napari_semxai.widgets.edit.click_panel import ClickPanel
from napari_semxai.widgets.edit.closing import ClosingQuestion
from napari_semxai.widgets.edit.dock import (
    ANNOTATORS,
    CLICKS,
    KEYS,
    PROJECT,
    QUEUE,
    REVIEW,
    SIZE,
    STORAGE,
    EditDock,
)
from napari_semxai.widgets.edit.size_panel import SizePanel
from napari_semxai.widgets.explain.dock import ExplainDock
from napari_semxai.widgets.project.annotators_panel import AnnotatorsPanel
from napari_semxai.widgets.project.project_panel import ProjectPanel
from napari_semxai.widgets.project.queue_panel import QueuePanel
from napari_semxai.widgets.project.review_panel import ReviewPanel
from napari_semxai.widgets.research.dock import ResearchDock
from napari_semxai.widgets.scores.dock import ScoresDock
from napari_semxai.widgets.settings.shortcuts import CLASS_KEYS, KeysPanel, KeyTable
from napari_semxai.widgets.settings.storage_panel import StoragePanel
from napari_semxai.widgets.survey.dock import SurveyDock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari

    from napari_semxai.widgets.common.forms import Panel, ScrolledDock

_logger = logging.getLogger(__name__)
DOCKS = ("Mask candidates", "Edit & review", "Explain", "Scores", "Survey", "Research")
TAB_TITLES = {"Mask candidates": "Candidates", "Edit & review": "Edit"}


class Workbench:
    """Session, controllers, engine and layers of one viewer, shared by its docks.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        self.session = Session()
        self.main_thread = MainThread()
        self.engine = EngineClient("segment", deliver=self.main_thread.deliver)
        self.jobs = Jobs(self.main_thread.deliver)
        self.writes = Jobs(self.main_thread.deliver, threads=1)
        self.segment = SegmentController(self.session, self.engine, self.jobs)
        self.edit = EditController(self.session, self.jobs, recovery_folder())
        self.images = ImageController(self.session, self.jobs, self.segment, self.edit)
        self.evaluate = EvaluateController(self.session, self.jobs)
        self.downloads = DownloadController(self.session, self.jobs, self.segment)
        self.survey = SurveyController(self.session, self.jobs)
        self.research = ResearchController(self.session, self.jobs, self.evaluate)
        self.runs = RunController(self.session, self.main_thread.deliver)
        # Before the layers: an edit is noted just before it is written.
        self.recorder = RecipeRecorder(self.session, lambda: self.edit.mask)
        self.layers = SessionLayers(viewer, self.session, self.edit)
        self.review = ReviewController(
            self.session, self.images, self.edit, self.recorder, self.jobs, self.writes
        )
        self.queue = QueueController(self.session, self.review, self.writes)
        self.projects = ProjectController(
            self.session, self.review, self.jobs, projects_folder(), recovery_folder()
        )
        self.annotators = AnnotatorsController(self.session, self.review, self.jobs)
        self.tools = ProjectTools(self.session, self.review, self.projects, self.jobs, self.writes)
        self.side_by_side = SideBySide(viewer, self.session, self.layers)
        self.queue_masks = QueueMasks(
            self.session, self.review, self.queue, self.engine, self.jobs, self.writes
        )
        self.clicks = ClickController(self.session, self.engine, self.edit)
        self.click_tool = ClickTool(viewer, self.session, self.layers, self.clicks)
        self.explain_engine = EngineClient("explain", deliver=self.main_thread.deliver)
        self.explaining = Explaining(
            self.session,
            self.explain_engine,
            self.jobs,
            ImageOpener(self.images, self.review).open,
            self.edit,
            self.clicks,
        )
        self.explanations = ExplanationLayers(viewer, self.session, self.layers)
        self.table = ComparisonTableController(self.session, self.jobs)
        self.curves = ThresholdCurvesController(
            self.session, self.jobs, self.evaluate, self.explaining.masks
        )
        self.comparison = Comparison(viewer, self.layers, self.evaluate)
        self.docks: dict[str, ScrolledDock] = {}
        self._begin()

    def _begin(self) -> None:
        """Say messages, take up what was chosen before, bind the keys and load the network."""
        self.session.events.message.connect(_show_message)
        self.choices = ChoicesController(self.session, self.writes, choices_file())
        self.keys = KeyTable(
            self.viewer,
            self.layers,
            self._key_actions(),
            shortcuts_file(),
            self.viewer.window._qt_window,
        )
        self.closing = ClosingQuestion(self.viewer.window._qt_window, self.edit)
        self.segment.warm()

    def dock(self, title: str) -> ScrolledDock:
        """Return the dock of this title, created on first use."""
        if title not in self.docks:
            dock = self._make(title)
            self.docks[title] = dock
            self.keys.attach(dock)
            dock.destroyed.connect(partial(self._on_dock_destroyed, title))
        return self.docks[title]

    def show(self) -> None:
        """Open all docks as tabs on the right."""
        with _settings_saved_once():
            for title in DOCKS:
                widget = self.dock(title)
                if widget.parent() is None:
                    # The name that napari's menus give it, so that they toggle this same dock.
                    name = f"{title} (SEMXAI)"
                    dock = self.viewer.window.add_dock_widget(
                        widget, name=name, area="right", tabify=True
                    )
                    # Six tabs fit a small laptop only by short names.
                    dock.setWindowTitle(TAB_TITLES.get(title, title))
                widget.parent().show()
        self.dock(DOCKS[0]).parent().raise_()

    def close(self) -> None:
        """Write what is unsaved, end the engine and let go of the viewer."""
        for dock in self.docks.values():
            dock.release()
        self.docks = {}
        self.comparison.release()
        self.keys.release()
        self.click_tool.release()
        self.explanations.release()
        self.explaining.release()
        self.side_by_side.release()
        self.layers.release()
        self.tools.cancel()
        self.queue_masks.cancel()
        self.edit.close()
        opened = self.review.opened
        self.review.end()
        self.downloads.cancel()
        self.engine.close()
        self.runs.close()
        self.explain_engine.close()
        self.jobs.close()
        self.writes.close()
        self.main_thread.close()
        if opened is not None:
            # Nobody was told of the last writes: their copies are there still.
            opened.unsaved(recovery_folder())
        # The window can show nothing any more.
        for line in [] if opened is None else opened.unwritten:
            _logger.warning(line)

    def open_sample(self) -> None:
        """Open the synthetic sample image with its exact mask."""
        self.viewer.open_sample("napari-semxai", "defect")

    def toggle_mask(self) -> None:
        """Show or hide the defect mask."""
        layer = self.layers.mask_layer
        if layer is not None:
            layer.visible = not layer.visible

    def paint(self, mode: str) -> None:
        """Take a painting tool."""
        self.layers.take_tool(mode)

    def focus(self, panel: str, field: str) -> None:
        """Let a person type into a field of the *Edit & review* dock."""
        dock = self.dock("Edit & review")
        if isinstance(dock, EditDock) and dock.parentWidget() is not None:
            dock.parentWidget().show()
            dock.parentWidget().raise_()
            part = getattr(dock.panels[panel], field)
            dock.ensureWidgetVisible(part)
            part.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def click(self) -> None:
        """Take the SAM click tool, or put it away."""
        self.clicks.activate(not self.session.clicks.active)

    def save(self) -> None:
        """Save the mask in the project or where it was saved last, or ask."""
        if self.review.save():
            return
        path = self.session.save.path
        if self.session.save.state in ("saved", "failed") and path is not None:
            self.edit.save(path)
            return
        dock = self.dock("Edit & review")
        if isinstance(dock, EditDock):
            dock.save()

    def _key_actions(self) -> dict[str, Callable[[], object]]:
        """Return what each of `SHORTCUTS` does."""
        review, queue = self.review, self.queue
        return {
            "generate": self.segment.generate,
            "accept": review.accept,
            "no defect": partial(review.review, ReviewState.NO_DEFECT),
            "reject": partial(review.review, ReviewState.REJECTED),
            "unsure": partial(review.review, ReviewState.UNSURE),
            "undo review": review.undo,
            "next": partial(queue.step, 1),
            "previous": partial(queue.step, -1),
            "next unreviewed": queue.next_unreviewed,
            "jump": partial(self.focus, QUEUE, "jump"),
            "comment": partial(self.focus, REVIEW, "comment"),
            "mask": self.toggle_mask,
            "explanation": self.explanations.toggle,
            "next heat map": self.explaining.heatmaps.show_next,
            "brush": partial(self.paint, "paint"),
            "erase": partial(self.paint, "erase"),
            "click": self.click,
            "new object": self.clicks.begin_object,
            "apply answer": self.clicks.apply_offer,
            "discard answer": self.clicks.discard_offer,
            "automatic": self.edit.apply_automatic,
            "save": self.save,
            **{f"class {n}": partial(review.set_class, n) for n in CLASS_KEYS},
        }

    def _make(self, title: str) -> ScrolledDock:
        session, images, layers = self.session, self.images, self.layers
        if title == DOCKS[0]:
            dock = CandidatesDock(session, images, self.segment, self.downloads, layers)
            dock.sample_wanted.connect(self.open_sample)
            dock.welcomed.connect(partial(images.look_for_leftovers, recovery_folder()))
            dock.welcome_if_empty()
            return dock
        if title == DOCKS[1]:
            return EditDock(session, self.edit, layers, self._panels())
        if title == "Research":
            return ResearchDock(
                session, self.research, self.curves, self.segment, runs=self.runs, jobs=self.jobs
            )
        if title == "Explain":
            return ExplainDock(session, self.explaining, self.explanations)
        if title == "Survey":
            return SurveyDock(session, self.survey, self.jobs)
        scores = ScoresDock(self.viewer, session, self.evaluate, self.comparison, self.table)
        scores.tau_picked.connect(self.explaining.masks.set_threshold)
        return scores

    def _panels(self) -> dict[str, Panel]:
        session, review = self.session, self.review
        thumbnails = Thumbnails(session, review, self.jobs)
        return {
            QUEUE: QueuePanel(
                session, self.projects, self.queue, review, self.queue_masks, thumbnails
            ),
            REVIEW: ReviewPanel(session, review),
            ANNOTATORS: AnnotatorsPanel(session, self.annotators, self.tools),
            PROJECT: ProjectPanel(session, self.tools),
            CLICKS: ClickPanel(session, self.clicks),
            KEYS: KeysPanel(self.keys),
            SIZE: SizePanel(session, PixelSizeController(session, review, self.writes)),
            STORAGE: StoragePanel(self.jobs),
        }

    def _on_dock_destroyed(self, title: str) -> None:
        dock = self.docks.pop(title, None)
        if dock is not None:
            dock.release()


@contextmanager
def _settings_saved_once() -> Iterator[None]:
    """Let napari save its settings at the end: it does so twice a dock, at 25 ms each time."""
    settings = get_settings()
    saves, settings._save_on_change = settings._save_on_change, False
    try:
        yield
    finally:
        settings._save_on_change = saves
        settings._maybe_save()


def _show_message(message: str) -> None:
    if message:
        show_warning(message)
