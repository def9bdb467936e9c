from dataclasses import replace
from pathlib import Path

import pytest

from napari_semxai.state.queue import Queue
from napari_semxai.types import QueueRow, ReviewState


def row(number, state=ReviewState.CANDIDATE):
    return QueueRow(f"i{number}", number, "a", state, None, "", None, None, "", False)


def queue_of(*rows, current="", number=0):
    return Queue("p", Path("p"), "a", 9, rows, current, number)


def test_the_position_follows_what_is_open():
    queue = queue_of(row(1), row(3), row(7), current="i3")
    assert queue.position == 1
    assert replace(queue, current="i7").position == 2
    assert replace(queue, current="i8").position is None
    assert replace(queue, current="").position is None


@pytest.mark.parametrize(
    ("current", "by", "expected"),
    [("i1", 1, "i3"), ("i3", -1, "i1"), ("i7", 1, None), ("i1", -1, None), ("i3", 2, None)],
)
def test_steps_follow_what_is_shown(current, by, expected):
    queue = queue_of(row(1), row(3), row(7), current=current)
    assert queue.step(by) == expected


def test_an_image_that_left_the_filter_is_gone_on_from_by_its_number():
    assert queue_of(row(1), row(3), row(7), current="i4", number=4).step(1) == "i7"
    assert queue_of(row(1), row(3), current="i9", number=9).step(1) == "i1"
    assert queue_of(current="i4", number=4).step(1) is None
    assert queue_of(row(1), row(3), row(7), current="i4", number=4).step(-1) == "i3"
    assert queue_of(row(1), row(3), current="i9", number=9).step(-1) == "i3"
    assert queue_of(row(3), row(7), current="i1", number=1).step(-1) == "i3"
    assert queue_of(current="i4", number=4).step(-1) is None


def test_next_unreviewed_goes_round_and_never_stays():
    done = ReviewState.REJECTED
    queue = queue_of(row(1), row(2, done), row(3), row(4, done), current="i3")
    assert queue.unreviewed() == ("i1",)
    assert queue_of(row(1), row(2, done), current="i1").unreviewed() == ()
