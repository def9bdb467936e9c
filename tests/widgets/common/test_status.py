from time import monotonic

from qtpy.QtCore import QEvent, QObject

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
