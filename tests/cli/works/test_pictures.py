"""Pictures of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_semxai.cli.works import pictures
from napari_semxai.types import Scores
from tests.pools import pool_of

if TYPE_CHECKING:
    from pathlib import Path


def test_tint_changes_the_mask_only() -> None:
    gray = np.full((4, 6), 100, np.uint8)
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:4] = True
    picture = pictures.tinted(pictures.as_rgb(gray), mask, "#FF0000")
    assert (picture[mask] == [178, 50, 50]).all()
    assert (picture[~mask] == 100).all()


def test_small_candidates_lie_on_top() -> None:
    gray = np.full((10, 10), 100, np.uint8)
    small = np.zeros((10, 10), bool)
    small[4:6, 4:6] = True
    picture = pictures.candidates_picture(gray, pool_of([small, ~small | small]))
    assert len(np.unique(picture[small], axis=0)) == 1
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2


def test_scores_are_the_same_picture_every_time(tmp_path: Path) -> None:
    # Precision of an empty prediction is undefined.
    for name in ("a.png", "b.png"):
        pictures.write_scores(tmp_path / name, Scores(tp=0, fp=0, fn=5, tn=10))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (750, 375)
