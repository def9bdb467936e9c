"""Size of a mask in the record; the rest is tested with the command."""

from __future__ import annotations

import numpy as np

from napari_semxai.cli.works.record import size_of


def test_size() -> None:
    mask = np.zeros((20, 30), bool)
    assert (size_of(mask).area, size_of(mask).height, size_of(mask).width) == (0, 0, 0)
    mask[3:9, 10:14] = True
    mask[15, 29] = True
    size = size_of(mask)
    assert (size.area, size.height, size.width) == (25, 13, 20)
