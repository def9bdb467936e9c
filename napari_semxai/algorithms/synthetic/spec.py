"""What a synthetic scene is made of, and how to draw one at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types import BoolMask, Border

LABELS: dict[int, str] = {
    1: "particle",
    2: "pit",
    3: "scratch",
    4: "residue",
    5: "pattern",
    6: "none",
}
"""Class label of a scene and the kind of its first defect."""

PATTERNS = ("none", "lines", "holes", "traces")


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """Parameters of a scene; everything else follows from the seed.

    Attributes
    ----------
    shape : tuple of int
        (M, N) of the image.
    label : int
        Class 1 to 6, see `LABELS`; 6 is a scene without a defect.
    defects : int
        How many defects of that class; 0 only for class 6.
    radius : float
        Radius in pixels of a disc with about the area of each defect.
    contrast : float
        Strength of the defect's grey levels against the surface, 0.3 weak to 1.5 strong.
    pattern : str
        "none", "lines", "holes" or "traces".
    level, tilt : float
        Mean grey level of the surface, and how much it varies over the image.
    bumps : float
        Share of the surface's tiny dimples, 0 to 1; they are part of the surface.
    noise, blur : float
        Standard deviation of the noise in grey levels and of the blur in pixels.
    jpeg : int
        Quality of the JPEG artefacts, 0 for none.
    strip : tuple of int
        Widths of the near-black strips (top, right, bottom, left).
    info_bar : bool
        Whether the lower edge carries a bar with text.
    footprint, charging, jitter : float
        Grey levels of a scan footprint and of charging, and line jitter in pixels.
    light : float or None
        Angle in radians from which relief looks bright, 0 for the right; drawn by the seed,
        around left or right, when None.
    """

    shape: tuple[int, int] = (480, 480)
    label: int = 1
    defects: int = 1
    radius: float = 36.0
    contrast: float = 1.0
    pattern: str = "none"
    level: float = 95.0
    tilt: float = 10.0
    bumps: float = 0.3
    noise: float = 3.0
    blur: float = 0.8
    jpeg: int = 0
    strip: Border = (0, 0, 0, 0)
    info_bar: bool = False
    footprint: float = 0.0
    charging: float = 0.0
    jitter: float = 0.0
    light: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A visible region: its kind and its exact mask of shape (M, N)."""

    kind: str
    mask: BoolMask


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A synthetic image with its truth.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        The picture.
    defect : ndarray of bool, shape (M, N)
        All defect pixels that are visible; shadows are left out.
    label : int
        Class 1 to 6.
    regions : tuple of Region
        Kinds: "surface" (all that is neither defect nor strip nor bar), "ground", "pattern",
        "pattern_piece", "ground_piece", "defect" (one per defect), "defect_part", the defect's
        own kind ("particle", "pit", "scratch", "residue", "bridge", "break"), "edge_strip",
        "info_bar".
    """

    image: NDArray[np.uint8]
    defect: BoolMask
    label: int
    regions: tuple[Region, ...]


def sample_spec(rng: np.random.Generator, shape: tuple[int, int] = (480, 480)) -> SceneSpec:
    """Draw a scene description widely enough to have real images inside.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        (M, N) of the image.

    Returns
    -------
    SceneSpec
    """
    label = int(rng.choice(6, p=(0.38, 0.13, 0.12, 0.15, 0.12, 0.10))) + 1
    patterned = label == 5 or rng.random() < 0.38
    count = 0 if label == 6 else int(rng.choice((1, 2, 3, 4), p=(0.74, 0.14, 0.07, 0.05)))
    return SceneSpec(
        shape=shape,
        label=label,
        defects=count,
        radius=_sample_radius(rng, shape),
        contrast=float(rng.uniform(0.35, 1.4)),
        pattern=str(rng.choice(PATTERNS[1:], p=(0.4, 0.2, 0.4))) if patterned else "none",
        level=float(rng.uniform(45, 190)),
        tilt=float(rng.gamma(1.5, 8.0)),
        bumps=float(rng.beta(0.7, 1.5)),
        noise=float(np.exp(rng.uniform(np.log(0.8), np.log(30.0)))),
        blur=float(np.exp(rng.uniform(np.log(0.35), np.log(2.2)))),
        jpeg=int(rng.integers(25, 95)) if rng.random() < 0.6 else 0,
        strip=_sample_strip(rng),
        info_bar=bool(rng.random() < 0.08),
        footprint=float(rng.uniform(1, 8)) if rng.random() < 0.25 else 0.0,
        charging=float(rng.uniform(3, 30)) if rng.random() < 0.15 else 0.0,
        jitter=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.3 else 0.0,
    )


def _sample_radius(rng: np.random.Generator, shape: tuple[int, int]) -> float:
    """Radius of a defect: median area 1.7 % of 480 x 480 pixels, from 0.07 % to 25 %."""
    area = np.clip(rng.lognormal(np.log(3900.0), 1.25), 160.0, 57_000.0)
    largest = 0.3 * min(shape)
    return float(min(np.sqrt(area / np.pi), rng.uniform(0.5, 1.0) * largest))


def _sample_strip(rng: np.random.Generator) -> Border:
    """Mostly one strip on the right, as review tools leave it; sometimes another side."""
    widths = [0, 0, 0, 0]
    if rng.random() < 0.5:
        side = 1 if rng.random() < 0.7 else int(rng.integers(4))
        widths[side] = int(rng.integers(1, 7))
    return (widths[0], widths[1], widths[2], widths[3])
