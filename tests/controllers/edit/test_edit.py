import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.edits import MASK_EDITS
from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.store.disk.safety_net import list_recoveries, load_recovery
from napari_semxai.store.images.masks import read_mask, write_mask
from tests.open_images import automatic_of, open_image
from tests.pools import scene_masks


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recovery"


@pytest.fixture
def edit(session, jobs, folder):
    edit = EditController(session, jobs, folder, wait=0.05)
    yield edit
    edit.close()


@pytest.fixture
def mask(session, image, edit):
    open_image(session, image)
    mask = LiveMask(scene_masks()[1])
    edit.start_mask(mask)
    return mask


@pytest.fixture
def told(session):
    """Wait until a field of the session satisfies a condition."""

    def wait(name, condition, act):
        done = threading.Event()
        signal = getattr(session.events, name)

        def look(value):
            if condition(value):
                done.set()

        signal.connect(look)
        act()
        assert done.wait(30), f"{name} is {getattr(session, name)}"
        signal.disconnect(look)
        return getattr(session, name)

    return wait


def stroke(mask, edit):
    mask.update((slice(0, 5), slice(0, 5)), np.ones((5, 5)))
    edit.mask_changed()
    edit.stroked()


@pytest.mark.parametrize("known", MASK_EDITS, ids=lambda known: known.name)
def test_an_edit_becomes_a_proposal(told, edit, mask, known):
    parameters = {known.parameter: 3} if known.parameter else {}
    before = mask.mask.copy()
    proposal = told(
        "proposal", lambda value: value is not None, lambda: edit.edit(known.name, **parameters)
    )
    np.testing.assert_array_equal(proposal.mask, known.function(before, **parameters))
    assert proposal.title == known.name


def test_a_stroke_forks_is_shown_and_is_copied_soon(session, told, edit, mask, folder):
    state = told("save", lambda save: save.state == "recovery", lambda: stroke(mask, edit))
    assert session.edited
    assert session.size.area == 625
    stored, recovery = load_recovery(state.path)
    np.testing.assert_array_equal(stored, mask.mask)
    assert recovery.info["name"] == "a"


def test_saving_writes_the_file_and_drops_the_copy(session, told, edit, mask, folder, tmp_path):
    told("save", lambda save: save.state == "recovery", lambda: stroke(mask, edit))
    path = tmp_path / "mask.png"
    told("save", lambda save: save.state == "saved", lambda: edit.save(path))
    np.testing.assert_array_equal(read_mask(path), mask.mask)
    edit._jobs.close()
    assert list_recoveries(folder) == []


def test_a_failed_save_is_told_and_keeps_the_last_good_file(told, edit, mask, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    state = told(
        "save", lambda save: save.state == "failed", lambda: edit.save(blocker / "mask.png")
    )
    assert "mask.png" in state.message
    assert blocker.read_text() == ""


def test_loading_is_a_proposal(told, edit, mask, tmp_path):
    write_mask(tmp_path / "m.png", scene_masks()[2])
    proposal = told("proposal", lambda value: value, lambda: edit.load(tmp_path / "m.png"))
    np.testing.assert_array_equal(proposal.mask, scene_masks()[2])


def test_a_mask_of_another_size_is_refused_in_one_line(session, told, edit, mask, tmp_path):
    write_mask(tmp_path / "m.png", np.ones((4, 5), bool))
    message = told("message", bool, lambda: edit.load(tmp_path / "m.png"))
    assert "m.png" in message
    assert "5x4" in message
    assert session.proposal is None


def test_leaving_copies_at_once_and_coming_back_restores(session, told, edit, mask, image):
    edit.copies.wait = 60
    edit.start_mask(mask)
    stroke(mask, edit)
    edit.leave()
    open_image(session, None)
    open_image(session, image)
    proposal = told(
        "proposal", lambda value: value, lambda: edit.start_mask(LiveMask(np.zeros((96, 128))))
    )
    np.testing.assert_array_equal(proposal.mask, mask.mask)


def test_closing_writes_what_is_unsaved(edit, mask, folder):
    edit.copies.wait = 60
    edit.start_mask(mask)
    stroke(mask, edit)
    edit.close()
    assert len(list_recoveries(folder)) == 1


def test_an_unwritable_recovery_folder_is_told(told, session, jobs, image, tmp_path):
    (tmp_path / "file").write_text("")
    edit = EditController(session, jobs, tmp_path / "file" / "recovery", wait=0.01)
    open_image(session, image)
    mask = LiveMask(scene_masks()[1])
    edit.start_mask(mask)
    state = told("save", lambda save: save.state == "failed", lambda: stroke(mask, edit))
    assert "memory only" in state.message
    edit.close()


def test_a_mask_is_not_saved_over_the_open_image(session, told, edit, image, tmp_path):
    path = tmp_path / "image.png"
    for gray in (image.gray, np.where(image.gray > 100, 255, 0).astype(np.uint8)):
        Image.fromarray(gray).save(path)
        before = path.read_bytes()
        open_image(session, replace(image, gray=gray, pixels=gray, path=path))
        edit.start_mask(LiveMask(scene_masks()[1]))
        state = told("save", lambda save: save.state == "failed", lambda: edit.save(path))
        assert "image.png" in state.message
        assert path.read_bytes() == before
        edit.leave()


def test_an_automatic_mask_that_is_applied_says_how_it_was_made(session, edit, mask):
    session.automatic = automatic_of()
    edit.apply_automatic()
    details = session.proposal.details
    assert details["winner"] == session.automatic.truth.winner
    assert (details["alpha"], details["model"]["name"]) == (session.algorithm.alpha, "bundled")
    assert details["pred_iou_thresh"] == session.filters.pred_iou_thresh


def test_a_mask_is_copied_and_added_on_another_image(session, edit, mask, image):
    edit.clipboard.paste()
    assert session.message == "Copy a mask first"
    edit.clipboard.add_previous()
    assert session.message == "No image was open before"
    edit.clipboard.copy()
    copied = mask.mask.copy()
    stroke(mask, edit)
    left = mask.mask.copy()
    edit.leave()
    open_image(session, replace(image, name="b"))
    other = LiveMask(np.zeros(image.gray.shape, bool))
    other.update((slice(90, 95), slice(0, 5)), np.ones((5, 5)))
    edit.start_mask(other)
    edit.clipboard.paste()
    np.testing.assert_array_equal(session.proposal.mask, copied | other.mask)
    edit.clipboard.add_previous()
    np.testing.assert_array_equal(session.proposal.mask, left | other.mask)
    assert session.proposal.title == "mask of the previous image"
    # One of another size is refused.
    edit.leave()
    small = replace(image, gray=image.gray[:50], pixels=image.gray[:50])
    open_image(session, small)
    edit.start_mask(LiveMask(np.zeros(small.gray.shape, bool)))
    edit.clipboard.paste()
    assert "image's size" in session.message
