from time import monotonic

import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_semxai.state.session import Session
from napari_semxai.widgets.common.numbers import NumberSlider
from napari_semxai.widgets.common.progress_bar import WorkLine, WorkMonitor
from napari_semxai.widgets.common.status import StatusLine


class Paints(QObject):
    """When a widget was painted."""

    def __init__(self):
        super().__init__()
        self.times = []

    def eventFilter(self, _, event):
        if event.type() == QEvent.Type.Paint:
            self.times.append(monotonic())
        return False


def test_a_job_of_unknown_length_moves_its_bar_a_few_times_a_second(qtbot):
    line, paints = StatusLine(), Paints()
    qtbot.addWidget(line)
    line.show()
    line.show_progress(True, 0, 0)
    qtbot.waitUntil(line.progress.isVisible)
    line.progress.installEventFilter(paints)
    qtbot.waitUntil(lambda: len(paints.times) >= 6)
    # It is painted for other reasons, too, as it comes.
    assert paints.times[5] - paints.times[0] > 0.6


@pytest.mark.parametrize("part", ["log", "field"])
def test_what_is_in_a_narrow_part_is_readable_in_a_large_font(qtbot, part):
    window = QWidget()
    qtbot.addWidget(window)
    if part == "log":
        line = WorkLine(WorkMonitor(Session()), lambda: None)
        line.setParent(window)
        narrow, text = line.log, "Log"
    else:
        slider = NumberSlider(0, 1, default=0.05, decimals=3, tip="β")
        slider.setParent(window)
        narrow, text = slider.field, "0.050"
    # As napari does with the size that a person chooses.
    window.setStyleSheet("QWidget { font-size: 20pt; }")
    window.show()
    qtbot.waitExposed(window)
    assert narrow.width() > narrow.fontMetrics().horizontalAdvance(text) + 8
