"""Kill -9 of the real window right after a jump, a generation, a SAM click, an undo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.project import open_project
from tests.in_napari.gestures import SHAPE
from tests.in_napari.killed_window import LOG, RESTORED, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONGEST_LOSS_SECONDS = 2.0
RUNS = 30


class Loss(NamedTuple):
    """Ages in seconds, at the kill, of the oldest stroke and review that are not there again."""

    stroke: float
    review: float


@contextmanager
def sessions(folder: Path) -> Iterator[Callable[[str, int, Path], int]]:
    """Yield what runs one session of `killed_window` and returns its exit status."""
    own = {f"XDG_{name}_HOME": str(folder / name) for name in ("CONFIG", "STATE", "CACHE", "DATA")}
    environment = os.environ | own | {"NAPARI_CONFIG": str(folder / "napari.yaml")}
    script = [sys.executable, "-W", "ignore", "-m", "tests.in_napari.killed_window"]
    with subprocess.Popen(
        script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def run(act: str, seed: int, trial: Path) -> int:
            process.stdin.write(f"{act} {seed} {trial}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


def make_images(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 255, SHAPE).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"image_{number:03}.png")


def unpacked(line: dict[str, Any]) -> np.ndarray:
    bits = np.frombuffer(bytes.fromhex(line["mask"]), np.uint8)
    return np.unpackbits(bits, count=SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(bool)


def lost_stroke(lines: list[dict[str, Any]], image: str, mask: np.ndarray, killed: float) -> float:
    """Return the age of the oldest change of an image that `mask`, which it once had, lacks."""
    shown = [line for line in lines if line["image"] == image and "mask" in line]
    same = [place for place, line in enumerate(shown) if np.array_equal(unpacked(line), mask)]
    assert same or not mask.any(), f"{image}: a mask that it never had"
    later = shown[same[-1] + 1 :] if same else shown
    return max((killed - line["time"] for line in later if line["kind"] == "stroke"), default=0.0)


def lost_review(lines: list[dict[str, Any]], folder: Path, killed: float) -> float:
    """Return the age of the oldest review that its record lacks; what was saved is there."""
    project = open_project(folder / "projects" / "images")
    records = {image.id: project.record(image.id, "Anna") for image in project.images}
    for image, record in records.items():
        mask = project.mask(image, "Anna")
        assert record is None or mask is None or record.mask_sha256 == array_digest(mask)
    for line in lines:
        if line["kind"] == "saved":
            history = records[line["image"]].history
            assert len(history) >= line["events"]
            assert str(history[line["events"] - 1].state) == line["state"]
    project.close()

    def kept(line: dict[str, Any]) -> bool:
        record = records[line["image"]]
        return record is not None and line["state"] in {str(each.state) for each in record.history}

    reviews = [line for line in lines if line["kind"] == "reviewed"]
    assert reviews
    return max((killed - line["time"] for line in reviews if not kept(line)), default=0.0)


def loss_after(run: Callable[[str, int, Path], int], way: str, seed: int, folder: Path) -> Loss:
    """Let a session be killed, open the window again, and return what is lost."""
    make_images(folder)
    assert run(way, seed, folder) == -signal.SIGKILL
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    killed = lines.pop()
    while killed["kind"] != "killed":
        killed = lines.pop()
    assert any(line["kind"] == "stroke" for line in lines)
    review = lost_review(lines, folder, killed["time"])
    assert run("restore", seed, folder) == 0
    with np.load(folder / RESTORED) as masks:
        ages = [lost_stroke(lines, image, masks[image], killed["time"]) for image in masks]
    return Loss(max(ages), review)


@pytest.mark.parametrize(
    ("way", "kills"),
    [("click", 1), *(pytest.param(way, RUNS, marks=pytest.mark.slow) for way in WAYS)],
)
def test_a_kill_costs_two_seconds_of_strokes_at_most(tmp_path: Path, way: str, kills: int) -> None:
    with sessions(tmp_path) as run:
        losses = [loss_after(run, way, seed, tmp_path / str(seed)) for seed in range(kills)]
    assert max(loss.stroke for loss in losses) <= LONGEST_LOSS_SECONDS, losses
    assert max(loss.review for loss in losses) <= LONGEST_LOSS_SECONDS, losses
