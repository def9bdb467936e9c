import csv

from napari_semxai.algorithms.statistics.survey import survey_report
from napari_semxai.reports.survey import likert_figure, write_survey_report
from napari_semxai.types.survey import ITEMS, AnswerSet

SETS = [
    AnswerSet("P-1", "CRAFT", answers=(5, 4, 3, 2, 1, 4, 4, None)),
    AnswerSet("P-2", "CRAFT", answers=(5, 5, 3, 2, 2, 3, 4, None)),
]


def read(table):
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_table_and_figure_say_what_the_summary_says(tmp_path):
    report = survey_report(SETS)
    table, _, _, svg, png = write_survey_report(tmp_path, report)
    rows = read(table)
    assert [row["text"] for row in rows] == list(ITEMS)
    assert (rows[1]["mean"], rows[1]["n_agree"], rows[7]["n"]) == ("4.5", "2", "0")
    assert "4.50 ± 0.71, 2 of 2 agree" in svg.read_text()
    assert "no answers" in svg.read_text()
    assert png.stat().st_size > 0


def test_one_answer_has_a_mean_alone(tmp_path):
    svg = write_survey_report(tmp_path, survey_report(SETS[:1]))[3].read_text()
    assert "5.00, 1 of 1 agree" in svg
    assert "nan" not in svg
    assert "1 participant" in svg
    assert "1 participants" not in svg


def test_alpha_and_comparisons_are_written(tmp_path):
    sets = [
        AnswerSet(f"P-{n}", method, answers=(base + n % 2, *(base,) * 7), scale=scale)
        for n in range(6)
        for scale in ("first", "second")
        for method, base in (("Grad-CAM", 2), ("CRAFT", 4))
    ]
    sets.append(AnswerSet("P-9", "LIME", answers=(3,) * 8, scale="first"))
    report = survey_report(sets)
    _, methods, comparisons, *_ = write_survey_report(tmp_path, report)
    rows = read(methods)
    assert [(row["method"], row["scale"], row["n_participants"]) for row in rows] == [
        ("Grad-CAM", "first", "6"),
        ("CRAFT", "first", "6"),
        ("Grad-CAM", "second", "6"),
        ("CRAFT", "second", "6"),
        ("LIME", "first", "1"),
    ]
    assert float(rows[0]["cronbach_alpha"]) == report.methods[0].summary.cronbach_alpha
    assert (rows[4]["cronbach_alpha"], rows[4]["n_complete"]) == ("", "1")
    pairs = read(comparisons)
    assert [(pair["scale"], pair["first"], pair["second"], pair["n"]) for pair in pairs] == [
        ("first", "Grad-CAM", "CRAFT", "6"),
        ("first", "Grad-CAM", "LIME", "0"),
        ("first", "CRAFT", "LIME", "0"),
        ("second", "Grad-CAM", "CRAFT", "6"),
    ]
    assert pairs[0]["median_difference"] == "-2.0"
    assert pairs[0]["p_value"] == "0.03125"
    assert float(pairs[0]["p_holm"]) == report.comparisons[0].p_holm
    assert pairs[0]["rank_biserial"] == "-1.0"
    assert pairs[1]["median_difference"] == ""


def test_bars_of_an_item_add_up_and_part_at_neutral():
    axes = likert_figure(survey_report(SETS).methods).axes[0]
    bars = [bar for bar in axes.patches if bar.get_y() + bar.get_height() / 2 == 2]
    assert sum(bar.get_width() for bar in bars) == 100
    neutral = next(bar for bar in bars if bar.get_width())
    assert (neutral.get_x(), neutral.get_width()) == (-50, 100)


def test_a_survey_without_answers_has_a_figure():
    assert "no answers yet" in likert_figure([]).axes[0].texts[0].get_text()
