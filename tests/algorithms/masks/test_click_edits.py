import numpy as np
import pytest

from napari_semxai.algorithms.masks.click_edits import (
    UNHEEDED_RADIUS,
    object_at,
    own_part,
    still_there,
    take_answer,
)
from napari_semxai.algorithms.masks.components import components_at
from napari_semxai.types import Prompts


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
    np.testing.assert_array_equal(own_part(answer, empty, prompts), blobs(*expected))


def test_what_meets_the_object_before_stays_with_it():
    answer, before = blobs(LEFT, RIGHT), blobs((7, 7, 9, 9))
    prompts = Prompts(((15.0, 15.0),), (False,))
    np.testing.assert_array_equal(own_part(answer, before, prompts), blobs(LEFT))


def test_a_background_click_takes_its_place_out_even_where_the_network_does_not():
    answer = blobs(LEFT)
    prompts = Prompts(((3.0, 3.0), (5.5, 6.5)), (True, False))
    out = answer & ~own_part(answer, answer, prompts)
    assert out[5, 6]
    rows, columns = np.nonzero(out)
    assert np.hypot(rows - 5, columns - 6).max() < UNHEEDED_RADIUS
    heeded = answer.copy()
    heeded[5, 6] = False
    np.testing.assert_array_equal(own_part(heeded, answer, prompts), heeded)
    # A place that was painted back since stays when the next click is elsewhere.
    later = Prompts((*prompts.points, (3.0, 4.0)), (True, False, True))
    np.testing.assert_array_equal(own_part(answer, answer, later), answer)
    near = Prompts(((4.0, 5.0), (5.5, 6.5)), (True, False))
    assert own_part(answer, answer, near)[4, 5]


def test_only_the_object_changes_and_strokes_made_meanwhile_stay():
    before, after = blobs((2, 2, 8, 8)), blobs((2, 4, 8, 12))
    painted = blobs(LEFT, RIGHT, (15, 1, 18, 3))
    result = take_answer(painted, before, after)
    np.testing.assert_array_equal(result, blobs((2, 4, 8, 12), RIGHT, (15, 1, 18, 3)))
