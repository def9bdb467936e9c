import threading
import time

import pytest

from napari_semxai.store.disk.safety_net import LONGEST_WAIT, SafetyNet
from napari_semxai.types import InputError


class Writes:
    def __init__(self):
        self.values, self.times, self.happened = [], [], threading.Event()
        self.go, self.begun = threading.Event(), threading.Event()
        self.go.set()
        self.refused = ()

    def __call__(self, place, value):
        self.begun.set()
        assert self.go.wait(30)
        if value in self.refused:
            raise InputError(f"{place} refuses {value}")
        self.values.append((place, value))
        self.times.append(time.monotonic())
        self.happened.set()
        return value


@pytest.fixture
def writes():
    return Writes()


@pytest.fixture
def net(writes):
    return SafetyNet(writes, wait=60)


@pytest.fixture
def newest(writes):
    """A net that keeps the newest value of a place."""
    return SafetyNet(writes, lambda _: "one", wait=60)


def join():
    for thread in threading.enumerate():
        if thread.name == "semxai-autosave" and not isinstance(thread, threading.Timer):
            thread.join(30)


def test_it_also_writes_in_the_middle_of_long_painting(writes, newest):
    newest.wait = 0.05
    begin = time.monotonic()
    while len(writes.times) < 3 and time.monotonic() - begin < 30:
        newest.touch("a", object())
    newest.flush()
    assert len(writes.times) >= 3
    assert writes.times[0] - begin >= 0.05


def test_nothing_is_written_without_a_change(writes, net):
    assert net.flush() == ([], {})
    net.hurry("a")
    join()
    assert writes.values == []


def test_flush_writes_before_it_returns(writes, net):
    net.touch("a", "x")
    assert net.flush() == (["x"], {})
    assert (writes.values, net.places) == ([("a", "x")], ())


def test_hurry_does_not_wait(writes, net):
    writes.go.clear()
    net.touch("a", "x")
    net.hurry("a")
    assert writes.values == []
    writes.go.set()
    assert writes.happened.wait(30)
    net.flush()
    assert writes.values == [("a", "x")]


def test_the_longest_wait_keeps_copies_within_two_seconds():
    assert LONGEST_WAIT <= 1.0


def test_nothing_is_written_once_it_is_dropped_while_held(writes, newest):
    writes.go.clear()
    newest.touch("a", "x")
    newest.hurry("a")
    assert writes.begun.wait(30)
    newest.touch("a", "y")
    newest.hurry("a")
    threading.Timer(0.05, writes.go.set).start()
    with newest.held("a"):
        # The write that was under way has ended, or has not begun.
        newest.drop("a", *newest.waiting("a"))
        written = list(writes.values)
    newest.flush()
    join()
    assert writes.values == written
    assert newest.places == ()


def test_a_value_that_comes_during_the_write_stays(writes, newest):
    writes.go.clear()
    newest.put("a", "x")
    newest.hurry("a")
    assert writes.begun.wait(30)
    newest.put("a", "y")
    writes.go.set()
    join()
    assert newest.waiting("a") == ("y",)
    newest.drop("a", "x")
    assert newest.flush() == (["y"], {})


def test_what_is_refused_waits_with_all_behind_it(writes, net):
    writes.refused = ("x2",)
    net.put("a", "x1", "x2", "x3")
    net.put("b", "y1")
    answers, failed = net.flush()
    assert answers == ["x1", "y1"]
    assert {place: str(error) for place, error in failed.items()} == {"a": "a refuses x2"}
    assert (net.places, net.waiting("a")) == (("a",), ("x2", "x3"))
    writes.refused = ()
    assert net.flush("a") == (["x2", "x3"], {})
    assert net.places == ()


def test_an_error_that_nobody_foresaw_loses_nothing():
    def fail(place, value):
        raise RuntimeError

    net = SafetyNet(fail)
    net.put("a", "x")
    with pytest.raises(RuntimeError):
        net.flush()
    assert net.waiting("a") == ("x",)


def test_one_place_does_not_wait_for_another(writes, net):
    writes.go.clear()
    net.put("a", "x")
    net.hurry("a")
    assert writes.begun.wait(30)
    with net.held("b"):
        assert writes.values == []
    writes.go.set()
    join()


def test_nothing_put_is_no_place(net):
    net.put("a")
    assert net.places == ()
