"""Many images on processes and on a real Dask cluster, with workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from PIL import Image

from napari_semxai.algorithms.synthetic import make_scene, sample_spec
from napari_semxai.cli import main
from napari_semxai.cli.batch import workers
from napari_semxai.cli.batch.batch import BatchOptions, Stopwatch, clock, pace, run_batch
from napari_semxai.cli.batch.workers import KEPT, Answer, chunks_of
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


# Connections to workers that have died, or never came, are closed by the garbage collector.
_DASK_LEAVES_SOCKETS = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)


@dataclass(frozen=True)
class Square:
    """Stands in for a network: squares numbers, dies once on one and refuses another."""

    folder: Path
    deadly: int = -1
    always: bool = False
    seconds: float = 0

    def load(self) -> str:
        (self.folder / f"loaded-{os.getpid()}").touch()
        return "network"

    def do(self, loaded: str, item: int) -> dict[str, Any]:
        assert loaded == "network"
        mark = self.folder / "died"
        if item == self.deadly and (self.always or not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        if item == 14:
            raise RuntimeError("the network stumbled")
        if item == 13:
            raise InputError("13: unlucky")
        return {"square": item * item}


def squares(answers: list[Answer]) -> dict[int, int]:
    return {answer.item: answer.result["square"] for answer in answers if answer.result}


EXPECTED = {number: number * number for number in range(20) if number not in (13, 14)}


def test_in_this_process_in_order(tmp_path: Path) -> None:
    answers = list(run_batch(Square(tmp_path), range(20), BatchOptions()))
    assert [answer.item for answer in answers] == list(range(20))
    assert squares(answers) == EXPECTED
    assert answers[13].error == "13: unlucky"


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_dead_process_loses_nothing(tmp_path: Path) -> None:
    answers = list(run_batch(Square(tmp_path, deadly=7), range(20), BatchOptions(jobs=2)))
    assert (tmp_path / "died").exists()
    assert squares(answers) == EXPECTED
    assert len(answers) == 20


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("deadly", [0, 11])
def test_only_the_item_that_kills_is_blamed(tmp_path: Path, deadly: int) -> None:
    """No chunk of it ends: every item takes a while."""
    work = Square(tmp_path, deadly=deadly, always=True, seconds=0.05)
    answers = list(run_batch(work, range(20), BatchOptions(jobs=2)))
    assert squares(answers) == {key: value for key, value in EXPECTED.items() if key != deadly}
    (died,) = [answer for answer in answers if answer.item == deadly]
    assert died.error == f"{deadly}: worker processes crash on it"
    assert len(answers) == 20


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@_DASK_LEAVES_SOCKETS
def test_on_dask_too_only_the_item_that_kills_is_blamed(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    once = pytest.importorskip("dask").config.set({"distributed.scheduler.allowed-failures": 0})
    with (
        once,
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as cluster,
    ):
        options = BatchOptions(scheduler=cluster.scheduler_address)
        work = Square(tmp_path, deadly=11, always=True)
        answers = list(run_batch(work, range(20), options))
    assert squares(answers) == {key: value for key, value in EXPECTED.items() if key != 11}
    assert "11: worker processes crash on it" in {answer.error for answer in answers}
    assert len(answers) == 20


@_DASK_LEAVES_SOCKETS
def test_a_scheduler_without_workers_is_said_and_no_client_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(workers, "_WORKERS_SECONDS", 1)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        options = BatchOptions(scheduler=cluster.scheduler_address)
        with pytest.raises(InputError, match="no worker joined this Dask scheduler within 1 s"):
            list(run_batch(Square(tmp_path), [1], options))
        cluster.scale(1)
        for answer in run_batch(Square(tmp_path), [1], options):
            assert answer.result == {"square": 1}
            with pytest.raises(ValueError, match="No clients found"):
                distributed.default_client()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_workers_end_with_a_killed_command(tmp_path: Path, quick: list[str]) -> None:
    inputs = _folder(tmp_path / "in", 400)
    command = ["mask", str(inputs), *quick, "--jobs", "2", "-o", str(tmp_path / "out")]
    process = _until(1, tmp_path / "out", command)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_command_goes_on_where_it_was(
    tmp_path: Path, quick: list[str], jobs: str
) -> None:
    inputs = _folder(tmp_path / "in", 40)
    command = ["mask", str(inputs), *quick, "--threads", "1", "--jobs", jobs]
    assert main([*command, "-o", str(tmp_path / "whole")]) == 3
    output = tmp_path / "killed"
    process = _until(5, output, [*command, "-o", str(output)])
    process.kill()
    process.wait()
    # Both files of a result: the record is written last.
    kept = {path: path.stat().st_mtime_ns for path in _done(output)}
    assert 5 <= len(kept) < 40
    assert main([*command, "-o", str(output)]) == 3
    assert _files(output) == _files(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def _until(count: int, output: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command, and return once it has written some results."""
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_semxai", *command], stdout=subprocess.DEVNULL
    )
    waiting = threading.Event()
    while len(_done(output)) < count:
        assert process.poll() is None
        waiting.wait(0.01)
    return process


def _done(output: Path) -> list[Path]:
    return list(output.glob("*.json"))


def test_tasks_hold_16_to_64_images() -> None:
    sizes = {n: {len(chunk) for chunk in chunks_of(range(n), 2)} for n in (1000, 100_000)}
    assert sizes == {1000: {64, 40}, 100_000: {64, 32}}
    assert [len(chunk) for chunk in chunks_of(range(10), 4)] == [3, 3, 3, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="about glibc")
def test_memory_is_kept_on_dask_workers() -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from napari_semxai.cli.batch.workers import keep_memory\n"
        "if sys.argv[1:]: keep_memory()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(50): np.ones(2**20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    # As Dask starts its workers; huge pages would hide what is counted.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536", "NUMPY_MADVISE_HUGEPAGE": "0"}
    without, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", code, *argument],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for argument in ([], ["keep"])
    )
    assert kept < without / 5


def test_pace_and_time_left() -> None:
    text = "[##..................] 10/100, 2.00 images/s, about 0 min 45 s left"
    assert pace(10, 100, 5.0) == text
    assert pace(0, 5, 0.0) == f"[{'.' * 20}] 0/5"
    assert pace(5, 5, 1.0).startswith(f"[{'#' * 20}] 5/5,")


def test_what_an_earlier_run_left_took_no_time() -> None:
    assert pace(901, 1000, 11.0, 900).endswith("0.09 images/s, about 18 min 09 s left")
    assert pace(900, 1000, 1.0, 900).endswith("900/1000")
    watch = Stopwatch(4)
    assert "images/s" not in watch.tick(Answer(0, {KEPT: True}))
    watch.tick(Answer(1, {}))
    assert watch.tick(Answer(2, error="damaged")).startswith(f"[{'#' * 15}{'.' * 5}] 3/4, ")
    assert clock(7290) == "2 h 01 min"


def test_an_address_without_a_scheduler_is_bad_input(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="no Dask scheduler"):
        list(run_batch(Square(tmp_path), [1], BatchOptions(scheduler="nonsense://x")))


def _folder(path: Path, count: int) -> Path:
    path.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(40, 200, (40, 56), dtype=np.uint8)
        Image.fromarray(pixels).save(path / f"{number:02}.png")
    (path / "broken.png").write_bytes(b"no picture")
    return path


def _scenes(path: Path, count: int) -> Path:
    path.mkdir(parents=True)
    for number in range(count):
        rng = np.random.default_rng([5, number])
        scene = make_scene(sample_spec(rng, (96, 96)), int(rng.integers(2**62)))
        Image.fromarray(scene.image).save(path / f"{number:02}.png")
    (path / "broken.png").write_bytes(b"no picture")
    return path


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two workers, as the scheduler of a real cluster has them."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@_DASK_LEAVES_SOCKETS
def test_the_same_masks_everywhere(tmp_path: Path, cluster: Any) -> None:
    """The bundled network in-process, in two processes, and on Dask with a worker killed."""
    inputs = _scenes(tmp_path / "in", 10)
    command = ["mask", str(inputs), "--points-per-side", "4", "--threads", "1"]
    assert main([*command, "-o", str(tmp_path / "one")]) == 3
    assert main([*command, "-o", str(tmp_path / "two"), "--jobs", "2"]) == 3
    with _killing(tmp_path / "dask"):
        code = main(
            [*command, "-o", str(tmp_path / "dask"), "--scheduler", cluster.scheduler_address]
        )
    assert code == 3
    expected = _files(tmp_path / "one")
    assert len(expected) == 20
    assert _files(tmp_path / "two") == expected
    assert _files(tmp_path / "dask") == expected
    found = [read_mask(path).any() for path in (tmp_path / "one").glob("*_mask.png")]
    assert sum(found) >= 3


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("command", ["explain", "evaluate", "sweep"])
@_DASK_LEAVES_SOCKETS
def test_the_same_files_of_every_command(
    tmp_path: Path, quick: list[str], command: str, cluster: Any
) -> None:
    """In-process, in two processes, on Dask, and again after a part of it was lost."""
    inputs = _folder(tmp_path / "set/images", 6)
    for number in range(6):
        truth = np.zeros((40, 56), bool)
        truth[10:20, 5 * number : 5 * number + 9] = True
        write_mask(tmp_path / f"set/masks/{number:02}.png", truth)
    own = {
        "explain": ["explain", str(inputs), "--method", "layercam"],
        "evaluate": ["evaluate", str(tmp_path / "set"), "--method", "fem", "--method", "paper"],
        "sweep": ["sweep", str(tmp_path / "set"), "--alpha", "0:8:5", "--beta", "0:0.8:5"],
    }[command]
    own += [*(quick if command != "explain" else ()), "--threads", "1"]
    assert main([*own, "-o", str(tmp_path / "one")]) == 3
    assert main([*own, "-o", str(tmp_path / "two"), "--jobs", "2"]) == 3
    expected = _results(tmp_path / "one")
    assert len(expected) >= 4
    assert _results(tmp_path / "two") == expected
    dask = ["--scheduler", cluster.scheduler_address]
    assert main([*own, "-o", str(tmp_path / "dask"), *dask]) == 3
    assert _results(tmp_path / "dask") == expected
    for path in list((tmp_path / "two").rglob("*"))[::2]:
        path.unlink() if path.is_file() else None
    assert main([*own, "-o", str(tmp_path / "two")]) == 3
    assert _results(tmp_path / "two") == expected


def _results(folder: Path) -> dict[str, bytes]:
    """All files but figures and zipped pools, which hold the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(
            str(folder).encode(), b"DIR"
        )
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".svg", ".npz")
    }


class _killing:
    """Kills one Dask worker as soon as the first result is there."""

    def __init__(self, output: Path) -> None:
        self._output, self._stop = output, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.killed = 0

    def __enter__(self) -> _killing:
        self._before = {child.pid for child in psutil.Process().children(recursive=True)}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.killed

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            if list(self._output.glob("*.json")):
                workers = [
                    child
                    for child in psutil.Process().children(recursive=True)
                    if child.pid in self._before and "spawn_main" in " ".join(child.cmdline())
                ]
                workers[0].kill()
                self.killed = workers[0].pid
                return
