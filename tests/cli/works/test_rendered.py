"""Pictures are drawn; what is read out of them is tested with the command."""

import numpy as np

from napari_semxai.cli.works.rendered import as_rgb, tinted


def test_tint_changes_the_mask_only() -> None:
    gray = np.full((4, 6), 100, np.uint8)
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:4] = True
    picture = tinted(as_rgb(gray), mask, "#FF0000")
    assert (picture[mask] == [178, 50, 50]).all()
    assert (picture[~mask] == 100).all()
