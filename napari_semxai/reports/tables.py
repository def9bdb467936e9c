"""Tables of an evaluation as CSV, Markdown and LaTeX."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.statistics.evaluation import COMPARED, METRICS, method_tables
from napari_semxai.reports.figures import COLORS, new_figure, save_figures
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.tables import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from napari_semxai.algorithms.statistics.evaluation import (
        Comparison,
        ImageScores,
        MethodTable,
        Summary,
    )

TITLES = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "dice": "Dice",
    "iou": "IoU",
}
MAP_TITLES = {
    "pointing_game": "Pointing game",
    "relevance_mass": "Relevance mass",
    "relevance_rank": "Relevance rank",
    "top_k": "Top-k",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "best_dice": "Best Dice",
    "insertion": "Insertion",
    "deletion": "Deletion",
    "road": "ROAD",
}
_PLUS_MINUS = r"$\pm$"
_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$"}


def image_rows(rows: Iterable[ImageScores]) -> list[dict[str, Any]]:
    """Return one flat row per image and method."""
    return [
        {
            "image": row.image,
            "label": row.label,
            "method": row.method,
            **{name: getattr(row.scores, name) for name in METRICS},
            **asdict(row.scores),
            "area_px": row.scores.tp + row.scores.fp,
            "true_area_px": row.scores.tp + row.scores.fn,
            **row.of_map,
        }
        for row in rows
    ]


def summary_rows(tables: Iterable[MethodTable]) -> list[dict[str, Any]]:
    """Return one flat row per method and score."""
    return [
        {
            "method": table.method,
            "score": name,
            **asdict(summary),
            "images": table.n,
            "empty_truths": table.n_empty_truths,
            "empty_masks": table.n_empty_masks,
        }
        for table in tables
        for name, summary in table.summaries.items()
    ]


def comparison_rows(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return one flat row per comparison."""
    return [
        {
            "metric": entry.metric,
            "first": entry.first,
            "second": entry.second,
            **asdict(entry.test),
            "p_holm": entry.p_holm,
        }
        for entry in comparisons
    ]


def write_markdown(path: Path, tables: Sequence[MethodTable]) -> Path:
    """Write the table of five scores, and that of maps where there are some, as Markdown."""
    parts = markdown_table(tables), markdown_map_table(tables)
    return _write(path, "\n".join(part for part in parts if part))


def markdown_table(tables: Sequence[MethodTable]) -> str:
    """Return mean ± standard deviation of the five scores, one row per method."""
    head = ["method", *TITLES.values(), "n", "empty truths"]
    return _markdown(head, _score_rows(tables, "±"))


def markdown_map_table(tables: Sequence[MethodTable]) -> str:
    """Return the same of the scores of maps, one row per score; "" without a map."""
    with_maps = _with_maps(tables)
    head = ["maps", *(table.method for table in with_maps)]
    return _markdown(head, _map_rows(with_maps, "±")) if with_maps else ""


def _with_maps(tables: Sequence[MethodTable]) -> list[MethodTable]:
    return [table for table in tables if set(MAP_TITLES) & set(table.summaries)]


def _score_rows(tables: Sequence[MethodTable], sign: str) -> list[list[str]]:
    return [
        [
            table.method,
            *(_mean_std(table.summaries[name], table.n, sign) for name in METRICS),
            str(table.n),
            str(table.n_empty_truths),
        ]
        for table in tables
    ]


def _map_rows(tables: Sequence[MethodTable], sign: str) -> list[list[str]]:
    return [
        [title, *(_mean_std(table.summaries[name], table.n, sign) for table in tables)]
        for name, title in MAP_TITLES.items()
        if all(name in table.summaries for table in tables)
    ]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_latex(path: Path, tables: Sequence[MethodTable]) -> Path:
    """Write the table of five scores for LaTeX (booktabs).

    That of maps, where there are some, is a file of its own beside it, ``<stem>_maps.tex``: each
    is for a caption of its own.
    """
    beside, with_maps = path.with_stem(f"{path.stem}_maps"), _with_maps(tables)
    if with_maps:
        head = ["Maps", *(table.method for table in with_maps)]
        _write(beside, _latex(head, _map_rows(with_maps, _PLUS_MINUS)))
    else:
        # That of an earlier run with maps would be taken for this one's.
        beside.unlink(missing_ok=True)
    head = ["Method", *TITLES.values(), "n", "Empty truths"]
    return _write(path, _latex(head, _score_rows(tables, _PLUS_MINUS)))


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; names stand in the first column and the first line."""
    lines = [
        [_escaped(name) for name in head],
        *([_escaped(first), *values] for first, *values in rows),
    ]
    top, *rest = (" & ".join(line) + r" \\" for line in lines)
    parts = [
        r"\begin{tabular}{l" + "c" * (len(head) - 1) + "}",
        r"\toprule",
        top,
        r"\midrule",
        *rest,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _mean_std(summary: Summary, images: int, sign: str) -> str:
    if not summary.n:
        return "–"
    text = f"{summary.mean:.3f}"
    if not math.isnan(summary.std):
        text += f" {sign} {summary.std:.3f}"
    return text if summary.n == images else f"{text} (n = {summary.n})"


def _write(path: Path, text: str) -> Path:
    with atomic_write(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return path


def write_evaluation(
    folder: Path,
    rows: Sequence[ImageScores],
    tables: Sequence[MethodTable],
    comparisons: Sequence[Comparison],
) -> list[Path]:
    """Write tables and figures; return the files."""
    return [
        write_records(folder / "images.csv", image_rows(rows)),
        write_records(folder / "summary.csv", summary_rows(tables)),
        write_records(folder / "classes.csv", class_rows(rows)),
        write_records(folder / "comparisons.csv", comparison_rows(comparisons)),
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
