"""Figures: steps of Algorithm 1, explanations over the image, sweeps, curves over thresholds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.types import InputError
from napari_semxai.types.colors import BLACK, COMPLEMENT, DEFECT, GREY, SERIES, WINNER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, SweepResult
    from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
    from napari_semxai.types import BoolMask, CandidatePool, FloatArray, GroundTruth

COLORS = (*SERIES, BLACK)
FIGURE_SUFFIXES = (".svg", ".png", ".pdf")
_DPI = 300
# Text stays text, and the same figure gives the same bytes.
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "semxai"}
_METADATA = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_NONE, _REST = "none passes β", "other candidates"
_GREYS = {_NONE: GREY, _REST: "#FFFFFF"}
_AXES = {
    "tau": "τ of heat maps",
    "concept_tau": "τ of concepts",
    "delta": "δ, colour distance",
}
_LEGEND_LINE = 0.16
_LINES = ("-", "--", ":", "-.")
"""Lines of the first eight curves, of the next eight and so on."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which no window ever shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as SVG, PDF (text as text) or PNG (300 dpi), atomically.

    Raises
    ------
    InputError
        For another suffix, or when the file cannot be written.
    """
    import matplotlib as mpl

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        raise InputError(f"{path}: figures are saved as {', '.join(FIGURE_SUFFIXES)}")
    # The style only while writing: a script that draws with matplotlib keeps its own.
    with mpl.rc_context(_STYLE), atomic_write(path) as file:
        figure.savefig(file, format=suffix[1:], dpi=_DPI, metadata=_METADATA[suffix])
    return path


def save_figures(
    figure: Figure, stem: Path, suffixes: Iterable[str] = (".svg", ".png")
) -> list[Path]:
    """Write a figure once for each suffix."""
    return [save_figure(figure, stem.with_name(stem.name + suffix)) for suffix in suffixes]


def panel_place(figure: Figure, x: float, y: float) -> tuple[str, float, float] | None:
    """Return which panel of a drawn figure holds a point, and its data coordinates.

    Parameters
    ----------
    figure : Figure
        Drawn before.
    x, y : float
        Fractions of its width, from the left, and height, from below.

    Returns
    -------
    tuple of str, float and float, or None
        Label of the panel, and x and y there; None outside all panels. Colour bars are none.
    """
    point = figure.bbox.width * x, figure.bbox.height * y
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>" and axes.bbox.contains(*point):
            column, row = axes.transData.inverted().transform(point)
            return str(axes.get_label()), float(column), float(row)
    return None


def png_bytes(figure: Figure, dpi: float = 96) -> bytes:
    """Return a figure as PNG for a screen."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


_OPACITY = 0.5
# Inches.
_CHARACTER, _LINE = 0.075, 0.22


def steps_figure(
    gray: NDArray[np.uint8],
    pool: CandidatePool,
    truth: GroundTruth,
    pixel_size: float | None = None,
) -> Figure:
    """Draw image, candidates, winner, complement and mask of Algorithm 1 side by side.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    pool, truth : CandidatePool, GroundTruth
        What to show.
    pixel_size : float, optional
        Edge of a pixel in metres, for a scale bar.
    """
    titles = ("image", "candidates", "winner M$_k$", "complement", "mask")
    figure = new_figure(2.1 * len(titles), 2.3 * gray.shape[0] / gray.shape[1] + 0.3)
    panels = figure.subplots(1, len(titles))
    for axes, letter, title in zip(panels, "abcde", titles, strict=True):
        _show(axes, gray)
        axes.set_title(f"({letter}) {title}", fontsize=8)
    for number, index in enumerate(np.argsort(-pool.areas, kind="stable").tolist()):
        _tint(panels[1], pool.mask(index), COLORS[number % len(COLORS)])
    _tint(panels[2], truth.surface, WINNER)
    _tint(panels[3], ~truth.surface, COMPLEMENT)
    _tint(panels[4], truth.mask, DEFECT)
    if pixel_size is not None:
        _scale_bar(panels[0], gray.shape, pixel_size)
    return figure


def overlay_figure(
    gray: NDArray[np.uint8], values: FloatArray, *, title: str, mask: BoolMask | None = None
) -> Figure:
    """Draw a heat map over the image with its colour bar, and the outline of a mask.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    values : ndarray of float, shape (M, N)
        Relevance; the colours run from 0 to its maximum.
    title : str
        What made it.
    mask : ndarray of bool, shape (M, N), optional
        Outlined in white.
    """
    figure = new_figure(3.6, 3.0)
    axes = figure.subplots()
    _show(axes, gray)
    top = float(np.nanmax(values))
    shown = axes.imshow(values, cmap="inferno", vmin=0, vmax=top if top > 0 else 1, alpha=_OPACITY)
    if mask is not None and mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors="white", linewidths=1)
    axes.set_title(title, fontsize=9)
    figure.colorbar(shown, ax=axes, label="relevance")
    return figure


def concepts_figure(
    gray: NDArray[np.uint8], concepts: Sequence[tuple[str, BoolMask, tuple[int, int, int]]]
) -> Figure:
    """Draw masks of concepts over the image, with a legend of their names.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    concepts : sequence of (str, ndarray of bool, shape (M, N), tuple of int)
        Name, mask and colour (red, green and blue from 0 to 255) of each, the most important
        first; it lies on top.
    """
    from matplotlib.patches import Patch

    figure = new_figure(3.6, 3.2)
    axes = figure.subplots()
    _show(axes, gray)
    handles = []
    for name, mask, values in reversed(concepts):
        color = "#{:02x}{:02x}{:02x}".format(*values)
        _tint(axes, mask, color)
        handles.append(Patch(color=color, alpha=_OPACITY, label=name))
    figure.legend(handles=handles[::-1], loc="outside lower center", ncols=3, fontsize=7)
    return figure


def table_figure(lines: Sequence[Sequence[str]]) -> Figure:
    """Draw a table with horizontal rules, as papers have them.

    Parameters
    ----------
    lines : sequence of sequence of str
        The titles first; each as long as the first.
    """
    widths = [max(len(line[column]) for line in lines) + 2 for column in range(len(lines[0]))]
    total = sum(widths)
    figure = new_figure(_CHARACTER * total, _LINE * (len(lines) + 0.6))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set(xlim=(0, total), ylim=(len(lines), 0))
    for row, line in enumerate(lines):
        for column, text in enumerate(line):
            left, right = sum(widths[:column]), sum(widths[: column + 1]) - 1
            axes.text(
                right if column else left,
                row + 0.5,
                text,
                ha="right" if column else "left",
                va="center",
                fontsize=8,
            )
    for place, width in ((0, 1.2), (1, 0.7), (len(lines), 1.2)):
        axes.plot([0, total], [place, place], color="black", linewidth=width, clip_on=False)
    return figure


def _show(axes: Axes, gray: NDArray[np.uint8]) -> None:
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()


def _tint(axes: Axes, mask: BoolMask, color: str) -> None:
    from matplotlib.colors import to_rgb

    layer = np.zeros((*mask.shape, 4), dtype=np.float32)
    layer[mask] = (*to_rgb(color), _OPACITY)
    axes.imshow(layer)


def _scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size: float) -> None:
    """Draw a bar of a round length, about a quarter of the image."""
    wanted = 0.25 * shape[1] * pixel_size * 1e9
    step = 10.0 ** np.floor(np.log10(wanted))
    length = max(factor * step for factor in (1, 2, 5) if factor * step <= wanted)
    columns = length * 1e-9 / pixel_size
    row, column = 0.93 * shape[0], 0.05 * shape[1]
    axes.plot([column, column + columns], [row, row], color="white", linewidth=2)
    words = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    axes.text(column, row - 0.03 * shape[0], words, color="white", fontsize=7)


def sweep_figure(result: SweepResult, plane: ImagePlane | None = None) -> Figure:
    """Draw mean, median and worst scores over the plane, or one image's scores and winners.

    Parameters
    ----------
    result : SweepResult
        The suggested point is marked, and the points that resampled images suggest.
    plane : ImagePlane, optional
        Of a single image.
    """
    return _set_figure(result) if plane is None else _image_figure(result, plane)


def _image_figure(result: SweepResult, plane: ImagePlane) -> Figure:
    figure = new_figure(4.6, 4.3)
    axes = figure.subplot_mosaic([["Dice", "IoU"], ["winner", "."]], sharey=True)
    for title, values in (("Dice", plane.dice), ("IoU", plane.iou)):
        shown = _draw_scores(axes[title], result, values)
        _mark(axes[title], result, title)
    _draw_winners(axes["winner"], result, plane.winners)
    _mark(axes["winner"], result, "winning candidate")
    figure.colorbar(shown, ax=[axes["Dice"], axes["IoU"]])
    axes["Dice"].set_xlabel("")
    for panel in (axes["Dice"], axes["winner"]):
        panel.set_ylabel("β")
    return figure


def _set_figure(result: SweepResult) -> Figure:
    columns = {
        "Dice": (result.mean, result.median, result.worst),
        "IoU": (result.mean_iou, result.median_iou, result.worst_iou),
    }
    figure = new_figure(4.6, 6.2)
    axes = figure.subplots(3, 2, sharex=True, sharey=True)
    for column, (score, planes) in enumerate(columns.items()):
        for row, (which, values) in enumerate(
            zip(("mean", "median", "worst image"), planes, strict=True)
        ):
            shown = _draw_scores(axes[row, column], result, values)
            _mark(axes[row, column], result, f"{score}, {which}")
    figure.colorbar(shown, ax=axes, shrink=0.4)
    for panel in axes[:, 0]:
        panel.set_ylabel("β")
    for panel in axes[:-1].flat:
        panel.set_xlabel("")
    return figure


def _draw_scores(axes: Axes, result: SweepResult, values: NDArray[np.float64]) -> QuadMesh:
    return axes.pcolormesh(
        result.alphas, result.betas, values, vmin=0, vmax=1, cmap="cividis", shading="nearest"
    )


def _mark(axes: Axes, result: SweepResult, title: str) -> None:
    if len(result.left_out) > 1:
        alphas, betas = result.alphas[result.chosen[:, 1]], result.betas[result.chosen[:, 0]]
        axes.scatter(alphas, betas, s=6, color="white", alpha=0.15, lw=0, rasterized=True)
    axes.plot(result.alpha, result.beta, "o", markersize=7, mfc="none", mec="black", mew=3)
    axes.plot(result.alpha, result.beta, "o", markersize=7, mfc="none", mec="white", mew=1.3)
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("α")


def _draw_winners(axes: Axes, result: SweepResult, winners: NDArray[np.int64]) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    names, places = _shown_winners(winners)
    # Grey for no candidate, white for the rest; COLORS tells as many as it holds apart.
    colors = [_GREYS.get(name, COLORS[number % len(COLORS)]) for number, name in enumerate(names)]
    axes.pcolormesh(
        result.alphas,
        result.betas,
        places.reshape(winners.shape),
        cmap=ListedColormap(colors),
        vmin=-0.5,
        vmax=len(names) - 0.5,
        shading="nearest",
    )
    handles = [
        Patch(facecolor=color, edgecolor="black", linewidth=0.3, label=name)
        for color, name in zip(colors, names, strict=True)
    ]
    legend = axes.legend(handles=handles, fontsize=7, loc="upper left", bbox_to_anchor=(1.02, 1))
    # It lies in the empty quarter, for which the layout would widen the panel's column.
    legend.set_in_layout(False)


def _shown_winners(winners: NDArray[np.int64]) -> tuple[list[str], NDArray[np.intp]]:
    """Name the candidates of the largest areas, the others together; say where each wins."""
    found, places, areas = np.unique(winners, return_inverse=True, return_counts=True)
    areas[found < 0] = 0
    shown = set(np.argsort(-areas, kind="stable")[: len(COLORS)].tolist())
    every = [
        _NONE if winner < 0 else f"candidate {winner + 1}" if number in shown else _REST
        for number, winner in enumerate(found.tolist())
    ]
    names = sorted(set(every), key=lambda name: (name == _NONE, name == _REST, every.index(name)))
    return names, np.array([names.index(name) for name in every])[places]


def curves_figure(curves: Sequence[ThresholdCurve]) -> Figure:
    """Draw Dice against each threshold, one panel below the other, the best points marked.

    Parameters
    ----------
    curves : sequence of ThresholdCurve
        At least one. Each panel is labelled with its parameter.
    """
    present = [name for name in _AXES if any(curve.parameter == name for curve in curves)]
    height = 2.2 * len(present) + _LEGEND_LINE * len(curves)
    figure = new_figure(4.0, height)
    panels = figure.subplots(len(present), 1, squeeze=False)[:, 0]
    for axes, parameter in zip(panels, present, strict=True):
        axes.set_label(parameter)
        with_parameter = [curve for curve in curves if curve.parameter == parameter]
        for number, curve in enumerate(with_parameter):
            color = COLORS[number % len(COLORS)]
            style = _LINES[number // len(COLORS) % len(_LINES)]
            axes.plot(
                curve.thresholds, curve.dice, style, color=color, linewidth=1.3, label=curve.name
            )
            axes.plot(*curve.best, "o", color=color, markersize=4, clip_on=False)
        axes.set(xlabel=_AXES[parameter], ylabel="Dice", ylim=(0, 1.02))
        axes.set_xlim(with_parameter[0].thresholds[0], with_parameter[0].thresholds[-1])
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.28), frameon=False)
    return figure
