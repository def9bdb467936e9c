"""Time SAM clicks in the real window: from the click to the defect mask's layer being set.

Run from the project's root, with a display: ``python -m benchmarks.sam_clicks``. Prints a table
in Markdown. The image is encoded before; every click is a corrective one, the mask its prompt.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from benchmarks import timing
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.engine.host import REST_SECONDS
from napari_semxai.plugin import open_workbench
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import GenerateRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.state.review import Clicks
    from napari_semxai.workbench import Workbench

PATIENCE_SECONDS = 120
PAUSED_CLICKS = 20
CLICKS_AN_OBJECT = 6
LOOK_SECONDS = 0.2
"""Nobody clicks before the answer was seen."""


def main() -> None:
    """Measure at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[480, 1024])
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    # Recovery copies of these strokes are not a person's work.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
    viewer = napari.Viewer()
    workbench = open_workbench(viewer)
    print(timing.HEAD)
    for size in arguments.sizes:
        measured = measure(workbench, size, arguments.repeats)
        print(*timing.rows(f"{size}²", measured.items()), sep="\n", flush=True)
    viewer.close()


def measure(workbench: Workbench, size: int, repeats: int) -> dict[str, list[np.ndarray]]:
    """Return seconds for encoding and for clicks on one image size."""
    scene = make_scene(SceneSpec(shape=(size, size), radius=size // 10), seed=size)
    workbench.images.show(image_from_array(scene.image, f"{size}"))
    workbench.clicks.activate(False)
    wait(lambda: workbench.session.model is not None)
    encoding = clock(workbench, lambda: workbench.clicks.activate(True))
    places = np.argwhere(scene.defect)
    rng = np.random.default_rng(0)
    one = partial(click, workbench, lambda: places[rng.integers(len(places))])
    clicks = [one(number) for number in range(repeats)]
    behind(workbench, size)
    busy = [one(number) for number in range(repeats)]
    rest = 1.5 * REST_SECONDS
    paused = [one(number, rest) for number in range(PAUSED_CLICKS)]
    workbench.engine.forget("queue")
    return {
        "encoding, when the tool is taken": [encoding],
        "a click": clicks,
        "a click, while masks of other images are made behind": busy,
        f"the same, {rest:.0f} s after the click before": paused,
    }


def click(
    workbench: Workbench,
    place: Callable[[], np.ndarray],
    number: int,
    seconds: float = LOOK_SECONDS,
) -> np.ndarray:
    """Return how long a click on a pixel takes; now and then it begins another object."""
    row, column = place()
    if number % CLICKS_AN_OBJECT == 0:
        workbench.clicks.begin_object()
    look(seconds)
    return clock(workbench, lambda: workbench.clicks.click(row, column))


def behind(workbench: Workbench, size: int, seed: int = 1) -> None:
    """Let the engine make masks of one other image after the other, behind everything else."""
    choice = workbench.session.choice
    image = make_scene(SceneSpec(shape=(size, size)), seed=seed).image
    workbench.engine.submit(
        GenerateRequest(image, choice.model, choice.device, workbench.session.generate),
        destination="queue",
        on_update=_nothing,
        on_done=lambda: behind(workbench, size, seed + 1),
        on_failed=_nothing,
        background=True,
    )


def _nothing(_: object) -> None:
    """Take no notice."""


def clock(workbench: Workbench, call: Callable[[], None]) -> np.ndarray:
    """Return what it takes until the engine has answered `call` and the layer is set.

    Processor time is that of both processes, also for masks of other images.
    """
    answered: list[np.ndarray] = []
    engine = workbench.engine

    def note(clicks: Clicks) -> None:
        # Said right after the layer was set, or as the end of the encoding.
        if clicks.message.startswith(("Predicted", "The network would")) or clicks.state == "idle":
            answered.append(timing.now(engine.pid))

    begin = timing.now(engine.pid)
    workbench.session.events.clicks.connect(note)
    call()
    wait(lambda: workbench.session.clicks.state == "idle")
    workbench.session.events.clicks.disconnect(note)
    return min((time for time in answered if time[0] > begin[0]), key=lambda t: t[0]) - begin


def look(seconds: float) -> None:
    """Let the window paint, and its person look, for some time."""
    over: list[bool] = []
    QTimer.singleShot(round(seconds * 1000), lambda: over.append(True))
    wait(lambda: bool(over))


def wait(condition: Callable[[], bool]) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited too long")
        # Waits for events: spinning would take a core from the engine.
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


if __name__ == "__main__":
    main()
