import csv
from dataclasses import replace

import pytest

from napari_semxai.store.datasets.survey import (
    DEFAULT_CONSENT,
    consent_digest,
    new_pseudonym,
    read_consent,
    read_survey,
    remove_answers,
    save_answers,
    write_consent,
    write_survey,
)
from napari_semxai.types import InputError
from napari_semxai.types.survey import SCALE_VERSION, AnswerSet

FULL = AnswerSet(
    "P-1",
    "CRAFT",
    'image "7", left',
    answers=(5, 4, None, 3, 2, 1, None, 5),
    comments=("", "two\nlines; und ß", "", "", "", "", "", '"quoted"'),
    consent="abc",
    changed_at="2026-01-02T03:04:05+00:00",
)
HEAD = ",".join(f"item_{n}" for n in range(1, 9))


def test_what_was_written_is_read(tmp_path):
    sets = [FULL, AnswerSet("P-2")]
    write_survey(tmp_path / "s.csv", sets)
    assert read_survey(tmp_path / "s.csv") == sets


def test_saving_keeps_what_others_added(tmp_path):
    path = tmp_path / "s.csv"
    save_answers(path, [FULL])
    save_answers(path, [AnswerSet("P-2")])
    again = AnswerSet("P-1", "CRAFT", FULL.explanation)
    assert save_answers(path, [again]) == [again, AnswerSet("P-2")] == read_survey(path)


def test_another_wording_is_another_set(tmp_path):
    path = tmp_path / "s.csv"
    other = replace(FULL, scale="ESS-2023", answers=(1,) * 8)
    write_survey(path, [FULL, other])
    assert read_survey(path) == [FULL, other]
    again = replace(FULL, answers=(2,) * 8)
    assert save_answers(path, [again]) == [again, other] == read_survey(path)


def test_two_rows_of_the_same_set_are_refused(tmp_path):
    path = tmp_path / "s.csv"
    write_survey(path, [FULL, AnswerSet("P-2"), FULL])
    with pytest.raises(InputError, match="line 5: P-1 has answered"):
        read_survey(path)


def test_a_spreadsheets_file_is_understood(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + f"{HEAD}\r\n5,4.0,,3,2,1,5, 4 \r\n".replace(",", ";").encode()
    )
    (read,) = read_survey(path)
    assert read.answers == (5, 4, None, 3, 2, 1, 5, 4)
    assert (read.participant, read.scale) == ("row 2", SCALE_VERSION)


def test_columns_of_others_are_kept(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text(
        f"role,participant,{HEAD},,role\n"
        "engineer,P-1,5,4,3,2,1,5,4,3,x,twice,surplus\n"
        "student,P-2,1,1,1,1,1,1,1,1\n"
    )
    first, second = read_survey(path)
    save_answers(path, [replace(first, answers=(1,) * 8), AnswerSet("P-3")])
    names, *rows = csv.reader(path.read_text().splitlines())
    assert names[-4:] == ["role", "", "role", ""]
    kept = {row[0]: row[-4:] for row in rows}
    assert kept == {
        "P-1": ["engineer", "x", "twice", "surplus"],
        "P-2": ["student", "", "", ""],
        "P-3": ["", "", "", ""],
    }
    assert remove_answers(path, lambda known: known.participant == "P-1") == 1
    names, *rows = csv.reader(path.read_text().splitlines())
    assert {row[0]: row[-4] for row in rows} == {"P-2": "student", "P-3": ""}
    assert "engineer" not in path.read_text()
    assert read_survey(path) == [second, AnswerSet("P-3")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "item_1 is missing"),
        (f"{HEAD}\n1,2,3,4,5,6,7,8\n", "line 2, item_6: an answer is a whole number from 1 to 5"),
        (f"{HEAD}\n1,2,3,4,5,yes,1,1\n", "not yes"),
        (f"{HEAD}\n1,2,3.5,4,5,1,1,1\n", "not 3.5"),
        (f"{HEAD},item_2\n1,2,3,4,5,1,1,1,2\n", "item_2 is there twice"),
        (f"{HEAD}\n1,2,3,4,5,1,1,{'1' * 200_000}\n", "line 2: is no row of a table"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_survey(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.csv"):
        read_survey(tmp_path / "no.csv")


def test_every_wording_of_the_consent_text_is_kept(tmp_path):
    path = tmp_path / "s.csv"
    assert read_consent(path) == DEFAULT_CONSENT
    write_consent(path, "first")
    write_consent(path, "second")
    assert read_consent(path) == "second"
    kept = tmp_path / f"s_consent_{consent_digest('first')}.txt"
    assert kept.read_text() == "first"


def test_pseudonyms_are_new():
    taken = [new_pseudonym([]) for _ in range(50)]
    assert new_pseudonym(taken) not in taken


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8-sig", "utf-16"])
def test_a_survey_saved_by_excel(tmp_path, encoding):
    path = tmp_path / "s.csv"
    rows = ["sep=;", f"Participant;{HEAD.replace(',', ';')};comment_1", "P1;5;4;3;2;1;5,0;4;3;für"]
    path.write_bytes("\r\n".join([*rows, ";" * 9, ""]).encode(encoding))
    (read,) = read_survey(path)
    assert (read.participant, read.answers) == ("P1", (5, 4, 3, 2, 1, 5, 4, 3))
    assert read.comments[0] == "für"
