"""Pictures of a sweep over alpha and beta."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.reports.figure import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_semxai.algorithms.sweep import ImagePlane, SweepResult


def sweep_figure(result: SweepResult, plane: ImagePlane | None = None) -> Figure:
    """Draw mean, median and worst Dice over the plane, and one image's winners where given.

    Parameters
    ----------
    result : SweepResult
        The suggested point is marked, and the points that resampled images suggest.
    plane : ImagePlane, optional
        Of a single image.
    """
    if plane is None:
        panels = {"mean": result.mean, "median": result.median, "worst image": result.worst}
    else:
        panels = {"Dice": plane.dice, "IoU": plane.iou}
    count = len(panels) + (plane is not None)
    figure = new_figure(2.6 * count + 0.6, 2.9)
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for own, (title, values) in zip(axes, panels.items(), strict=False):
        shown = own.pcolormesh(
            result.alphas, result.betas, values, vmin=0, vmax=1, cmap="cividis", shading="nearest"
        )
        _mark(own, result, title)
    figure.colorbar(shown, ax=list(axes[: len(panels)]), label="Dice" if plane is None else None)
    if plane is not None:
        _draw_winners(axes[-1], result, plane.winners)
        _mark(axes[-1], result, "winner")
    axes[0].set_ylabel("β")
    return figure


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

    found, places = np.unique(winners, return_inverse=True)
    colors = [
        "#808080" if winner < 0 else COLORS[number % len(COLORS)]
        for number, winner in enumerate(found.tolist())
    ]
    axes.pcolormesh(
        result.alphas,
        result.betas,
        places.reshape(winners.shape),
        cmap=ListedColormap(colors),
        vmin=-0.5,
        vmax=len(found) - 0.5,
        shading="nearest",
    )
