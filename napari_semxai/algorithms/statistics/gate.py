"""Whether learned masks are better than today's proposal, on images that have been reviewed.

Every learned mask is one of an image that its network was not trained on. The difference is
paired by image; its interval is a bootstrap over groups of images that belong together (wafers),
or over single images where none are known.

References
----------
.. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
   (percentile intervals).
.. [2] C. Field and A. Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical
   Society B 69(3), 2007.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.types import BoolMask, FloatArray
from napari_semxai.types.learned import GateRow, Verdict

if TYPE_CHECKING:
    from napari_semxai.types import IntArray

FEWEST, FEWEST_DEFECTS = 10, 5
"""Reviewed images, and those of them with a defect, without which nothing is decided."""
LEAST_DICE = 0.5
"""Mean Dice on defects below which a proposal is worth nothing, whatever it is compared with."""
_DRAWS = 4000
DEFECT, NO_DEFECT = "defect", "no defect"


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Both proposals on the same reviewed images, one entry each.

    Attributes
    ----------
    today, learned : ndarray of float, shape (n,)
        Dice of each; 1 where mask and truth both are empty.
    empty : ndarray of bool, shape (n,)
        Whether the truth is "no defect".
    groups : sequence
        What images with equal entries have in common, as their wafer.
    labels : sequence of str
        Classes; "" where unknown.
    """

    today: FloatArray
    learned: FloatArray
    empty: BoolMask
    groups: Sequence[object]
    labels: Sequence[str]


def judge(compared: Compared, seed: int = 0) -> Verdict:
    """Decide whether learned masks come into use.

    They do where the 95 % interval of the mean difference is above 0 over all images, neither
    images with a defect nor those without are worse (no interval lies below 0), and what is
    learned is worth something: a mean Dice on defects of at least `LEAST_DICE`, and of at least
    that of today's proposal.

    Parameters
    ----------
    compared : Compared
        The scores.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Verdict
    """
    empty, labels = np.asarray(compared.empty, bool), np.asarray(compared.labels, dtype=object)
    parts = {"all": np.ones(len(empty), bool), DEFECT: ~empty, NO_DEFECT: empty}
    parts |= {f"class {label}": labels == label for label in sorted(set(labels) - {""})}
    rows = {name: _row(name, compared, part, seed) for name, part in parts.items() if part.any()}
    better, reason = _decision(rows)
    return Verdict(better, reason, tuple(rows.values()))


def _decision(rows: dict[str, GateRow]) -> tuple[bool, str]:
    whole, defects, none = (rows.get(name) for name in ("all", DEFECT, NO_DEFECT))
    if whole is None or whole.images < FEWEST:
        count = 0 if whole is None else whole.images
        return False, f"{count} reviewed images are too few to tell; review {FEWEST} or more"
    if defects is None or defects.images < FEWEST_DEFECTS:
        count = 0 if defects is None else defects.images
        return False, f"{count} masks with a defect are too few; review {FEWEST_DEFECTS} or more"
    said = (
        f"mean Dice {whole.learned:.3f} against {whole.today:.3f} of today's proposal on "
        f"{whole.images} images (difference {whole.difference:+.3f}, 95 % interval "
        f"{whole.low:+.3f} to {whole.high:+.3f})"
    )
    if defects.learned < LEAST_DICE:
        return False, f"{said}; on defects {defects.learned:.3f}, below {LEAST_DICE}"
    worse = next((row for row in (defects, none) if row is not None and row.high < 0), None)
    if worse is not None:
        return False, f"{said}; on images with {worse.name!r} it is worse ({worse.high:+.3f})"
    if defects.difference < 0:
        return False, f"{said}; on defects it is not better ({defects.difference:+.3f})"
    if whole.low <= 0:
        return False, f"{said}; not shown to be better"
    return True, said


def _row(name: str, compared: Compared, part: BoolMask, seed: int) -> GateRow:
    today, learned = compared.today[part], compared.learned[part]
    groups = [group for group, inside in zip(compared.groups, part, strict=True) if inside]
    low, high = interval(learned - today, groups, seed)
    return GateRow(name, len(today), float(today.mean()), float(learned.mean()), low, high)


def interval(values: FloatArray, groups: Sequence[object], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean by a bootstrap over groups.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        One each.
    groups : sequence
        Values with equal entries are drawn together.
    seed : int
        Of the draws.

    Examples
    --------
    >>> interval(np.ones(8), range(8))
    (1.0, 1.0)
    """
    names = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    where: IntArray = np.array([names[group] for group in groups])
    sums, counts = np.bincount(where, values), np.bincount(where)
    draws = np.random.default_rng(seed).integers(len(names), size=(_DRAWS, len(names)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
