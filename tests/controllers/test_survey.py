import csv
import threading
from contextlib import contextmanager

import pytest

from napari_semxai.algorithms.statistics.survey import survey_report
from napari_semxai.controllers.survey import SurveyController
from napari_semxai.store.datasets.survey import consent_digest, read_consent, read_survey
from napari_semxai.types import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "survey.csv"


@pytest.fixture
def survey(session, jobs, path):
    survey = SurveyController(session, jobs)
    opened(session, lambda: survey.open(path))
    return survey


@pytest.fixture
def told(session):
    """Wait for a message that holds some words."""

    @contextmanager
    def wait(words):
        heard = threading.Event()

        def listen(message):
            if words in message:
                heard.set()

        session.events.message.connect(listen)
        yield
        assert heard.wait(5), session.message
        session.events.message.disconnect(listen)

    return wait


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


def test_answers_kept_back_never_go_to_another_file(session, jobs, path, survey, told):
    survey.begin("P-1", "", "")
    path.mkdir()
    with told("1 answer set"):
        survey.agree(True)
    assert "kept" in session.message
    other = path.with_name("other.csv")
    with told(str(path)):
        opened(session, lambda: survey.open(other))
    survey.begin("P-2", "", "")
    session.message = ""
    with told("1 answer set"):
        survey.agree(True)
    assert [known.participant for known in read_survey(other)] == ["P-2"]
    path.rmdir()
    with told("now"):
        survey.answer(0, 4)
    assert [known.participant for known in read_survey(path)] == ["P-1"]
    assert [known.participant for known in read_survey(other)] == ["P-2"]


def test_answers_kept_back_are_there_when_their_file_is_opened_again(session, path, survey, told):
    survey.begin("P-1", "", "")
    path.mkdir()
    with told("1 answer set"):
        survey.agree(True)
    opened(session, lambda: survey.open(path.with_name("other.csv")))
    path.rmdir()
    with told("now"):
        opened(session, lambda: survey.open(path))
    assert [known.participant for known in session.survey.sets] == ["P-1"]
    assert [known.participant for known in read_survey(path)] == ["P-1"]


def test_a_copy_does_not_hide_that_answers_were_refused(survey, path, told, monkeypatch):
    go_on = threading.Event()

    def refuse_late(path, entries):
        assert go_on.wait(5)
        raise InputError("the disk is full")

    monkeypatch.setattr("napari_semxai.controllers.survey.save_answers", refuse_late)
    survey.begin("P-1", "", "")
    with told("the disk is full"):
        survey.agree(True)
        survey.save_copy(path.with_name("copy.csv"))
        go_on.set()


def test_columns_of_others_are_in_the_file_and_in_copies(session, jobs, path, survey, told):
    items = ",".join(f"item_{n}" for n in range(1, 9))
    path.write_text(f"participant,role,{items}\nP-1,engineer,,,,,,,,\n")
    opened(session, lambda: survey.open(path))
    survey.begin("P-1", "", "")
    survey.agree(True)
    survey.answer(0, 4)
    with told("All answers copied to copy.csv"):
        survey.save_copy(path.with_name("copy.csv"))
    jobs._threads.shutdown(wait=True)
    for file in (path, path.with_name("copy.csv")):
        (row,) = csv.DictReader(file.read_text().splitlines())
        assert (row["role"], row["item_1"]) == ("engineer", "4")


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
