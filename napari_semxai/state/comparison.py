"""Everything that is judged by one truth, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_semxai.algorithms.explanations.localisation import Localisation
from napari_semxai.types import Scores

TAUS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
"""Where Dice curves are drawn; the values at them are exact."""


@dataclass(frozen=True, slots=True)
class MaskRow:
    """A mask against the truth.

    Attributes
    ----------
    name : str
        Of the mask.
    scores : Scores
        Against the truth.
    trivial : bool
        Whether it is what every method has to beat.
    classifier : str
        Digest of the weights that an explanation is of; "" for other masks.
    """

    name: str
    scores: Scores
    trivial: bool = False
    classifier: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MapRow:
    """A float map against the truth.

    Attributes
    ----------
    name : str
        Of the map.
    localisation : Localisation
        Needs no threshold.
    curve : ndarray of float64, shape (t,)
        Dice at each of `TAUS`.
    parameter : str
        The field of `ExplanationMaskSettings` that is its threshold: "tau" or "concept_tau".
    color : (int, int, int) or None
        A concept's own.
    classifier : str
        Digest of the weights that it explains.
    """

    name: str
    localisation: Localisation
    curve: NDArray[np.float64]
    parameter: str = "tau"
    color: tuple[int, int, int] | None = None
    classifier: str = ""

    def dice_at(self, tau: float) -> float:
        """Return the Dice at a threshold."""
        # A slider stops between two of `TAUS`.
        return float(np.interp(tau, TAUS, self.curve))


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonTable:
    """All masks and maps of the current image against one truth, by name.

    Attributes
    ----------
    truth : str
        What they are judged by; "" where there is none.
    masks : tuple of MaskRow
        The picked prediction first, the trivial baselines last.
    maps : tuple of MapRow
        Heat maps and concept maps.
    """

    truth: str = ""
    masks: tuple[MaskRow, ...] = ()
    maps: tuple[MapRow, ...] = field(default=())
