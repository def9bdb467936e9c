"""The panel of certified accept."""

import pytest
from psygnal import Signal

from napari_semxai.algorithms.statistics.acceptance import Promise
from napari_semxai.state.session import Session
from napari_semxai.widgets.project.review_panel import CertifyPanel
from tests.doubles import Controller


class Certify(Controller):
    changed = Signal(object)


class Audited:
    """An audit that allows two images."""

    images = ("a", "b")

    def __str__(self):
        return "2 of 40 others can be accepted"


@pytest.fixture
def certify():
    return Certify()


@pytest.fixture
def panel(qtbot, certify):
    session = Session()
    panel = CertifyPanel(session, certify)
    qtbot.addWidget(panel)
    panel.setEnabled(True)
    yield panel
    panel.release()


def test_what_is_promised_is_drawn_as_it_was_set(panel, certify):
    panel.count.setValue(160)
    panel.wrong.setValue(10)
    panel.iou.setValue(0.7)
    panel.parts.setChecked(False)
    panel.draw.click()
    promise = Promise(0.1, iou=0.7, defects=False)
    assert certify.calls[-1] == ("draw", (160, promise), {})


def test_accept_waits_for_an_audit_that_allows_it(panel, certify):
    assert not panel.accept.isEnabled()
    assert panel.state.text() == "No sample is drawn."
    certify.changed.emit(Audited())
    assert "2 of 40 others" in panel.state.text()
    for part, name in ((panel.hand_out, "hand_out"), (panel.accept, "accept")):
        part.click()
        assert certify.calls[-1][0] == name
    panel.back.click()
    assert certify.calls[-1][0] == "take_back"
    certify.changed.emit(None)
    assert not panel.accept.isEnabled()
