"""The picture while it is painted, and who owns which pixel, level by level."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_semxai.algorithms.synthetic.defects import Painted
from napari_semxai.algorithms.synthetic.fields import Field, smooth_noise
from napari_semxai.algorithms.synthetic.spec import Region, SceneSpec

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask

SMALLEST = 24
"""Pixels of the smallest region that is listed."""
MOST = 40
"""Regions that one layer lists at most, from the largest down."""


@dataclass(slots=True, eq=False)
class Layer:
    """Regions that do not overlap one another.

    Attributes
    ----------
    labels : ndarray of uint16, shape (M, N)
        0 nothing, i + 1 the i-th region.
    kinds : list of str
        The kind of each region.
    """

    labels: NDArray[np.uint16]
    kinds: list[str]

    @classmethod
    def of_mask(cls, kind: str, mask: BoolMask) -> Layer:
        """List one region."""
        return cls(mask.astype(np.uint16), [kind])

    @classmethod
    def of_pieces(cls, kind: str, mask: BoolMask) -> Layer:
        """List the connected pieces of `mask`, a region each."""
        labels, count = ndimage.label(mask, output=np.int32)
        return cls(labels.astype(np.uint16), [kind] * count)


@dataclass(slots=True, eq=False)
class Canvas:
    """A scene that is being painted.

    Attributes
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    spec : SceneSpec
        Shape, grey levels and what the microscope does.
    light : tuple of float
        Direction (row, column) from which relief looks bright.
    image : ndarray of float32, shape (M, N)
        Grey levels.
    layers : list of Layer
        Regions, from the wholes to their parts.
    defects : list of Painted
        Defects from the lowest to the topmost; they are no part of any layer's region.
    """

    rng: np.random.Generator
    spec: SceneSpec
    light: tuple[float, float]
    image: Field
    layers: list[Layer] = field(default_factory=list)
    defects: list[Painted] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N) of the image."""
        return self.spec.shape

    @property
    def size(self) -> float:
        """The shorter side over 480, by which things grow with the image."""
        return min(self.spec.shape) / 480

    def between(self, low: float, high: float) -> np.float32:
        """Draw evenly from low to high."""
        return np.float32(self.rng.uniform(low, high))

    def spread(self, low: float, high: float) -> float:
        """Draw from low to high, each doubling as likely as another."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def chance(self, share: float) -> bool:
        """Whether something that happens in `share` of the scenes happens."""
        return bool(self.rng.random() < share)

    def noise(self, scale: float) -> Field:
        """Smooth noise over the whole image; two grids hide each other's directions."""
        scale = max(2.0, float(scale))
        noise = smooth_noise(self.rng, self.shape, scale)
        if scale > 4:
            noise += smooth_noise(self.rng, self.shape, 0.73 * scale)
            noise *= np.float32(0.71)
        return noise

    def add(self, kind: str, mask: BoolMask) -> None:
        """List `mask` as a region."""
        self.layers.append(Layer.of_mask(kind, mask))

    def add_objects(self, labels: NDArray[np.uint16], kinds: list[str]) -> None:
        """List things that lie on the surface, and what of the surface they leave free."""
        self.layers += [Layer.of_mask("ground", labels == 0), Layer(labels, kinds)]


def lit(height: Field, light: tuple[float, float]) -> Field:
    """Slope of `height` against the light; bright where it faces it."""
    slope = np.zeros_like(height)
    slope[1:-1] = np.float32(light[0] / 2) * (height[2:] - height[:-2])
    slope[:, 1:-1] += np.float32(light[1] / 2) * (height[:, 2:] - height[:, :-2])
    return slope


def soften(weight: Field, sigma: float) -> Field:
    """Blur broadly, at a quarter of the resolution."""
    # A broad blur has no detail to lose, and a sixteenth of the pixels is a sixteenth of the time.
    soft = ndimage.gaussian_filter(weight[::4, ::4], sigma / 4, truncate=2.5)
    down, right = (
        _linear(size, part) for size, part in zip(weight.shape, soft.shape, strict=True)
    )
    return np.asarray(down @ soft @ right.T, np.float32)


@cache
def _linear(target: int, source: int) -> Field:
    """Matrix (target, source) that interpolates what lies at every fourth place."""
    place = np.clip(np.arange(target) / 4, 0, source - 1)
    weight = np.clip(1 - np.abs(place[:, None] - np.arange(source)), 0, 1)
    return np.asarray(weight, np.float32)


def outlines(labels: NDArray[np.uint16]) -> BoolMask:
    """Pixels whose right or lower neighbour has another label."""
    edge = np.zeros(labels.shape, dtype=bool)
    edge[:-1] = labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge


def list_regions(canvas: Canvas, visible: BoolMask) -> list[Region]:
    """Visible regions: defects on top, then the layers' parts, then their wholes."""
    regions: list[Region] = []
    free = visible.copy()
    for item in reversed(canvas.defects):
        mask = item.mask & free
        regions += [Region("defect", mask), Region(item.kind, mask)]
        regions += [Region("defect_part", part & mask) for part in item.parts]
        free &= ~item.mask
    for layer in reversed(canvas.layers):
        regions += _of_layer(layer, free)
    regions.append(Region("surface", free))
    return [region for region in regions if region.mask.any()]


def _of_layer(layer: Layer, free: BoolMask) -> list[Region]:
    labels = layer.labels * free
    areas = np.bincount(labels.ravel(), minlength=len(layer.kinds) + 1)
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")[:MOST]
    order = order[areas[order] >= SMALLEST]
    # One look at all boxes: a comparison of the whole picture for each region takes far longer.
    boxes = ndimage.find_objects(labels)
    regions = []
    for index in order:
        mask = np.zeros(labels.shape, bool)
        box = boxes[index - 1]
        np.equal(labels[box], index, out=mask[box])
        regions.append(Region(layer.kinds[index - 1], mask))
    # What is not listed one by one must not look as if it were nothing.
    if areas.sum() > areas[order].sum():
        areas[order] = 0
        regions.append(Region("rest", (areas > 0)[labels]))
    return regions
