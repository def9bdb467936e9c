"""What the microscope and the file format do to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_semxai.algorithms.synthetic.fields import Field, smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic.spec import SceneSpec
    from napari_semxai.types import BoolMask

# Annex K of ITU-T T.81, for quality 50.
_JPEG_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float32,
)
_DCT = fft.dct(np.eye(8, dtype=np.float32), axis=0, norm="ortho").astype(np.float32)


def surface_levels(rng: np.random.Generator, spec: SceneSpec) -> Field:
    """Grey levels of the bare surface: tilt, mottle, grain and tiny dimples."""
    image = np.full(spec.shape, spec.level, np.float32)
    image += np.float32(spec.tilt * 0.35) * smooth_noise(rng, spec.shape, 0.8 * max(spec.shape))
    slope = rng.normal(0, 0.5 * spec.tilt, 2)
    image += np.linspace(-slope[0], slope[0], spec.shape[0], dtype=np.float32)[:, None]
    image += np.linspace(-slope[1], slope[1], spec.shape[1], dtype=np.float32)[None, :]
    if rng.random() < 0.5:
        mottle = rng.uniform(0, 0.05) * spec.level
        image += np.float32(mottle) * smooth_noise(rng, spec.shape, rng.uniform(12, 70))
    if rng.random() < 0.4:
        grain = rng.uniform(0, 0.08) * spec.level
        image += np.float32(grain) * smooth_noise(rng, spec.shape, rng.uniform(2.2, 6))
    return image


def add_bumps(
    rng: np.random.Generator, spec: SceneSpec, image: Field, light: tuple[float, float]
) -> None:
    """Add dimples of a few pixels, each a bright and a dark side, in place."""
    count = int(spec.bumps * 260 * image.size / 480**2)
    if not count or rng.random() < 0.35:
        return
    dots = np.zeros_like(image)
    places = rng.integers(0, image.size, count)
    dots.ravel()[places] = rng.gamma(2.0, 0.5, count)
    size = rng.uniform(1.0, 2.2)
    soft = ndimage.gaussian_filter(dots, size, truncate=3)
    slope = np.zeros_like(image)
    slope[1:-1] = np.float32(light[0]) * (soft[2:] - soft[:-2])
    slope[:, 1:-1] += np.float32(light[1]) * (soft[:, 2:] - soft[:, :-2])
    image += np.float32(rng.uniform(15, 60) * size**3) * slope


def add_footprint(rng: np.random.Generator, spec: SceneSpec, image: Field) -> None:
    """Brighten a square left by an earlier scan, in place."""
    half = rng.uniform(0.12, 0.42) * min(spec.shape)
    middle = rng.normal(0.5, 0.04, 2) * spec.shape
    inside = [
        np.clip(half - np.abs(np.arange(n, dtype=np.float32) - np.float32(c)) + 0.5, 0, 1)
        for n, c in zip(spec.shape, middle, strict=True)
    ]
    sign = 1 if rng.random() < 0.75 else -1
    image += np.float32(sign * spec.footprint) * inside[0][:, None] * inside[1][None, :]


def add_charging(
    rng: np.random.Generator, spec: SceneSpec, image: Field, defect: BoolMask
) -> None:
    """Add streaks along the scan lines behind the defect, or uneven lines, in place."""
    rows = defect.sum(axis=1, dtype=np.float32)
    if rows.max() > 0 and rng.random() < 0.6:
        start = int(np.argmax(defect.any(axis=0)))
        decay = np.zeros(spec.shape[1], np.float32)
        steps = np.arange(spec.shape[1] - start, dtype=np.float32)
        decay[start:] = np.exp(-steps / np.float32(rng.uniform(0.1, 0.6) * spec.shape[1]))
        profile = ndimage.gaussian_filter1d(rows / rows.max(), 3.0)
        sign = rng.choice((-1, 1))
        image += np.float32(sign * spec.charging) * profile[:, None] * decay[None, :]
    lines = smooth_noise(rng, (spec.shape[0], 1), rng.uniform(3, 60))
    image += np.float32(0.25 * spec.charging) * lines


def expose(rng: np.random.Generator, spec: SceneSpec, image: Field) -> Field:
    """Blur, line jitter, gamma and noise; grey levels stay a float image."""
    image = ndimage.gaussian_filter(image, spec.blur, truncate=3)
    if spec.jitter:
        shift = np.clip(rng.normal(0, spec.jitter, (len(image), 1)), -1, 1).astype(np.float32)
        slope: Field = np.gradient(image, axis=1)
        image = image + shift * slope
    noise = rng.standard_normal(spec.shape, dtype=np.float32)
    if rng.random() < 0.3:
        noise = 1.6 * ndimage.gaussian_filter1d(noise, rng.uniform(0.4, 0.9), axis=1, truncate=3)
    if rng.random() < 0.15:
        noise = 2.2 * ndimage.gaussian_filter(noise, rng.uniform(0.5, 0.9), truncate=3)
    # Counted electrons: noise grows with the root of the level.
    sigma = np.float32(spec.noise) * np.sqrt(np.clip(image, 5, 255) / np.float32(100))
    return np.asarray(image + sigma * noise, dtype=np.float32)


def jpeg_artefacts(image: Field, quality: int) -> Field:
    """Round the 8 x 8 block frequencies of `image` as JPEG does at `quality`."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    table = np.clip((_JPEG_LUMINANCE * np.float32(scale) + 50) / 100, 1, 255)
    rows, columns = image.shape
    padded = np.pad(image - 128, ((0, -rows % 8), (0, -columns % 8)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // 8, 8, -1, 8).transpose(0, 2, 1, 3)
    rounded = np.round(_DCT @ blocks @ _DCT.T / table) * table
    whole = (_DCT.T @ rounded @ _DCT).transpose(0, 2, 1, 3).reshape(padded.shape)
    return np.asarray(whole[:rows, :columns] + 128, dtype=np.float32)


def strip_mask(spec: SceneSpec) -> BoolMask:
    """Pixels of the near-black strips, shape (M, N)."""
    rows, columns = spec.shape
    top, right, bottom, left = spec.strip
    mask = np.ones(spec.shape, dtype=bool)
    mask[top : rows - bottom, left : columns - right] = False
    return mask


def draw_strip(rng: np.random.Generator, image: Field, mask: BoolMask) -> None:
    """Fill the strips with near-black values that differ by column and pixel, in place."""
    level, columns = rng.uniform(0, 9), rng.normal(0, 1.5, (1, image.shape[1]))
    dark = level + columns + rng.normal(0, rng.uniform(0, 2), image.shape)
    image[mask] = np.clip(dark, 0, 15).astype(np.float32)[mask]


def draw_info_bar(rng: np.random.Generator, image: Field) -> BoolMask:
    """Draw a bar with text-like marks over the lower edge, in place; return its mask."""
    height = max(10, int(rng.uniform(0.05, 0.1) * image.shape[0]))
    dark = rng.random() < 0.75
    back, ink = (rng.uniform(0, 40), 255.0) if dark else (rng.uniform(215, 255), 0.0)
    bar = np.full((height, image.shape[1]), back, np.float32)
    size = max(4, height // 3)
    column = int(rng.integers(2, 20))
    while column < image.shape[1] - size:
        if rng.random() < 0.8:
            glyph = rng.random((size, max(2, size * 2 // 3))) < 0.45
            view = bar[size : 2 * size, column : column + glyph.shape[1]]
            view[glyph[: view.shape[0], : view.shape[1]]] = ink
        column += size if rng.random() < 0.85 else int(rng.integers(size, 8 * size))
    image[-height:] = bar
    mask = np.zeros(image.shape, dtype=bool)
    mask[-height:] = True
    return mask


def to_uint8(image: Field) -> NDArray[np.uint8]:
    """Round and clip to 8 bits."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
