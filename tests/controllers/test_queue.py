"""The queue of a real project on disk, without a viewer."""

import os
import time
from contextlib import closing

from napari_semxai.store.project_index import ProjectIndex
from napari_semxai.types import ReviewChange, ReviewState
from tests.controllers.test_review import desk, folder  # noqa: F401 - fixtures


def test_the_watch_sees_what_another_window_has_told_the_index(desk):  # noqa: F811
    desk.open()
    desk.queue.set_filter(annotator=None)
    desk.turn(lambda: desk.session.queue.filter.annotator is None)
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


def test_refresh_sees_what_another_program_wrote_in_place(desk):  # noqa: F811
    desk.open("Bert")
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    records = desk.project().folder / "reviews" / "bert" / "records"
    past = time.time() - 60
    os.utime(records, (past, past))
    path = records / "wafer_0.json"
    path.write_text(path.read_text().replace('"unsure"', '"rejected"'))
    desk.queue.refresh()
    desk.turn(lambda: desk.session.queue.shown[0].state is ReviewState.REJECTED)
