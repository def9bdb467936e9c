"""Which scenes the bundled classifier is trained, chosen and judged on.

The *classification set*: the six classes in equal shares; defects that a person can see and
name. It is `sample_spec` narrowed where its scenes are ambiguous by design:

* relief is lit from about the right, as one microscope lights all its pictures: without that a
  bump lit from the left and a hollow lit from the right are the same picture;
* contrast at least 0.7, noise at most 10 grey levels, blur at most 1.5 pixels;
* defects of at least 15 pixels radius, with at least 300 visible pixels.

The *wide set* is `sample_spec` as it is with equal shares of the classes; it is only reported.

The streams never share a seed, and the held-out sets were fixed before the first training;
`DIGESTS` are the SHA-256 over their images.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic import (
    LABELS,
    PATTERNS,
    Scene,
    SceneSpec,
    make_scene,
    sample_spec,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_OUT_STREAM = 606_060
VALIDATION_STREAM = 515_151
WIDE_STREAM = 707_070
TRAINING_STREAM = 12
HELD_OUT_COUNT = 100
VALIDATION_COUNT = 50
LEAST_PIXELS = 300
DIGESTS = {
    HELD_OUT_STREAM: "d66d5a41d051d59400c1c2ef17b7ca56ea1083297ccdbbdef6cdb13cd45abfe2",
    WIDE_STREAM: "288c0e571dbb0b481e8b402a50ed5bad2a4b95a243ce276c71fc318bbd4990f9",
}


def spec_of(label: int, rng: np.random.Generator, *, wide: bool = False) -> SceneSpec:
    """Draw the description of a scene of class `label` (1 to 6)."""
    spec = sample_spec(rng)
    pattern = spec.pattern
    if label == 5 and pattern == "none":
        pattern = str(rng.choice(PATTERNS[1:]))
    spec = replace(
        spec, label=label, defects=0 if label == 6 else max(1, spec.defects), pattern=pattern
    )
    if wide:
        return spec
    return replace(
        spec,
        radius=max(spec.radius, float(rng.uniform(15, 40))),
        contrast=float(rng.uniform(0.7, 1.4)),
        noise=float(np.exp(rng.uniform(np.log(0.8), np.log(10.0)))),
        blur=float(np.exp(rng.uniform(np.log(0.35), np.log(1.5)))),
        light=float(rng.normal(0, 0.4)),
    )


def scene_at(stream: int, label: int, index: int, *, wide: bool = False) -> Scene:
    """Scene `index` of class `label` in a stream; redrawn until its defect can be seen."""
    rng = np.random.default_rng([stream, label, index])
    while True:
        scene = make_scene(spec_of(label, rng, wide=wide), int(rng.integers(2**62)))
        if label == 6 or wide or np.count_nonzero(scene.defect) >= LEAST_PIXELS:
            return scene


def scenes(stream: int, count: int) -> Iterator[Scene]:
    """Yield `count` scenes of every class."""
    for index in range(count):
        for label in LABELS:
            yield scene_at(stream, label, index, wide=stream == WIDE_STREAM)


def digest(stream: int, count: int = HELD_OUT_COUNT) -> str:
    """SHA-256 over the images of a stream."""
    total = hashlib.sha256()
    for scene in scenes(stream, count):
        total.update(scene.image.tobytes())
    return total.hexdigest()
