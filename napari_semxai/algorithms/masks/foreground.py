"""Which pixels of a stored mask are foreground: by a rule that is given, or by what it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.exposure import luminance

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask

OFFERED = ("nonzero", "zero", "alpha", ">=128")
"""Rules that a person can choose from; others of `RULES` are typed."""
RULES = "nonzero, zero, >=N, <=N, alpha, palette I,J or color R,G,B"
_NUMBERED = re.compile(r"(>=|<=)\s*(\d+(?:\.\d+)?(?:e-?\d+)?)$")
_LISTED = re.compile(r"(palette|color)[\s:=]+(\d+(?:\s*,\s*\d+)*)$")
_HALF = 128 / 255
_FULL = (1, 255, 65535)
_HUE_NOISE = 4
_SMALL_IDS, _FEW_COLORS, _MOST_IDS_BESIDE_255 = 16, 16, 64
NOT_ZERO, LEVEL, ALPHA, COLORED, EMPTY = (
    "not 0",
    "grey from 128 of 255",
    "alpha",
    "not black",
    "all 0",
)


@dataclass(frozen=True, slots=True, eq=False)
class StoredMask:
    """What a file holds, before anything is taken for foreground.

    Attributes
    ----------
    values : ndarray, shape (M, N) or (M, N, 3)
        As displayed: grey or colours, after a colour table.
    alpha : ndarray, shape (M, N), or None
        Opacity.
    indices : ndarray of int, shape (M, N), or None
        Into the colour table, where there is one.
    lossy : bool
        Whether values next to each other may have been mixed, as in JPEG.
    bright : bool
        Whether the file itself says that it is white on black.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    indices: NDArray[Any] | None = None
    lossy: bool = False
    bright: bool = False


@dataclass(frozen=True, slots=True)
class ForegroundRule:
    """How foreground is told from background.

    Attributes
    ----------
    kind : str
        "auto"; "bright", for files known to be white on black, which are read from 128 of 255
        where "auto" is in doubt; or one of `RULES`, with ">=" and "<=" for the numbered ones.
    values : tuple of float
        Of ">=", "<=", "palette" and "color".
    """

    kind: str = "auto"
    values: tuple[float, ...] = ()

    def __str__(self) -> str:
        numbers = ",".join(f"{value:g}" for value in self.values)
        return f"{self.kind}{' ' if self.kind.isalpha() and numbers else ''}{numbers}"


AUTO, BRIGHT = ForegroundRule(), ForegroundRule("bright")
_FROM_128 = ForegroundRule(">=", (128,))


def parse_rule(text: str) -> ForegroundRule:
    """Return the rule that `text` names.

    Raises
    ------
    ValueError
        When it names none of `RULES`.

    Examples
    --------
    >>> str(parse_rule(">= 128")), str(parse_rule("palette 1,3"))
    ('>=128', 'palette 1,3')
    """
    wanted = text.strip().casefold()
    if wanted in ("auto", "nonzero", "zero", "alpha"):
        return ForegroundRule(wanted)
    if match := _NUMBERED.match(wanted):
        return ForegroundRule(match[1], (float(match[2]),))
    if match := _LISTED.match(wanted):
        values = tuple(float(part) for part in match[2].split(","))
        if match[1] == "palette" or len(values) == 3:
            return ForegroundRule(match[1], values)
    raise ValueError(f"{text!r} is none of {RULES}")


def foreground_by_rule(stored: StoredMask, rule: ForegroundRule) -> BoolMask:
    """Return the foreground (M, N) by a rule that a person gave.

    Raises
    ------
    ValueError
        When the file has nothing that the rule speaks of.
    """
    index = stored.values if stored.indices is None else stored.indices
    if rule.kind in ("nonzero", "zero"):
        zero = index == 0 if index.ndim == 2 else (index == 0).all(axis=2)
        numbers = ~np.isnan(index) if index.dtype.kind == "f" else np.ones_like(zero)
        return np.asarray((zero if rule.kind == "zero" else ~zero) & _flat(numbers))
    if rule.kind == "alpha":
        if stored.alpha is None:
            raise ValueError("has no alpha channel")
        return np.asarray((stored.alpha >= stored.alpha.max() / 2) & (stored.alpha > 0))
    if rule.kind == "palette":
        if index.ndim == 3:
            raise ValueError("has no colour table; name its colours with color R,G,B")
        return np.isin(index, rule.values)
    if rule.kind == "color":
        colors = stored.values if stored.values.ndim == 3 else stored.values[..., None]
        return np.asarray((colors == np.array(rule.values)).all(axis=2))
    if stored.values.ndim == 3 and stored.indices is not None:
        raise ValueError("has a table of colours; name its entries with palette I,J")
    gray = luminance(stored.values)
    (bound,) = rule.values
    # A NaN is neither.
    return np.asarray(gray >= bound if rule.kind == ">=" else gray <= bound)


def _flat(numbers: BoolMask) -> BoolMask:
    return numbers if numbers.ndim == 2 else np.asarray(numbers.all(axis=2))


def foreground(stored: StoredMask, rule: ForegroundRule = AUTO) -> tuple[BoolMask, str]:
    """Return the foreground of a mask, and by what it was told.

    Parameters
    ----------
    stored : StoredMask
        What the file holds.
    rule : ForegroundRule
        By default what is clear is read: grey with soft edges from half of the full level; class
        and instance numbers, and colours on black, where they are not 0; an alpha channel where
        the colours say nothing else.

    Returns
    -------
    ndarray of bool, shape (M, N)
        Foreground.
    str
        The rule, for people.

    Raises
    ------
    ValueError
        When the values could mean two things, or do not fit the rule that was given.
    """
    if rule.kind not in (AUTO.kind, BRIGHT.kind):
        return foreground_by_rule(stored, rule), str(rule)
    try:
        mask, said = _clear(stored)
    except ValueError:
        if rule.kind == AUTO.kind:
            raise
        mask, said = foreground_by_rule(stored, _FROM_128), LEVEL
        if not mask.any():
            raise
    # A full mask, too: where white is the background, it is that of an image without defect.
    known = rule.kind == BRIGHT.kind or stored.bright
    if not known and _looks_inverted(mask):
        raise ValueError(
            "most of it and of its border would be foreground, so black may be the defect; "
            + _say("zero", "nonzero")
        )
    return mask, said


def _clear(stored: StoredMask) -> tuple[BoolMask, str]:
    values, alpha, indices = stored.values, stored.alpha, stored.indices
    # Grey that is stored as RGB, as most painting programs do.
    if values.ndim == 3 and not np.ptp(values, axis=2).any():
        values = values[..., 0]
    if alpha is not None and np.ptp(alpha):
        return _by_alpha(values, alpha)
    if alpha is not None and not alpha.any() and values.any():
        raise ValueError("is transparent everywhere; " + _say("nonzero"))
    if indices is not None:
        _check_table(values, indices)
    return _by_color(values, stored.lossy) if values.ndim == 3 else _by_value(values, stored.lossy)


def _by_alpha(values: NDArray[Any], alpha: NDArray[Any]) -> tuple[BoolMask, str]:
    """Take the alpha channel where no visible pixel has the colour of a background."""
    visible = values[alpha > 0]
    black = ~visible.any(axis=1) if visible.ndim == 2 else visible == 0
    if (visible == visible[0]).all() or not black.any():
        return _by_value(alpha, lossy=False)[0], ALPHA
    raise ValueError(
        "has an alpha channel and black besides, and either may be the background; "
        + _say("alpha", "nonzero")
    )


def _check_table(values: NDArray[Any], indices: NDArray[Any]) -> None:
    used, first = np.unique(indices, return_index=True)
    shown = values.reshape(indices.size, -1)[first]
    nonzero = [str(index) for index in used[used > 0][:8]]
    advice = _say(f'"palette {",".join(nonzero)}"')
    if len(np.unique(shown, axis=0)) < len(used) or (used.any() and not shown.any()):
        raise ValueError("has entries in its colour table that look like others; " + advice)
    if used[-1] == 255 and len(nonzero) > 1 and values.ndim == 3:
        raise ValueError("has 255 beside other classes, which may be no class; " + advice)


def _by_color(values: NDArray[Any], lossy: bool) -> tuple[BoolMask, str]:
    level = values.max(axis=2)
    if lossy:
        return _soft(level, 255)
    if values.dtype.kind not in "iu":
        raise ValueError("has colours that are no whole numbers; " + _say(">=N"))
    # Each colour as one number: many times faster than unique rows.
    codes = values.astype(np.int64) @ np.array([1 << 40, 1 << 20, 1])
    found, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(codes.shape)
    levels = np.zeros(len(found), dtype=np.int64)
    levels[inverse] = level
    color = values[level == level.max()][0]
    advice = _say(f'"color {",".join(map(str, color))}"', "nonzero")
    if found[0] != 0:
        raise ValueError("has colours and no black background; " + advice)
    one_hue = np.abs(values - level[..., None] * (color / level.max())).max() <= _HUE_NOISE
    if one_hue and len(found) > _FEW_COLORS:
        return _by_value((level * (255 / level.max())).astype(np.uint8), lossy=False)
    # Edges mix colours; what fills regions is one.
    flat = np.bincount(inverse[_is_flat(codes)], minlength=len(found))
    large = counts >= 0.02 * counts[1:].sum()
    filling = ((flat >= 0.1 * counts) & large) | (len(found) <= _FEW_COLORS)
    filling[0] = False
    if counts[filling].sum() < 0.3 * counts[1:].sum():
        raise ValueError("has the colours of a picture, not of a mask; " + advice)
    return np.asarray(level >= levels[filling].min() / 2), COLORED


def _by_value(values: NDArray[Any], lossy: bool) -> tuple[BoolMask, str]:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("holds NaN or infinite values; " + _say("nonzero", ">=N"))
    low, top = values.min().item(), values.max().item()
    if low < 0:
        raise ValueError(f"holds values from {low:g} to {top:g}; " + _say(">=N", "nonzero"))
    if low == top == 0:
        return np.zeros(values.shape, dtype=bool), EMPTY
    # Most masks; sorting all values would take several times what reading the file does.
    two = low == 0 and np.count_nonzero(values == top) == np.count_nonzero(values)
    if two and not lossy:
        return np.asarray(values != 0), NOT_ZERO
    found = np.unique(values)
    if len(found) == 1 and (top in _FULL or values.dtype.kind == "b"):
        return np.ones(values.shape, dtype=bool), NOT_ZERO
    if lossy:
        return _soft(values, 255)
    if values.dtype.kind == "f" and (values % 1).any():
        return _soft(values, 1)
    return _by_number(values, found)


def _by_number(values: NDArray[Any], found: NDArray[Any]) -> tuple[BoolMask, str]:
    """Tell soft edges, which mix grey levels, from numbers, which fill regions."""
    low, top = found[0].item(), found[-1].item()
    between = (values > 0) & (values < top)
    flat = between.any() and _is_flat(values)[between].mean()
    mixed = between.any() and _is_mixed(values)[between].mean()
    graded = between.any() and values[between].max() > _MOST_IDS_BESIDE_255
    # Soft edges are thin and graded; classes fill regions and meet only at their borders.
    soft = flat <= 0.3 and mixed >= 0.5 and graded
    if soft and (top in _FULL or 128 <= top < 255):
        return _soft(values, 255 if top <= 255 else top)
    consecutive = values.itemsize > 1 and len(found) == top + 1
    numbers = top <= _SMALL_IDS or (mixed <= 0.5 and (top not in _FULL or consecutive))
    # Numbers of classes or objects: whatever is not 0 is one of them.
    if low == 0 and numbers:
        return np.asarray(values > 0), NOT_ZERO
    raise ValueError(
        f"holds {len(found)} values from {low:g} to {top:g}, which may be grey levels or classes; "
        + _say("nonzero", f'">={max(top // 2 + 1, 1):g}"')
    )


def _soft(values: NDArray[Any], full: float) -> tuple[BoolMask, str]:
    """Take half of the full level, where nearly everything is dark or bright."""
    top = values.max().item()
    ends = (values <= full / 8) | (values >= full * 7 / 8)
    if top > full or top < full * _HALF:
        advice = _say(f'">={top / 2:g}"')
        raise ValueError(f"holds values up to {top:g}, where {full:g} is full; {advice}")
    # Half of it neither dark nor bright: any threshold would be a guess.
    if ends.mean() < 0.5:
        raise ValueError(
            "has the grey levels of a picture, not of a mask; " + _say(f'">={full * _HALF:.3g}"')
        )
    return np.asarray(values >= full * _HALF), LEVEL


def _is_flat(values: NDArray[Any]) -> BoolMask:
    """Return where a pixel equals all of its four neighbours."""
    same = [shifted == values for shifted in _neighbours(values)]
    return np.asarray(np.logical_and.reduce(same))


def _is_mixed(values: NDArray[Any]) -> BoolMask:
    """Return where a pixel has a neighbour with another value that is not 0."""
    others = [(shifted != values) & (shifted != 0) for shifted in _neighbours(values)]
    return np.asarray(np.logical_or.reduce(others))


def _neighbours(values: NDArray[Any]) -> list[NDArray[Any]]:
    padded = np.pad(values, 1, mode="edge")
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]


def _looks_inverted(mask: BoolMask) -> bool:
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return bool(np.count_nonzero(mask) > mask.size / 2 and border.mean() > 0.5)


def _say(*rules: str) -> str:
    choices = " or ".join(f"--foreground {rule}" for rule in rules)
    return f"save it as 0 and 255, or say which pixels are foreground with {choices}"
