"""Which explanations are on show, and where each of them lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from napari_semxai.types import Heatmap

if TYPE_CHECKING:
    from napari_semxai.state.explanation import Explanation

Tile: TypeAlias = tuple[int, int]
"""Row and column in a grid of copies of the image; (0, 0) is the image itself."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is on show.

    Attributes
    ----------
    heatmaps : tuple of (Heatmap, Tile)
        The one that is looked at first.
    concepts : Tile or None
        Where the concepts lie; None where they are not on show.
    copies : tuple of Tile
        Where copies of the image lie.
    """

    heatmaps: tuple[tuple[Heatmap, Tile], ...] = ()
    concepts: Tile | None = None
    copies: tuple[Tile, ...] = ()


def arrange(explanation: Explanation, *, side_by_side: bool) -> Arrangement:
    """Lay the explanations over the image, or each on a tile of its own.

    Side by side, what is looked at lies over the image itself. Otherwise the heat map that is
    looked at and the concepts do, or one of them.
    """
    active = explanation.heatmaps.active
    heatmaps = [] if active is None else [active]
    concepts = explanation.concepts is not None
    if not side_by_side:
        shown = () if explanation.hides_heat_map else tuple((one, (0, 0)) for one in heatmaps)
        return Arrangement(shown, (0, 0) if concepts and not explanation.hides_concepts else None)
    heatmaps += [found for found in explanation.heatmaps.all if found is not active]
    tiles = _grid(len(heatmaps) + concepts)
    free, own = tiles, None
    if concepts:
        own = tiles[0 if explanation.hides_heat_map else -1]
        free = [tile for tile in tiles if tile != own]
    return Arrangement(tuple(zip(heatmaps, free, strict=True)), own, tuple(tiles[1:]))


def _grid(number: int) -> list[Tile]:
    """Return rows and columns of a nearly square grid."""
    columns = max(1, math.ceil(math.sqrt(number)))
    return [divmod(place, columns) for place in range(number)]
