"""What lies along the edges of SEM images: scan overruns and info bars."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import Border

NEAR_BLACK = 16
"""Grey value (8 bit) up to which a line counts as dark."""
DARKER_THAN = 0.3
"""A dark line is also below this fraction of the image's median."""
SAME_SHARE = 0.9
"""A line is constant when this share of its pixels has one value."""
# Grey levels around the ground of an info bar, which lossy files blur, and from which on
# something else is its ink.
_GROUND, _INK = 6, 60
# Shares of a bar's pixels that are ground and ink, and by how much less is ground beyond it,
# and the share of lines beyond it that may be as even.
_LEAST_GROUND, _LEAST_INK, _STEP, _AGAIN = 0.4, 0.05, 0.25, 0.1
_BEYOND, _AT_END = 8, 4


def edge_strips(image: NDArray[Any]) -> Border:
    """Measure the dark or constant strips along the edges of an 8-bit image.

    Algorithm 1 takes the largest component of a complement, which such a strip can win.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.

    Returns
    -------
    tuple of int
        (top, right, bottom, left): lines whose median is near black and far below the image's
        median, or that are constant, counted from each edge inwards. Strips of more than a
        third of the image are taken for the picture itself and counted as 0.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).integers(90, 110, (64, 64), dtype=np.uint8)
    >>> image[:, 61:] = 5
    >>> edge_strips(image)
    (0, 3, 0, 0)
    """
    gray = _gray(image)
    # Every n-th pixel tells the median well enough, and a large image stays cheap.
    step = max(1, min(gray.shape) // 512)
    dark = min(NEAR_BLACK, DARKER_THAN * float(np.median(gray[::step, ::step])))
    columns = gray.T
    # Columns first: a black column strip would hide that a row is constant, and the reverse.
    right, left = _strip(columns[::-1], dark), _strip(columns, dark)
    rows = gray[:, left : gray.shape[1] - right]
    return _strip(rows, dark), right, _strip(rows[::-1], dark), left


def picture_border(image: NDArray[Any], picture_rows: int | None = None) -> Border:
    """Measure what lies around the picture: info bars, also drawn ones, and edge strips.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.
    picture_rows : int, optional
        Rows above an info bar that is known.

    Returns
    -------
    tuple of int
        (top, right, bottom, left): lines counted from each edge inwards.
    """
    gray = _gray(image)
    rows = len(gray) if picture_rows is None else picture_rows
    above = _drawn_bar(gray[:rows])
    rows -= _drawn_bar(gray[:rows][::-1])
    top, right, bottom, left = edge_strips(gray[above:rows])
    return above + top, right, len(gray) - rows + bottom, left


def within(image: NDArray[Any], border: Border) -> NDArray[Any]:
    """Return the part of an image or mask (M, N, …) that lies inside a border."""
    top, right, bottom, left = border
    return image[top : image.shape[0] - bottom, left : image.shape[1] - right]


def framed(maps: NDArray[Any], border: Border) -> NDArray[Any]:
    """Return maps (k, M, N) of what lies inside a border with zeros in the border."""
    top, right, bottom, left = border
    return np.pad(maps, ((0, 0), (top, bottom), (left, right))) if any(border) else maps


def _gray(image: NDArray[Any]) -> NDArray[np.uint8]:
    return image if image.ndim == 2 else image.mean(axis=2).round().astype(np.uint8)


def _drawn_bar(lines: NDArray[np.uint8]) -> int:
    """Return how many lines from the first on are a bar with letters on an even ground.

    A fifth of the lines at most. Letters leave no line constant, so the bar ends where the share
    of its ground falls most.
    """
    least, most = max(8, len(lines) // 25), len(lines) // 5
    if most < least:
        return 0
    counts = np.bincount(lines[:least].ravel(), minlength=256)
    ground = int(np.convolve(counts, np.ones(2 * _GROUND + 1, int), "same").argmax())
    # Every n-th pixel tells the shares well enough.
    away = np.abs(lines[:, :: max(1, min(lines.shape) // 512)].astype(np.int16) - ground)
    even = (away <= _GROUND).mean(axis=1)
    summed = np.concatenate([[0], even.cumsum()])
    ends = np.arange(least, most + 1)
    inside, beyond = summed[ends] / ends, (summed[ends + _BEYOND] - summed[ends]) / _BEYOND
    best = int((inside - beyond).argmax())
    end = int(ends[best])
    falls = even[end - _AT_END : end].mean() - even[end : end + _AT_END].mean()
    is_bar = (
        inside[best] >= _LEAST_GROUND
        and min(inside[best] - beyond[best], falls) >= _STEP
        and (away[:end] >= _INK).mean() >= _LEAST_INK
        # Stripes of a pattern come again.
        and (even[end:] >= _LEAST_GROUND).mean() <= _AGAIN
    )
    return end if is_bar else 0


def _strip(lines: NDArray[np.uint8], dark: float) -> int:
    """Return how many lines from the first on are dark or constant."""
    # More than a third is no strip but a dark image, where nothing may be left out.
    limit = len(lines) // 3
    width = sum(1 for _ in takewhile(lambda line: _is_strip(line, dark), lines[: limit + 1]))
    return width if width <= limit else 0


def _is_strip(line: NDArray[np.uint8], dark: float) -> bool:
    if float(np.median(line)) <= dark:
        return True
    return int(np.bincount(line, minlength=1).max()) >= SAME_SHARE * line.size
