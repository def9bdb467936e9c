"""What is ignored of an image, in a real project on disk, without a viewer."""

import numpy as np

from napari_semxai.store.disk.safety_net import list_recoveries
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.types import ReviewState
from tests.controllers.desk import SHAPE, generated


def square(row, column, side=4):
    mask = np.zeros(SHAPE, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def state_of(desk, image):
    return next(row.state for row in desk.session.queue.shown if row.image == image)


def review(desk, state):
    """Review the open image, and wait until the next one is open and this one is on disk."""
    image, number = desk.session.queue.current, desk.session.queue.number
    desk.review.review(state)
    desk.turn(lambda: desk.session.queue.number == number + 1)
    desk.turn(lambda: state_of(desk, image) is state)


def undo(desk, image, state):
    desk.review.undo()
    desk.turn(lambda: desk.session.queue.current == image and state_of(desk, image) is state)


def stored(desk, image, annotator="Anna"):
    project = desk.project()
    record = project.record(image, annotator)
    region = None if record is None else region_mask(record.ignored, SHAPE)
    return record, project.mask(image, annotator), region


def written(desk, image):
    """Wait until an image has a record, which is written after its mask."""
    desk.turn(lambda: stored(desk, image)[0] is not None and stored(desk, image)[0].time)
    return stored(desk, image)


def step(desk, by):
    number = desk.session.queue.number + by
    desk.queue.step(by)
    desk.turn(lambda: desk.session.queue.number == number)


def test_a_region_is_kept_with_the_mask_and_comes_back(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.mark(5, 5)
    step(desk, 1)
    record, mask, region = written(desk, "wafer_0")
    np.testing.assert_array_equal(mask, square(3, 5) & ~square(5, 5))
    np.testing.assert_array_equal(region, square(5, 5))
    assert record.area == mask.sum()
    assert desk.session.ignored is None
    step(desk, -1)
    np.testing.assert_array_equal(desk.session.ignored, square(5, 5))
    np.testing.assert_array_equal(desk.live.labels, mask + 2 * square(5, 5))
    desk.mark(5, 5, label=0)
    step(desk, 1)
    desk.turn(lambda: stored(desk, "wafer_0")[2] is None)


def test_a_region_alone_is_kept_and_makes_no_mask_of_a_person(desk):
    desk.open()
    desk.mark(2, 2)
    assert not desk.session.edited
    step(desk, 1)
    record, mask, region = written(desk, "wafer_0")
    assert not mask.any()
    np.testing.assert_array_equal(region, square(2, 2))
    assert record.state is ReviewState.CANDIDATE
    desk.projects.close()
    desk.open()
    assert not desk.session.edited
    # The automatic mask comes beside it, and is written without what is ignored.
    desk.session.automatic = generated()
    step(desk, 1)
    desk.turn(lambda: stored(desk, "wafer_0")[1].any())
    _, mask, region = stored(desk, "wafer_0")
    assert not (mask & region).any()
    np.testing.assert_array_equal(region, square(2, 2))


def test_a_change_of_the_region_voids_a_review_and_an_undone_review_has_its_region(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.mark(18, 5)
    review(desk, ReviewState.CORRECTED)
    step(desk, -1)
    desk.mark(18, 5, label=0)
    desk.mark(20, 15)
    assert desk.session.record.state is ReviewState.CANDIDATE
    assert desk.session.record.voided is ReviewState.CORRECTED
    review(desk, ReviewState.UNSURE)
    np.testing.assert_array_equal(stored(desk, "wafer_0")[2], square(20, 15))
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    np.testing.assert_array_equal(desk.session.ignored, square(20, 15))
    np.testing.assert_array_equal(stored(desk, "wafer_0")[2], square(20, 15))
    # Taken back altogether, reviewed, and the review undone: none again.
    desk.mark(20, 15, label=0)
    review(desk, ReviewState.UNSURE)
    assert stored(desk, "wafer_0")[2] is None
    undo(desk, "wafer_0", ReviewState.CANDIDATE)
    assert desk.session.ignored is None


def test_no_defect_keeps_the_region(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.mark(18, 5)
    review(desk, ReviewState.NO_DEFECT)
    record, mask, region = stored(desk, "wafer_0")
    assert (record.state, mask.any()) == (ReviewState.NO_DEFECT, False)
    np.testing.assert_array_equal(region, square(18, 5))


def test_every_annotator_has_regions_of_their_own_and_agreement_leaves_out_both(desk):
    desk.open("Anna")
    desk.stroke(3, 5)
    desk.mark(18, 5)
    review(desk, ReviewState.CORRECTED)
    desk.projects.close()
    desk.open("Ben")
    assert desk.session.ignored is None
    desk.stroke(3, 5)
    desk.stroke(18, 5)
    desk.mark(20, 25)
    review(desk, ReviewState.CORRECTED)
    desk.queue.step(-1)
    desk.turn(lambda: desk.session.queue.number == 1)
    desk.annotators.compare()
    desk.turn(lambda: desk.session.others is not None)
    found = desk.session.others.agreement["anna", "ben"]
    # Ben's second stroke lies in what Anna ignores.
    assert found.dice == 1
    assert found.tp + found.tn == SHAPE[0] * SHAPE[1] - 32
    np.testing.assert_array_equal(stored(desk, "wafer_0")[2], square(18, 5))
    np.testing.assert_array_equal(stored(desk, "wafer_0", "Ben")[2], square(20, 25))


def test_edits_of_a_whole_mask_never_fill_what_is_ignored(desk):
    desk.open()
    desk.stroke(10, 10)
    desk.mark(10, 14)
    desk.edit.edit("grow", radius=3)
    desk.turn(lambda: desk.live.mask.sum() > 16)
    np.testing.assert_array_equal(desk.session.ignored, square(10, 14))
    assert not (desk.live.mask & square(10, 14)).any()
    desk.edit.toggle_ignoring()
    before = desk.live.mask.copy()
    desk.edit.edit("grow", radius=2)
    desk.turn(lambda: desk.session.ignored.sum() > 16)
    np.testing.assert_array_equal(desk.live.mask, before & ~desk.session.ignored)
    desk.edit.toggle_ignoring()
    desk.edit.propose(np.ones(SHAPE, bool), "paste mask")
    np.testing.assert_array_equal(desk.live.mask, ~desk.session.ignored)


def test_strokes_after_a_crash_come_back_with_what_is_ignored(desk):
    desk.open()
    desk.stroke(3, 5)
    desk.mark(18, 5)
    folder = desk.folder / "recovery"
    desk.edit.copies.flush()
    copy = list_recoveries(folder)[0]
    labels = desk.live.labels.copy()
    desk.mark(18, 5, label=0)
    desk.stroke(15, 25)
    desk.session.recovery = copy
    desk.edit.copies.flush()
    # The file holds the newest strokes now.
    newest = desk.live.labels.copy()
    assert not np.array_equal(labels, newest)
    desk.mark(10, 25)
    desk.edit.recovery.restore()
    desk.turn(lambda: np.array_equal(desk.live.labels, newest))
    assert desk.session.ignored is None


def test_an_image_outside_projects_keeps_its_region(desk, tmp_path):
    from PIL import Image

    files = [tmp_path / f"{name}.png" for name in "ab"]
    for number, path in enumerate(files):
        pixels = np.random.default_rng(number).integers(0, 255, SHAPE).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    desk.images.open_file(files[0])
    desk.turn(lambda: desk.session.image is not None)
    desk.stroke(3, 5)
    desk.mark(18, 5)
    labels = desk.live.labels.copy()
    first = desk.session.image
    desk.images.open_file(files[1])
    desk.turn(lambda: desk.session.image is not first)
    assert desk.session.ignored is None
    desk.images.show(first)
    np.testing.assert_array_equal(desk.live.labels, labels)
    place = tmp_path / "a_mask.png"
    desk.edit.save(place)
    desk.turn(lambda: desk.session.save.path == place)
    beside = np.asarray(Image.open(tmp_path / "a_mask_ignored.png"))
    np.testing.assert_array_equal(beside, 255 * square(18, 5))
    np.testing.assert_array_equal(np.asarray(Image.open(place)), 255 * square(3, 5))
    desk.mark(18, 5, label=0)
    desk.edit.load(place)
    desk.turn(lambda: np.array_equal(desk.live.labels, labels))
