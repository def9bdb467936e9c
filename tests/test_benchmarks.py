"""The benchmarks run where `make demo` was all the setup: without the tools of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import annotator, learning, wrong_masks
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.sam2.segmenter import Segmenter

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask

ROOT = Path(__file__).parents[1]

# Every import statement, those inside functions, too; to look for garbage takes a fifth more time.
IMPORT_ALL = """
import ast, gc, pathlib, sys
gc.disable()
for name in ("pytest", "_pytest", "pytestqt", "hypothesis", "timm"):
    sys.modules[name] = None
for path in map(pathlib.Path, sys.argv[1:]):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom) and "__future__" not in ast.unparse(node):
            exec(ast.unparse(node))
    print(path.stem)
"""


def test_benchmarks_import_no_test_tools() -> None:
    paths = sorted((ROOT / "benchmarks").glob("*.py"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [path.stem for path in paths], done.stderr


def test_the_scenes_of_wrong_masks_are_made() -> None:
    pixels, truth, classes, proposed, features, sure = wrong_masks.scenes(1, 1)
    assert pixels.shape == truth.shape == proposed.shape
    assert classes.shape == (1,)
    assert np.isfinite(features.astype(float)).all()
    assert 0 < sure[0] < 1


def test_wrong_masks_are_counted_from_the_surest_on() -> None:
    truth = np.ones((20, 8, 8), bool)
    masks = truth.copy()
    masks[3] = False
    confidence = np.linspace(1, 0.1, 20)
    said = learning.shares_of_wrong(confidence, masks, truth)
    assert said.endswith(str([0.0] * 3 + [1.0] + [0.0] * 16))
    # What nobody knows comes last.
    confidence[3] = np.nan
    assert learning.shares_of_wrong(confidence, masks, truth).endswith(str([0.0] * 19 + [1.0]))


def test_a_simulated_annotator_clicks_until_the_mask_is_right() -> None:
    scene = scene_of_class(1, 3)
    segmenter = Segmenter("bundled", device="cpu")

    def clicks(mask: BoolMask) -> int:
        return annotator.clicks_until_right(segmenter, scene.image, mask, scene.defect)

    assert clicks(scene.defect) == 0
    invented = scene.defect.copy()
    invented[:30, :30] = True
    assert clicks(invented) == 1
    assert 1 <= clicks(np.zeros_like(scene.defect)) < annotator.MOST
