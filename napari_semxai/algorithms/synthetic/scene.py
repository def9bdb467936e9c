"""Putting a scene together: surface, pattern, defects, microscope, file format, masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from napari_semxai.algorithms.synthetic.defects import Painted, paint_defect, pattern_defect
from napari_semxai.algorithms.synthetic.fields import Field, pattern_field, smooth_noise
from napari_semxai.algorithms.synthetic.spec import LABELS, Region, Scene, SceneSpec, sample_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

_SMALLEST_PIECE = 24
_MOST_PIECES = 48
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


def make_scene(spec: SceneSpec, seed: int) -> Scene:
    """Make the picture that `spec` describes, the same for the same seed.

    Parameters
    ----------
    spec : SceneSpec
        The description.
    seed : int
        Fixes everything the description leaves open.

    Returns
    -------
    Scene
        Image, exact defect mask, label and region masks.

    Raises
    ------
    ValueError
        For an unknown label or pattern.

    Examples
    --------
    >>> scene = make_scene(SceneSpec(shape=(64, 64), radius=8), seed=1)
    >>> scene.image.shape, bool(scene.defect.any()), scene.label
    ((64, 64), True, 1)
    """
    if spec.label not in LABELS:
        raise ValueError(f"label {spec.label}: choose one of {sorted(LABELS)}")
    rng = np.random.default_rng(seed)
    image, pattern, painted = _wafer(rng, spec, clean=False)
    defect = np.zeros(spec.shape, dtype=bool)
    for item in painted:
        defect |= item.mask
    image, strip, bar = _microscope(rng, spec, image, defect)
    # What a bar or strip hides can be in no mask.
    visible = ~(strip | bar)
    regions = _regions(pattern, painted, visible)
    regions += [
        Region(kind, mask)
        for kind, mask in (("edge_strip", strip), ("info_bar", bar))
        if mask.any()
    ]
    return Scene(to_uint8(image), defect & visible, spec.label, tuple(regions))


def make_reference(spec: SceneSpec, seed: int, shot: int = 1) -> NDArray[np.uint8]:
    """Make the same place without its defects, as a second picture of a microscope shows it.

    Noise, charging and the info bar differ; the stage stands up to six pixels elsewhere, so that
    nothing is known of a strip at two edges, which is black; and brightness and contrast are set
    a little differently.

    Parameters
    ----------
    spec, seed
        As for `make_scene`.
    shot : int
        Fixes what differs.

    Returns
    -------
    ndarray of uint8, shape (M, N)
    """
    image, _, _ = _wafer(np.random.default_rng(seed), spec, clean=True)
    rng = np.random.default_rng([seed, shot])
    shift = rng.uniform(-6, 6, 2)
    image = ndimage.shift(image, shift, order=3, mode="nearest")
    image = np.float32(rng.uniform(0.85, 1.15)) * image + np.float32(rng.uniform(-10, 10))
    image, _, _ = _microscope(rng, spec, image, np.zeros(spec.shape, dtype=bool))
    for by, rows in zip(np.ceil(np.abs(shift)) * np.sign(shift), (image, image.T), strict=True):
        rows[slice(0, int(by)) if by > 0 else slice(int(by) or len(rows), None)] = 0
    return to_uint8(image)


def _wafer(
    rng: np.random.Generator, spec: SceneSpec, *, clean: bool
) -> tuple[Field, BoolMask | None, list[Painted]]:
    """Return grey levels, pattern and defects; `clean` draws the same and leaves defects out."""
    angle = rng.normal(0, 0.6) + (np.pi if rng.random() < 0.5 else 0)
    if spec.light is not None:
        angle = spec.light
    light = (float(np.sin(angle)), float(np.cos(angle)))
    image = surface_levels(rng, spec)
    add_bumps(rng, spec, image, light)
    pattern, painted = _draw_pattern(rng, spec, image, clean)
    if spec.label in (1, 2, 3, 4):
        # Elsewhere where they are to be left out, so that what follows is drawn the same.
        canvas = image.copy() if clean else image
        painted = [paint_defect(rng, spec, canvas, light) for _ in range(spec.defects)]
    if spec.footprint:
        add_footprint(rng, spec, image)
    return image, pattern, painted


def _microscope(
    rng: np.random.Generator, spec: SceneSpec, image: Field, defect: BoolMask
) -> tuple[Field, BoolMask, BoolMask]:
    """Return the picture of a wafer, with the masks of its strips and of its info bar."""
    if spec.charging:
        add_charging(rng, spec, image, defect)
    image = expose(rng, spec, image)
    strip, bar = _draw_frame(rng, spec, image)
    if spec.jpeg:
        image = jpeg_artefacts(np.clip(image, 0, 255), spec.jpeg)
    return image, strip, bar


def scene_of_class(
    label: int, seed: int, shape: tuple[int, int] = (480, 480), light: float | None = None
) -> Scene:
    """Make a widely drawn scene of class `label` (1 to 6) with one defect; none for 6.

    `light` is that of `SceneSpec`.
    """
    spec = sample_spec(np.random.default_rng(seed), shape)
    pattern = spec.pattern
    if label == 5 and pattern == "none":
        pattern = ("lines", "holes", "traces")[seed % 3]
    spec = replace(spec, label=label, defects=int(label != 6), pattern=pattern, light=light)
    return make_scene(spec, seed)


def _draw_pattern(
    rng: np.random.Generator, spec: SceneSpec, image: Field, clean: bool
) -> tuple[BoolMask | None, list[Painted]]:
    """Paint the pattern and, for class 5, its defects; return pattern pixels and defects."""
    if spec.pattern == "none":
        return None, []
    field = whole = pattern_field(rng, spec.pattern, spec.shape)
    painted: list[Painted] = []
    for _ in range(spec.defects if spec.label == 5 else 0):
        field, found = pattern_defect(rng, spec, field)
        painted += [found] if found else []
    # After the defects were drawn, so that what follows is the same with and without them.
    field = whole if clean else field
    step = rng.choice((-1, 1)) * rng.uniform(12, 0.7 * spec.level)
    image += np.float32(step) * np.clip(field + np.float32(0.5), 0, 1)
    if rng.random() < 0.7:
        edge, width = rng.uniform(8, 110), rng.uniform(0.9, 3.2)
        image += np.float32(edge) * np.exp(-((field / np.float32(width)) ** 2))
    return field > 0, painted


def _draw_frame(
    rng: np.random.Generator, spec: SceneSpec, image: Field
) -> tuple[BoolMask, BoolMask]:
    """Draw info bar and strips over the picture; return both masks."""
    bar = np.zeros(spec.shape, dtype=bool)
    if spec.info_bar:
        bar = draw_info_bar(rng, image)
    strip = strip_mask(spec)
    if strip.any():
        draw_strip(rng, image, strip)
    return strip, bar & ~strip


def _regions(pattern: BoolMask | None, painted: list[Painted], visible: BoolMask) -> list[Region]:
    """Visible regions of surface, pattern and defects; later defects lie on top."""
    regions: list[Region] = []
    free = visible.copy()
    # From the top down: each region keeps what nothing later covers.
    for item in reversed(painted):
        mask = item.mask & free
        regions += [Region("defect", mask), Region(item.kind, mask)]
        parts = [part & mask for part in item.parts]
        regions += [Region("defect_part", part) for part in parts]
        free &= ~item.mask
    regions.append(Region("surface", free))
    if pattern is not None:
        for kind, mask in (("pattern", pattern & free), ("ground", free & ~pattern)):
            regions.append(Region(kind, mask))
            regions += [Region(f"{kind}_piece", piece) for piece in _pieces(mask)]
    return [region for region in regions if region.mask.any()]


def _pieces(mask: BoolMask) -> list[BoolMask]:
    """Return the connected pieces of `mask` from the largest down; none when it is one piece."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return []
    areas = np.bincount(labels.ravel())[1:]
    order = np.argsort(-areas)[:_MOST_PIECES]
    return [labels == index + 1 for index in order if areas[index] >= _SMALLEST_PIECE]


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
