from dataclasses import replace

import pytest

from napari_semxai.types import IDLE, JobState, Progress
from napari_semxai.widgets.common.progress_bar import JobBar, progress_text

HALF = Progress("decode", 64, 128, 7.4)


@pytest.mark.parametrize(
    ("progress", "text", "counted"),
    [
        (IDLE, "", ""),
        (Progress("load", 0, 128), "Loading the network …", "Loading the network …"),
        (HALF, "Decode: 64 of 128, about 7 s left …", "64 of 128 points, about 7 s left"),
        (Progress("starting"), "Starting …", "0 of 0 points"),
        (replace(HALF, state=JobState.CANCELLED), "Cancelled", "Cancelled after 64 of 128 points"),
        (Progress(state=JobState.FAILED, message="no network"), "⚠ no network", "⚠ no network"),
        (replace(HALF, state=JobState.DONE), "", ""),
    ],
)
def test_every_state_has_its_words(progress, text, counted):
    assert progress_text(progress) == text
    assert progress_text(progress, "points") == counted


def test_a_running_job_can_be_cancelled_and_moves_nothing(qtbot):
    bar = JobBar("Start it", "It starts")
    qtbot.addWidget(bar)
    bar.show()
    bar.set_idle("Nothing yet")
    room = bar.sizeHint()
    seen = []
    for progress in (IDLE, HALF, replace(HALF, state=JobState.DONE)):
        bar.set_progress(progress)
        seen.append((bar.start.isEnabled(), bar.cancel.isEnabled(), bar.progress.isVisible()))
        assert bar.sizeHint() == room
    assert seen == [(True, False, False), (False, True, True), (True, False, False)]
    assert bar.status.text() == "Nothing yet"
    assert (bar.progress.value(), bar.progress.maximum()) == (64, 128)
