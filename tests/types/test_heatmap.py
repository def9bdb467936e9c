from __future__ import annotations

import numpy as np
import pytest

from napari_semxai.types import Heatmap, jet


def test_jet_is_opencv_s_to_one_level() -> None:
    cv2 = pytest.importorskip("cv2")
    levels = np.arange(256, dtype=np.uint8)[None]
    expected = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[..., ::-1]
    difference = jet(levels / 255).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_red_falls_at_the_peak() -> None:
    red = jet(np.array([[0.0, 0.37, 0.63, 0.87, 1.0]]))[0, :, 0]
    np.testing.assert_array_equal(red, [0, 0, 255, 255, 128])


def test_values_outside_and_nan_take_the_ends() -> None:
    np.testing.assert_array_equal(
        jet(np.array([[-1.0, np.nan, 2.0]]))[0], [[0, 0, 128], [0, 0, 128], [128, 0, 0]]
    )


def test_a_heatmap_in_colours() -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    heatmap = Heatmap(values, 2.0, "gradcam", 0, "particle", ("layer4",), "0" * 64)
    np.testing.assert_array_equal(heatmap.rgb(), jet(values))
