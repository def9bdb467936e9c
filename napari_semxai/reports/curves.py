"""Pictures of Dice against thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.reports.figures import COLORS, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from napari_semxai.algorithms.explanations.threshold_curves import ThresholdCurve

_AXES = {
    "tau": "τ of heat maps",
    "concept_tau": "τ of concepts",
    "delta": "δ, colour distance",
}
_LEGEND_LINE = 0.16
_STYLES = ("-", "--", ":", "-.")
"""Lines of the first eight curves, of the next eight and so on."""


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
        own = [curve for curve in curves if curve.parameter == parameter]
        for number, curve in enumerate(own):
            color = COLORS[number % len(COLORS)]
            style = _STYLES[number // len(COLORS) % len(_STYLES)]
            axes.plot(
                curve.thresholds, curve.dice, style, color=color, linewidth=1.3, label=curve.name
            )
            axes.plot(*curve.best, "o", color=color, markersize=4, clip_on=False)
        axes.set(xlabel=_AXES[parameter], ylabel="Dice", ylim=(0, 1.02))
        axes.set_xlim(own[0].thresholds[0], own[0].thresholds[-1])
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.28), frameon=False)
    return figure
