from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_semxai.types import InputError
from tests.engine.conftest import FAKE
from tests.engine.fake_service import Count, Fail
from tests.engine.local import LocalEngine

if TYPE_CHECKING:
    from tests.engine.conftest import Inbox


@pytest.fixture
def engine() -> LocalEngine:
    return LocalEngine(FAKE)


def test_submit_runs_to_the_end(engine: LocalEngine, inbox: Inbox) -> None:
    engine.start()
    engine.submit(Count(2), destination="a", **inbox.of("a"))
    assert inbox.rest() == [("a", "update", 0), ("a", "update", 1), ("a", "done", None)]


def test_a_callback_can_cancel(engine: LocalEngine, inbox: Inbox) -> None:
    calls = inbox.of("a")
    update = calls["on_update"]

    def stop(value: int) -> None:
        update(value)
        engine.cancel("a")

    engine.submit(Count(5), destination="a", **{**calls, "on_update": stop})
    assert inbox.rest() == [("a", "update", 0)]


def test_failures_are_one_line(engine: LocalEngine, inbox: Inbox) -> None:
    engine.submit(Fail(InputError("a.pt: cut off")), destination="a", **inbox.of("a"))
    assert inbox.rest()[-1] == ("a", "failed", "a.pt: cut off")
    engine.close()
