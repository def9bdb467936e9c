"""A queue as the session holds it."""

from pathlib import Path

from napari_semxai.state.queue import Queue
from napari_semxai.types import (
    QueueFilter,
    QueueRow,
    ReviewState,
)


def rows():
    states = (ReviewState.ACCEPTED, ReviewState.CANDIDATE, ReviewState.CANDIDATE)
    voided = (None, ReviewState.ACCEPTED, None)
    return tuple(
        QueueRow(f"die_{n}", n, "anna", state, void, "3", None, 0.5, "", True)
        for n, (state, void) in enumerate(zip(states, voided, strict=True), start=1)
    )


def queue_of(**changes):
    values = {
        "shown": rows(),
        "current": "die_2",
        "number": 2,
        "filter": QueueFilter(annotator="anna"),
        "reviewed": 1,
        "class_names": {"3": "scratch", "6": "none"},
    }
    folder = changes.pop("folder", Path("lot"))
    return Queue("lot", folder, "anna", 4591, **{**values, **changes})
