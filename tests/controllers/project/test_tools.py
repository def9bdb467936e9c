"""Existing masks are brought into the open project, and what needs a word is asked for."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.reports.lot_report import write_report
from napari_semxai.store.project.imports import ImportChoices
from napari_semxai.store.project.klarf_export import KlarfChoices
from napari_semxai.types import IDLE, ReviewChange, ReviewState
from tests.controllers.desk import SHAPE

DEFECT = np.zeros(SHAPE, np.uint8)
DEFECT[8:14, 10:18] = 255


@pytest.fixture
def masks(folder):
    """Two clear masks, and one of which dark may be the defect."""
    (folder / "masks").mkdir()
    for name, pixels in (("wafer_0", DEFECT), ("wafer_1", DEFECT), ("wafer_2", 255 - DEFECT)):
        Image.fromarray(pixels).save(folder / "masks" / f"{name}_mask.png")
    return folder / "masks"


@pytest.fixture
def asked(desk):
    heard = []
    desk.tools.asked.connect(heard.append)
    return heard


def test_reviews_and_unclear_masks_are_asked_about_and_the_rest_comes_in(desk, masks, asked):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    desk.tools.import_masks(masks)
    desk.turn(lambda: asked and desk.session.queue.reviewed == 2 and desk.session.batch == IDLE)
    [imported] = asked
    assert (imported.reviewed, imported.unclear) == (["wafer_0"], ["wafer_2"])
    assert "1 mask" in desk.session.message
    assert "2 left out" in desk.session.message
    # The open image shows what came in.
    desk.turn(lambda: getattr(desk.session.record, "state", None) is ReviewState.ACCEPTED)
    assert (desk.live.mask == (DEFECT > 0)).all()
    assert desk.project().mask("wafer_0", "Anna").sum() == 16

    names = frozenset(["wafer_0", "wafer_2"])
    answer = replace(imported.choices, replace=True, unclear=parse_rule("zero"), only=names)
    desk.tools.import_masks(masks, answer)
    desk.turn(lambda: desk.session.queue.reviewed == 3 and desk.session.batch == IDLE)
    project = desk.project()
    for name in ("wafer_0", "wafer_2"):
        assert (project.mask(name, "Anna") == (DEFECT > 0)).all()
    assert len(asked) == 1

    desk.tools.restore_replaced()
    desk.turn(lambda: "1 replaced review restored" in desk.session.message)
    assert desk.project().mask("wafer_0", "Anna").sum() == 16


def test_a_review_that_cannot_be_restored_is_named_and_the_rest_comes_back(desk, masks, asked):
    desk.open()
    desk.turn(lambda: desk.session.queue is not None)
    project = desk.session.project.project
    for name in ("wafer_0", "wafer_1"):
        project.write_review(name, "Anna", ReviewChange(ReviewState.CORRECTED, DEFECT == 0))
    desk.tools.import_masks(masks, ImportChoices(replace=True))
    desk.turn(lambda: asked and desk.session.batch == IDLE)
    (broken,) = (project.folder / "reviews/anna/replaced/wafer_0").glob("*.png")
    broken.write_bytes(b"no picture")
    desk.tools.restore_replaced()
    desk.turn(lambda: "1 replaced review restored" in desk.session.message)
    assert "1 cannot be restored, for example: " in desk.session.message
    assert broken.name in desk.session.message
    assert (desk.project().mask("wafer_1", "Anna") == (DEFECT == 0)).all()
    assert (desk.project().mask("wafer_0", "Anna") == (DEFECT > 0)).all()


def test_strokes_of_the_open_image_are_not_lost_to_an_import(desk, masks, asked):
    desk.open()
    desk.stroke(3, 5)
    desk.tools.import_masks(masks)
    assert "Review this image first" in desk.session.message
    assert desk.session.batch == IDLE
    assert desk.project().record("wafer_0", "Anna") is None


def test_a_folder_without_masks_is_said_and_asks_nothing(desk, folder, asked):
    desk.open()
    (folder / "nothing").mkdir()
    desk.tools.import_masks(folder / "nothing")
    desk.turn(lambda: "holds no" in desk.session.message)
    assert desk.session.batch == IDLE
    assert asked == []


def test_a_report_is_written_behind_the_window_and_can_be_cancelled(desk, folder):
    desk.open()
    desk.stroke(3, 5)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    target = folder / "lot.html"
    # Nobody else has written anything.
    desk.tools.report(write_report, target)
    desk.turn(lambda: "Report of 5 images" in desk.session.message)
    (desk.project().folder / "reviews/bert").mkdir()
    desk.tools.report(write_report, target)
    # Others' reviews are hidden until one's own are done.
    assert "hidden until you have reviewed all images" in desk.session.message
    assert desk.session.batch == IDLE
    desk.session.blind = False
    desk.tools.report(write_report, target)
    assert desk.session.batch.stage == "Report"
    desk.turn(lambda: "Report of 5 images" in desk.session.message)
    assert desk.session.batch == IDLE
    assert "<td>Anna<" in target.read_text("utf-8")
    target.unlink()
    desk.tools.report(write_report, target)
    desk.tools.cancel()
    desk.turn(lambda: "cancelled" in desk.session.message)
    assert not target.exists()


def test_what_is_chosen_for_a_klarf_copy_is_kept_in_the_project(desk, folder):
    desk.open()
    desk.turn(lambda: desk.session.queue is not None)
    desk.session.project.project.write_review(
        "wafer_0", "Anna", ReviewChange(ReviewState.CORRECTED, DEFECT > 0, label="7")
    )
    chosen = KlarfChoices(source=folder / "lot.001", numbers={"7": "3"}, sizes=("XSIZE",))
    copied = []
    desk.tools.copied.connect(copied.append)
    desk.tools.export("klarf", "anna", folder / "copy.001", every=False, choices=chosen)
    desk.turn(lambda: "is not there" in desk.session.message)
    assert not copied
    kept = desk.project().info.exports["klarf"]
    assert (kept["numbers"], kept["sizes"], kept["source"]) == ({"7": "3"}, ["XSIZE"], None)
    assert desk.session.project.project.info.exports["klarf"]["numbers"] == {"7": "3"}
    assert not desk.tools.hides("anna")
