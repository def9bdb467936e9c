"""A script, or napari's console, that calls the networks in the process of a window."""

import os
import subprocess
import sys

import pytest

from napari_semxai.backends.runtime.libraries import craft_missing

WINDOW = """
import napari
viewer = napari.Viewer(show=True)
viewer.add_image(image)
viewer.screenshot()
"""
CALLS = {
    "heat map": "sx.gradcam(image, sx.load_classifier())",
    "candidates": "sx.generate_candidates(image, points_per_side=2)",
    "concepts": "sx.craft([image] * 4, sx.load_classifier(), target=0, n_concepts=2)",
}
SLOW = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(craft_missing()), reason="the craft extra is not installed"),
]


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="xcb needs an X display")
@pytest.mark.parametrize(
    ("first", "call"),
    [
        ("window", "heat map"),
        ("call", "heat map"),
        pytest.param("window", "candidates", marks=pytest.mark.slow),
        pytest.param("call", "candidates", marks=pytest.mark.slow),
        pytest.param("window", "concepts", marks=SLOW),
    ],
)
def test_window_and_network_in_one_process(first: str, call: str) -> None:
    lines = [WINDOW, CALLS[call]] if first == "window" else [CALLS[call], WINDOW]
    script = "\n".join(
        [
            "import numpy as np, napari_semxai as sx",
            "image = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)",
            *lines,
            "viewer.add_image(image)",
            "print(viewer.screenshot().shape)",
            "viewer.close()",
        ]
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.strip().endswith(", 4)")
