"""Sessions in a real window, each in a process of its own: one that is killed, one that restores.

Run as ``python -m tests.in_napari.killed_window``. Each line on standard input, ``ACT SEED
FOLDER``, is one session; its exit status comes back as a line. napari is imported once, and every
session is a fork of that process, made before there is any Qt in it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari import Viewer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_semxai import plugin
from napari_semxai.store.disk.folders import Folders
from napari_semxai.store.disk.safety_net import list_recoveries, load_recovery
from napari_semxai.types import (
    GenerateRequest,
    GenerateUpdate,
    ModelInfo,
    PredictedMask,
    PredictRequest,
)
from napari_semxai.workbench import Workbench
from tests.controllers.desk import surface_and_defect
from tests.in_napari.gestures import SHAPE, canvas_place, discs, press
from tests.waiting import wait

LOG, RESTORED = "session.log", "restored.npz"
WAYS = ("jump", "generation", "click", "undo")
STROKE_SECONDS = 0.03


class StandIn:
    """An engine without a network: candidates and a disc around each click, a moment later."""

    alive = True

    def __init__(self, service: str, *, deliver: Any) -> None:
        self._deliver = deliver

    def start(self) -> None:
        """Do nothing."""

    close = start

    def submit(
        self,
        request: Any,
        *,
        destination: str,
        on_update: Any,
        on_done: Any,
        on_failed: Any,
        background: bool = False,
    ) -> None:
        """Answer."""
        answers: list[Any] = [ModelInfo("stand-in", "abc", "cpu")]
        if isinstance(request, GenerateRequest):
            answers.append(GenerateUpdate("decode", 4, 4, 0.0, pool=surface_and_defect(SHAPE)))
        elif isinstance(request, PredictRequest) and request.prompts:
            answers.append(PredictedMask(discs(SHAPE, 6, request.prompts.points[-1]), 0.95))

        def deliver() -> None:
            for answer in answers:
                self._deliver(partial(on_update, answer))
            self._deliver(on_done)

        threading.Timer(0.05, deliver).start()

    def cancel(self, destination: str) -> None:
        """Do nothing."""

    forget = cancel


def open_window(folder: Path) -> Workbench:
    """Open a window whose files all lie in `folder`."""
    plugin.Workbench = partial(Workbench, start_engine=StandIn)
    folders = Folders(
        folder / "recovery", folder / "projects", folder / "choices.json", folder / "keys.json"
    )
    return plugin.open_workbench(Viewer(), folders)


class Session:
    """A person who paints, reviews and does one thing more before the kill."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._odd = bool(seed % 2)
        self.log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.bench = bench = open_window(folder)
        self._pixels = self._random.permutation(SHAPE[0] * SHAPE[1])
        self._strokes = 0
        bench.edit.edited.connect(partial(self._note_mask, "stroke"))
        # After the layers, which show these.
        for signal_ in (bench.session.events.current, bench.session.events.automatic):
            signal_.connect(lambda *_: self._note_mask("shown"))
        show = bench.review._writer.show

        def saved(project: Any, record: Any) -> None:
            show(project, record)
            events = record.history
            self.note("saved", record.image, state=str(record.state), events=len(events))

        bench.review._writer.show = saved
        bench.projects.open(folder / "images", "Anna")
        self.arrive(0)

    def note(self, kind: str, image: str, **details: Any) -> None:
        """Log at once: the next moment may be the last."""
        line = {"time": time.monotonic(), "kind": kind, "image": image, **details}
        os.write(self.log, (json.dumps(line) + "\n").encode())

    def _note_mask(self, kind: str, *_: Any) -> None:
        entry, mask = self.bench.session.entry, self.bench.edit.mask
        if entry is not None and mask is not None:
            self.note(kind, entry.id, mask=self._packed())

    def _packed(self) -> str:
        return np.packbits(self.bench.edit.mask).tobytes().hex()

    def arrive(self, place: int) -> None:
        """Wait for an image, by its place in the project."""
        name = f"image_{place:03}"
        session = self.bench.session
        wait(lambda: session.queue is not None and session.queue.current == name)
        wait(lambda: session.entry is not None and session.entry.id == name)

    def paint(self, seconds: float) -> None:
        """Make strokes all the time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            layer = self.bench.layers.mask_layer
            if layer is not None and self.bench.session.entry is not None:
                layer.brush_size = 3
                row, column = divmod(int(self._pixels[self._strokes]), SHAPE[1])
                layer.paint((row, column), 1)
                self._strokes += 1
            due = time.monotonic() + STROKE_SECONDS
            wait(lambda due=due: time.monotonic() >= due)

    def key(self, key: Qt.Key, modifier: Any = Qt.KeyboardModifier.AltModifier) -> None:
        """Press a key on the canvas of the window that is in front."""
        press(self.bench, key, modifier)

    def run(self, way: str) -> None:
        """Review the first image, paint on the second, and be killed after one thing more."""
        uniform = self._random.uniform
        if way == "click":
            self.key(Qt.Key.Key_C)
        self.paint(uniform(0.1, 0.8))
        state, key = ("no defect", Qt.Key.Key_0) if self._odd else ("corrected", Qt.Key.Key_Y)
        self._before = self._packed()
        self.note("reviewed", "image_000", state=state)
        self.key(key)
        self.arrive(1)
        # Longer than a recovery copy waits, in most.
        self.paint(uniform(0.1, 2.5))
        getattr(self, f"_{way}")()
        threading.Timer(uniform(0.0, 0.2), self._die).start()
        self.paint(60)

    def _die(self) -> None:
        self.note("killed", "")
        os.kill(os.getpid(), signal.SIGKILL)

    def _jump(self) -> None:
        jump = self.bench.dock("Edit & review").panels["Queue"].jump
        QTest.keyClicks(jump, "4")
        QTest.keyClick(jump, Qt.Key.Key_Return)

    def _generation(self) -> None:
        if self._odd:
            self.key(Qt.Key.Key_Right)
            self.arrive(2)
        self.key(Qt.Key.Key_G)
        wait(lambda: self.bench.session.automatic is not None)

    def _click(self) -> None:
        canvas = self.bench.viewer.window._qt_viewer.canvas.native
        empty = np.argwhere(~self.bench.edit.mask)
        row, column = empty[self._random.integers(len(empty))]
        strokes = self.bench.edit._strokes
        QTest.mouseClick(
            canvas, Qt.MouseButton.LeftButton, pos=canvas_place(self.bench, row, column)
        )
        wait(lambda: self.bench.edit._strokes > strokes or self.bench.session.clicks.offer)

    def _undo(self) -> None:
        if self._odd:
            # What comes back may be written before it is shown.
            self.note("undone", "image_000", mask=self._before)
            self.key(Qt.Key.Key_Z)
        else:
            for _ in range(3):
                self.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def restore(folder: Path) -> None:
    """Open the window again, take what it offers on every image, close, and keep the masks."""
    bench = open_window(folder)
    session, looked, found = bench.session, [], bench.edit.recovery._on_found

    def note(copy: Any) -> None:
        found(copy)
        looked.append(session.entry.id)

    bench.edit.recovery._on_found = note
    bench.projects.open(folder / "images", "Anna")
    wait(lambda: bool(looked))
    masks = {}
    for image in session.project.project.images:
        bench.images.go(image.id)
        wait(lambda image=image: looked and looked[-1] == session.entry.id == image.id)
        if session.recovery is not None:
            if session.recovery.from_this_process:
                raise RuntimeError("a copy of this session is offered")
            copy = load_recovery(session.recovery.path)[0] != 0
            bench.edit.recovery.restore()
            wait(lambda copy=copy: np.array_equal(bench.edit.mask, copy))
        masks[image.id] = bench.edit.mask.copy()
    bench.viewer.close()
    QApplication.sendPostedEvents(None, 0)
    wait(lambda: not list_recoveries(folder / "recovery"), 10)
    np.savez(folder / RESTORED, **masks)


def run_session(act: str, seed: int, folder: Path) -> None:
    """Run one session, and end this process with it."""
    status = 1
    try:
        if act == "restore":
            restore(folder)
        else:
            Session(folder, seed).run(act)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Fork a session for every line."""
    for line in sys.stdin:
        act, seed, folder = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if not child:
            # napari prints to where the statuses go.
            os.dup2(2, 1)
            run_session(act, int(seed), Path(folder))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
