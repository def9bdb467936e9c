"""An image as it was read, and what it is to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolMask: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Border: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """What of an image counts for nothing: strips at its sides, and a region that a person marked.

    Attributes
    ----------
    border : tuple of int
        (top, right, bottom, left) pixels.
    region : ndarray of bool, shape (M, N), or None
        Ignored pixels; None for none.
    """

    border: Border = (0, 0, 0, 0)
    region: BoolMask | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether the same pixels are left out."""
        if not isinstance(other, LeftOut) or self.border != other.border:
            return False
        one, two = self.region, other.region
        return one is two or (one is not None and two is not None and np.array_equal(one, two))

    def __hash__(self) -> int:
        """Return a number that equal values share."""
        return hash(self.border)

    def window(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Return the rows and columns of an image (M, N) within the border."""
        top, right, bottom, left = self.border
        return slice(top, max(shape[0] - bottom, top)), slice(left, max(shape[1] - right, left))

    def seen(self, mask: BoolMask) -> BoolMask:
        """Return a mask (M, N) without the region; itself where there is none."""
        return mask if self.region is None else mask & ~self.region

    def kept(self, mask: BoolMask) -> BoolMask:
        """Return a mask (M, N) without all that is left out."""
        found = np.zeros_like(mask)
        window = self.window(mask.shape)
        found[window] = self.seen(mask)[window]
        return found


class InputError(ValueError):
    """Bad input from a person: one line that names the file or value and says what to do."""


@dataclass(frozen=True, slots=True)
class Microscope:
    """What a microscope wrote of an image; None, "" and () where it did not.

    Attributes
    ----------
    maker, instrument : str
        Who made it, and what it is called.
    pixel_size : float or None
        Edge of one pixel in metres.
    picture_rows : int or None
        Rows above the info bar.
    voltage : float or None
        Of acceleration, in volts.
    magnification : float or None
        As the microscope's own display has it.
    working_distance : float or None
        In metres.
    detector : str
        Or signal.
    stage : tuple of float
        X, Y and Z in metres.
    date : str
        When the image was taken, as it was written.
    """

    maker: str
    instrument: str = ""
    pixel_size: float | None = None
    picture_rows: int | None = None
    voltage: float | None = None
    magnification: float | None = None
    working_distance: float | None = None
    detector: str = ""
    stage: tuple[float, ...] = ()
    date: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SemImage:
    """One image as it was read, and as the networks and the canvas see it.

    Attributes
    ----------
    name : str
        What to call the image in tables and file names.
    pixels : ndarray, shape (M, N) or (M, N, 3)
        The values as stored, turned as viewers show them; never changed.
    gray : ndarray of uint8, shape (M, N)
        8-bit grey; 8-bit pictures unscaled, others scaled by percentile.
    path : Path or None
        The file the image came from.
    page : int
        Page within a multi-page file.
    page_count : int
        Pages of the file; 1 for an array.
    pixel_size : float or None
        Edge of one pixel in metres, when known.
    picture_rows : int or None
        Rows above the info bar, where the file's tags tell that there is one.
    turned : int
        Orientation of EXIF or TIFF by which `pixels` were turned from how the file stores them; 1
        where they are as stored.
    microscope : Microscope or None
        What the microscope wrote of it, where anything is known.
    reference : Path or None
        The picture to compare it with, where its project names one.
    ignored : ndarray of bool, shape (M, N), or None
        Pixels that count for nothing, as a person marked them; None for none.
    """

    name: str
    # A project knows an image by the digest of `pixels`, a recovery copy by that of `gray`:
    # neither by its file's name, which people change.
    pixels: NDArray[Any]
    gray: NDArray[np.uint8]
    path: Path | None = None
    page: int = 0
    page_count: int = 1
    pixel_size: float | None = None
    picture_rows: int | None = None
    turned: int = 1
    microscope: Microscope | None = None
    reference: Path | None = None
    ignored: BoolMask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CompareRequest:
    """Ask how an image differs from its reference; answered by a `Difference`.

    Attributes
    ----------
    wanted : str
        As in `AlgorithmSettings.reference`.
    border : tuple of int
        (top, right, bottom, left) pixels of the image that show no wafer.
    path, page : Path or None; int
        The image's file, beside which references lie.
    known : Path or None
        The reference that a project, table or KLARF file names.
    image : ndarray of uint8, shape (M, N), or None
        The image; None within a request that has it already.
    """

    wanted: str
    border: Border
    path: Path | None = None
    page: int = 0
    known: Path | None = None
    image: NDArray[np.uint8] | None = None
