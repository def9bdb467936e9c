"""Painting defects: grey levels into the picture, exact masks beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic.fields import Field, Patch, blob, smooth_noise, stroke
from napari_semxai.types import BoolMask

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic.spec import SceneSpec


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A defect in the picture: its kind, its mask and the masks of its parts."""

    kind: str
    mask: BoolMask
    parts: tuple[BoolMask, ...] = ()


def paint_defect(
    rng: np.random.Generator, spec: SceneSpec, image: Field, light: tuple[float, float]
) -> Painted:
    """Paint one defect of the scene's class into `image`, in place.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    spec : SceneSpec
        The scene; label 1 to 4.
    image : ndarray of float32, shape (M, N)
        Grey levels, changed in place.
    light : tuple of float
        Direction (row, column) from which relief looks bright.

    Returns
    -------
    Painted
    """
    centre = _centre(rng, spec)
    make = stroke if spec.label == 3 else blob
    patch = make(rng, centre, spec.radius * rng.uniform(0.75, 1.15), spec.shape)
    kind = {1: "particle", 2: "pit", 3: "scratch", 4: "residue"}[spec.label]
    if kind in ("particle", "pit") and rng.random() < 0.75:
        _shadow(rng, spec, image, patch, light)
    view = image[patch.window]
    cover = np.clip(patch.field + np.float32(0.5), 0, 1)
    paint = {"particle": _particle, "pit": _pit, "scratch": _scratch, "residue": _residue}[kind]
    # The field is a distance in pixels: its edge, clipped, mixes as a real one does.
    view += cover * (paint(rng, spec, view, patch.field, light) - view)
    return Painted(
        kind,
        _full(patch, patch.field, spec.shape),
        tuple(_full(patch, part, spec.shape) for part in patch.parts),
    )


def _centre(rng: np.random.Generator, spec: SceneSpec) -> tuple[float, float]:
    """Review tools centre the defect, roughly; now and then it lies anywhere."""
    rows, columns = spec.shape
    if rng.random() < 0.25:
        row, column = rng.uniform((0.05, 0.05), (0.95, 0.95)) * spec.shape
    else:
        row, column = rng.normal((rows / 2, columns / 2), 0.1 * min(spec.shape))
    return float(np.clip(row, 4, rows - 5)), float(np.clip(column, 4, columns - 5))


def _full(patch: Patch, field: Field, shape: tuple[int, int]) -> BoolMask:
    mask = np.zeros(shape, dtype=bool)
    mask[patch.window] = field > 0
    return mask


def _relief(height: Field, light: tuple[float, float]) -> Field:
    """Slope of `height` against the light; bright where it faces it."""
    slope = np.zeros_like(height)
    if light[0]:
        slope[1:-1] += np.float32(light[0] / 2) * (height[2:] - height[:-2])
    slope[:, 1:-1] += np.float32(light[1] / 2) * (height[:, 2:] - height[:, :-2])
    return slope


def _shadow(
    rng: np.random.Generator,
    spec: SceneSpec,
    image: Field,
    patch: Patch,
    light: tuple[float, float],
) -> None:
    """Darken (now and then brighten) the surroundings softly, away from the light."""
    spread = spec.radius * rng.uniform(0.1, 0.45) + 1
    throw = spec.radius * rng.uniform(0.0, 0.5)
    reach = int(2.6 * spread + throw) + 2 * 4
    rows, columns = patch.window
    row0, col0 = max(0, rows.start - reach), max(0, columns.start - reach)
    window = (slice(row0, rows.stop + reach), slice(col0, columns.stop + reach))
    view = image[window]
    # A wide blur hides the coarser grid, and takes a sixteenth of the time.
    step = 4 if spread > 8 else 1
    coarse = np.zeros(tuple(-(-size // step) for size in view.shape), np.float32)
    inside = (patch.field > 0)[::step, ::step]
    down = (rows.start - row0 + int(throw * light[0])) // step
    right = (columns.start - col0 + int(throw * light[1])) // step
    target = coarse[max(0, down) :, max(0, right) :][: inside.shape[0], : inside.shape[1]]
    target += inside[: target.shape[0], : target.shape[1]]
    soft = ndimage.gaussian_filter(coarse, spread / step, truncate=2.5)
    if step > 1:
        soft = ndimage.zoom(soft, step, order=1, grid_mode=True, mode="nearest")
    depth = rng.uniform(0.05, 0.65) * min(1.0, spec.contrast) * rng.choice((1, 1, 1, 1, -0.5))
    view *= 1 - np.float32(depth) * soft[: view.shape[0], : view.shape[1]]


def _particle(
    rng: np.random.Generator,
    spec: SceneSpec,
    under: Field,
    field: Field,
    light: tuple[float, float],
) -> Field:
    """Relief, texture, bright rim; brighter, darker or as grey as the surface."""
    size = float(max(3.0, field.max()))
    height = np.sqrt(np.clip(field / np.float32(size * rng.uniform(0.15, 0.8)), 0, 1))
    height = height * np.float32(size * rng.uniform(0.3, 1.0))
    grain = float(np.clip(size * rng.uniform(0.1, 0.7), 2.2, 22.0))
    texture = smooth_noise(rng, field.shape, grain)
    if rng.random() < 0.5:
        texture = texture + np.float32(0.6) * smooth_noise(rng, field.shape, max(2.0, grain / 2.5))
    height = height + np.float32(grain * rng.uniform(0.0, 0.4)) * texture
    gain = spec.contrast * rng.uniform(10, 70)
    tone = spec.contrast * rng.choice((-1, -0.4, 0.4, 1.0)) * rng.uniform(8, 75)
    value = spec.level + np.float32(tone) + np.float32(gain) * _relief(height, light)
    value += np.float32(spec.contrast * rng.uniform(0, 9)) * texture
    if rng.random() < 0.5:
        rim = spec.contrast * rng.uniform(5, 60)
        value += np.float32(rim) * np.exp(-np.clip(field, 0, 60) / np.float32(rng.uniform(1, 4)))
    # Some particles are bright as a whole, without any relief.
    if rng.random() < 0.12:
        value = np.full_like(field, spec.level + rng.uniform(60, 150))
    mixed = value if rng.random() < 0.92 else 0.5 * (value + under)
    return np.asarray(mixed, dtype=np.float32)


def _pit(
    rng: np.random.Generator,
    spec: SceneSpec,
    under: Field,
    field: Field,
    light: tuple[float, float],
) -> Field:
    """Dark or shaded hollow; the wall towards the light is in shade."""
    depth = np.clip(field / np.float32(max(2.0, field.max() * rng.uniform(0.2, 0.9))), 0, 1)
    dark = spec.contrast * rng.uniform(8, 70) * (1 if rng.random() < 0.8 else -0.6)
    value = under - np.float32(dark) * depth
    value -= np.float32(spec.contrast * rng.uniform(10, 55)) * _relief(
        depth * np.float32(max(3.0, field.max() * 0.5)), light
    )
    if rng.random() < 0.5:
        rim = spec.contrast * rng.uniform(8, 50)
        value += np.float32(rim) * np.exp(-np.clip(field, 0, 60) / np.float32(rng.uniform(0.8, 3)))
    value += np.float32(spec.contrast * rng.uniform(0, 8)) * smooth_noise(
        rng, field.shape, max(2.5, spec.radius / 4)
    )
    return np.asarray(value, dtype=np.float32)


def _scratch(
    rng: np.random.Generator,
    spec: SceneSpec,
    under: Field,
    field: Field,
    light: tuple[float, float],
) -> Field:
    """Groove: dark or bright inside, often with bright ridges."""
    tone = spec.contrast * rng.choice((-1, 1)) * rng.uniform(20, 80)
    value = under + np.float32(tone)
    value -= np.float32(spec.contrast * rng.uniform(0, 25)) * _relief(np.clip(field, 0, 6), light)
    if rng.random() < 0.5:
        rim = spec.contrast * rng.uniform(10, 60)
        value += np.float32(rim) * np.exp(-np.clip(field, 0, 60) / np.float32(rng.uniform(0.7, 2)))
    return value


def _residue(
    rng: np.random.Generator,
    spec: SceneSpec,
    under: Field,
    field: Field,
    light: tuple[float, float],
) -> Field:
    """Thin film: lets the surface show through, slightly mottled, perhaps a fine edge."""
    tone = spec.contrast * rng.choice((-1, 1)) * rng.uniform(12, 60)
    # A film dims what lies below it, and does not hide it.
    value = under * np.float32(rng.uniform(0.6, 1.0)) + np.float32(tone)
    value += np.float32(spec.contrast * rng.uniform(0, 12)) * smooth_noise(
        rng, field.shape, max(3.0, spec.radius * rng.uniform(0.1, 0.5))
    )
    if rng.random() < 0.4:
        edge = spec.contrast * rng.uniform(-30, 40)
        value += np.float32(edge) * np.exp(-np.clip(field, 0, 60) / np.float32(rng.uniform(1, 3)))
    return value + np.float32(rng.uniform(0, 8)) * _relief(np.clip(field, 0, 3), light)


def pattern_defect(
    rng: np.random.Generator, spec: SceneSpec, field: Field
) -> tuple[Field, Painted | None]:
    """Bridge a gap of the pattern or break a piece; return the new field and the defect."""
    bridge = rng.random() < 0.5
    places = np.argwhere((field <= 0) if bridge else (field > 0))
    if not len(places):
        return field, None
    middle = np.array(spec.shape) / 2
    # The nearest of a few to the middle, as review tools centre a defect, but not always.
    choice = places[rng.integers(len(places), size=24)]
    row, column = choice[np.argmin(np.linalg.norm(choice - middle, axis=1))]
    radius = float(np.clip(spec.radius * rng.uniform(0.5, 1.0), 6, 60))
    patch = blob(rng, (float(row), float(column)), radius, spec.shape)
    changed = field.copy()
    view = changed[patch.window]
    if bridge:
        np.maximum(view, patch.field, out=view)
    else:
        np.minimum(view, -patch.field, out=view)
    mask = (changed > 0) != (field > 0)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return field, None
    mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return np.where(mask, changed, field), Painted("bridge" if bridge else "break", mask)
