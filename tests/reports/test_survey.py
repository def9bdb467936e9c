import csv

from napari_semxai.algorithms.survey import survey_report
from napari_semxai.reports.survey import likert_figure, write_survey_report
from napari_semxai.types.survey import ITEMS, AnswerSet

SETS = [
    AnswerSet("P-1", "CRAFT", answers=(5, 4, 3, 2, 1, 4, 4, None)),
    AnswerSet("P-2", "CRAFT", answers=(5, 5, 3, 2, 2, 3, 4, None)),
]


def test_table_and_figure_say_what_the_summary_says(tmp_path):
    report = survey_report(SETS)
    table, svg, png = write_survey_report(tmp_path, report)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == list(ITEMS)
    assert (rows[1]["mean"], rows[1]["n_agree"], rows[7]["n"]) == ("4.5", "2", "0")
    assert "4.50 ± 0.71, 2 of 2 agree" in svg.read_text()
    assert "no answers" in svg.read_text()
    assert png.stat().st_size > 0


def test_bars_of_an_item_add_up_and_part_at_neutral():
    axes = likert_figure(survey_report(SETS).methods).axes[0]
    bars = [bar for bar in axes.patches if bar.get_y() + bar.get_height() / 2 == 2]
    assert sum(bar.get_width() for bar in bars) == 100
    neutral = next(bar for bar in bars if bar.get_width())
    assert (neutral.get_x(), neutral.get_width()) == (-50, 100)


def test_a_survey_without_answers_has_a_figure():
    assert "no answers yet" in likert_figure([]).axes[0].texts[0].get_text()
