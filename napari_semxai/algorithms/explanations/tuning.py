"""Choosing among settings of CRAFT from what came of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, FloatArray, SweepRow

THRESHOLDS = np.linspace(0.02, 0.98, 49)
LEAST_AGREEMENT, LEAST_STABILITY = 0.9, 0.8
"""Below these the concepts do not stand for what the network does."""
_CLOSE = 0.02


def iou_curve(values: FloatArray, truth: BoolMask) -> NDArray[np.float64]:
    """Return the IoU of a map above every one of `THRESHOLDS`, shares of its maximum.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        Not negative.
    truth : ndarray of bool, shape (M, N)
        With foreground.

    Returns
    -------
    ndarray of float, shape (49,)
    """
    peak = float(values.max(initial=0.0))
    edges = np.concatenate([[-np.inf], THRESHOLDS * peak, [np.inf]]) if peak > 0 else None
    if edges is None:
        return np.zeros(len(THRESHOLDS))
    above = [
        np.histogram(values[where], edges)[0][::-1].cumsum()[::-1][1:] for where in (truth, ~truth)
    ]
    return np.asarray(above[0] / (truth.sum() + above[1]), np.float64)


def best_mean_iou(maps: Sequence[FloatArray], truths: Sequence[BoolMask]) -> float:
    """Return the mean IoU at the one threshold that suits all maps best; NaN for none."""
    if not maps:
        return math.nan
    curves = [iou_curve(values, truth) for values, truth in zip(maps, truths, strict=True)]
    return float(np.mean(curves, axis=0).max())


def suggest(rows: Sequence[SweepRow]) -> tuple[int, tuple[str, ...]]:
    """Choose one of the settings that were tried.

    Among those whose concepts keep the network's answers and come again in another run, the one
    that localises best; without masks, the one that reconstructs best. Of settings that are as
    good within 0.02 the one with the fewest concepts.

    Parameters
    ----------
    rows : sequence of SweepRow
        At least one.

    Returns
    -------
    index : int
        Of the suggested row.
    reasons : tuple of str
        One sentence each.
    """
    faithful = [i for i, row in enumerate(rows) if row.agreement >= LEAST_AGREEMENT]
    pool = faithful or list(range(len(rows)))
    # NaN, one run only, counts as stable.
    stable = [i for i in pool if not rows[i].stability < LEAST_STABILITY]
    pool = stable or pool
    with_masks = any(not math.isnan(row.iou) for row in rows)

    def quality(index: int) -> float:
        value = rows[index].iou if with_masks else rows[index].r2
        return -math.inf if math.isnan(value) else value

    top = max(quality(index) for index in pool)
    close = [index for index in pool if quality(index) >= top - _CLOSE]
    chosen = min(close, key=lambda index: (rows[index].n_concepts, -quality(index)))
    return chosen, _reasons(rows[chosen], bool(faithful), bool(stable), with_masks)


def _reasons(row: SweepRow, faithful: bool, stable: bool, with_masks: bool) -> tuple[str, ...]:
    reasons = [
        f"Concepts alone keep the class of {row.agreement:.0%} of the images"
        + ("." if faithful else f"; no setting reaches {LEAST_AGREEMENT:.0%}: take care.")
    ]
    if not math.isnan(row.stability):
        reasons.append(
            f"Concepts of two runs agree with cosine {row.stability:.2f}"
            + ("." if stable else f"; none reaches {LEAST_STABILITY}: they depend on the seed.")
        )
    if with_masks:
        reasons.append(f"On the masks it reaches IoU {row.iou:.2f}, best or within {_CLOSE}.")
    else:
        reasons.append(
            f"It holds {row.r2:.0%} of the activations' variance, most or within {_CLOSE:.0%}; "
            "without masks where it looks was not judged."
        )
    reasons.append(f"{row.n_important} of {row.n_concepts} concepts matter (Sobol above 0.01).")
    return tuple(reasons)
