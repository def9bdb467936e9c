"""The benchmarks run where `make demo` was all the setup: without the tools of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import wrong_masks

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
    pixels, truth, classes, proposed, features = wrong_masks.scenes(1, 1)
    assert pixels.shape == truth.shape == proposed.shape
    assert classes.shape == (1,)
    assert np.isfinite(features.astype(float)).all()
