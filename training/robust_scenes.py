"""Scenes for the robust variant of Algorithm 1: one stream to fit on, another to report on.

Neither stream shares a seed with the network's training, validation or held-out scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.synthetic import Scene, SceneSpec, make_scene, sample_spec
from napari_semxai.store.datasets.dataset import read_pool, write_pool
from napari_semxai.types import CandidatePool, GenerateSettings
from napari_semxai.types.settings import BUNDLED_FILTERS
from training.scenes import SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_semxai.backends.sam2.segmenter import Segmenter

FIT_STREAM, REPORT_STREAM = 27_182, 16_180
KINDS = (
    "plain surface",
    "strip or info bar",
    "small defect",
    "several defects",
    "patterned surface",
    "no defect",
    "no defect, patterned",
)
SIDE = 16
"""Grid points a side: a quarter of the default's time, and nearly the same few candidates."""
_SMALL_RADII = (7.0, 13.0)


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scene with the candidates that pass the default filters."""

    name: str
    kind: str
    scene: Scene
    pool: CandidatePool


def kind_spec(kind: str, rng: np.random.Generator) -> SceneSpec:
    """Draw a description of the given kind, as wide as `sample_spec` draws it."""
    while True:
        spec = sample_spec(rng, SHAPE)
        if kind == "no defect" or (kind == "no defect, patterned" and spec.pattern != "none"):
            return replace(spec, label=6, defects=0)
        if kind.startswith("no defect"):
            continue
        if spec.label == 6 or (kind == "patterned surface") != (spec.pattern != "none"):
            continue
        spec = replace(spec, defects=1)
        if kind == "several defects":
            return replace(spec, defects=int(rng.integers(2, 5)))
        if kind == "small defect":
            return replace(spec, radius=float(rng.uniform(*_SMALL_RADII)))
        if kind == "strip or info bar":
            bar = bool(rng.random() < 0.5)
            strip = spec.strip if any(spec.strip) or bar else (0, int(rng.integers(2, 12)), 0, 0)
            return replace(spec, info_bar=bar, strip=strip)
        if kind == "patterned surface" or not (any(spec.strip) or spec.info_bar):
            return spec


def descriptions(
    stream: int, count: int, kinds: Sequence[str] = KINDS
) -> Iterator[tuple[str, str, SceneSpec, int]]:
    """Yield name, kind, description and seed, `count` of each kind."""
    for index in range(count):
        for kind in kinds:
            number = KINDS.index(kind)
            rng = np.random.default_rng([stream, number, index])
            spec = kind_spec(kind, rng)
            yield f"{stream}_{index:03}_{number}", kind, spec, int(rng.integers(2**62))


def scenes(
    stream: int, count: int, kinds: Sequence[str] = KINDS
) -> Iterator[tuple[str, str, Scene]]:
    """Yield name, kind and scene, `count` of each kind."""
    for name, kind, spec, seed in descriptions(stream, count, kinds):
        yield name, kind, make_scene(spec, seed)


def cases(
    segmenter: Segmenter, cache: Path, stream: int, count: int, kinds: Sequence[str] = KINDS
) -> Iterator[Case]:
    """Yield scenes with their candidates, which are kept in `cache`."""
    settings = GenerateSettings(SIDE, pred_iou_floor=BUNDLED_FILTERS.pred_iou_thresh)
    key = f"{segmenter.info.sha256} {settings}"
    for name, kind, scene in scenes(stream, count, kinds):
        path = cache / f"{name}.npz"
        pool = read_pool(path, key)
        if pool is None:
            for update in segmenter.generate(scene.image, settings):
                pool = pool if update.pool is None else update.pool
            pool = pool.take(filter_candidates(pool, BUNDLED_FILTERS))
            write_pool(path, pool, key)
        # The map is made anew: it may come from another training than the pool.
        logits = segmenter.defects.of(scene.image)
        yield Case(name, kind, scene, replace(pool, defect_logits=logits))
