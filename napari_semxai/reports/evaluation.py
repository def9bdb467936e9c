"""Everything an evaluation leaves in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.evaluation import COMPARED, method_tables
from napari_semxai.reports.figures import COLORS, new_figure, save_figures
from napari_semxai.reports.tables import (
    TITLES,
    comparison_rows,
    image_rows,
    summary_rows,
    write_csv,
    write_latex,
    write_markdown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_semxai.algorithms.statistics.evaluation import Comparison, ImageScores, MethodTable


def write_evaluation(
    folder: Path,
    rows: Sequence[ImageScores],
    tables: Sequence[MethodTable],
    comparisons: Sequence[Comparison],
) -> list[Path]:
    """Write tables and figures; return the files."""
    return [
        write_csv(folder / "images.csv", image_rows(rows)),
        write_csv(folder / "summary.csv", summary_rows(tables)),
        write_csv(folder / "classes.csv", class_rows(rows)),
        write_csv(folder / "comparisons.csv", comparison_rows(comparisons)),
        write_markdown(folder / "table.md", tables),
        write_latex(folder / "table.tex", tables),
        *save_figures(scores_figure(rows), folder / "scores"),
    ]


def class_rows(rows: Sequence[ImageScores]) -> list[dict[str, object]]:
    """Return the summary of each method on the images of each class."""
    labels = dict.fromkeys(row.label for row in rows)
    return [
        {"class": label, **line}
        for label in labels
        for line in summary_rows(method_tables(row for row in rows if row.label == label))
    ]


def scores_figure(rows: Sequence[ImageScores]) -> Figure:
    """Draw Dice and IoU of every image as boxes with points, one box per method."""
    methods = list(dict.fromkeys(row.method for row in rows))
    figure = new_figure(7, 0.9 + 0.42 * len(methods))
    panels = figure.subplots(1, len(COMPARED), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, COMPARED, strict=True):
        values = [
            [getattr(row.scores, metric) for row in rows if row.method == method]
            for method in methods
        ]
        boxes = axes.boxplot(
            values, orientation="horizontal", widths=0.6, patch_artist=True, showmeans=True
        )
        for number, box in enumerate(boxes["boxes"]):
            box.set_facecolor(COLORS[number % len(COLORS)])
            box.set_alpha(0.6)
        axes.set(xlim=(-0.02, 1.02), xlabel=TITLES[metric])
    panels[0].set_yticks(range(1, len(methods) + 1), methods)
    panels[0].invert_yaxis()
    return figure
