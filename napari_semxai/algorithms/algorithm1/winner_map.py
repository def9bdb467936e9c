"""Which candidate Algorithm 1 chooses, for every α and β at once.

With S_i = A_i (1 - d_i)^α, log S_i is a line in α of intercept log A_i and slope log(1 - d_i).
Among the candidates above a minimum area the winner is the upper envelope of their lines. A
smaller area means a lower intercept, so adding candidates by falling area only ever changes the
envelope's far end: each one begins to win at some α over one predecessor. Those pairs hold the
envelopes of all β together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False)
class WinnerEnvelope:
    """Upper envelopes of log S over α ≥ 0 for every β.

    Attributes
    ----------
    pixels : int
        M * N of the image.
    candidates : ndarray of int64, shape (m,)
        Candidates that win for some α and β, by falling area.
    areas : ndarray of int64, shape (m,)
        Their areas.
    starts : ndarray of float64, shape (m,)
        The α from which each one beats all larger ones.
    before : ndarray of int64, shape (m,)
        Who wins just below that α, as a position in these arrays; -1 for none.
    """

    pixels: int
    candidates: NDArray[np.int64]
    areas: NDArray[np.int64]
    starts: NDArray[np.float64]
    before: NDArray[np.int64]

    def winner(self, alpha: float, beta: float) -> int | None:
        """Return the winner at `alpha` and `beta`, or None if no area exceeds `beta`."""
        found = int(self.winners([alpha], [beta])[0, 0])
        return None if found < 0 else found

    def reached(self, alpha: float) -> NDArray[np.int64]:
        """Return the candidates that win for some beta and an alpha up to `alpha`."""
        return self.candidates[self.starts <= alpha]

    def winners(self, alphas: ArrayLike, betas: ArrayLike) -> NDArray[np.int64]:
        """Return the winners over a plane.

        Parameters
        ----------
        alphas : array-like, shape (a,)
            Centre bias, 0 or more.
        betas : array-like, shape (b,)
            Minimum area ratio.

        Returns
        -------
        ndarray of int64, shape (b, a)
            Indices of candidates; -1 where none is large enough.
        """
        alphas = np.asarray(alphas, dtype=np.float64)
        limits = np.asarray(betas, dtype=np.float64) * self.pixels
        # Areas fall, so those that pass a beta are a beginning of the list, and its last one is
        # where every chain of predecessors starts.
        last = len(self.areas) - np.searchsorted(self.areas[::-1], limits, side="right") - 1
        chain = np.repeat(last[:, None], len(alphas), axis=1)
        # Position -1, nobody, is the last entry of arrays that are one longer.
        starts, before = np.append(self.starts, -np.inf), np.append(self.before, -1)
        while (early := starts[chain] > alphas).any():
            chain = np.where(early, before[chain], chain)
        return np.append(self.candidates, -1)[chain]


def winner_envelope(
    areas: ArrayLike, distances: ArrayLike, shape: tuple[int, int]
) -> WinnerEnvelope:
    """Compute the winners of all α and β.

    Parameters
    ----------
    areas : array-like of int, shape (n,)
        A_i in pixels; empty candidates never win.
    distances : array-like, shape (n,)
        d_i, from 0 to 0.5.
    shape : tuple of int
        (M, N) of the image.

    Returns
    -------
    WinnerEnvelope
        Of equal scores the first candidate wins.
    """
    areas = np.asarray(areas, dtype=np.int64)
    distances = np.asarray(distances, dtype=np.float64)
    # Of equal areas the one nearer to the centre, and of equal ones the first, comes first.
    order = np.lexsort((np.arange(len(areas)), distances, -areas))
    order = order[areas[order] > 0]
    slopes = np.log1p(-distances)
    kept: list[int] = []
    starts: list[float] = []
    before: list[int] = []
    for index in order.tolist():
        top = len(kept) - 1
        # Lower and not steeper: it never wins at any alpha from 0 on.
        if kept and slopes[index] <= slopes[kept[top]]:
            continue
        start = -np.inf
        while top >= 0:
            rise = float(slopes[index] - slopes[kept[top]])
            # Python's division: over a difference too small to matter it is infinite.
            start = float(np.log(areas[kept[top]] / areas[index])) / rise
            if start > starts[top]:
                break
            # Beaten before it began to win: not part of this envelope, but still of larger betas'.
            top, start = before[top], -np.inf
        kept.append(index)
        starts.append(start)
        before.append(top)
    candidates = np.array(kept, dtype=np.int64)
    return WinnerEnvelope(
        pixels=shape[0] * shape[1],
        candidates=candidates,
        areas=areas[candidates],
        starts=np.array(starts, dtype=np.float64),
        before=np.array(before, dtype=np.int64),
    )
