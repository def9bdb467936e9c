"""Pictures of a sweep: over alpha and beta, or over the thresholds of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.reports.figures import COLORS, new_figure
from napari_semxai.types.colors import GREY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, SweepResult
    from napari_semxai.algorithms.explanations.localisation import ThresholdCurve

_NONE, _REST = "none passes β", "other candidates"
_GREYS = {_NONE: GREY, _REST: "#FFFFFF"}
_AXES = {
    "tau": "τ of heat maps",
    "concept_tau": "τ of concepts",
    "delta": "δ, colour distance",
}
_LEGEND_LINE = 0.16
_STYLES = ("-", "--", ":", "-.")
"""Lines of the first eight curves, of the next eight and so on."""


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
        axes.scatter(
            result.alphas[result.chosen[:, 1]],
            result.betas[result.chosen[:, 0]],
            s=6,
            color="white",
            alpha=0.15,
            linewidths=0,
            rasterized=True,
        )
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
        _NONE if winner < 0 else f"candidate {winner}" if number in shown else _REST
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
            style = _STYLES[number // len(COLORS) % len(_STYLES)]
            axes.plot(
                curve.thresholds, curve.dice, style, color=color, linewidth=1.3, label=curve.name
            )
            axes.plot(*curve.best, "o", color=color, markersize=4, clip_on=False)
        axes.set(xlabel=_AXES[parameter], ylabel="Dice", ylim=(0, 1.02))
        axes.set_xlim(with_parameter[0].thresholds[0], with_parameter[0].thresholds[-1])
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.28), frameon=False)
    return figure
