"""Which pixels of a stored mask are foreground, where a person says it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.exposure import luminance

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask


RULES = "nonzero, zero, >=N, <=N, alpha, palette I,J or color R,G,B"
_NUMBERED = re.compile(r"(>=|<=)\s*(\d+(?:\.\d+)?(?:e-?\d+)?)$")
_LISTED = re.compile(r"(palette|color)[\s:=]+(\d+(?:\s*,\s*\d+)*)$")


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
