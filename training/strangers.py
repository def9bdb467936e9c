"""Images that are no SEM images: what a classifier is to call unlike anything it knows.

No photograph is needed for them: dead leaves, noise of natural spectra, tilings and drawings stand
for the rest of the world (M. Baradad et al., "Learning to see by looking at noise", NeurIPS 2021;
that a detector learned from some outliers knows others: D. Hendrycks et al., "Deep anomaly
detection with outlier exposure", ICLR 2019). Half of those that could have colours have some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import fft, ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Planes = NDArray[np.float64]

STRANGER_STREAM = 424_242
SIDE = 320
LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def stranger_at(index: int, stream: int = STRANGER_STREAM) -> NDArray[np.uint8]:
    """Return image `index` of a stream, shape (SIDE, SIDE) or (SIDE, SIDE, 3)."""
    rng = np.random.default_rng([stream, index])
    planes = KINDS[index % len(KINDS)](rng)
    if rng.random() < 0.25:
        planes = planes * rng.uniform(0.25, 0.8)
    pixels = np.clip(planes, 0, 255).astype(np.uint8)
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def dead_leaves(rng: np.random.Generator) -> Planes:
    """Shapes of all sizes that cover each other, as things do in photographs."""
    count = int(np.exp(rng.uniform(np.log(8), np.log(500))))
    smallest, largest = rng.uniform(2, 12), rng.uniform(0.15, 0.6) * SIDE
    power = rng.uniform(1.2, 2.5)
    span = largest**-power - smallest**-power
    radii = (smallest**-power + span * rng.random(count)) ** (-1 / power)
    if rng.random() < 0.6:
        radii = np.sort(radii)[::-1]
    picture = Image.new("I", (SIDE, SIDE), 0)
    for number, radius in enumerate(radii, 1):
        _draw_shape(rng, ImageDraw.Draw(picture), float(radius), number)
    leaf = np.asarray(picture)
    planes = _levels(rng, count + 1, rng.uniform(25, 90))[leaf].transpose(2, 0, 1)
    planes += (
        natural(rng, len(planes), rng.uniform(0.6, 1.8)) * rng.uniform(0, 25, count + 1)[leaf]
    )
    if rng.random() < 0.7:
        slopes = rng.normal(0, 60 / SIDE, (count + 1, 2))[leaf]
        planes += np.einsum("ijk,kij->ij", slopes, np.indices((SIDE, SIDE)) - SIDE / 2)
    if rng.random() < 0.5:
        planes *= 1 + 0.35 * rng.random() * natural(rng, 1, 2.5)
    return _soft(planes, rng.choice((0, 0.5, 0.8, 1.2, 2)))


def out_of_focus(rng: np.random.Generator) -> Planes:
    """Dead leaves, blurred or moved."""
    down, right = rng.permutation(rng.uniform(2, 10, 2) * (1, rng.choice((1, 0.1))))
    planes = ndimage.gaussian_filter(dead_leaves(rng), (0, down, right))
    return planes + rng.normal(0, rng.uniform(0, 3), planes.shape)


def natural_noise(rng: np.random.Generator) -> Planes:
    """Noise whose spectrum falls as that of photographs does."""
    planes = natural(rng, 3 if rng.random() < 0.5 else 1, rng.uniform(0.8, 2.4))
    if len(planes) == 3 and rng.random() < 0.7:
        # Mostly brightness, and a little colour.
        planes = 0.3 * planes + 0.7 * natural(rng, 1, rng.uniform(0.8, 2.2))
    if rng.random() < 0.3:
        planes = np.tanh(planes * rng.uniform(1, 4))
    return 128 + planes * rng.uniform(25, 80) + rng.normal(0, 20, (len(planes), 1, 1))


def tiles(rng: np.random.Generator) -> Planes:
    """Stones, bricks, cells: the plane shared out between points, with joints."""
    count = int(np.exp(rng.uniform(np.log(12), np.log(400))))
    points = rng.uniform(0, SIDE, (count, 2))
    if rng.random() < 0.5:
        high = max(6.0, SIDE / np.sqrt(count) * rng.uniform(0.5, 1))
        wide = high * rng.uniform(1, 3)
        row, column = np.indices((int(SIDE / high) + 2, int(SIDE / wide) + 2)).reshape(2, -1)
        points = np.stack(((row + 0.5) * high, (column + 0.5 * (row % 2)) * wide), 1)
        points += rng.normal(0, 0.06 * high, points.shape)
    places = np.indices((SIDE, SIDE)) + 0.5 + 0.012 * SIDE * natural(rng, 2, 1.8)
    distances, owners = cKDTree(points).query(places.reshape(2, -1).T, 2)
    owner = owners[:, 0].reshape(SIDE, SIDE)
    joint = np.diff(distances)[:, 0].reshape(SIDE, SIDE) < rng.uniform(1, 7)
    planes = _levels(rng, len(points), rng.uniform(3, 35))[owner].transpose(2, 0, 1)
    planes += natural(rng, 1, rng.uniform(0.4, 1.6)) * rng.uniform(4, 30)
    planes[:, joint] = 0.3 * planes[:, joint] + 0.7 * rng.uniform(20, 235)
    return _soft(planes, rng.choice((0, 0.7, 1.3)))


def wall(rng: np.random.Generator) -> Planes:
    """Bricks, planks or a pavement, seen aslant, under light that falls along them."""
    high = SIDE / rng.uniform(3, 16)
    wide = high * rng.uniform(1.2, 4)
    down, right = np.indices((SIDE, SIDE)) + 0.5 + rng.uniform(0, 0.08) * high * natural(rng, 2, 2)
    fall = rng.choice((0, 1)) * rng.uniform(-0.4, 0.4, 2)
    nearer = 1 + (fall[0] * down + fall[1] * right) / SIDE
    turn = rng.normal(0, 0.05)
    down, right = (down + turn * right) / nearer, (right - turn * down) / nearer
    course = np.floor(down / high).astype(int)
    right = right + rng.choice((0.5, rng.random())) * wide * course
    brick = course * 97 + np.floor(right / wide).astype(int)
    brick -= brick.min()
    joint = rng.uniform(0.02, 0.15) * high
    solid = (down % high > joint) & (right % wide > joint)
    planes = _levels(rng, int(brick.max()) + 1, rng.uniform(3, 30))[brick].transpose(2, 0, 1)
    planes[:, ~solid] = 0.3 * planes[:, ~solid] + 0.7 * rng.uniform(20, 235)
    # Rough bricks that stand out of the joints, lit from one side.
    height = ndimage.gaussian_filter(solid.astype(float), rng.uniform(0.5, 2)) * rng.uniform(0, 3)
    height += natural(rng, 1, rng.uniform(0.6, 1.8))[0] * rng.uniform(0.05, 0.6)
    slopes = np.tensordot(rng.normal(0, 1, 2), np.gradient(height), 1)
    planes += rng.choice((0, 1)) * rng.uniform(10, 60) * slopes
    planes += natural(rng, 1, rng.uniform(0.3, 1.6)) * rng.uniform(0, 25)
    if rng.random() < 0.5:
        planes = planes.transpose(0, 2, 1)
    return _soft(planes, rng.choice((0, 0.7, 1.3)))


def drawing(rng: np.random.Generator) -> Planes:
    """Text, a chessboard, lines or flat shapes on paper."""
    paper, ink = rng.permutation((0, 255)) if rng.random() < 0.7 else rng.integers(0, 256, 2)
    picture = Image.new("L", (SIDE, SIDE), int(paper))
    pen = ImageDraw.Draw(picture)
    kind = rng.integers(4)
    if kind == 0:
        size = int(rng.integers(8, 30))
        for row in range(4, SIDE, int(size * 1.4)):
            words = ("".join(rng.choice(LETTERS, rng.integers(2, 9))) for _ in range(12))
            pen.text((4, row), " ".join(words), int(ink), ImageFont.load_default(size))
    elif kind == 1:
        field = np.indices((SIDE, SIDE)) // (SIDE // int(rng.integers(2, 12)))
        picture = Image.fromarray(np.where(field.sum(0) % 2, ink, paper).astype(np.uint8))
    elif kind == 2:
        for _ in range(rng.integers(3, 60)):
            corners = rng.uniform(0, SIDE, 2 * int(rng.integers(2, 6))).tolist()
            pen.line(corners, int(ink), int(rng.integers(1, 9)))
    else:
        for _ in range(rng.integers(1, 12)):
            _draw_shape(rng, pen, rng.uniform(10, 0.4 * SIDE), int(ink))
    planes = np.asarray(picture, float)[None]
    return _soft(planes + rng.normal(0, rng.choice((0, 2, 6)), planes.shape), rng.choice((0, 1.5)))


KINDS = (dead_leaves, dead_leaves, dead_leaves, natural_noise, tiles, drawing, out_of_focus, wall)


def natural(rng: np.random.Generator, planes: int, power: float) -> Planes:
    """Return noise of a spectrum f^-power, shape (planes, SIDE, SIDE), mean 0, deviation 1."""
    stretch = rng.uniform(0.6, 1.6)
    down, right = fft.fftfreq(SIDE)[:, None] * stretch, fft.rfftfreq(SIDE)[None] / stretch
    frequency = np.maximum(np.hypot(down, right), 1 / SIDE)
    spectrum = fft.rfft2(rng.standard_normal((planes, SIDE, SIDE))) / frequency**power
    found = fft.irfft2(spectrum, s=(SIDE, SIDE))
    found -= found.mean((1, 2), keepdims=True)
    return np.asarray(found / found.std((1, 2), keepdims=True))


def _levels(rng: np.random.Generator, count: int, spread: float) -> Planes:
    """Grey levels or colours of `count` things, shape (count, 1 or 3)."""
    colours = 3 if rng.random() < 0.5 else 1
    return np.clip(rng.uniform(0, 255, colours) + rng.normal(0, spread, (count, colours)), 0, 255)


def _soft(planes: Planes, sigma: float) -> Planes:
    return ndimage.gaussian_filter(planes, (0, sigma, sigma)) if sigma else planes


def _draw_shape(
    rng: np.random.Generator, pen: ImageDraw.ImageDraw, radius: float, ink: int
) -> None:
    """Draw an ellipse, a rectangle or a polygon somewhere."""
    column, row = rng.uniform(-0.1 * SIDE, 1.1 * SIDE, 2)
    kind = rng.integers(4)
    if kind == 0:
        flat = radius * rng.uniform(0.4, 1)
        pen.ellipse((column - radius, row - flat, column + radius, row + flat), ink)
        return
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    reach = radius * rng.uniform(0.5, 1.2, len(angles))
    if kind == 1:
        angles = (np.arange(4) + 0.5) * np.pi / 2 + rng.uniform(0, np.pi)
        reach = np.full(4, radius)
    corners = np.stack((column + reach * np.cos(angles), row + 0.7 * reach * np.sin(angles)), 1)
    pen.polygon([tuple(corner) for corner in corners.tolist()], ink)
