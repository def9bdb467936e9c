"""Dark or constant strips along the edges of SEM images: scan overruns and info bars."""

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
    gray = image if image.ndim == 2 else image.mean(axis=2).round().astype(np.uint8)
    # Every n-th pixel tells the median well enough, and a large image stays cheap.
    step = max(1, min(gray.shape) // 512)
    dark = min(NEAR_BLACK, DARKER_THAN * float(np.median(gray[::step, ::step])))
    columns = gray.T
    # Columns first: a black column strip would hide that a row is constant, and the reverse.
    right, left = _strip(columns[::-1], dark), _strip(columns, dark)
    rows = gray[:, left : gray.shape[1] - right]
    return _strip(rows, dark), right, _strip(rows[::-1], dark), left


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
