"""Small letters and figures, seven rows of five pixels, for what microscopes write."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic.fields import Field

# A character a row: its five pixels as a figure to the base 32.
_ROWS = {
    "0": "ehjlphe", "1": "4c4444e", "2": "eh1248v", "3": "v2421he", "4": "26aiv22",
    "5": "vgu11he", "6": "68guhhe", "7": "v124888", "8": "ehhehhe", "9": "ehhf12c",
    "A": "ehhvhhh", "B": "uhhuhhu", "C": "ehggghe", "D": "sihhhis", "E": "vgguggv",
    "F": "vgguggg", "G": "ehgnhhf", "H": "hhhvhhh", "I": "e44444e", "J": "72222ic",
    "K": "hikokih", "L": "ggggggv", "M": "hrllhhh", "N": "hhpljhh", "O": "ehhhhhe",
    "P": "uhhuggg", "Q": "ehhhlid", "R": "uhhukih", "S": "fgge11u", "T": "v444444",
    "U": "hhhhhhe", "V": "hhhhha4", "W": "hhhllla", "X": "hha4ahh", "Y": "hhha444",
    "Z": "v1248gv", "a": "00e1fhf", "d": "11djhhf", "e": "00ehvge", "g": "0fhhf1e",
    "i": "40c444e", "k": "ggikoki", "l": "c44444e", "m": "00qllhh", "n": "00mphhh",
    "o": "00ehhhe", "p": "00uhugg", "r": "00mpggg", "s": "00fge1u", "t": "88s8896",
    "b": "ggmphhu", "c": "00eghge", "f": "698s888", "h": "ggmphhh", "v": "00hhha4",
    "w": "00hhlla", "y": "0hhhf1e", "u": "00hhhjd", "x": "00ha4ah", "µ": "00hhhug",
    ".": "00000cc", ",": "0000c48", ":": "0cc0cc0",
    "=": "00v0v00", "-": "000v000", "/": "01248g0", "%": "op248j3", "(": "2488842",
    ")": "8422248", " ": "0000000",
}  # fmt: skip


@cache
def _glyph(letter: str) -> Field:
    rows = np.array([int(row, 32) for row in _ROWS[letter]])
    return (rows[:, None] >> np.arange(4, -1, -1) & 1).astype(np.float32)


def write(text: str, height: float, width: float, bold: bool) -> Field:
    """Ink (0 to 1) of `text` whose letters are `height` by `width` pixels, softly scaled.

    Parameters
    ----------
    text : str
        Letters that this file draws.
    height, width : float
        Pixels of a letter; its neighbour follows after a fifth of the width.
    bold : bool
        Whether strokes are a third wider.

    Returns
    -------
    ndarray of float32, shape (about height, about 1.2 width len(text))
    """
    gap = np.zeros((7, 1), np.float32)
    ink = np.concatenate([part for letter in text for part in (_glyph(letter), gap)], axis=1)
    ink = np.repeat(ink, 3, axis=1)
    if bold:
        ink[:, 1:] = np.maximum(ink[:, 1:], ink[:, :-1])
    rows = max(5, round(height))
    columns = max(3, round(width * ink.shape[1] / 15))
    scaled = _scale(rows, 7) @ ink @ _scale(columns, ink.shape[1]).T
    return np.asarray(np.clip(scaled, 0, 1), np.float32)


@cache
def _scale(target: int, source: int) -> Field:
    """Matrix (target, source) that averages the source pixels under each target pixel."""
    edges = np.linspace(0, source, target + 1)
    low = np.maximum(edges[:-1, None], np.arange(source))
    high = np.minimum(edges[1:, None], np.arange(1, source + 1))
    return np.asarray(np.clip(high - low, 0, 1) * (target / source), np.float32)
