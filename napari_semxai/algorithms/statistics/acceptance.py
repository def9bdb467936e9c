"""What reviewed images prove: that learned masks come into use, and how many masks need no review.

Every learned mask is one of an image that its network was not trained on. Its difference from
the mask that is proposed today is paired by image; the interval is a bootstrap over groups of
images that belong together (wafers), or over single images where none are known.

For masks to be accepted unseen, all images are ranked by how sure their masks are, and divided
into layers of equal size. The least sure quarter of them is left to be reviewed. As many images of
every other layer are drawn at random, and looked at. Layer by layer, the surest first, it is then
tested whether so many masks of all layers so far are wrong as one must not accept; the first layer
for which that cannot be ruled out ends it. Because the order of the tests is fixed before anybody
has looked, all that passed hold together with the confidence of one of them.

References
----------
.. [1] B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
   (percentile intervals).
.. [2] C. Field and A. Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical
   Society B 69(3), 2007.
.. [3] C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
   the case of the binomial", Biometrika 26(4), 1934.
.. [4] W. Hoeffding, "On the distribution of the number of successes in independent trials",
   Annals of Mathematical Statistics 27(3), 1956: the binomial bound holds for such layers, too.
.. [5] A. N. Angelopoulos, S. Bates, E. J. Candès, M. I. Jordan and L. Lei, "Learn then Test:
   Calibrating Predictive Algorithms to Achieve Risk Control", Annals of Applied Statistics 19(2),
   2025, section on fixed-sequence testing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.types import BoolMask, FloatArray
from napari_semxai.types.learned import GateRow, Verdict

if TYPE_CHECKING:
    from napari_semxai.types import IntArray

LAYERS, AUDITED = 20, 15
"""Layers of a lot, and how many of them are looked at and may be accepted, the surest ones."""
_TOUCHING = np.ones((3, 3))
FEWEST, FEWEST_DEFECTS = 10, 5
"""Reviewed images, and those of them with a defect, without which nothing is decided."""
LEAST_DICE = 0.5
"""Mean Dice on defects below which a proposal is worth nothing, whatever it is compared with."""
_DRAWS = 4000
DEFECT, NO_DEFECT = "defect", "no defect"


@dataclass(frozen=True, slots=True)
class Promise:
    """What is to hold of the masks that are accepted unseen.

    Attributes
    ----------
    most_wrong : float
        Share of them that may be wrong, in (0, 1).
    confidence : float
        Probability that the promise holds, at least 0.8.
    iou : float
        A mask whose IoU with the expert's is below this is wrong; 0 where it does not matter.
    defects : bool
        Whether a mask is wrong that misses a connected part of the expert's, or has one that
        touches nothing of it. A whole defect missed or invented always is.
    part : int
        Pixels of such a part at least: fewer are left over at a defect's edge, or by a brush.
    """

    most_wrong: float = 0.05
    confidence: float = 0.95
    iou: float = 0.8
    defects: bool = True
    part: int = 20

    def is_wrong(self, mask: BoolMask, truth: BoolMask) -> bool:
        """Return whether a mask (M, N) is wrong by the expert's."""
        if mask.any() != truth.any():
            return True
        if not truth.any():
            return False
        apart = self.defects and any(
            _alone(*pair, self.part) for pair in ((truth, mask), (mask, truth))
        )
        return apart or bool(scores(mask, truth).iou < self.iou)

    def __str__(self) -> str:
        """Say what is promised, and what wrong means."""
        parts = f"a part of {self.part} pixels or more or " if self.defects else ""
        overlap = f"an IoU below {self.iou:g}, or " if self.iou else ""
        return (
            f"at most {self.most_wrong:.1%} wrong with {self.confidence:.0%} confidence (wrong: "
            f"{overlap}{parts}a defect missed or invented)"
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What an audit proves.

    Attributes
    ----------
    layers : int
        Layers whose images can be accepted, from the surest on; 0 for none.
    audited, wrong : int
        Images of these that were looked at, and those among them whose mask was wrong; where
        nothing can be accepted, of the layers that the first test took.
    bound : float
        Upper Clopper-Pearson bound of the share of wrong masks in these layers.
    reason : str
        Why it ends there.
    """

    layers: int
    audited: int
    wrong: int
    bound: float
    reason: str


def draw_layers(
    confidence: FloatArray, count: int, seed: int, audited: int = AUDITED
) -> tuple[list[list[int]], list[list[int]]]:
    """Rank images by confidence, divide them into layers, and draw as many of each of the surest.

    Parameters
    ----------
    confidence : ndarray of float, shape (n,)
        NaN where unknown, which is taken for the least sure.
    count : int
        Images to draw; rounded up to as many of every audited layer.
    seed : int
        Of the draw, and of the order of images that are equally sure.
    audited : int
        How many layers, the surest ones.

    Returns
    -------
    list, list
        The images of each audited layer, the surest first, and those drawn of it in random order.

    Raises
    ------
    ValueError
        When there are too few images.
    """
    rng = np.random.default_rng([seed, len(confidence)])
    each = -(-count // audited)
    if each < 1 or len(confidence) < 2 * each * LAYERS:
        raise ValueError(
            f"{len(confidence)} images are too few to draw {max(count, 1)} of them; at least "
            f"{2 * max(each, 1) * LAYERS} are needed"
        )
    shuffled = rng.permutation(len(confidence))
    sure = np.nan_to_num(confidence[shuffled], nan=-np.inf)
    ranked = shuffled[np.argsort(-sure, kind="stable")]
    layers = [part.tolist() for part in np.array_split(ranked, LAYERS)[:audited]]
    return layers, [rng.choice(layer, each, replace=False).tolist() for layer in layers]


def prove(
    sizes: Sequence[int],
    audited: int,
    wrong: Sequence[int],
    left: Sequence[int],
    promise: Promise,
) -> Proof:
    """Return how many layers can be accepted.

    Parameters
    ----------
    sizes : sequence of int
        Images of each layer when it was drawn, the surest layer first.
    audited : int
        Images drawn of each layer.
    wrong : sequence of int
        Those of them whose mask was wrong.
    left : sequence of int
        Images of each layer that would be accepted: neither audited nor changed since.
    promise : Promise
        What is to hold of these.
    """
    layer = np.arange(1, len(sizes) + 1)
    looked, found, rest = audited * layer, np.cumsum(wrong), np.cumsum(left)
    # Of the whole layers, so that even if all that is wrong is among the rest the promise holds
    # of the rest.
    level = promise.most_wrong * rest / (layer * max(sizes))
    doubt = 1 - promise.confidence
    able = np.flatnonzero(scipy.stats.binom.cdf(0, looked, level) <= doubt)
    # Where even no wrong mask would not do, a test could only end it; by the numbers drawn alone.
    first = int(able[0]) if len(able) else len(sizes)
    last = first
    while (
        last < len(sizes)
        and scipy.stats.binom.cdf(found[last], looked[last], level[last]) <= doubt
    ):
        last += 1
    end = min(max(last - 1, first), len(sizes) - 1)
    said = f"{found[end]} of {looked[end]} audited masks were wrong"
    if not len(able):
        said += f": too few audited, or too few others ({rest[end]}), to prove it; draw more"
    elif last == first:
        said += ": too many already among the surest"
    elif last < len(sizes):
        said += "; with images less sure than these it is not shown"
    layers = last if last > first else 0
    bound = _upper(int(found[end]), int(looked[end]), promise)
    return Proof(layers, int(looked[end]), int(found[end]), bound, said)


def can_prove(sizes: Sequence[int], audited: int, promise: Promise) -> bool:
    """Return whether anything can be accepted where no audited mask is wrong.

    Parameters
    ----------
    sizes : sequence of int
        Images of each layer, the surest layer first.
    audited : int
        Images to be drawn of each layer.
    promise : Promise
        What is to hold of the others.
    """
    left = [size - audited for size in sizes]
    return prove(sizes, audited, [0] * len(sizes), left, promise).layers > 0


def _upper(wrong: int, audited: int, promise: Promise) -> float:
    """Return the one-sided Clopper-Pearson bound of a share."""
    if wrong == audited:
        return 1.0
    return float(scipy.stats.beta.ppf(promise.confidence, wrong + 1, audited - wrong))


def _alone(mask: BoolMask, other: BoolMask, least: int) -> bool:
    """Return whether a part of a mask of `least` pixels or more touches nothing of another."""
    labels, count = scipy.ndimage.label(mask, _TOUCHING)
    alone = np.bincount(labels.ravel(), minlength=count + 1) >= least
    alone[0] = False
    alone[np.unique(labels[other])] = False
    return bool(alone.any())


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
    rows = {
        name: _gate_row(name, compared, part, seed) for name, part in parts.items() if part.any()
    }
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


def _gate_row(name: str, compared: Compared, part: BoolMask, seed: int) -> GateRow:
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
