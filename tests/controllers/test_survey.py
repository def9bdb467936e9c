import threading

import pytest

from napari_semxai.algorithms.survey import survey_report
from napari_semxai.controllers.survey import SurveyController
from napari_semxai.store.survey import consent_digest, read_consent, read_survey


@pytest.fixture
def path(tmp_path):
    return tmp_path / "survey.csv"


@pytest.fixture
def survey(session, jobs, path):
    survey = SurveyController(session, jobs)
    opened(session, lambda: survey.open(path))
    return survey


def opened(session, act):
    done = threading.Event()
    session.events.survey.connect(done.set)
    act()
    assert done.wait(5)


def test_every_answer_is_on_disk_and_resumed(session, jobs, path, survey):
    survey.begin("P-1", "CRAFT", "a")
    assert session.survey.current.answers == (None,) * 8
    survey.agree(True)
    for item, value in enumerate((5, 4, 3)):
        survey.answer(item, value)
    survey.comment(1, "why")
    survey.answer(0, None)
    jobs._threads.shutdown(wait=True)
    (stored,) = read_survey(path)
    assert stored == session.survey.current
    assert stored.answers == (None, 4, 3, *(None,) * 5)
    assert stored.comments[1] == "why"
    assert stored.consent == consent_digest(session.survey.consent_text)
    survey.begin("P-2", "CRAFT", "a")
    assert session.survey.current.n_answered == 0
    survey.begin("P-1", "CRAFT", "a")
    assert (session.survey.current, session.survey.item) == (stored, 0)


def test_no_answer_before_consent(session, survey):
    survey.begin("", "CRAFT", "a")
    assert session.survey.current.participant.startswith("P-")
    survey.answer(0, 5)
    assert session.survey.current.n_answered == 0
    assert "consent" in session.message


def test_other_answers_are_refused(session, survey):
    survey.begin("P-1", "", "")
    survey.agree(True)
    with pytest.raises(ValueError, match="not 6"):
        survey.answer(0, 6)


def test_items_stay_within_the_scale(session, survey):
    survey.begin("P-1", "", "")
    survey.go(-1)
    assert session.survey.item == 0
    survey.go(99)
    assert session.survey.item == 7


def test_consent_text_is_written_beside_the_answers(session, jobs, path, survey):
    survey.set_consent_text("own words")
    jobs._threads.shutdown(wait=True)
    assert read_consent(path) == "own words" == session.survey.consent_text


def test_answers_that_cannot_be_written_are_written_with_the_next(session, jobs, path, survey):
    survey.begin("P-1", "", "")
    path.mkdir()
    told = threading.Event()
    session.events.message.connect(told.set)
    survey.agree(True)
    assert told.wait(5)
    assert str(path) in session.message
    path.rmdir()
    survey.begin("P-2", "", "")
    survey.agree(True)
    jobs._threads.shutdown(wait=True)
    assert [known.participant for known in read_survey(path)] == ["P-1", "P-2"]


def test_the_summary_is_worked_out(session, survey):
    survey.begin("P-1", "CRAFT", "a")
    survey.agree(True)
    survey.answer(0, 4)
    done = threading.Event()
    session.events.survey_report.connect(done.set)
    survey.summarise()
    assert done.wait(5)
    assert session.survey_report.methods[0].summary[0].n_agree == 1


def test_a_participant_withdraws(session, jobs, path, survey):
    for participant, method in (("P-1", "CRAFT"), ("P-1", "Grad-CAM"), ("P-2", "CRAFT")):
        survey.begin(participant, method, "a")
        survey.agree(True)
        survey.answer(0, 4)
    survey.begin("P-1", "CRAFT", "a")
    survey.comment(0, "written at the last moment")
    gone = threading.Event()
    session.events.survey_report.connect(gone.set)
    session.survey_report = survey_report(session.survey.sets)
    gone.clear()
    survey.withdraw()
    assert session.survey.current is None
    assert gone.wait(5)
    assert [known.participant for known in session.survey.sets] == ["P-2"]
    jobs._threads.shutdown(wait=True)
    assert [known.participant for known in read_survey(path)] == ["P-2"]
    assert "last moment" not in path.read_text()


def test_one_answer_set_is_deleted(session, jobs, path, survey):
    for method in ("CRAFT", "Grad-CAM"):
        survey.begin("P-1", method, "a")
        survey.agree(True)
    survey.delete()
    jobs._threads.shutdown(wait=True)
    assert [known.method for known in read_survey(path)] == ["CRAFT"]


def test_what_cannot_be_deleted_stays_and_is_named(session, jobs, path, survey, monkeypatch):
    survey.begin("P-1", "CRAFT", "a")
    survey.agree(True)
    told = threading.Event()
    session.events.message.connect(told.set)
    monkeypatch.setattr("napari_semxai.controllers.survey.remove_answers", refuse)
    survey.withdraw()
    assert told.wait(5)
    assert session.message == "the disk is full"
    assert [known.participant for known in session.survey.sets] == ["P-1"]


def refuse(path, gone):
    raise OSError("the disk is full")
