"""How far annotators agree, and what most of them say."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.masks.metrics import either, scores
from napari_semxai.types import PairAgreement

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from napari_semxai.types import BoolMask, Scores


def pair_scores(
    masks: Mapping[str, BoolMask], ignored: Mapping[str, BoolMask] | None = None
) -> dict[tuple[str, str], Scores]:
    """Compare every two masks of one image.

    Parameters
    ----------
    masks : mapping of str to ndarray of bool, shape (M, N)
        One mask for each annotator.
    ignored : mapping of str to ndarray of bool, shape (M, N), optional
        What an annotator ignores; it is not counted in any of that one's pairs.

    Returns
    -------
    dict
        Pairs of names, in the order of `masks`; Dice and IoU are the same either way round.
    """
    regions = ignored or {}
    return {
        (first, second): scores(
            masks[first], masks[second], either(regions.get(first), regions.get(second))
        )
        for first, second in combinations(masks, 2)
    }


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Return Cohen's kappa of two raters over the same items.

    Parameters
    ----------
    first, second : sequence
        What each says of every item.

    Returns
    -------
    float
        (p_o - p_e) / (1 - p_e); NaN without items, or where both always say the same one thing,
        because chance alone then explains all agreement.

    Raises
    ------
    ValueError
        When the lengths differ.

    References
    ----------
    .. [1] J. Cohen, "A coefficient of agreement for nominal scales", Educational and
       Psychological Measurement 20(1), 37-46, 1960.

    Examples
    --------
    >>> cohen_kappa("aabb", "abbb")
    0.5
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} ratings cannot be compared with {len(second)}")
    if not first:
        return float("nan")
    names = {name: index for index, name in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([names[name] for name in first], [names[name] for name in second]), 1)
    table /= len(first)
    observed, expected = np.trace(table), float(table.sum(axis=0) @ table.sum(axis=1))
    # Where all say one and the same, chance explains it as well, and kappa is undefined.
    return float((observed - expected) / (1 - expected)) if len(names) > 1 else float("nan")


def majority_mask(masks: Sequence[BoolMask]) -> BoolMask:
    """Return the pixels that more than half of the masks hold.

    Parameters
    ----------
    masks : sequence of ndarray of bool, shape (M, N)
        At least one; a tie is background.

    Raises
    ------
    ValueError
        Without masks.
    """
    if not masks:
        raise ValueError("there are no masks to take the majority of")
    # A tie is no majority: the mask of two annotators is what both hold.
    votes = np.sum([np.asarray(mask, dtype=bool) for mask in masks], axis=0, dtype=np.uint16)
    return np.asarray(2 * votes > len(masks))


def pair_agreement(
    pair: tuple[str, str],
    compared: Sequence[Scores],
    states: Sequence[tuple[Hashable, Hashable]],
    labels: Sequence[tuple[Hashable, Hashable]],
) -> PairAgreement:
    """Summarise two annotators over a set.

    Parameters
    ----------
    pair : tuple of str
        Their names.
    compared : sequence of Scores
        Of every image that both have a mask of.
    states, labels : sequence of (first, second)
        What each says, for every image that both reviewed, or gave a class.
    """
    dice, iou = ([getattr(one, name) for one in compared] for name in ("dice", "iou"))
    return PairAgreement(
        first=pair[0],
        second=pair[1],
        masks=len(compared),
        empty=sum(one.tp + one.fp + one.fn == 0 for one in compared),
        dice_mean=_mean(dice),
        dice_std=_deviation(dice),
        iou_mean=_mean(iou),
        iou_std=_deviation(iou),
        states=len(states),
        state_kappa=_kappa(states),
        labels=len(labels),
        label_kappa=_kappa(labels),
    )


def _kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float:
    return cohen_kappa([one for one, _ in pairs], [other for _, other in pairs])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
