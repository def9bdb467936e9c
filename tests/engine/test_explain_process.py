"""A window on the native platform and the explaining engine, started in either order.

Each case is a process of its own: what goes wrong here is an abort or a segmentation fault.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_semxai.backends.runtime.libraries import craft_missing

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import sys
from queue import SimpleQueue
import numpy as np
from napari_semxai.engine.client import EngineClient
from napari_semxai.types import ConceptBank, CraftFitRequest, GradcamRequest, Heatmap

order, craft = sys.argv[1:]
rng = np.random.default_rng(0)
images = tuple(rng.integers(0, 256, (96, 96), dtype=np.uint8) for _ in range(2))


def show_window():
    from qtpy.QtWidgets import QApplication, QLabel

    application = QApplication([])
    label = QLabel("window")
    label.show()
    application.processEvents()
    return application, label


def ask(client, request):
    answers = SimpleQueue()
    client.submit(
        request,
        destination="a",
        on_update=answers.put,
        on_done=lambda: answers.put("done"),
        on_failed=lambda message: answers.put(f"failed: {message}"),
    )
    found = []
    while True:
        found.append(answers.get(timeout=300))
        if isinstance(found[-1], str):
            return found


client = EngineClient("explain")
window = show_window() if order == "window-first" else None
heat = GradcamRequest(images[0], "bundled", 0)
fit = CraftFitRequest(images, "bundled", 0, "features.head", 2, 160)
if order == "window-first":
    first, second = ask(client, heat), ask(client, fit)
else:
    second, first = ask(client, fit), ask(client, heat)
    window = show_window()
assert any(isinstance(value, Heatmap) for value in first), first
if craft == "craft":
    assert any(isinstance(value, ConceptBank) for value in second), second
else:
    assert "pip install 'napari-semxai[craft]'" in second[-1], second
client.close()
window[0].processEvents()
heavy = [name for name in ("torch", "cv2", "xplique", "tensorflow") if sys.modules.get(name)]
print(window[0].platformName(), heavy)
"""
HIDE = "import sys\nsys.modules['xplique'] = None\n"
NEEDS_CRAFT = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(craft_missing()), reason="the craft extra is not installed"),
]


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="xcb needs an X display")
@pytest.mark.parametrize(
    ("order", "craft"),
    [
        ("window-first", "without"),
        pytest.param("engine-first", "without", marks=pytest.mark.slow),
        pytest.param("window-first", "craft", marks=NEEDS_CRAFT),
        pytest.param("engine-first", "craft", marks=NEEDS_CRAFT),
    ],
)
def test_either_order_survives(tmp_path: Path, order: str, craft: str) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb", "XDG_CACHE_HOME": str(tmp_path)}
    if craft == "without":
        # Python runs this in the engine too, which is a child of the script.
        (tmp_path / "sitecustomize.py").write_text(HIDE)
        before = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(tmp_path), before)))
    command = [sys.executable, "-c", SCRIPT, order, craft]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip().splitlines()[-1] == "xcb []"
