"""One fixed, colour-blind safe colour for each role (Okabe and Ito's palette)."""

from __future__ import annotations

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

DEFECT = "#E69F00"
AUTOMATIC = "#56B4E9"
TRUTH = "#009E73"
WINNER = "#0072B2"
COMPLEMENT = "#D55E00"
PREVIEW = "#CC79A7"
FOREGROUND_CLICK = "#009E73"
BACKGROUND_CLICK = "#D55E00"
HEAT = "#FFFFFF"
PICTURE = "#D55E00"
CANDIDATES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


def role_colormap(*colors: str) -> DirectLabelColormap:
    """Return a label colormap: 0 transparent, 1, 2, … the colours in turn, repeated."""
    table: dict[int | None, str] = {
        value: colors[(value - 1) % len(colors)] for value in range(1, np.iinfo(np.uint8).max + 1)
    }
    return DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", **table})
