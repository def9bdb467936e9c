"""Putting a scene together: surface, pattern, defects, microscope, masks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_semxai.algorithms.synthetic import imaging
from napari_semxai.algorithms.synthetic.defects import Painted, paint_defect, pattern_defect
from napari_semxai.algorithms.synthetic.fields import pattern_field
from napari_semxai.algorithms.synthetic.spec import LABELS, Region, Scene, SceneSpec, sample_spec

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic.fields import Field
    from napari_semxai.types import BoolMask

_SMALLEST_PIECE = 24
_MOST_PIECES = 48


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
    angle = rng.normal(0, 0.6) + (np.pi if rng.random() < 0.5 else 0)
    if spec.light is not None:
        angle = spec.light
    light = (float(np.sin(angle)), float(np.cos(angle)))
    image = imaging.surface_levels(rng, spec)
    imaging.add_bumps(rng, spec, image, light)
    pattern, painted = _draw_pattern(rng, spec, image)
    if spec.label in (1, 2, 3, 4):
        painted = [paint_defect(rng, spec, image, light) for _ in range(spec.defects)]
    defect = np.zeros(spec.shape, dtype=bool)
    for item in painted:
        defect |= item.mask
    if spec.footprint:
        imaging.add_footprint(rng, spec, image)
    if spec.charging:
        imaging.add_charging(rng, spec, image, defect)
    image = imaging.expose(rng, spec, image)
    strip, bar = _draw_frame(rng, spec, image)
    if spec.jpeg:
        image = imaging.jpeg_artefacts(np.clip(image, 0, 255), spec.jpeg)
    # What a bar or strip hides can be in no mask.
    visible = ~(strip | bar)
    regions = _regions(pattern, painted, visible)
    regions += [
        Region(kind, mask)
        for kind, mask in (("edge_strip", strip), ("info_bar", bar))
        if mask.any()
    ]
    return Scene(imaging.to_uint8(image), defect & visible, spec.label, tuple(regions))


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
    rng: np.random.Generator, spec: SceneSpec, image: Field
) -> tuple[BoolMask | None, list[Painted]]:
    """Paint the pattern and, for class 5, its defects; return pattern pixels and defects."""
    if spec.pattern == "none":
        return None, []
    field = pattern_field(rng, spec.pattern, spec.shape)
    painted: list[Painted] = []
    for _ in range(spec.defects if spec.label == 5 else 0):
        field, found = pattern_defect(rng, spec, field)
        painted += [found] if found else []
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
        bar = imaging.draw_info_bar(rng, image)
    strip = imaging.strip_mask(spec)
    if strip.any():
        imaging.draw_strip(rng, image, strip)
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
