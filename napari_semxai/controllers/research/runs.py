"""Runs of a ``semxai`` command over a data set: started, followed, and read when done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.sweep import advice
from napari_semxai.state.research import RunResult, RunState
from napari_semxai.store.datasets.dataset import load_map, read_sweep
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import read_white_mask
from napari_semxai.types import Heatmap, InputError, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage

_LINES_KEPT = 200
_PATIENCE_SECONDS = 5.0
EXPLANATIONS = "--explanations"
PICTURES = {"mask": "_mask.png", "explain": "_overlay.png"}
"""Endings of what a run without a table writes for every image, and shows."""
_RECORD, _MAP = ".json", ".npy"


class RunController:
    """Start, follow and stop one run at a time; a run ends with the window.

    Parameters
    ----------
    session : Session
        Where its state goes.
    deliver : callable
        Runs a function on the thread of the session.
    """

    def __init__(self, session: Session, deliver: Callable[[Callable[[], None]], None]) -> None:
        self._session, self._deliver = session, deliver
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether a run is on its way."""
        return self._session.run is not None and self._session.run.state is JobState.RUNNING

    def start(self, command: Sequence[str], output: Path) -> None:
        """Start ``semxai`` with these arguments, unless a run is on its way."""
        if self.running:
            self._session.message = "A run is already in progress. Stop it first."
            return
        self._session.run = RunState(tuple(command), output)
        process = subprocess.Popen(
            [sys.executable, "-m", "napari_semxai", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=os.environ | {"SEMXAI_PROGRESS_LINES": "1", "PYTHONIOENCODING": "utf-8"},
            # Its workers end with it.
            start_new_session=True,
        )
        self._process = process
        self._reader = threading.Thread(
            target=self._read, args=(process,), name="semxai-run", daemon=True
        )
        self._reader.start()

    def stop(self) -> None:
        """End the run; what it has done stays, and starting it again goes on from there."""
        if self.running and self._process is not None and self._session.run is not None:
            self._session.run = replace(self._session.run, state=JobState.CANCELLED)
            _end(self._process)

    def close(self) -> None:
        """End the run and wait for it."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        _end(process)
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            _end(process, "SIGKILL")
        reader.join(_PATIENCE_SECONDS)

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Hand every line over, then how it ended; in a thread."""
        with process:
            for line in process.stdout or ():
                text = line.rstrip()
                self._deliver(partial(self._on_line, text))
        self._deliver(lambda: self._on_ended(process.returncode))

    def _on_line(self, text: str) -> None:
        run = self._session.run
        if run is not None and text:
            self._session.run = replace(run, lines=(*run.lines, text)[-_LINES_KEPT:])

    def _on_ended(self, code: int) -> None:
        run = self._session.run
        if run is None or run.state is JobState.CANCELLED:
            return
        # 3: some of many images failed, and the rest is done.
        state = JobState.DONE if code in (0, 3) else JobState.FAILED
        self._session.run = replace(run, state=state)


def _end(process: subprocess.Popen[str], name: str = "SIGTERM") -> None:
    """Send a signal to a run and to all that it has started, unless it has ended."""
    if process.poll() is not None:
        return
    if os.name == "nt":
        # Workers see that their parent has ended, and do so too.
        process.terminate()
    else:
        os.killpg(process.pid, signal.Signals[name])


def read_result(run: RunState, image: SemImage | None) -> RunResult:
    """Read what a command has written, and nothing that another left in the same folder.

    Parameters
    ----------
    run : RunState
        The command that ran.
    image : SemImage or None
        Whose mask or map is wanted.

    Raises
    ------
    InputError
        When it is missing or damaged.
    """
    command, folder = run.command[0], run.output
    if command in PICTURES:
        return _of_images(command, folder, image)
    if command == "evaluate":
        return _of_evaluation(folder)
    if EXPLANATIONS in run.command:
        return _of_thresholds(folder)
    sweep = read_sweep(folder / "sweep.npz")
    return RunResult(advice(sweep), sweep=sweep)


def _of_evaluation(folder: Path) -> RunResult:
    values = _json(folder / "evaluation.json")
    words = [(folder / "table.md").read_text("utf-8").rstrip()]
    tuned = [
        f"{method}: α {point[0]:g}, β {point[1]:g}"
        for method, point in (values.get("alpha_beta") or {}).items()
        if point
    ]
    tuned += [
        f"{method}: threshold {tau:.3g}" for method, tau in (values.get("tau") or {}).items()
    ]
    chosen = len(values.get("tuned_on") or ())
    if tuned and chosen:
        words.append(f"{'; '.join(tuned)}; chosen on {chosen} images that are not scored")
    return RunResult("\n\n".join(words), folder / "scores.png")


def _of_thresholds(folder: Path) -> RunResult:
    values = _json(folder / "thresholds.json")
    words = "\n".join(f"{method}: {found['advice']}" for method, found in values.items())
    return RunResult(words, folder / "thresholds.png")


def _of_images(command: str, folder: Path, image: SemImage | None) -> RunResult:
    """Return the result of the current image, where it is among them, or show the first."""
    ending, stems = PICTURES[command], _stems(command, folder)
    words = f"{len(stems)} results are in {folder}"
    stem = None if image is None else _stem_of(image, stems)
    if stem is None or image is None:
        if not stems:
            return RunResult(words)
        first = Path(stems[0] + ending)
        words += f"; the first is {first.relative_to(folder)}. Open an image to have its own here"
        return RunResult(words, first)
    picture = Path(stem + ending)
    words += f"; that of the current image is {picture.relative_to(folder)}"
    if command == "mask":
        mask = read_white_mask(picture, (image.gray.shape[0], image.gray.shape[1]))
        return RunResult(words, picture, image=image, mask=mask)
    return RunResult(words, picture, image=image, heatmap=_heatmap(stem, image))


def _stems(command: str, folder: Path) -> list[str]:
    found = {
        name: {str(path).removesuffix(ending) for path in folder.rglob(f"*{ending}")}
        for name, ending in PICTURES.items()
    }
    # An explanation has a mask as well.
    return sorted(found["explain"] if command == "explain" else found[command] - found["explain"])


def _stem_of(image: SemImage, stems: list[str]) -> str | None:
    """Return which result has the record of these pixels, whatever the file is called now."""
    digest = array_digest(image.pixels).encode()
    name = "" if image.path is None else image.path.stem
    # The records of thousands of images take seconds to read.
    for stem in sorted(stems, key=lambda stem: not Path(stem).name.startswith(name)):
        record = Path(stem + _RECORD)
        if record.is_file() and digest in record.read_bytes():
            return stem
    return None


def _heatmap(stem: str, image: SemImage) -> Heatmap:
    record = _json(Path(stem + _RECORD))
    try:
        return Heatmap(
            _map(Path(stem + _MAP), image),
            float(record["explanation"].get("raw_maximum", 1.0)),
            str(record["method"]),
            list(record["probabilities"]).index(record["target"]),
            str(record["target"]),
            tuple(record["layers"]),
            str(record["classifier"]["sha256"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{stem}{_RECORD}: no record of an explanation ({error})") from error


def _map(path: Path, image: SemImage) -> NDArray[np.float32]:
    values = load_map(path)
    if values.shape != image.gray.shape:
        raise InputError(f"{path}: a map holds floats of the image's size, not {values.shape}")
    return np.asarray(values, np.float32)


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return values
