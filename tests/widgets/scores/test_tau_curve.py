"""Dice curves: a dot at each own threshold, and clicks on the nearest one."""

import numpy as np
from qtpy.QtCore import QPoint, Qt

from napari_semxai.state.comparison import TAUS, MapRow
from napari_semxai.widgets.scores.comparison_panel import TauCurve

RED, GREEN = (250, 0, 81), (0, 172, 88)


def rows():
    high, low = np.full(len(TAUS), 0.9), np.full(len(TAUS), 0.2)
    return (
        MapRow("Grad-CAM", None, high, "tau", RED),
        MapRow("concept 1", None, low, "concept_tau", GREEN),
    )


def curve_of(qtbot):
    curve = TauCurve()
    qtbot.addWidget(curve)
    curve.resize(226, 150)
    curve.set_rows(rows())
    return curve


def test_each_curve_has_a_dot_at_its_own_threshold(qtbot):
    curve = curve_of(qtbot)
    curve.set_taus({"tau": 0.25, "concept_tau": 0.75})
    picture = curve.grab().toImage()

    def is_dot(tau, dice, color):
        place = curve._point(tau, dice)
        # Three pixels off the line.
        found = picture.pixelColor(round(place.x()), round(place.y()) + 3).getRgb()[:3]
        return np.allclose(found, color, atol=60)

    assert is_dot(0.25, 0.9, RED)
    assert is_dot(0.75, 0.2, GREEN)
    assert not is_dot(0.75, 0.9, RED)
    assert not is_dot(0.25, 0.2, GREEN)


def test_a_click_moves_the_threshold_of_the_nearest_curve(qtbot):
    curve = curve_of(qtbot)
    for dice, parameter in ((0.85, "tau"), (0.25, "concept_tau")):
        place = curve._point(0.5, dice).toPoint()
        with qtbot.waitSignal(curve.picked) as picked:
            qtbot.mouseClick(curve, Qt.MouseButton.LeftButton, pos=QPoint(place))
        assert picked.args[0] == parameter
        assert abs(picked.args[1] - 0.5) < 0.01
