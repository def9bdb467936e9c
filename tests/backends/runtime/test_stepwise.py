from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from napari_semxai.backends.runtime.stepwise import finish, stepwise

if TYPE_CHECKING:
    from collections.abc import Callable


def count_to_three(checkpoint: Callable[[], None]) -> str:
    for _ in range(3):
        checkpoint()
    return "done"


def test_it_stops_at_every_checkpoint_and_returns() -> None:
    steps = stepwise(count_to_three)
    assert [next(steps), next(steps), next(steps)] == [1, 2, 3]
    assert finish(steps) == "done"


def test_what_is_raised_arrives() -> None:
    def fail(checkpoint: Callable[[], None]) -> None:
        checkpoint()
        raise LookupError("gone")

    steps = stepwise(fail)
    next(steps)
    with pytest.raises(LookupError, match="gone"):
        next(steps)


def test_closing_ends_the_call_and_its_thread() -> None:
    before, seen = threading.active_count(), []

    def work(checkpoint: Callable[[], None]) -> None:
        try:
            checkpoint()
            seen.append("went on")
        finally:
            seen.append("cleaned up")

    steps = stepwise(work)
    next(steps)
    steps.close()
    assert seen == ["cleaned up"]
    assert threading.active_count() == before


def test_only_one_of_the_two_runs() -> None:
    order = []

    def work(checkpoint: Callable[[], None]) -> None:
        for _ in range(2):
            order.append("call")
            checkpoint()

    for _ in stepwise(work):
        order.append("generator")
    assert order == ["call", "generator"] * 2
