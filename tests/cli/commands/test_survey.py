import json

from napari_semxai.cli import main
from napari_semxai.store.datasets.survey import write_survey
from napari_semxai.types.survey import SCALE_VERSION, AnswerSet


def test_summary_of_two_methods(tmp_path, capsys):
    sets = [
        AnswerSet(f"P-{n}", method, answers=(base + n % 2,) * 8)
        for n in range(6)
        for method, base in (("Grad-CAM", 2), ("CRAFT", 4))
    ]
    write_survey(tmp_path / "s.csv", sets)
    assert main(["survey", "summary", str(tmp_path / "s.csv"), "-o", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "CRAFT, 6 participants" in text
    assert "4.50  0.55   6 of 6  From the explanation, I understand" in text
    assert "p = 0.0312" in text
    assert text.count(SCALE_VERSION) == 3
    for name in ("survey_items.csv", "survey_methods.csv", "survey_comparisons.csv", "survey.svg"):
        assert (tmp_path / "out" / name).is_file()
        assert name in text
    main(["survey", "summary", str(tmp_path / "s.csv"), "--json"])
    values = json.loads(capsys.readouterr().out)
    assert values["methods"][1]["summary"]["items"][0]["mean"] == 4.5
    assert values["comparisons"][0]["test"]["rank_biserial"] == -1


def test_alpha_is_said_to_be_undefined(tmp_path, capsys):
    write_survey(tmp_path / "s.csv", [AnswerSet("P-1", answers=(4,) * 8)])
    assert main(["survey", "summary", str(tmp_path / "s.csv")]) == 0
    text = capsys.readouterr().out
    assert "alpha undefined, over 1 complete answer set\n" in text
    assert "explanations, 1 participant, scale" in text


def test_bad_files_are_one_line_and_code_2(tmp_path, capsys):
    (tmp_path / "s.csv").write_text("a\n")
    assert main(["survey", "summary", str(tmp_path / "s.csv")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "s.csv" in error
