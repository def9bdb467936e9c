"""The queue of a real project on disk, without a viewer."""

import os
import time
from contextlib import closing

import numpy as np

from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.types import ReviewChange, ReviewState
from tests.controllers.desk import SHAPE


def test_the_watch_sees_what_another_window_has_told_the_index(desk):
    desk.open()
    desk.annotators.set_blind(False)
    asked(desk, annotator=None)
    project = desk.project()
    with closing(project), closing(ProjectIndex(project)) as index:
        project.write_review("wafer_2", "Bert", ReviewChange(ReviewState.UNSURE))
        assert index.refresh() == {"wafer_2"}
    desk.queue.watch()
    desk.turn(lambda: desk.session.queue.shown[2].state is ReviewState.UNSURE)
    before, looked = desk.session.queue, []
    desk.queue.watch()
    desk.writes.run("turn", int, looked.append, looked.append)
    desk.turn(lambda: looked)
    assert desk.session.queue is before


def test_refresh_sees_what_another_program_wrote_in_place(desk):
    desk.open("Bert")
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    records = desk.project().folder / "reviews" / "bert" / "records"
    past = time.time() - 60
    os.utime(records, (past, past))
    os.utime(records.parent / "masks", (past, past))
    desk.queue.set_filter(states=None)
    path = records / "wafer_0.json"
    path.write_text(path.read_text().replace('"unsure"', '"rejected"'))
    desk.queue.refresh()
    desk.turn(lambda: desk.session.queue.shown[0].state is ReviewState.REJECTED)


def other_reviews(desk, *image_ids):
    """Write accepted reviews of Bert, with class, score and a mask."""
    change = ReviewChange(
        ReviewState.ACCEPTED, np.ones(SHAPE, bool), label="7", confidence=0.25, score=0.5
    )
    with closing(desk.project()) as project:
        for image_id in image_ids:
            project.write_review(image_id, "Bert", change)


def asked(desk, **change):
    """Return the rows after a filter was set."""
    desk.queue.set_filter(**change)
    answered = []
    desk.writes.run("turn", int, answered.append, answered.append)
    desk.turn(lambda: answered)
    return desk.session.queue.shown


def test_nothing_of_others_shows_before_ones_own_review(desk):
    desk.open()
    other_reviews(desk, "wafer_0", "wafer_1")
    for whose in (None, "bert"):
        rows = asked(desk, annotator=whose, order="time", descending=True)
        assert [row.image for row in rows] == [f"wafer_{n}" for n in range(5)]
        assert {(row.state, row.voided, row.label) for row in rows} == {
            (ReviewState.CANDIDATE, None, "")
        }
        assert {(row.confidence, row.score, row.time) for row in rows} == {(None, None, "")}
    accepted = {"states": frozenset({ReviewState.ACCEPTED})}
    assert asked(desk, **accepted) == ()
    desk.review.review(ReviewState.UNSURE)
    (row,) = asked(desk, **accepted)
    assert (row.image, row.annotator, row.label, row.score) == ("wafer_0", "bert", "7", 0.5)
    assert asked(desk, where={"label": frozenset({"7"})}) == (row,)
    desk.annotators.set_blind(False)
    desk.turn(lambda: len(desk.session.queue.shown) == 2)
    desk.annotators.set_blind(True)
    desk.turn(lambda: len(desk.session.queue.shown) == 1)


def test_agreement_and_exports_of_others_wait_for_ones_own_reviews(desk, tmp_path):
    desk.open()
    other_reviews(desk, "wafer_0")
    desk.tools.agree()
    assert "5 are left" in desk.session.message
    for whose in ("bert", "consensus", None):
        desk.session.message = ""
        desk.tools.export("png", whose, tmp_path / "out", every=False)
        assert "hidden" in desk.session.message
    for place in range(5):
        desk.turn(lambda place=place: desk.session.queue.number == place + 1)
        desk.review.review(ReviewState.NO_DEFECT)
    desk.turn(lambda: desk.session.queue.reviewed == 5)
    desk.tools.export("png", "bert", tmp_path / "out", every=False)
    desk.turn(lambda: "1 mask exported" in desk.session.message)
    desk.tools.agree()
    desk.turn(lambda: desk.session.agreement)
    desk.annotators.set_blind(True)
    assert desk.session.agreement == ()
