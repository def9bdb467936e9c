from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Event, Thread, current_thread
from time import monotonic
from typing import Any

import pytest

from napari_semxai.engine import host
from napari_semxai.engine.host import Scheduler, load_service
from napari_semxai.types import InputError
from tests.engine.fake_service import Count, Fail, build

HANDLERS = build()


class Answers(list[tuple[str, int, Any]]):
    def send(self, *answer: Any) -> None:
        self.append(answer)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def scheduler(answers: Answers) -> Scheduler:
    return Scheduler(answers.send)


def finish(scheduler: Scheduler, answers: Answers) -> list[tuple[str, int, Any]]:
    """Step until nothing comes any more."""
    seen = -1
    while len(answers) != seen:
        seen = len(answers)
        scheduler.step(HANDLERS)
    return list(answers)


def test_a_job_is_answered_step_by_step(scheduler: Scheduler, answers: Answers) -> None:
    scheduler.take(1, Count(2), False)
    assert finish(scheduler, answers) == [("update", 1, 0), ("update", 1, 1), ("done", 1, None)]


def test_foreground_interrupts_background_between_steps(
    scheduler: Scheduler, answers: Answers
) -> None:
    scheduler.take(1, Count(2), True)
    scheduler.step(HANDLERS)
    scheduler.take(2, Count(1), False)
    assert [answer[:2] for answer in finish(scheduler, answers)] == [
        ("update", 1),
        ("update", 2),
        ("done", 2),
        ("update", 1),
        ("done", 1),
    ]


def test_the_background_rests_while_a_person_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "REST_SECONDS", 0.2)
    times: list[tuple[int, float]] = []
    over = Event()

    def send(kind: str, number: int, _: object) -> None:
        times.append((number, monotonic()))
        if len(times) == 3:
            # As a person would: the next click comes while the background rests.
            scheduler.take(3, Count(0), False)
        if number == 1 and kind == "done":
            over.set()

    scheduler = Scheduler(send)
    scheduler.take(1, Count(1), True)
    scheduler.take(2, Count(1), False)
    scheduler.take(4, Count(0), False)
    Thread(target=scheduler.run, args=(HANDLERS,), daemon=True).start()
    assert over.wait(20)
    assert [number for number, _ in times] == [4, 2, 2, 3, 1, 1]
    assert times[4][1] - times[3][1] >= 0.2


def test_memory_is_given_back_once_nobody_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "REST_SECONDS", 0.05)
    happened: SimpleQueue[str] = SimpleQueue()
    scheduler = Scheduler(lambda kind, *_: happened.put(kind))
    scheduler.take(1, Count(1), False)
    thread = Thread(target=scheduler.run, args=(HANDLERS,), daemon=True)

    def give_back() -> None:
        # Schedulers of other tests go on waiting for ever.
        if current_thread() is thread:
            happened.put("given back")

    monkeypatch.setattr(host, "give_back_memory", give_back)
    thread.start()
    expected = ["update", "done", "given back"]
    assert [happened.get(timeout=20) for _ in expected] == expected
    # Not again and again.
    with pytest.raises(Empty):
        happened.get(timeout=0.3)
    scheduler.take(2, Count(0), False)
    assert [happened.get(timeout=20) for _ in range(2)] == ["done", "given back"]


def test_a_cancel_does_not_wait_for_the_rest(answers: Answers) -> None:
    cancelled = Event()

    def send(*answer: Any) -> None:
        answers.append(answer)
        if answer[0] == "cancelled":
            cancelled.set()

    scheduler = Scheduler(send)
    scheduler.take(1, Count(5), True)
    scheduler.step(HANDLERS)
    scheduler.take(2, Count(0), False)
    scheduler.step(HANDLERS)
    Thread(target=scheduler.run, args=(HANDLERS,), daemon=True).start()
    begin = monotonic()
    scheduler.cancel(1)
    assert cancelled.wait(20)
    assert monotonic() - begin < host.REST_SECONDS


@pytest.mark.parametrize(("background", "order"), [(False, [3, 2, 1]), (True, [1, 2, 3])])
def test_newest_click_first_but_oldest_of_the_queue(
    scheduler: Scheduler, answers: Answers, background: bool, order: list[int]
) -> None:
    for number in (1, 2, 3):
        scheduler.take(number, Count(0), background)
    assert finish(scheduler, answers) == [("done", number, None) for number in order]


def test_cancelling_a_waiting_job_is_answered_at_once(
    scheduler: Scheduler, answers: Answers
) -> None:
    scheduler.take(1, Count(5), False)
    scheduler.cancel(1)
    assert answers == [("cancelled", 1, None)]
    assert finish(scheduler, answers) == [("cancelled", 1, None)]


def test_cancelling_a_job_that_is_over_is_answered(scheduler: Scheduler, answers: Answers) -> None:
    scheduler.cancel(7)
    assert answers == [("cancelled", 7, None)]


def test_cancelling_a_begun_job_closes_its_generator(answers: Answers) -> None:
    closed = []

    def endless(_request: Count) -> Any:
        try:
            while True:
                yield None
        finally:
            closed.append(True)

    scheduler = Scheduler(answers.send)
    scheduler.take(1, Count(0), True)
    scheduler.step({Count: endless})
    scheduler.take(2, Count(0), False)
    scheduler.cancel(1)
    assert not closed
    scheduler.step({Count: endless})
    assert closed
    assert answers == [("update", 1, None), ("cancelled", 1, None)]


def test_input_errors_are_told_as_they_are(scheduler: Scheduler, answers: Answers) -> None:
    scheduler.take(1, Fail(InputError("a.pt: cut off; copy it again")), False)
    assert finish(scheduler, answers)[-1] == ("failed", 1, "a.pt: cut off; copy it again")


def test_other_errors_are_one_line_with_the_traceback_in_the_log(
    scheduler: Scheduler, answers: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler.take(1, Fail(RuntimeError("no memory\nat all")), False)
    assert finish(scheduler, answers)[-1] == ("failed", 1, "RuntimeError: no memory")
    assert "Traceback" in capsys.readouterr().err


def test_services_are_named_by_module_and_function() -> None:
    assert Count in load_service("tests.engine.fake_service:build")
