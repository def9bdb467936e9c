"""What microscopes of five makers write under or over a picture, and the letters they do it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic.fields import Field
from napari_semxai.algorithms.synthetic.spec import Region

if TYPE_CHECKING:
    from collections.abc import Callable

Box = tuple[str, slice, slice]
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


@dataclass(slots=True, eq=False)
class Plate:
    """Ink on a plate, and the boxes around what belongs together.

    Attributes
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    ink : ndarray of float32, shape (h, w)
        0 the plate's own grey level, 1 the ink's.
    boxes : list of tuple
        Kind, rows and columns of each text, cell, scale bar and logo.
    """

    rng: np.random.Generator
    ink: Field
    boxes: list[Box] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Rows of the plate."""
        return int(self.ink.shape[0])

    @property
    def width(self) -> int:
        """Columns of the plate."""
        return int(self.ink.shape[1])

    def text(self, text: str, place: tuple[float, float], height: float, wide: float) -> int:
        """Write `text` from the (row, column) of its upper left corner; return its end."""
        stamp = write(text, height, wide * height, bool(height > 13))
        row, column = (max(0, round(part)) for part in place)
        view = self.ink[row : row + stamp.shape[0], column : column + stamp.shape[1]]
        np.maximum(view, stamp[: view.shape[0], : view.shape[1]], out=view)
        self.box("text", (row - 1, column - 1), (row + stamp.shape[0] + 1, column + view.shape[1]))
        return column + int(stamp.shape[1])

    def fill(self, low: tuple[float, float], high: tuple[float, float], ink: float = 1.0) -> None:
        """Fill a rectangle, at least a pixel wide and high."""
        row, column = (max(0, round(part)) for part in low)
        self.ink[row : max(row + 1, round(high[0])), column : max(column + 1, round(high[1]))] = (
            ink
        )

    def box(self, kind: str, low: tuple[float, float], high: tuple[float, float]) -> None:
        """List a rectangle as a region."""
        row, column = (max(0, round(part)) for part in low)
        end = (min(self.height, round(high[0])), min(self.width, round(high[1])))
        if end[0] - row > 2 and end[1] - column > 2:
            self.boxes.append((kind, slice(row, end[0]), slice(column, end[1])))

    def regions(
        self, shape: tuple[int, int], corner: tuple[int, int], whole: str | None
    ) -> list[Region]:
        """Return what is listed, in an image of `shape`, after the plate as a `whole`, if any."""
        boxes = [(whole, slice(0, self.height), slice(0, self.width))] if whole else []
        regions = []
        for kind, rows, columns in (*boxes, *self.boxes):
            mask = np.zeros(shape, dtype=bool)
            low, left = corner[0] + rows.start, corner[1] + columns.start
            mask[low : corner[0] + rows.stop, left : corner[1] + columns.stop] = True
            regions.append(Region(kind, mask))
        return regions

    def any_of(self, *choices: str) -> str:
        """Draw one of the texts."""
        return choices[int(self.rng.integers(len(choices)))]

    def figure(self, digits: int) -> str:
        """Draw a number of so many digits."""
        return str(int(self.rng.integers(10 ** (digits - 1), 10**digits)))

    def length(self) -> str:
        """Draw what a scale bar says."""
        number = self.any_of("1", "2", "5", "10", "20", "50", "100", "200", "500", "300", "1.00")
        return number + self.any_of(" µm", "µm", " nm", "nm", " mm", " um")


def _row_of(plate: Plate) -> str:
    """Draw one entry of a caption."""
    return plate.any_of(
        f"EHT = {plate.figure(1)}.00 kV", f"WD = {plate.figure(1)}.{plate.figure(1)} mm",
        f"Mag = {plate.figure(2)}.{plate.figure(2)} K X", "Signal A = InLens", "Signal A = SE2",
        f"HV: {plate.figure(2)}.0 kV", f"WD: {plate.figure(2)}.{plate.figure(2)} mm", "Det: SE",
        f"Date(m/d/p): {plate.figure(2)}/{plate.figure(2)}/{plate.figure(2)}", "SEM MAG: 5.00 kx",
        f"View field: {plate.figure(2)}.{plate.figure(1)} µm", f"Time :{plate.figure(2)}:33:07",
        "Noise Reduction = Line Int.", f"Sample {plate.figure(3)}",
        f"Scan speed: {plate.figure(1)}",
    )  # fmt: skip


def _ruler(
    plate: Plate, low: tuple[float, float], length: float, height: float, ticks: int
) -> None:
    """Draw a line with `ticks` ticks; those at the ends and in the middle are long."""
    row, column = low
    thick = max(1.0, 0.1 * height)
    plate.fill((row + height - thick, column), (row + height, column + length))
    for number, place in enumerate(np.linspace(0, length - thick, ticks)):
        long = number in (0, ticks // 2, ticks - 1)
        plate.fill(
            (row + (0 if long else 0.5 * height), column + place),
            (row + height, column + place + thick),
        )
    plate.box("scale_bar", (row, column), (row + height, column + length))


def table_plate(plate: Plate) -> None:
    """Cells with a small heading over a value; the scale bar spans the right cell."""
    rng, high = plate.rng, plate.height
    size, wide = 0.3 * high, rng.uniform(0.42, 0.62)
    heads = ("HV", "curr", "det", "WD", "mag", "HFW", "spot", "tilt", "mode")
    values = ("5.00 kV", "43 pA", "TLD", "4.1 mm", "50 000 x", "8.29 µm", "3.0", "52 o", "SE")
    column, end = rng.uniform(0, 0.15) * plate.width, rng.uniform(0.55, 0.75) * plate.width
    for index in rng.permutation(len(heads)):
        cell = column
        stop = plate.text(values[index], (0.57 * high, column + 3), size, wide)
        head = plate.text(heads[index], (0.12 * high, column + 3), size, wide)
        column = max(stop, head) + rng.uniform(2, 10)
        plate.box("bar_cell", (0, cell), (high, column))
        plate.fill((0, column), (high, column + 1), 0.7)
        if column > end:
            break
    _span(plate, column + 8, rng.uniform(0.95, 0.99) * plate.width, size)
    if rng.random() < 0.5:
        plate.fill((0, 0), (1, plate.width), 0.7)


def _span(plate: Plate, left: float, right: float, size: float) -> None:
    """Draw a label between two strokes that end in bars, over the whole cell."""
    label = plate.length()
    wide = 1.2 * 0.55 * size * len(label)
    if right - left < 30:
        return
    middle, centre = (0.3, 0.5)[int(plate.rng.integers(2))] * plate.height, (left + right) / 2
    for side in (left, right - 1):
        plate.fill((middle - 0.6 * size, side), (middle + 0.6 * size, side + 1))
    for start, stop in ((left, centre - wide / 2 - 4), (centre + wide / 2 + 4, right)):
        if stop > start:
            plate.fill((middle, start), (middle + 1, stop))
    plate.text(label, (middle - size / 2, centre - wide / 2), size, 0.55)
    plate.box("scale_bar", (middle - 0.7 * size, left), (middle + 0.7 * size, right))


def columns_plate(plate: Plate) -> None:
    """Scale bar on the left, columns of two or three lines, a logo on the right."""
    rng, high = plate.rng, plate.height
    lines = 2 if high < 34 or rng.random() < 0.6 else 3
    size, wide = 0.62 * high / lines, rng.uniform(0.42, 0.6)
    column = rng.uniform(0.01, 0.04) * plate.width
    label, length = plate.length(), rng.uniform(0.08, 0.2) * plate.width
    plate.text(label, (0.1 * high, column + 0.2 * length), 0.36 * high, 0.6)
    _ruler(plate, (0.6 * high, column), length, 0.25 * high, 2)
    column += max(length, 0.3 * high * len(label)) + 10
    logo = rng.uniform(0.82, 0.93) * plate.width
    while column < logo - 30:
        left, stop = column, column
        for line in range(lines):
            row = (0.1 + line * 0.84 / lines) * high
            stop = max(stop, plate.text(_row_of(plate), (row, left), size, wide))
        column = stop + rng.uniform(6, 30)
        plate.box("text_block", (0.04 * high, left - 2), (0.96 * high, stop + 2))
    plate.ink[:, round(logo) - 2 :] = 0
    if rng.random() < 0.8:
        _logo(plate, (0.15 * high, logo), (0.85 * high, plate.width - 4))


def _logo(plate: Plate, low: tuple[float, float], high: tuple[float, float]) -> None:
    """Draw a made-up emblem: a filled box with some letters cut out, or large letters."""
    word = "".join(
        plate.any_of(*"ABCEHIKLMNOSTUVXZ") for _ in range(int(plate.rng.integers(3, 6)))
    )
    tall = 0.7 * (high[0] - low[0])
    wide = min(0.9, (high[1] - low[1]) / (1.25 * tall * len(word) + 1))
    if plate.rng.random() < 0.5:
        plate.fill(low, high)
        stamp = write(word, 0.6 * tall, 0.6 * tall * wide, False)
        row, column = round(low[0] + 0.3 * tall), round(low[1] + 3)
        view = plate.ink[row : row + stamp.shape[0], column : column + stamp.shape[1]]
        view -= stamp[: view.shape[0], : view.shape[1]]
    else:
        plate.text(word, (low[0] + 0.15 * tall, low[1]), tall, wide)
    plate.box("logo", low, high)


def line_plate(plate: Plate) -> None:
    """One line of text and, on the right, eleven dots or ticks with a label under them."""
    rng, high = plate.rng, plate.height
    size, wide = rng.uniform(0.36, 0.5) * high, rng.uniform(0.5, 0.68)
    text = f"S{plate.figure(4)} {plate.figure(2)}.0kV {plate.figure(1)}.{plate.figure(1)}mm "
    text += f"x{plate.figure(2)}.{plate.figure(1)}k " + plate.any_of(
        "SE(U)", "SE(M)", "LA0(U)", "SE(L)"
    )
    length = rng.uniform(0.18, 0.3) * plate.width
    left = plate.width - length - rng.uniform(6, 22)
    size = min(size, (left - 14) / (1.22 * wide * len(text)))
    plate.text(text, (0.5 * (high - size), rng.uniform(4, 10)), size, wide)
    dots, dot = rng.random() < 0.6, max(1.0, 0.07 * high)
    for place in np.linspace(0, length - dot, 11):
        tall = dot if dots else 0.25 * high
        plate.fill((0.12 * high, left + place), (0.12 * high + tall, left + place + dot))
    plate.box("scale_bar", (0.1 * high, left), (0.4 * high, left + length))
    label = plate.length()
    plate.text(
        label, (0.5 * high, left + 0.5 * length - 0.25 * high * len(label) / 2), 0.4 * high, 0.6
    )


def words_plate(plate: Plate) -> None:
    """Fields in one or two lines, and a thick bar with its label beside or above."""
    rng, high = plate.rng, plate.height
    lines = 1 if high < 26 or rng.random() < 0.6 else 2
    size, wide = 0.62 * high / lines, rng.uniform(0.5, 0.66)
    for line in range(lines):
        column, row = rng.uniform(4, 20), (0.16 + line * 0.84 / lines) * high
        for _ in range(6):
            word = plate.any_of(
                "SEI", "15.0kV", f"X{plate.figure(2)},000", "WD 10.1mm", "LM", "SS30"
            )
            if column + len(word) * size * wide * 1.2 > 0.72 * plate.width:
                break
            column = plate.text(word, (row, column), size, wide) + rng.uniform(8, 26)
    length = rng.uniform(0.08, 0.2) * plate.width
    left, thick = rng.uniform(0.74, 0.78) * plate.width, max(2.0, 0.1 * high)
    plate.fill((0.72 * high, left), (0.72 * high + thick, left + length))
    plate.box("scale_bar", (0.72 * high, left), (0.72 * high + thick, left + length))
    plate.text(plate.length(), (0.14 * high, left), 0.45 * high, wide)


def boxes_plate(plate: Plate) -> None:
    """Three lines in ruled columns, a ruler with many ticks between, a large name."""
    rng, high = plate.rng, plate.height
    size, wide = 0.2 * high, rng.uniform(0.45, 0.62)
    splits = np.cumsum(rng.uniform((0.2, 0.2, 0.2), (0.27, 0.27, 0.3))) * plate.width
    for left, right in zip((0.0, splits[0]), splits[:2], strict=True):
        for line in range(3):
            text = _row_of(plate)[: int((right - left - 8) / (1.2 * size * wide))]
            plate.text(text, ((0.1 + 0.3 * line) * high, left + 4), size, wide)
        plate.box("bar_cell", (0, left), (high, right))
    for split in splits:
        plate.fill((0, split), (high, split + 1), 0.8)
    for row in (1 / 3, 2 / 3):
        if rng.random() < 0.5:
            plate.fill((row * high, 0), (row * high + 1, splits[1]), 0.8)
    left, right = splits[1] + 8, splits[2] - 8
    _ruler(plate, (0.2 * high, left), right - left, 0.25 * high, 11)
    label = plate.length()
    middle = (left + right) / 2 - 0.32 * high * 0.6 * len(label) / 2
    plate.text(label, (0.58 * high, middle), 0.3 * high, 0.6)
    plate.box("bar_cell", (0, splits[1]), (high, splits[2]))
    _logo(plate, (0.12 * high, splits[2] + 8), (0.85 * high, plate.width - 6))


def scale_plate(plate: Plate) -> None:
    """Only a thick bar with its label above, as image programs add it."""
    high = plate.height
    plate.text(plate.length(), (0.02 * high, 0.1 * plate.width), 0.6 * high, 0.6)
    plate.fill((0.76 * high, 0), (high, plate.width))
    plate.box("scale_bar", (0.76 * high, 0), (high, plate.width))


PLATES: dict[str, Callable[[Plate], None]] = {
    "table": table_plate,
    "columns": columns_plate,
    "line": line_plate,
    "words": words_plate,
    "boxes": boxes_plate,
}
"""Manners that fill the whole width."""


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
