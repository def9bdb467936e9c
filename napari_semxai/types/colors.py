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
WHITE: Final = "#FFFFFF"
GREY: Final = "#808080"

SERIES: Final = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW)
"""Candidates, curves and bars in turn."""

DEFECT: Final = ORANGE
AUTOMATIC: Final = SKY
TRUTH: Final = GREEN
WINNER: Final = BLUE
COMPLEMENT: Final = VERMILION
PREVIEW: Final = PINK
IGNORED: Final = BLUE
FOREGROUND_CLICK: Final = GREEN
BACKGROUND_CLICK: Final = VERMILION
HEAT: Final = WHITE
PICTURE: Final = VERMILION
BOTH: Final = GREEN
ONLY_OTHER: Final = VERMILION
ONLY_THIS: Final = SKY


def chip(text: str, color: str) -> str:
    """Return rich text in black, or in white, on a colour.

    As text the colours themselves are too faint on a dark or on a light theme; on any colour one
    of these two has a contrast of 4.5 : 1 or more.
    """
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    luminance = sum(x * weight for x, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))
    # Where black and white are read equally well.
    text_color = BLACK if luminance > 0.179 else WHITE
    style = f"background-color:{color}; color:{text_color}"
    return f'<span style="{style}"><b>&nbsp;{text}&nbsp;</b></span>'
