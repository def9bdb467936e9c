from contextlib import closing

import pytest

from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.types import QueueFilter, ReviewState


@pytest.fixture
def away(desk, monkeypatch):
    """A desk whose project cannot be written, by an error that the project does not know."""
    desk.open()
    tried = []

    def fail(image_id, annotator, change):
        tried.append(image_id)
        raise OSError(f"{image_id}: stale file handle")

    monkeypatch.setattr(desk.session.project.project, "write_review", fail)
    for number in (1, 2):
        desk.stroke(3, 5)
        desk.review.review(ReviewState.UNSURE)
        desk.turn(lambda n=number: desk.session.queue.number == n + 1)
        desk.turn(lambda n=number: f"wafer_{n - 1}: stale" in desk.session.message)
    return desk, tried


def test_what_an_unknown_error_refused_is_kept(away, folder):
    desk, _ = away
    opened = desk.session.project
    assert opened.failed == ("wafer_0", "wafer_1")
    assert len(list_recoveries(folder / "recovery")) >= 2
    assert [line.split(":")[0] for line in opened.unwritten] == ["wafer_0", "wafer_1"]
    assert all(str(folder / "recovery") in line for line in opened.unwritten)


def test_closing_tries_every_image_and_lets_go_of_the_project(away):
    desk, tried = away
    tried.clear()
    desk.session.message = ""
    desk.projects.close()
    desk.turn(lambda: "wafer_1: stale" in desk.session.message)
    assert {"wafer_0", "wafer_1"} <= set(tried)
    with closing(desk.project()) as other:
        other.claim("Anna")


def test_the_index_knows_a_review_without_a_look_at_the_files(desk):
    desk.open()
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    rows = desk.session.project.index.queue(QueueFilter(annotator="Anna"))
    assert rows[0].state is ReviewState.UNSURE
