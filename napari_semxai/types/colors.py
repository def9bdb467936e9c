"""One fixed colour for each role, wherever it is drawn: layers, docks, pictures, reports.

References
----------
.. [1] M. Okabe and K. Ito, "Color Universal Design", 2008: eight colours that colour-blind people
   can tell apart.
"""

from __future__ import annotations

from typing import Final

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
PINK: Final = "#CC79A7"
SKY: Final = "#56B4E9"
VERMILION: Final = "#D55E00"
YELLOW: Final = "#F0E442"
BLACK: Final = "#000000"
GREY: Final = "#808080"

SERIES: Final = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW)
"""Candidates, curves and bars in turn."""

DEFECT: Final = ORANGE
AUTOMATIC: Final = SKY
TRUTH: Final = GREEN
WINNER: Final = BLUE
COMPLEMENT: Final = VERMILION
PREVIEW: Final = PINK
FOREGROUND_CLICK: Final = GREEN
BACKGROUND_CLICK: Final = VERMILION
HEAT: Final = "#FFFFFF"
PICTURE: Final = VERMILION
BOTH: Final = GREEN
ONLY_OTHER: Final = VERMILION
ONLY_THIS: Final = SKY


def chip(text: str, color: str) -> str:
    """Return rich text in black on a colour of this palette.

    As text the colours themselves are too faint on a dark or on a light theme; black on each of
    them has a contrast of 5 : 1 or more, but for blue.
    """
    return (
        f'<span style="background-color:{color}; color:{BLACK}"><b>&nbsp;{text}&nbsp;</b></span>'
    )
