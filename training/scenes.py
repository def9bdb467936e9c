"""Which scenes are for training, for choosing and for the final table.

The three sets never share a seed. The held-out set was fixed before the first long training;
`HELD_OUT_DIGEST` is the SHA-256 over its images and defect masks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic import Scene, SceneSpec, make_scene, sample_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_OUT_STREAM = 90_210
VALIDATION_STREAM = 31_415
TRAINING_STREAM = 2
SHAPE = (480, 480)


@dataclass(frozen=True, slots=True)
class Group:
    """Scenes of one kind: how many, and what they have in common."""

    kind: str
    count: int
    validation_count: int


GROUPS = (
    Group("plain, one defect", 240, 80),
    Group("plain, several defects", 40, 16),
    Group("patterned, one defect", 160, 64),
    Group("patterned, several defects", 20, 8),
    Group("no defect", 60, 32),
)
HELD_OUT_DIGEST = "734d683b1de763caf37f1c9b8ea7e0fb1cf1fedb00abf0b8523cc05f423f8036"


def group_spec(kind: str, rng: np.random.Generator) -> SceneSpec:
    """Draw a description of the given kind, as wide as `sample_spec` draws it."""
    while True:
        spec = sample_spec(rng, SHAPE)
        if kind == "no defect":
            return replace(spec, label=6, defects=0)
        if spec.label == 6 or kind.startswith("plain") != (spec.pattern == "none"):
            continue
        several = int(rng.integers(2, 5)) if kind.endswith("several defects") else 1
        return replace(spec, defects=several)


def held_out(limit: int | None = None) -> Iterator[tuple[str, Scene]]:
    """Yield the held-out scenes with their kind; `limit` scenes of each kind at most."""
    return _scenes(HELD_OUT_STREAM, [(group.kind, group.count) for group in GROUPS], limit)


def validation(limit: int | None = None) -> Iterator[tuple[str, Scene]]:
    """Yield the scenes on which every choice is made."""
    counts = [(group.kind, group.validation_count) for group in GROUPS]
    return _scenes(VALIDATION_STREAM, counts, limit)


def _scenes(
    stream: int, counts: list[tuple[str, int]], limit: int | None
) -> Iterator[tuple[str, Scene]]:
    for number, (kind, count) in enumerate(counts):
        for index in range(count if limit is None else min(count, limit)):
            rng = np.random.default_rng([stream, number, index])
            spec = group_spec(kind, rng)
            yield kind, make_scene(spec, int(rng.integers(2**62)))


def digest() -> str:
    """SHA-256 over the held-out images and masks."""
    total = hashlib.sha256()
    for _, scene in held_out():
        total.update(scene.image.tobytes())
        total.update(np.packbits(scene.defect).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(digest(), sum(group.count for group in GROUPS))
