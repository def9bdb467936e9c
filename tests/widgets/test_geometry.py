"""Nothing moves under the mouse, whatever the jobs of the docks do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import napari
import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QEvent, QObject, QPoint, QRect
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QWidget,
)

from napari_semxai import plugin
from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, sweep_set
from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.state.explanation import (
    CamSettings,
    ExplanationMasks,
    ExplanationMaskSettings,
    ExplanationPicture,
    Heatmaps,
)
from napari_semxai.state.open_image import OpenImage, SaveStage
from napari_semxai.state.research import ImageSweep, RunState
from napari_semxai.state.review import Clicks, ClickState, Offer, OtherMasks
from napari_semxai.state.session import SaveState, Session
from napari_semxai.store.disk.folders import Folders
from napari_semxai.store.disk.safety_net import Recovery
from napari_semxai.store.weights.models import OFFICIAL_MODELS
from napari_semxai.types import (
    Failure,
    GenerateSettings,
    JobState,
    ModelInfo,
    Progress,
    Prompts,
    ReviewRecord,
    Scores,
    SweepAdvice,
    SweepRow,
)
from napari_semxai.widgets.common.forms import ScrolledDock, Section
from napari_semxai.workbench import Workbench
from tests import explanations as make
from tests.queues import queue_of

LONG = "the engine stopped: " + "no memory was left for the candidates of this image; " * 8
CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
)
MINUTES = 180_000


@dataclass
class Places:
    """Where the controls of a dock lay on the screen when this was made."""

    dock: ScrolledDock

    def __post_init__(self) -> None:
        self.before = self.now()
        assert self.before

    def now(self) -> dict[QWidget, QRect]:
        # Layouts only: painting the canvas, too, would take most of the time.
        for _ in range(8):
            QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        found = (own for own in self.dock.findChildren(QWidget) if isinstance(own, CONTROLS))
        return {
            own: QRect(own.mapToGlobal(QPoint(0, 0)), own.size())
            for own in found
            if own.isVisible() and not isinstance(own, QScrollBar)
        }

    def wrong(self) -> list[str]:
        """Return what has moved or gone, and what something new lies over."""
        now, found = self.now(), []
        new = [own for own in now if own not in self.before]
        for own, place in self.before.items():
            if own in now and now[own] != place:
                found.append(f"{_name(own)} from {place} to {now[own]}")
            seen = self._seen(own, place)
            over = [other for other in new if self._seen(other, now[other]).intersects(seen)]
            if any(not own.isAncestorOf(other) for other in over):
                found.append(f"{_name(own)} is under {[_name(other) for other in over]}")
        return found

    def _seen(self, own: QWidget, place: QRect) -> QRect:
        """Return the part of a place that the dock's viewport does not cut off."""
        viewport = self.dock.viewport()
        if not viewport.isAncestorOf(own):
            return place
        return place.intersected(QRect(viewport.mapToGlobal(QPoint(0, 0)), viewport.size()))


class Layouts(QObject):
    """Says whether anything may lie elsewhere than when that was last asked."""

    _KINDS = frozenset(
        (
            QEvent.Type.Hide,
            QEvent.Type.LayoutRequest,
            QEvent.Type.Move,
            QEvent.Type.ParentChange,
            QEvent.Type.Resize,
            QEvent.Type.Show,
            QEvent.Type.ZOrderChange,
        )
    )

    def __init__(self) -> None:
        super().__init__()
        self._changed = True

    def __enter__(self) -> Self:
        QApplication.instance().installEventFilter(self)
        return self

    def __exit__(self, *_: object) -> None:
        QApplication.instance().removeEventFilter(self)

    def eventFilter(self, _: QObject, event: QEvent) -> bool:
        self._changed = self._changed or event.type() in self._KINDS
        return False

    def changed(self) -> bool:
        changed, self._changed = self._changed, False
        return changed


def _name(own: QWidget) -> str:
    text = getattr(own, "text", getattr(own, "currentText", str))
    return f"{type(own).__name__} {text()!r} {own.toolTip()[:40]!r}"


@pytest.fixture
def workbench(
    engine_on_demand: None,
    make_napari_viewer: Callable[..., napari.Viewer],
    qtbot: QtBot,
    folders: Folders,
) -> Iterator[Workbench]:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 728)
    workbench = plugin.open_workbench(viewer, folders)
    workbench.segment.set_generate(GenerateSettings(points_per_side=8))
    workbench.open_sample()
    qtbot.waitUntil(lambda: workbench.session.image is not None)
    yield workbench
    plugin.close_workbench(workbench)


def _in_front(workbench: Workbench, title: str, qtbot: QtBot) -> Any:
    dock = workbench.dock(title)
    dock.parentWidget().show()
    dock.parentWidget().raise_()
    qtbot.waitUntil(dock.widget().isVisible)
    return dock


def _follow(session: Session, owner: Any, name: str, *values: object) -> Iterator[str]:
    """Give a field of the session one value after the other, then its own again."""
    own = getattr(owner, name)
    of_image = owner is session and name in OpenImage.__slots__
    for value in (*values, own):
        if of_image:
            session.update_image(**{name: value})
        else:
            setattr(owner, name, value)
        yield f"{name} = {str(value)[:90]}"


def _jobs_of_candidates(session: Session) -> Iterator[str]:
    running = Progress("load")
    yield from _follow(
        session,
        session,
        "generation",
        running,
        replace(running, stage="encode"),
        replace(running, stage="decode", done=64, total=1024, seconds_left=7.4),
        Progress(state=JobState.FAILED, message=LONG),
        Progress(state=JobState.CANCELLED, done=64, total=1024),
        Progress(state=JobState.DONE),
    )
    yield from _follow(session, session, "model", ModelInfo("bundled", "0" * 64, "cpu"))
    size = {"done": 5 * 10**7, "total": 156 * 10**6}
    download = Progress(OFFICIAL_MODELS[0].name, **size)
    yield from _follow(
        session,
        session,
        "download",
        download,
        replace(download, state=JobState.FAILED, message=LONG),
        replace(download, state=JobState.CANCELLED, message="cancelled"),
        replace(download, state=JobState.DONE),
    )
    copy = Recovery(Path("a.npz"), "key", 0.0, {}, (0, 0.0))
    yield from _follow(session, session, "recovery", copy)


def _offer(shape: tuple[int, ...]) -> Offer:
    """Return an answer that gives every reason to doubt it."""
    mask = np.zeros(shape, bool)
    doubts = AnswerDoubts(missed=3, held=2, spilled=0.9, covered=0.9, emptied=True)
    return Offer(mask, mask, Prompts(), doubts, "SAM click", {})


def _jobs_of_editing(session: Session) -> Iterator[str]:
    save = SaveState(SaveStage.UNSAVED, message="Unsaved strokes")
    yield from _follow(
        session,
        session,
        "save",
        save,
        replace(save, state=SaveStage.FAILED, message=LONG),
        replace(save, state="saved", message="Saved as /a/long/folder/" + "of/many/names/" * 12),
    )
    clicks = Clicks(active=True)
    yield from _follow(
        session,
        session,
        "clicks",
        clicks,
        replace(clicks, state=ClickState.ENCODING, message="Encoding the image …"),
        replace(clicks, state=ClickState.ANSWERING, message="The network answers …"),
        replace(clicks, state=ClickState.FAILED, message=LONG),
        replace(clicks, offer=_offer(session.image.gray.shape)),
    )
    yield from _follow(
        session,
        session,
        "batch",
        Progress("Masks", 3, 3000, 7200.0),
        Progress("A name of a job that is rather long", 2999, 3000, 1.0),
    )
    score = Scores(1, 2, 3, 4)
    others = OtherMasks(
        {"ben": np.zeros(session.image.gray.shape, bool)}, {("anna", "ben"): score}
    )
    yield from _follow(session, session, "others", others)
    yield from _follow(session, session, "pixel_size", 2.5e-9)
    for message in (LONG, Failure(LONG), "done"):
        session.say(message)
        yield f"message {message[:20]}"


def _jobs_of_explaining(session: Session) -> Iterator[str]:
    state = session.explanation
    running = Progress("loads the classifier")
    steps = replace(running, stage="runs", done=3, total=10, seconds_left=4.6)
    failed = Progress(state=JobState.FAILED, message=LONG)
    for name in ("classifying", "explaining", "fitting"):
        values = (
            running,
            steps,
            failed,
            Progress(state=JobState.CANCELLED),
            Progress(state=JobState.DONE),
        )
        yield from _follow(session, state, name, *values)
    missing = replace(make.network(), craft_missing="pip install 'napari-semxai[craft]'")
    yield from _follow(session, state, "network", make.network(), missing)
    yield from _follow(session, state, "cam", CamSettings("scorecam"), CamSettings("gradcam"))
    own = make.classification()
    real = replace(own, info=replace(own.info, synthetic=False))
    yield from _follow(session, state, "classification", own, real)
    image = session.image
    found = make.heatmap(shape=image.gray.shape)
    empty = make.heatmap(shape=image.gray.shape, raw_maximum=0)
    shown = (Heatmaps(found, (found,)), Heatmaps(empty, (found, empty)))
    yield from _follow(session, state, "heatmaps", *shown)
    banks = (make.bank(k=6), make.bank(k=12, key="other"), make.bank(k=3, key="third"))
    yield from _follow(session, state, "bank", *banks, replace(make.bank(), clamp_agreement=0.8))
    masks = {"heat map": found.values > 0.5}
    yield from _follow(session, state, "masks", ExplanationMasks(masks))
    paper = replace(ExplanationMaskSettings(), paper=True)
    yield from _follow(session, state, "mask_settings", paper)
    picture = ExplanationPicture(
        rgb=np.zeros((90, 120, 3), np.uint8), method="craft", name="a.png"
    )
    yield from _follow(session, state, "picture", picture, replace(picture, method="gradcam"))
    rows = tuple(SweepRow("layer3", k, 64, 0.9, 0.95, 0.8, 5, 0.4, 3.0) for k in range(3, 12))
    yield from _follow(session, state, "sweep", rows)
    yield from _follow(session, state, "advice", SweepAdvice(rows, 1, (LONG, LONG)))


def _jobs_of_research(session: Session) -> Iterator[str]:
    lines = tuple(f"image {number}: done" for number in range(60))
    run = RunState(("sweep", "data"), Path("results"), JobState.RUNNING, lines)
    states = (run, replace(run, state=JobState.FAILED), replace(run, state=JobState.DONE))
    yield from _follow(session, session, "run", *states)
    alphas, betas = np.linspace(0, 10, 11), np.linspace(0, 1, 11)
    plane = ImagePlane(np.zeros((11, 11), int), np.zeros((11, 11)), np.zeros((11, 11)))
    result = sweep_set([plane, plane], alphas, betas)
    yield from _follow(session, session, "sweep", ImageSweep(result, plane, LONG))


JOBS = {
    "Mask candidates": (_jobs_of_candidates, _jobs_of_editing),
    "Edit & review": (_jobs_of_candidates, _jobs_of_editing),
    "Explain": (_jobs_of_explaining,),
    "Scores": (_jobs_of_editing, _jobs_of_explaining),
    "Research": (_jobs_of_research,),
}


@pytest.mark.qt6
def test_no_control_moves_while_jobs_run(workbench: Workbench, qtbot: QtBot) -> None:
    session = workbench.session
    session.queue = queue_of()
    session.update_image(record=ReviewRecord("die_2", "anna"))
    wrong: list[str] = []
    for title, groups in JOBS.items():
        dock = _in_front(workbench, title, qtbot)
        for section in dock.findChildren(Section):
            section.open()
        bar = dock.verticalScrollBar()
        # Scrolled to its end, a dock that got shorter would slip.
        for end in (bar.minimum, bar.maximum):
            bar.setValue(end())
            places = Places(dock)
            for jobs in groups:
                for what in jobs(session):
                    wrong += [f"{title}, {what}: {moved}" for moved in places.wrong()]
    assert not wrong, "\n".join(wrong)


def test_no_answer_moves_from_item_to_item_and_no_control_while_networks_work(
    workbench: Workbench, qtbot: QtBot, tmp_path: Path
) -> None:
    _no_answer_moves_from_item_to_item(workbench, qtbot, tmp_path)
    _no_control_moves_while_networks_work(workbench, qtbot)


def _no_answer_moves_from_item_to_item(workbench: Workbench, qtbot: QtBot, tmp_path: Path) -> None:
    session, survey = workbench.session, workbench.survey
    dock = _in_front(workbench, "Survey", qtbot)
    survey.open(tmp_path / "answers.csv")
    qtbot.waitUntil(lambda: session.survey is not None)
    places = Places(dock)
    survey.begin("p1", "Grad-CAM", "image")
    dock.agreed.click()
    assert not places.wrong(), "an explanation is begun"
    lefts = set()
    for item in dock.items.items:
        qtbot.waitUntil(item.isVisible)
        places.now()
        lefts.add(item.answers[3].mapTo(dock, QPoint(0, 0)).y())
        item.answers[3].click()
    assert len(lefts) == 1


def _no_control_moves_while_networks_work(workbench: Workbench, qtbot: QtBot) -> None:
    session, explanation = workbench.session, workbench.session.explanation
    dock = _in_front(workbench, "Mask candidates", qtbot)
    places, wrong = Places(dock), []

    def look(what: str) -> None:
        wrong.extend(f"{what}: {moved}" for moved in places.wrong())

    def until(ended: Callable[[], bool], stage: Callable[[], str]) -> None:
        """Look whenever something was laid out, until the networks have answered."""
        # To look without a reason would take longer than the networks.
        with Layouts() as layouts:

            def looked() -> bool:
                if layouts.changed():
                    look(stage())
                return ended()

            qtbot.waitUntil(looked, timeout=MINUTES)
        look("answered")

    dock.run.start.click()
    until(lambda: session.generation.state == "done", lambda: session.generation.stage)
    workbench.segment.choose_winner(1)
    look("chosen by hand")
    dock.model.panel.offer(OFFICIAL_MODELS[0])
    look("a download is offered")
    dock.model.panel.cancel.click()
    look("a download is declined")
    assert not wrong, "\n".join(wrong)

    dock = _in_front(workbench, "Explain", qtbot)
    places = Places(dock)
    dock.gradcam.bar.start.click()
    until(
        lambda: explanation.heatmaps.active is not None,
        lambda: f"{explanation.classifying.stage} {explanation.explaining.stage}",
    )
    dock.gradcam.clear.click()
    look("cleared")
    assert not wrong, "\n".join(wrong)
