"""Nothing is lost at the desk: crashes, a project that is away, a replaced image, two windows."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from napari_semxai.controllers.edit.recovery import write_copy
from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.types import ReviewState
from tests.controllers.desk import SHAPE, Desk


def left_by_a_crash(desk, image_id, mask):
    """A recovery copy of another process, as a crash leaves it."""
    key = desk.session.project.cache.key(image_id)
    code = (
        "import sys, numpy as np\n"
        "from napari_semxai.store.disk.safety_net import save_recovery\n"
        "save_recovery(sys.argv[1], sys.argv[2], np.load(sys.argv[3]), {'name': sys.argv[4]})"
    )
    np.save(desk.folder / "mask.npy", mask)
    arguments = [desk.folder / "recovery", key, desk.folder / "mask.npy", image_id]
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)


@pytest.mark.parametrize("act", ["stroke", "review", "save"])
def test_an_offered_copy_outlives_strokes_and_reviews(desk, act):
    desk.open()
    crashed = np.zeros(SHAPE, bool)
    crashed[10:20, 10:20] = True
    left_by_a_crash(desk, "wafer_1", crashed)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.recovery is not None)
    desk.stroke(3, 5)
    if act == "review":
        desk.review.accept()
        desk.turn(lambda: desk.session.queue.number == 3 and desk.session.queue.reviewed == 1)
    elif act == "save":
        desk.review.save()
        desk.turn(lambda: desk.session.save.state == "saved")
    else:
        desk.queue.step(1)
        desk.turn(lambda: desk.session.queue.number == 3)
    desk.close()
    again = Desk(desk.folder)
    again.open()
    again.queue.find("2")
    again.turn(lambda: again.session.queue.number == 2 and again.session.recovery is not None)
    again.edit.recovery.restore()
    again.turn(lambda: again.session.proposal is not None)
    np.testing.assert_array_equal(again.live.mask, crashed)
    again.review.accept()
    again.turn(lambda: again.session.queue.number == 3)
    again.turn(lambda: not list_recoveries(desk.folder / "recovery"))
    again.close()


def test_what_was_said_while_the_project_was_away_is_there_when_it_is_reopened(desk, folder):
    desk.open()
    said = []
    desk.session.events.message.connect(said.append)
    place = desk.session.queue.folder
    away = place.rename(place.with_name("away"))
    desk.stroke(3, 5)
    desk.review.annotate(label="3", comment="first")
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.review.annotate(comment="only words")
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 3)
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.number == 4)
    desk.turn(lambda: "wafer_2" in desk.session.queue.shown[2].image and len(kept(folder)) == 4)
    desk.turn(lambda: any(str(folder / "recovery") in message for message in said))
    desk.close()
    away.rename(place)
    again = Desk(folder)
    again.open()
    again.turn(lambda: "are now saved" in again.session.message)
    assert [row.state for row in again.session.queue.shown[:3]] == [
        ReviewState.CORRECTED,
        ReviewState.CANDIDATE,
        ReviewState.UNSURE,
    ]
    assert (again.session.queue.reviewed, again.session.queue.number) == (2, 2)
    record = again.project().record("wafer_0", "Anna")
    assert (record.state, record.label, record.comment) == (ReviewState.CORRECTED, "3", "first")
    assert [edit.name for edit in record.recipe.edits] == ["stroke"]
    assert again.project().mask("wafer_0", "Anna").sum() == 16
    assert again.session.record.comment == "only words"
    assert kept(folder) == []
    again.close()


def kept(folder):
    return [copy for copy in list_recoveries(folder / "recovery") if "change" in copy.info]


def test_a_review_of_an_image_that_was_replaced_meanwhile_is_kept_elsewhere(desk, folder):
    desk.open()
    desk.turn(lambda: desk.session.project.cache.get("wafer_1") is not None)
    path = folder / "images" / "wafer_1.png"
    original = path.read_bytes()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(path)
    desk.queue.step(1)
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.stroke(3, 5)
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "failed")
    assert "wafer_1.png: was replaced" in desk.session.message
    assert str(folder / "recovery") in desk.session.message
    assert desk.project().mask("wafer_1", "Anna") is None
    assert desk.live.mask.sum() == 16
    path.write_bytes(original)
    desk.review.save()
    desk.turn(lambda: desk.session.save.state == "saved")
    assert desk.project().mask("wafer_1", "Anna").sum() == 16
    assert kept(folder) == []
    # Touched only: the pixels are the same.
    path.touch()
    desk.review.annotate(comment="same")
    desk.turn(lambda: desk.project().record("wafer_1", "Anna").comment == "same")


def test_a_second_window_is_told_before_anybody_paints(desk, folder):
    desk.open()
    second = Desk(folder)
    second.open("ANNA")
    assert "another program is writing reviews as 'ANNA'" in second.session.message
    assert second.session.queue.number == 1
    assert not (second.session.queue.folder / "reviews" / "anna").exists()
    assert second.project().annotators() == []
    second.open("Ben")
    second.turn(lambda: second.session.queue.annotator == "Ben")
    second.close()


def test_a_late_copy_does_not_bring_strokes_back(desk, folder, monkeypatch):
    go, begun = threading.Event(), threading.Event()

    def slowly(*arguments):
        begun.set()
        go.wait(30)
        return write_copy(*arguments)

    monkeypatch.setattr("napari_semxai.controllers.edit.recovery.write_copy", slowly)
    desk.open()
    desk.stroke(3, 5)
    desk.edit.copies.hurry(desk.session.current.key)
    assert begun.wait(30)
    desk.review.review(ReviewState.NO_DEFECT)
    desk.turn(lambda: desk.session.queue.number == 2 and desk.session.queue.reviewed == 1)
    go.set()
    desk.close()
    assert list_recoveries(folder / "recovery") == []
    again = Desk(folder)
    again.open()
    again.queue.find("1")
    again.turn(lambda: again.session.queue.number == 1)
    assert again.session.record.state is ReviewState.NO_DEFECT
    assert not again.live.mask.any()
    again.close()
    assert again.project().record("wafer_0", "Anna").state is ReviewState.NO_DEFECT
