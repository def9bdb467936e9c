"""How much of a network's answer rests on what an explanation points at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Scores of one map by the network that it explains.

    Attributes
    ----------
    insertion : float
        Area under the class's probability while pixels come into a blurred image, the most
        relevant first; higher is better.
    deletion : float
        The same while they are taken out of the image; lower is better.
    road : float
        Half the difference between the probabilities after the least and the most relevant
        pixels were taken out and filled in from their neighbours; higher is better.
    """

    insertion: float
    deletion: float
    road: float
