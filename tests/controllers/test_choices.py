from threading import Event

import pytest

from napari_semxai.controllers.choices import ChoicesController
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.segment.segment import SegmentController
from napari_semxai.state.session import Session


@pytest.fixture
def window(tmp_path):
    """Return what opens a window and closes it, with the choices of the windows before."""
    opened = []

    def begin(path=tmp_path / "choices.json"):
        session, writes = Session(), Jobs(lambda function: function(), threads=1)
        opened.append(writes)
        return session, writes, ChoicesController(session, writes, path)

    yield begin
    for writes in opened:
        writes.close()


def test_the_chosen_algorithm_is_found_in_the_next_window(window):
    session, writes, _ = window()
    assert session.algorithm.algorithm == "robust"
    SegmentController(session, None).set_algorithm(algorithm="paper")
    writes.close()
    again, writes, _ = window()
    assert again.algorithm.algorithm == "paper"
    SegmentController(again, None).set_algorithm(algorithm="robust")
    writes.close()
    assert window()[0].algorithm.algorithm == "robust"


def test_sliders_are_not_remembered(window, tmp_path):
    session, writes, _ = window()
    SegmentController(session, None).set_algorithm(alpha=4.0)
    writes.close()
    assert not (tmp_path / "choices.json").exists()


@pytest.mark.parametrize("text", ["{", '{"choices": {"algorithm": "of another version"}}'])
def test_a_file_that_says_nothing_leaves_the_default(window, tmp_path, text):
    (tmp_path / "choices.json").write_text(text)
    session, *_ = window()
    assert session.algorithm.algorithm == "robust"
    assert ("choices.json" in session.message) == (text == "{")


def test_a_choice_that_cannot_be_written_is_said(window, tmp_path):
    (tmp_path / "file").write_text("")
    session, writes, _ = window(tmp_path / "file/choices.json")
    SegmentController(session, None).set_algorithm(algorithm="paper")
    written = Event()
    writes.run("wait", lambda: None, lambda _: written.set(), lambda _: None)
    assert written.wait(10)
    assert session.algorithm.algorithm == "paper"
    assert "choices.json" in session.message
