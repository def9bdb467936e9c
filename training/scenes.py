"""Which scenes are for training, for choosing and for the final table.

No two sets share a seed. The held-out sets were fixed before the first long training that saw
scenes of their kinds; `HELD_OUT_DIGEST` and `WIDE_DIGEST` are the SHA-256 over the images and
defect masks of the scenes of `make_scene` and of `wide_scene`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.synthetic import Scene, SceneSpec, make_scene, sample_spec
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HELD_OUT_STREAM = 90_210
VALIDATION_STREAM = 31_415
WIDE_HELD_OUT_STREAM = 90_211
WIDE_VALIDATION_STREAM = 31_416
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
WIDE_COUNT, WIDE_VALIDATION_COUNT = 25, 5
"""Scenes of each wide kind."""
HELD_OUT_DIGEST = "734d683b1de763caf37f1c9b8ea7e0fb1cf1fedb00abf0b8523cc05f423f8036"
WIDE_DIGEST = "57c38584e33927e4fd388f34c98126a21d64245f3ebb1d60a4035ad456b7b8d2"


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


def held_out(limit: int | None = None, wide: bool = False) -> Iterator[tuple[str, Scene]]:
    """Yield the held-out scenes with their kind; `limit` scenes of each kind at most."""
    if wide:
        return _wide_scenes(WIDE_HELD_OUT_STREAM, WIDE_COUNT, limit)
    return _scenes(HELD_OUT_STREAM, [(group.kind, group.count) for group in GROUPS], limit)


def validation(limit: int | None = None, wide: bool = False) -> Iterator[tuple[str, Scene]]:
    """Yield the scenes on which every choice is made."""
    if wide:
        return _wide_scenes(WIDE_VALIDATION_STREAM, WIDE_VALIDATION_COUNT, limit)
    counts = [(group.kind, group.validation_count) for group in GROUPS]
    return _scenes(VALIDATION_STREAM, counts, limit)


def more(stream: int, limit: int) -> Iterator[tuple[str, Scene]]:
    """Yield `limit` scenes of each kind of a stream of their own."""
    return _scenes(stream, [(group.kind, limit) for group in GROUPS], limit)


def _scenes(
    stream: int, counts: list[tuple[str, int]], limit: int | None
) -> Iterator[tuple[str, Scene]]:
    for number, (kind, count) in enumerate(counts):
        for index in range(count if limit is None else min(count, limit)):
            rng = np.random.default_rng([stream, number, index])
            spec = group_spec(kind, rng)
            yield kind, make_scene(spec, int(rng.integers(2**62)))


def _wide_scenes(stream: int, count: int, limit: int | None) -> Iterator[tuple[str, Scene]]:
    for number, kind in enumerate(WIDE_KINDS):
        for index in range(count if limit is None else min(count, limit)):
            rng = np.random.default_rng([stream, number, index])
            yield kind, wide_scene(kind, int(rng.integers(2**62)), SHAPE)


def digest(scenes: Iterable[tuple[str, Scene]]) -> str:
    """SHA-256 over the images and defect masks of `scenes`."""
    total = hashlib.sha256()
    for _, scene in scenes:
        total.update(scene.image.tobytes())
        total.update(np.packbits(scene.defect).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    for wide in (False, True):
        print("wide" if wide else "held out", digest(held_out(wide=wide)))
