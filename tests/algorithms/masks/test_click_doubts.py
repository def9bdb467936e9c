import numpy as np
import pytest

from napari_semxai.algorithms.masks.click_edits import AnswerDoubts, judge_answer
from napari_semxai.types import Prompts

NOTHING = np.zeros((40, 60), dtype=bool)


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
