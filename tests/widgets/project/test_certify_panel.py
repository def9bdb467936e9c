"""The panel of certified accept."""

from dataclasses import replace

import pytest
from psygnal import Signal

from napari_semxai.algorithms.statistics.acceptance import Promise
from napari_semxai.state.session import Session
from napari_semxai.widgets.project.review_panel import CertifyPanel
from tests.doubles import Controller
from tests.queues import queue_of, rows


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
def session():
    return Session()


@pytest.fixture
def panel(qtbot, certify, session):
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


def test_the_audit_is_looked_at_again_when_reviews_are_written_or_undone(panel, certify, session):
    session.project = object()
    session.queue = queue_of()
    panel.show()
    certify.calls.clear()
    session.queue = session.queue.at("a", 1, "a")
    assert certify.calls == []
    # Also of images that are written at once, or taken back: none of them is open.
    session.queue = replace(session.queue, shown=rows())
    assert [call[0] for call in certify.calls] == ["look"]
