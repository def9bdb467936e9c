"""What the docks of one viewer share: session, engines, controllers, layers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.controllers.edit.defects import DefectsController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.edit.preview import ClickPreview
from napari_semxai.controllers.explain.explain import Explaining
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.project.annotators import AnnotatorsController
from napari_semxai.controllers.project.batch_masks import QueueMasks
from napari_semxai.controllers.project.images import ImageController
from napari_semxai.controllers.project.learning import LearningController
from napari_semxai.controllers.project.projects import ProjectController
from napari_semxai.controllers.project.queue import QueueController
from napari_semxai.controllers.project.rankings import Rankings
from napari_semxai.controllers.project.review import ReviewController
from napari_semxai.controllers.project.review_writer import ReviewWriter
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
from napari_semxai.layers.mask.lasso_tool import CanvasMarks, LassoTool
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.store.disk.folders import Folders
from napari_semxai.widgets.common.progress_bar import MainThread

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

T = TypeVar("T")


class Parts:
    """Session, controllers, engines and layers of one viewer.

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
        self._closing = ExitStack()
        self._start_threads()
        self._start_segment()
        self._start_edit()
        self._start_project()
        self._start_layers()
        self._start_explain()
        self._start_scores()
        self._start_research()

    def close(self) -> None:
        """End all parts, the latest first."""
        self._closing.close()

    def _start_threads(self) -> None:
        self.main_thread = self._owned(MainThread(), "close")
        deliver, say = self.main_thread.deliver, self.session.say
        over = self.session.events.failure_over.emit
        self.writes = self._owned(Jobs(deliver, threads=1, say=say, over=over), "close")
        self.jobs = self._owned(Jobs(deliver, say=say, over=over), "close")
        self.explain_engine, self.engine = self._engine("explain"), self._engine("segment")

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
        self.rankings = self._owned(Rankings(session, self._engine("learn"), jobs), "cancel")
        self.queue = QueueController(session, self.images, writes, self.rankings)
        # Before `edit` closes: the strokes of a project's image are written as it is left.
        self.projects = self._owned(
            ProjectController(session, self.images, writer, jobs, writes, self.folders), "close"
        )
        self.annotators = AnnotatorsController(session, self.edit, jobs)
        self.tools = self._owned(ProjectTools(session, self.projects, jobs, writes), "cancel")
        masks = QueueMasks(session, self.images, self.queue, self.engine, jobs, writes)
        self.queue_masks = self._owned(masks, "cancel")
        self.learning = LearningController(session, self.segment, self._engine("learn"), jobs)

    def _start_layers(self) -> None:
        viewer, session = self.viewer, self.session
        self.layers = self._owned(SessionLayers(viewer, session, self.edit))
        self.layers.mask_closed.connect(self.images.leave_mask)
        self.images.is_shown = self._is_shown
        self.side_by_side = self._owned(SideBySide(viewer, session, self.layers))
        tool = ClickTool(viewer, session, self.layers, self.clicks, self.click_preview)
        self.click_tool = self._owned(tool)
        self.ruler = self._owned(Ruler(viewer, self.layers))
        marks = CanvasMarks(viewer.window._qt_viewer.canvas)
        self.lasso = self._owned(LassoTool(viewer, session, self.layers, self.edit, marks))

    def _is_shown(self) -> bool:
        return self.layers.mask_layer is not None and self.layers.layout.has_picture()

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

    def _engine(self, service: str) -> EngineClient:
        return self._owned(self._start_engine(service, deliver=self.main_thread.deliver), "close")

    def _owned(self, part: T, end: str = "release") -> T:
        """Return a part whose method `end` closes it, before the parts that were made earlier."""
        self._closing.callback(getattr(part, end))
        return part
