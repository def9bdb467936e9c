"""Tables and the stacked bars of a survey."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.reports.figures import new_figure, save_figures
from napari_semxai.store.disk.tables import write_table
from napari_semxai.types.survey import ANSWERS, ITEMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_semxai.algorithms.statistics.survey import MethodSummary, SurveyReport
    from napari_semxai.types.survey import ItemSummary, SurveySummary

COLUMNS = (
    "method",
    "scale",
    "item",
    "text",
    "mean",
    "std",
    "n",
    "n_agree",
    "n_experts",
    "n_experts_agree",
)
METHOD_COLUMNS = ("method", "scale", "n_participants", "n_complete", "cronbach_alpha")
COMPARISON_COLUMNS = (
    "first",
    "second",
    "scale",
    "n",
    "n_different",
    "median_difference",
    "p_value",
    "p_holm",
    "rank_biserial",
)
# Disagree orange, agree blue, from ColorBrewer's PuOr, told apart by colour-blind people too.
_LIKERT = ("#b35806", "#f1a340", "#d8d8d8", "#998ec3", "#542788")
_WRAP = 44


def survey_rows(report: SurveyReport) -> list[dict[str, Any]]:
    """Return one row per method and item, with the columns of `COLUMNS`."""
    return [
        {
            "method": entry.method,
            "scale": entry.scale,
            "item": number,
            "text": ITEMS[number - 1],
            "mean": item.mean,
            "std": item.std,
            "n": item.n,
            "n_agree": item.n_agree,
            "n_experts": item.n_experts,
            "n_experts_agree": item.n_experts_agree,
        }
        for entry in report.methods
        for number, item in enumerate(entry.summary, start=1)
    ]


def method_rows(report: SurveyReport) -> list[dict[str, Any]]:
    """Return one row per method, with the columns of `METHOD_COLUMNS`."""
    return [
        {
            "method": entry.method,
            "scale": entry.scale,
            "n_participants": entry.n_participants,
            "n_complete": entry.summary.n_complete,
            "cronbach_alpha": entry.summary.cronbach_alpha,
        }
        for entry in report.methods
    ]


def comparison_rows(report: SurveyReport) -> list[dict[str, Any]]:
    """Return one row per pair of methods, with the columns of `COMPARISON_COLUMNS`."""
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "scale": pair.scale,
            **asdict(pair.test),
            "p_holm": pair.p_holm,
        }
        for pair in report.comparisons
    ]


def write_survey_report(folder: Path, report: SurveyReport) -> list[Path]:
    """Write the tables of items, methods and comparisons and the bars; return the files.

    What is undefined is an empty field.
    """
    tables = {
        "survey_items.csv": (COLUMNS, survey_rows(report)),
        "survey_methods.csv": (METHOD_COLUMNS, method_rows(report)),
        "survey_comparisons.csv": (COMPARISON_COLUMNS, comparison_rows(report)),
    }
    for name, (columns, rows) in tables.items():
        write_table(folder / name, columns, ([row[column] for column in columns] for row in rows))
    figures = save_figures(likert_figure(report.methods), folder / "survey")
    return [*(folder / name for name in tables), *figures]


def likert_figure(methods: Sequence[MethodSummary], *, compact: bool = False) -> Figure:
    """Draw the answers to each item as stacked bars around the neutral middle.

    Parameters
    ----------
    methods : sequence of MethodSummary
        One panel each.
    compact : bool
        For a narrow place: the items' numbers instead of their texts.
    """
    width, height = (4.2, 2.2) if compact else (7.5, 3.2)
    figure = new_figure(width, 0.6 + height * max(len(methods), 1))
    panels = figure.subplots(max(len(methods), 1), 1, squeeze=False)[:, 0]
    for axes, entry in zip(panels, methods, strict=False):
        texts = ITEMS[: len(entry.summary)]
        labels = [
            f"{number}  {'' if compact else textwrap.fill(text, _WRAP)}".strip()
            for number, text in enumerate(texts, start=1)
        ]
        _draw(axes, entry.summary, labels)
        title = entry.method or "explanations"
        people = "participant" if entry.n_participants == 1 else "participants"
        axes.set_title(f"{title}: {entry.n_participants} {people}", fontsize=9)
    if not methods:
        panels[0].set_axis_off()
        panels[0].text(0.5, 0.5, "no answers yet", ha="center")
        return figure
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2 if compact else 3,
        fontsize=7,
    )
    return figure


def _mean(item: ItemSummary) -> str:
    # One answer has no deviation.
    return f"{item.mean:.2f}" + (f" ± {item.std:.2f}" if item.n > 1 else "")


def _draw(axes: Axes, summary: SurveySummary, labels: Sequence[str]) -> None:
    counts = np.array([item.counts for item in summary], dtype=float)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left = -(shares[:, 0] + shares[:, 1] + shares[:, 2] / 2)
    places = np.arange(len(summary))
    for column, (color, label) in enumerate(zip(_LIKERT, ANSWERS.values(), strict=True)):
        axes.barh(places, shares[:, column], left=left, color=color, label=label, height=0.75)
        left = left + shares[:, column]
    axes.set_yticks(places, labels, fontsize=7)
    axes.invert_yaxis()
    words = [
        f"{_mean(item)}, {item.n_experts_agree} of {item.n_experts} agree"
        if item.n
        else "no answers"
        for item in summary
    ]
    # Labels of an axis, because the layout makes room for them.
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(places, words, fontsize=7)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set(xlim=(-100, 100))
    axes.set_xticks([-100, -50, 0, 50, 100], ["100", "50", "0", "50", "100"], fontsize=7)
    axes.set_xlabel("share of answers / %", fontsize=7)
    for each in (axes, numbers):
        each.tick_params(axis="y", length=0)
        each.spines[:].set_visible(False)
