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


@dataclass(frozen=True, slots=True)
class Sanity:
    """Rank correlations of a map with maps that it should and should not be like.

    Attributes
    ----------
    randomised : float
        With the map of a network whose weights are in random places; near 0 is good.
    other_class : float
        With the map of the most probable other class; 1 says that the class does not matter.
    noise : float
        With the maps of the image under noise that nobody sees; near 1 is good.
    """

    randomised: float
    other_class: float
    noise: float
