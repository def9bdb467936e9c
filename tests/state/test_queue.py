from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_semxai.state.queue import Queue, examples
from napari_semxai.types import QueueFilter, QueueRow, ReviewState


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


def test_examples_of_each_class_are_best_typical_and_worst():
    scores = np.linspace(0, 1, 21)
    order = (*range(1, 21, 2), *range(0, 21, 2))
    rows = [replace(row(n), label="b", score=float(scores[n])) for n in order]
    rows += [replace(row(30), label="a", score=0.3), replace(row(31), label="a")]
    found = examples(rows, "score")
    assert [(one.number, kind) for one, kind in found.items()] == [
        (30, "best"),
        *((n, "best") for n in (20, 19, 18)),
        *((n, "typical") for n in (11, 10, 9)),
        *((n, "worst") for n in (2, 1, 0)),
    ]
    few = examples(rows[:4], "score")
    assert list(few.values()) == ["best", "typical", "worst"]
    assert examples(rows, "confidence") == {}


def test_an_image_outside_an_order_that_was_worked_out_is_gone_on_from_at_its_start():
    queue = queue_of(row(7), row(1), row(3), current="i4", number=4)
    ranked = replace(queue, filter=QueueFilter(ranked={"i7": "", "i1": "", "i3": ""}))
    assert ranked.onward(1) == ("i7", "i1", "i3")
    assert ranked.onward(-1) == ("i3", "i1", "i7")
