"""Where a layer lies: its scale, its units, and what turns, shears and moves it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

Row: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Row, Row, Row]
Tile: TypeAlias = tuple[int, int]
"""Row and column in a grid of copies of the image; (0, 0) is the image itself."""

_MICRO = 1e6
_UNMOVED: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@cache
def _unit(name: str) -> pint.Unit:
    # Not while importing: the registry takes a second, and napari's first layer needs it anyway.
    return pint.get_application_registry().Unit(name)  # type: ignore[no-any-return, no-untyped-call]


def _pixels() -> tuple[pint.Unit, pint.Unit]:
    return (_unit("pixel"),) * 2


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the picture in the last two axes of a layer lies in the world.

    Attributes
    ----------
    scale : tuple of float
        Height and width of a pixel.
    units : tuple of pint.Unit
        Their units; pixels where no size is known.
    moved : tuple of tuple of float, shape (3, 3)
        Affine map from scaled pixels to the world: rotation, shear and translation.
    leading : tuple of pint.Unit
        Units of the layer's other axes.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    units: tuple[pint.Unit, pint.Unit] = field(default_factory=_pixels)
    moved: Matrix = _UNMOVED
    leading: tuple[pint.Unit, ...] = ()

    @classmethod
    def of(cls, layer: Layer) -> Placement:
        """Return where a layer lies."""
        return cls(
            (float(layer.scale[-2]), float(layer.scale[-1])),
            (layer.units[-2], layer.units[-1]),
            _tuples(_moves(layer)),
            tuple(layer.units[:-2]),
        )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Affine map from pixels (row, column) to the world, shape (3, 3)."""
        matrix: NDArray[np.float64] = np.array(self.moved) @ np.diag([*self.scale, 1.0])
        return matrix

    @property
    def edge(self) -> float:
        """Edge of a square of a pixel's area, in world units."""
        return math.sqrt(abs(float(np.linalg.det(self.matrix))))

    @property
    def is_default(self) -> bool:
        """Whether the layer lies where napari puts one of which nothing is known."""
        default = Placement()
        return self == replace(default, leading=self.leading)

    @property
    def pixel_size(self) -> float | None:
        """Edge of a square pixel in metres, where the units are lengths."""
        if not all(unit.is_compatible_with("m") for unit in self.units):
            return None
        height, width = (
            float((size * unit).to("m").magnitude)
            for size, unit in zip(self.scale, self.units, strict=True)
        )
        return width if math.isclose(height, width, rel_tol=1e-6) else None

    def world(self, place: ArrayLike) -> NDArray[np.float64]:
        """Return where pixels (row, column), shape (..., 2), lie in the world."""
        matrix = self.matrix
        world: NDArray[np.float64] = np.asarray(place) @ matrix[:2, :2].T + matrix[:2, 2]
        return world

    def pixel(self, place: ArrayLike) -> NDArray[np.float64]:
        """Return which pixels (row, column) lie at places (..., 2) of the world."""
        matrix = np.linalg.inv(self.matrix)
        pixel: NDArray[np.float64] = np.asarray(place) @ matrix[:2, :2].T + matrix[:2, 2]
        return pixel

    def shifted(self, pixels: ArrayLike) -> Placement:
        """Return the place that lies so many pixels further down and right, shape (2,)."""
        moved = np.array(self.moved)
        moved[:2, 2] = self.world(pixels)
        return replace(self, moved=_tuples(moved))

    def sized(self, metres: float | None) -> Placement:
        """Return the place with another edge of a square pixel, or without a known one."""
        known = self.pixel_size
        if known == metres or (known and metres and math.isclose(known, metres)):
            return self
        edge, unit = (1.0, _unit("pixel")) if metres is None else (metres * _MICRO, _unit("um"))
        return replace(self._stretched([edge / size for size in self.scale]), units=(unit, unit))

    def beside(self, other: Placement) -> Placement:
        """Return this place in the units of `other`: lengths stay, pixels lie on its pixels."""
        factors = []
        for axis, (unit, wanted) in enumerate(zip(self.units, other.units, strict=True)):
            if unit.is_compatible_with(wanted):
                factors.append(float((1.0 * unit).to(wanted).magnitude))
            else:
                pixel = 1.0 if unit == _unit("pixel") else self.scale[axis]
                factors.append(other.scale[axis] / pixel)
        leading = _last(other.leading, len(self.leading))
        return replace(self._stretched(factors), units=other.units, leading=leading)

    def _stretched(self, factors: Sequence[float]) -> Placement:
        moved = np.array(self.moved)
        moved[:2, 2] *= factors
        scale = self.scale[0] * factors[0], self.scale[1] * factors[1]
        return replace(self, scale=scale, moved=_tuples(moved))


def put(layer: Layer, place: Placement) -> None:
    """Move a layer by its affine map: rotation, shear and translation of its own stay set.

    napari draws a layer anew for each value that is set, so what is right already is left alone.
    """
    scale = (*layer.scale[:-2], *place.scale)
    if tuple(layer.scale) != scale:
        layer.scale = scale
    units = (*_last(place.leading, layer.ndim - 2), *place.units)
    if layer.units != units:
        layer.units = units
    last = np.ix_([-3, -2, -1], [-3, -2, -1])
    affine = layer.affine.affine_matrix.copy()
    affine[last] = np.array(place.moved) @ np.linalg.inv(_moves(layer)) @ affine[last]
    if not np.allclose(affine, layer.affine.affine_matrix, rtol=1e-9, atol=1e-6 * place.edge):
        layer.affine = affine


def _last(units: tuple[pint.Unit, ...], number: int) -> tuple[pint.Unit, ...]:
    """Return units of so many leading axes; one that is not known of counts pixels.

    All layers must agree, or napari uses no units at all and says so.
    """
    known = units[max(0, len(units) - number) :]
    return (_unit("pixel"),) * (number - len(known)) + known


def _moves(layer: Layer) -> NDArray[np.float64]:
    """Return the affine map from a layer's scaled pixels to the world, shape (3, 3)."""
    corners = [layer.data_to_world(corner)[-2:] for corner in ((0, 0), (1, 0), (0, 1))]
    origin, down, right = np.array(corners)
    columns = np.column_stack([down - origin, right - origin]) / layer.scale[-2:]
    return np.block([[columns, origin[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]])


def _tuples(matrix: NDArray[np.float64]) -> Matrix:
    first, second, third = (tuple(row) for row in matrix.tolist())
    return first, second, third
