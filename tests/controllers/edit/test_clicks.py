import numpy as np
import pytest
from psygnal import Signal

from napari_semxai.algorithms.masks.click_edits import AnswerDoubts
from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.state.session import ModelChoice, Proposal
from napari_semxai.types import Encoding
from tests.controllers.sam_clicks import Engine, disc
from tests.open_images import open_image


class Edit:
    """The mask as napari would hold it: proposals are written at once."""

    edited = Signal()

    def __init__(self, session, shape):
        self.live = LiveMask(np.zeros(shape))
        self._session = session

    def propose(self, mask, title, details):
        self._session.proposal = Proposal(mask, title, details)
        self.change(mask)

    def change(self, mask):
        """Paint, undo or redo."""
        self.live.sync(mask)
        self.edited.emit()

    @property
    def mask(self):
        return self.live.mask


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def edit(session, image):
    open_image(session, image)
    return Edit(session, image.gray.shape)


@pytest.fixture
def clicks(session, engine, edit):
    return ClickController(session, engine, edit)


def test_a_click_makes_an_object_and_leaves_the_others(session, engine, edit, clicks):
    edit.live.sync(disc(80, 100))
    clicks.click(20, 30)
    assert session.clicks.prompts.points == ((20, 30),)
    request = engine.answer(disc(20, 30) | disc(60, 60, 3))
    assert request.mask is None
    np.testing.assert_array_equal(edit.mask, disc(20, 30) | disc(80, 100))
    assert session.proposal.title == "SAM click"
    assert session.proposal.details["points"] == ((20.0, 30.0),)
    assert session.clicks.state == "idle"


def test_the_next_click_refines_the_object_with_its_strokes(engine, edit, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    painted = disc(20, 30) | disc(24, 34)
    edit.live.sync(painted | disc(80, 100))
    clicks.click(28, 38, foreground=False)
    request = engine.answer(disc(20, 30, 6))
    np.testing.assert_array_equal(request.mask, painted)
    assert request.prompts.foreground == (True, False)
    np.testing.assert_array_equal(edit.mask, disc(20, 30, 6) | disc(80, 100))


def test_a_click_in_another_component_goes_on_with_that_one(engine, edit, clicks):
    edit.live.sync(disc(80, 100))
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    clicks.click(80, 100)
    request = engine.answer(disc(80, 100, 9))
    np.testing.assert_array_equal(request.mask, disc(80, 100))
    assert request.prompts.points == ((80, 100),)
    np.testing.assert_array_equal(edit.mask, disc(20, 30) | disc(80, 100, 9))


def test_clicks_made_while_the_network_works_are_asked_together(session, engine, edit, clicks):
    clicks.click(20, 30)
    clicks.click(22, 34)
    clicks.click(40, 34, foreground=False)
    assert len(engine.requests) == 1
    engine.answer(disc(50, 50))
    assert not edit.mask.any()
    request = engine.answer(disc(20, 30))
    assert len(request.prompts.points) == 3
    np.testing.assert_array_equal(edit.mask, disc(20, 30))
    assert engine.requests == []


def test_strokes_painted_meanwhile_stay(engine, edit, clicks):
    clicks.click(20, 30)
    edit.live.sync(disc(60, 60, 3))
    engine.answer(disc(20, 30))
    np.testing.assert_array_equal(edit.mask, disc(20, 30) | disc(60, 60, 3))


def test_an_undone_click_is_not_asked_again(session, engine, edit, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    clicks.click(24, 34)
    engine.answer(disc(20, 30, 12))
    edit.change(disc(20, 30))
    assert session.clicks.prompts.points == ((20, 30),)
    clicks.click(15, 30)
    request = engine.answer(disc(20, 30, 9))
    assert request.prompts.points == ((20, 30), (15, 30))
    edit.change(np.zeros_like(edit.mask))
    assert not session.clicks.prompts
    clicks.click(50, 50)
    assert engine.answer(None).prompts.points == ((50, 50),)


def test_undo_and_redo_take_the_clicks_along_past_strokes_between(session, engine, edit, clicks):
    masks = [edit.mask.copy()]
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    masks.append(edit.mask.copy())
    masks.append(disc(20, 30) | disc(24, 34, 3))
    edit.change(masks[-1])
    clicks.click(15, 30)
    engine.answer(disc(20, 30, 12))
    masks.append(edit.mask.copy())
    counts = []
    for step in (2, 1, 0, 1, 2, 3):
        edit.change(masks[step])
        counts.append(len(session.clicks.prompts.points))
    assert counts == [1, 1, 0, 1, 1, 2]
    clicks.click(28, 38, foreground=False)
    request = engine.answer(None)
    assert len(request.prompts.points) == 3
    np.testing.assert_array_equal(request.mask, disc(20, 30, 12))


def test_what_is_asked_when_its_object_is_undone_does_not_come(session, engine, edit, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    clicks.click(24, 34)
    edit.change(np.zeros_like(edit.mask))
    assert not session.clicks.prompts
    engine.answer(disc(20, 30, 12))
    assert not edit.mask.any()
    assert session.clicks.state == "idle"
    clicks.click(50, 50)
    engine.answer(disc(50, 50))
    np.testing.assert_array_equal(edit.mask, disc(50, 50))


def test_an_answer_that_misses_its_click_is_offered(session, engine, edit, clicks):
    edit.change(disc(80, 100))
    clicks.click(20, 30)
    engine.answer(disc(40, 50))
    offer = session.clicks.offer
    assert offer.doubts == AnswerDoubts(missed=1)
    np.testing.assert_array_equal(offer.after, disc(40, 50))
    np.testing.assert_array_equal(edit.mask, disc(80, 100))
    # Strokes that come before the word stay.
    edit.change(disc(80, 100) | disc(60, 20, 3))
    clicks.apply_offer()
    np.testing.assert_array_equal(edit.mask, disc(80, 100) | disc(60, 20, 3) | disc(40, 50))
    assert session.clicks.offer is None
    assert session.clicks.prompts.points == ((20, 30),)
    assert session.proposal.details["points"] == ((20.0, 30.0),)
    edit.change(disc(80, 100) | disc(60, 20, 3))
    assert not session.clicks.prompts


def test_an_offer_that_is_discarded_goes_with_its_click(session, engine, edit, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    clicks.click(60, 100)
    engine.answer(disc(20, 30, 9))
    assert session.clicks.offer.doubts.missed == 1
    clicks.discard_offer()
    assert session.clicks.offer is None
    assert session.clicks.prompts.points == ((20, 30),)
    np.testing.assert_array_equal(edit.mask, disc(20, 30))
    clicks.apply_offer()
    np.testing.assert_array_equal(edit.mask, disc(20, 30))


def test_a_click_on_what_is_offered_corrects_it(session, engine, edit, clicks):
    everything = np.ones_like(edit.mask)
    clicks.click(20, 30)
    engine.answer(everything)
    assert session.clicks.offer.doubts == AnswerDoubts(covered=1.0)
    clicks.click(80, 100, foreground=False)
    assert session.clicks.offer is None
    request = engine.answer(disc(20, 30))
    np.testing.assert_array_equal(request.mask, everything)
    assert request.prompts.foreground == (True, False)
    np.testing.assert_array_equal(edit.mask, disc(20, 30))
    details = session.proposal.details
    assert (details["object"]["runs"], details["prompt"]["box"]) == ("", [0, 0, 96, 128])


@pytest.mark.parametrize("gesture", ["new object", "box", "another image", "undo"])
def test_an_offer_goes_with_what_it_was_about(session, engine, edit, clicks, gesture):
    clicks.click(50, 50)
    engine.answer(disc(50, 50))
    clicks.click(20, 30)
    engine.answer(disc(50, 50, 10))
    assert session.clicks.offer is not None
    if gesture == "new object":
        clicks.begin_object()
    elif gesture == "box":
        clicks.box(60, 60, 80, 80)
    elif gesture == "undo":
        edit.change(np.zeros_like(edit.mask))
    else:
        open_image(session, None)
    assert session.clicks.offer is None
    assert (20, 30) not in session.clicks.prompts.points


def test_taking_the_tool_keeps_an_offer_from_elsewhere(session, engine, edit, clicks):
    clicks.refine_mask(disc(60, 60), "SAM of CRAFT mask")
    engine.answer(np.ones_like(edit.mask))
    assert "SAM of CRAFT mask: not applied" in session.message
    clicks.activate(True)
    assert session.clicks.offer is not None
    clicks.apply_offer()
    assert session.proposal.title == "SAM of CRAFT mask"
    assert edit.mask.all()


def test_a_background_click_needs_an_object(session, engine, clicks):
    clicks.click(20, 30, foreground=False)
    assert engine.requests == []
    assert "click on the defect first" in session.clicks.message


def test_a_box_begins_another_object(engine, edit, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    clicks.box(90, 70, 40, 50)
    request = engine.answer(disc(60, 60))
    assert request.prompts.box == (40, 50, 90, 70)
    assert request.mask is None
    np.testing.assert_array_equal(edit.mask, disc(20, 30) | disc(60, 60))


def test_any_mask_can_be_the_prompt(session, engine, edit, clicks):
    edit.live.sync(disc(20, 30))
    clicks.refine_mask(disc(60, 60), "SAM of CRAFT mask")
    request = engine.answer(disc(60, 62))
    np.testing.assert_array_equal(request.mask, disc(60, 60))
    assert request.prompts.box == (52, 52, 69, 69)
    assert session.proposal.title == "SAM of CRAFT mask"
    np.testing.assert_array_equal(edit.mask, disc(20, 30) | disc(60, 62))
    assert "SAM of CRAFT mask: added to the defect mask" in session.message
    clicks.refine_mask(np.ones((3, 3), bool), "other")
    assert "other" in session.message


def test_a_prompt_from_elsewhere_that_changes_nothing_says_so(session, engine, edit, clicks):
    edit.live.sync(disc(20, 30))
    clicks.refine_mask(disc(20, 30), "SAM of CRAFT mask")
    engine.answer(disc(20, 30))
    assert "SAM of CRAFT mask: SAM 2 does not change the mask" in session.message


def test_a_click_says_nothing_beside_its_own_line(session, engine, clicks):
    clicks.click(20, 30)
    engine.answer(disc(20, 30))
    assert session.clicks.message.startswith("Predicted IoU")
    assert session.message == ""


def test_the_tool_encodes_the_image_before_the_first_click(session, engine, clicks):
    clicks.activate(True)
    request, on_update, on_done, _ = engine.requests.pop()
    assert not request.prompts
    on_update(Encoding())
    assert session.clicks.state == "encoding"
    assert "Encoding" in session.clicks.message
    on_done()
    assert (session.clicks.state, session.clicks.message) == ("idle", "")


def test_errors_are_said_and_the_next_click_is_asked(session, engine, clicks):
    clicks.click(20, 30)
    engine.requests.pop()[3]("no network")
    assert session.clicks.state == "failed"
    assert session.message == "no network"
    over = []
    session.events.failure_over.connect(over.append)
    for _ in range(2):
        clicks.click(20, 30)
        assert len(engine.requests) == 1
        engine.requests.pop()[2]()
    assert over == ["no network"]


def test_another_image_begins_anew(session, engine, clicks):
    clicks.click(20, 30)
    open_image(session, None)
    assert not session.clicks.prompts
    assert engine.requests == []


def test_a_box_around_an_object_corrects_it(engine, edit, clicks):
    edit.live.sync(disc(60, 60) | disc(20, 30) | disc(56, 76, 4))
    # The small one is only touched.
    clicks.box(48, 48, 73, 73)
    request = engine.answer(disc(60, 60, 5))
    np.testing.assert_array_equal(request.mask, disc(60, 60))
    np.testing.assert_array_equal(edit.mask, disc(60, 60, 5) | disc(20, 30) | disc(56, 76, 4))


def test_a_box_within_an_object_that_is_too_large_corrects_it(engine, edit, clicks):
    edit.live.sync(disc(60, 60, 20))
    clicks.box(55, 55, 66, 66)
    assert engine.answer(disc(60, 60, 5)).mask.sum() == disc(60, 60, 20).sum()
    np.testing.assert_array_equal(edit.mask, disc(60, 60, 5))


def test_the_network_that_answered_is_noted(session, engine, edit, clicks):
    clicks.click(20, 30)
    session.choice = ModelChoice("other")
    engine.answer(disc(20, 30))
    assert session.proposal.details["model"]["name"] == "bundled"
