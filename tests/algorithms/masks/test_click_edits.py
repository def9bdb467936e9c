import numpy as np
import pytest

from napari_semxai.algorithms.masks.click_edits import (
    UNHEEDED_RADIUS,
    AnswerDoubts,
    judge_answer,
    object_at,
    prompted_object,
    still_there,
    take_answer,
)
from napari_semxai.algorithms.masks.components import components_at
from napari_semxai.types import Prompts

NOTHING = np.zeros((40, 60), dtype=bool)


def blobs(*boxes, shape=(20, 30)):
    mask = np.zeros(shape, dtype=bool)
    for row0, column0, row1, column1 in boxes:
        mask[row0:row1, column0:column1] = True
    return mask


LEFT, RIGHT = (2, 2, 8, 8), (2, 20, 8, 26)


def test_the_object_is_the_component_under_the_click():
    mask = blobs(LEFT, RIGHT)
    np.testing.assert_array_equal(object_at(mask, 3, 25), blobs(RIGHT))
    assert not object_at(mask, 10, 10).any()
    assert not object_at(mask, 3, 19).any()


def test_components_are_found_at_the_edges_of_rows():
    mask = blobs((0, 0, 1, 3), (1, 27, 2, 30))
    np.testing.assert_array_equal(components_at(mask, np.array([[1, 29]])), blobs((1, 27, 2, 30)))
    with pytest.raises(ValueError, match="connectivity"):
        components_at(mask, np.array([[1, 29]]), connectivity=6)


def test_diagonal_neighbours_belong_together():
    mask = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(object_at(mask, 0, 0), mask)


def test_an_object_is_known_again_after_strokes_on_it():
    mask = blobs((2, 2, 8, 12), RIGHT)
    np.testing.assert_array_equal(still_there(mask, blobs(LEFT)), blobs((2, 2, 8, 12)))


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        (Prompts(((4.5, 21.0),), (True,)), [RIGHT]),
        (Prompts(((4.5, 21.0), (3.0, 3.0)), (True, False)), [RIGHT]),
        (Prompts(box=(0, 0, 20, 30)), [(10, 0, 19, 19)]),
    ],
)
def test_specks_of_an_answer_are_left_out(prompts, expected):
    answer = blobs(LEFT, RIGHT, (10, 0, 19, 19))
    empty = np.zeros_like(answer)
    np.testing.assert_array_equal(prompted_object(answer, empty, prompts), blobs(*expected))


def test_what_meets_the_object_before_stays_with_it():
    answer, before = blobs(LEFT, RIGHT), blobs((7, 7, 9, 9))
    prompts = Prompts(((15.0, 15.0),), (False,))
    np.testing.assert_array_equal(prompted_object(answer, before, prompts), blobs(LEFT))


def test_what_an_outline_drawn_anew_leaves_behind_goes():
    answer, before = blobs(LEFT, (9, 9, 10, 10), (4, 20, 5, 21)), blobs((2, 2, 10, 10), RIGHT)
    found = prompted_object(answer, before, Prompts(((3.0, 3.0),), (True,)))
    # The speck of the clicked object goes; what is left of the other one is all there is of it.
    np.testing.assert_array_equal(found, blobs(LEFT, (4, 20, 5, 21)))
    clicked = prompted_object(answer, before, Prompts(((3.0, 3.0), (9.5, 9.5)), (True, True)))
    np.testing.assert_array_equal(clicked, answer)


def test_a_background_click_takes_its_place_out_even_where_the_network_does_not():
    answer = blobs(LEFT)
    prompts = Prompts(((3.0, 3.0), (5.5, 6.5)), (True, False))
    out = answer & ~prompted_object(answer, answer, prompts)
    assert out[5, 6]
    rows, columns = np.nonzero(out)
    assert np.hypot(rows - 5, columns - 6).max() < UNHEEDED_RADIUS
    heeded = answer.copy()
    heeded[5, 6] = False
    np.testing.assert_array_equal(prompted_object(heeded, answer, prompts), heeded)
    # A place that was painted back since stays when the next click is elsewhere.
    later = Prompts((*prompts.points, (3.0, 4.0)), (True, False, True))
    np.testing.assert_array_equal(prompted_object(answer, answer, later), answer)
    near = Prompts(((4.0, 5.0), (5.5, 6.5)), (True, False))
    assert prompted_object(answer, answer, near)[4, 5]


def test_only_the_object_changes_and_strokes_made_meanwhile_stay():
    before, after = blobs((2, 2, 8, 8)), blobs((2, 4, 8, 12))
    painted = blobs(LEFT, RIGHT, (15, 1, 18, 3))
    result = take_answer(painted, before, after)
    np.testing.assert_array_equal(result, blobs((2, 4, 8, 12), RIGHT, (15, 1, 18, 3)))


def block(row0, column0, row1, column1):
    mask = NOTHING.copy()
    mask[row0:row1, column0:column1] = True
    return mask


def test_an_answer_that_does_what_was_asked_leaves_no_doubt():
    prompts = Prompts(((12.5, 15.5), (30.0, 50.0)), (True, False), (8, 8, 22, 32))
    doubts = judge_answer(block(10, 10, 20, 30), NOTHING, prompts)
    assert not doubts
    assert doubts == AnswerDoubts()


def test_clicks_that_an_answer_does_not_heed_are_counted():
    points = ((10.0, 10.0), (19.99, 29.99), (20.0, 29.0), (9.9, 12.0), (12.0, 12.0))
    prompts = Prompts(points, (True, True, True, True, False))
    assert judge_answer(block(10, 10, 20, 30), NOTHING, prompts) == AnswerDoubts(missed=2, held=1)


@pytest.mark.parametrize(
    ("box", "spilled"),
    [
        ((10, 10, 20, 30), 0.0),
        # A margin of a tenth of the side, and a pixel.
        ((10, 12, 20, 28), 0.0),
        ((10, 10, 20, 20), 0.4),
        ((30, 40, 39, 59), 1.0),
        ((10, 10, 20, 26), 0.0),
    ],
)
def test_what_lies_outside_of_the_box_counts_where_it_is_much(box, spilled):
    doubts = judge_answer(block(10, 10, 20, 30), NOTHING, Prompts(box=box))
    assert doubts.spilled == pytest.approx(spilled)
    assert bool(doubts) == (spilled > 0)


def test_a_click_that_selects_most_of_the_image_is_doubted():
    prompts = Prompts(((5.0, 5.0),), (True,))
    assert not judge_answer(block(0, 0, 20, 60), NOTHING, prompts)
    doubts = judge_answer(block(0, 0, 21, 60), NOTHING, prompts)
    assert doubts.covered == pytest.approx(21 / 40)
    # Not again for an object that a person has already taken.
    assert not judge_answer(block(0, 0, 30, 60), block(0, 0, 28, 60), prompts)


def test_an_answer_that_empties_an_object_is_doubted():
    before = block(10, 10, 20, 30)
    assert judge_answer(NOTHING, before, Prompts(box=(8, 8, 22, 32))) == AnswerDoubts(emptied=True)
    assert not judge_answer(NOTHING, NOTHING, Prompts(box=(8, 8, 22, 32)))
