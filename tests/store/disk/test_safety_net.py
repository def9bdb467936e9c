from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_semxai.store.disk.safety_net import (
    LONGEST_WAIT,
    SafetyNet,
    discard_recovery,
    list_recoveries,
    load_recovery,
    save_recovery,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.fixture
def mask() -> np.ndarray:
    labels = np.zeros((64, 48), np.uint8)
    labels[3:30, 5:20] = 1
    labels[40:50, 5:20] = 2
    return labels


def test_round_trip_keeps_labels_type_and_info(tmp_path: Path, mask: np.ndarray) -> None:
    path = save_recovery(tmp_path / "r", "a.tif#3", mask, {"image": "a.tif", "page": 3})
    found = list_recoveries(tmp_path / "r")
    assert [recovery.path for recovery in found] == [path]
    loaded, recovery = load_recovery(path)
    np.testing.assert_array_equal(loaded, mask)
    assert loaded.dtype == np.uint8
    assert recovery.key == "a.tif#3"
    assert recovery.info == {"image": "a.tif", "page": 3}
    assert abs(recovery.saved_at - time.time()) < 60


def test_the_newest_copy_of_a_key_replaces_the_old(tmp_path: Path, mask: np.ndarray) -> None:
    save_recovery(tmp_path, "a", mask, {})
    path = save_recovery(tmp_path, "a", mask * 0, {})
    assert len(list_recoveries(tmp_path)) == 1
    assert not load_recovery(path)[0].any()


def test_keys_do_not_collide(tmp_path: Path, mask: np.ndarray) -> None:
    for key in ("x/a.png", "y/a.png", "x/a.png#1"):
        save_recovery(tmp_path, key, mask, {})
    assert {recovery.key for recovery in list_recoveries(tmp_path)} == {
        "x/a.png",
        "y/a.png",
        "x/a.png#1",
    }


def test_newest_first(tmp_path: Path, mask: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, moment in (("b", 200.0), ("c", 300.0), ("a", 100.0)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        save_recovery(tmp_path, key, mask, {})
    assert [recovery.key for recovery in list_recoveries(tmp_path)] == ["c", "b", "a"]


def test_discard_is_final_and_may_be_repeated(tmp_path: Path, mask: np.ndarray) -> None:
    path = save_recovery(tmp_path, "a", mask, {})
    discard_recovery(path)
    discard_recovery(path)
    assert list_recoveries(tmp_path) == []


def test_no_folder_no_recoveries(tmp_path: Path) -> None:
    assert list_recoveries(tmp_path / "none") == []


def test_damaged_copies_are_not_offered(tmp_path: Path, mask: np.ndarray) -> None:
    path = save_recovery(tmp_path, "a", mask, {})
    whole = path.read_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert list_recoveries(tmp_path) == []
        with pytest.raises(InputError, match="damaged"):
            load_recovery(path)


def test_a_flipped_bit_in_the_mask_is_noticed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = save_recovery(tmp_path, "a", noise, {})
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged"):
        load_recovery(path)


def test_a_big_mask_stays_small_on_disk(tmp_path: Path) -> None:
    rows, cols = np.ogrid[:4096, :4096]
    disk = (np.hypot(rows - 2000, cols - 1500) < 700).astype(np.uint8)
    assert save_recovery(tmp_path, "big", disk, {}).stat().st_size < 100_000


def test_remains_of_dead_writers_are_swept_after_a_day(tmp_path: Path) -> None:
    fresh, stale = tmp_path / ".a.npz.11.tmp", tmp_path / ".b.npz.22.tmp"
    fresh.write_bytes(b"half")
    stale.write_bytes(b"half")
    os.utime(stale, (0, 0))
    list_recoveries(tmp_path)
    assert fresh.exists()
    assert not stale.exists()


WRITER = """
import sys, numpy as np
from napari_semxai.store.disk.safety_net import save_recovery
rng = np.random.default_rng(0)
number = 0
while True:
    mask = rng.integers(0, 2, (1024, 1024), dtype=np.uint8)
    mask[0, :8] = number % 250
    save_recovery(sys.argv[1], "k", mask, {"number": number})
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


def start_writer(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
    )


def wait_for_lines(writer: subprocess.Popen[str], count: int) -> int:
    assert writer.stdout is not None
    return [int(writer.stdout.readline()) for _ in range(count)][-1]


def test_copies_of_a_program_that_still_runs_are_not_offered(tmp_path: Path) -> None:
    with start_writer(tmp_path) as writer:
        try:
            wait_for_lines(writer, 1)
            assert list_recoveries(tmp_path) == []
        finally:
            writer.kill()
    assert len(list_recoveries(tmp_path)) == 1


@pytest.mark.parametrize("lines", range(1, 6))
def test_a_writer_killed_in_the_middle_leaves_a_whole_copy(tmp_path: Path, lines: int) -> None:
    """SIGKILL lands at whatever point of the endless writing the writer is at."""
    with start_writer(tmp_path) as writer:
        try:
            reported = wait_for_lines(writer, lines)
            while not list(tmp_path.glob(".*.tmp")):
                pass  # until the next copy is half written
        finally:
            writer.kill()
    (recovery,) = list_recoveries(tmp_path)
    mask, _ = load_recovery(recovery.path)
    assert recovery.info["number"] >= reported
    assert (mask[0, :8] == recovery.info["number"] % 250).all()


def test_a_copy_of_another_process_is_not_replaced(tmp_path: Path, mask: np.ndarray) -> None:
    with start_writer(tmp_path) as writer:
        wait_for_lines(writer, 1)
        writer.kill()
    (left,) = list_recoveries(tmp_path)
    before = left.path.read_bytes()
    own = save_recovery(tmp_path, "k", mask, {})
    assert left.path.read_bytes() == before
    assert [copy.from_this_process for copy in list_recoveries(tmp_path)] == [True, False]
    assert load_recovery(own)[1].key == left.key


def test_a_process_number_that_is_used_again_is_another_process(
    tmp_path: Path, mask: np.ndarray
) -> None:
    recovery = load_recovery(save_recovery(tmp_path, "a", mask, {}))[1]
    assert recovery.from_this_process
    number, started = recovery.writer
    assert not replace(recovery, writer=(number, started - 60)).from_this_process
