"""From scenes to training samples: clicks and the nested regions they may mean."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from napari_semxai.algorithms.synthetic import Scene, SceneSpec, make_scene, sample_spec
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from training.scenes import TRAINING_STREAM

TARGETS = 3
DISCS = (20.0, 50.0)
"""Radii in pixels of the first exercise."""
WIDE = 0.5
"""Share of the scenes that are of the wide kinds."""
CROWDED = 0.7
"""Share of the other scenes that hold several defects."""
ZOOMED = 0.35
"""Share of the samples that are an enlarged part of a scene, as a second look at a click is."""
LARGEST_ZOOM = 4.0
_DEFECT = ("particle", "pit", "scratch", "residue", "bridge", "break")
_DEFECT += ("agglomerate", "dendrite", "void")
_GROUPS = ({"defect"}, {"pattern"}, {"edge_strip", "info_bar", "text", "scale_bar", "logo"})


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An image with clicks.

    Attributes
    ----------
    image : ndarray of uint8, shape (N, N)
        The picture.
    points : ndarray of float32, shape (p, 2)
        Clicks as (column, row), as the network wants them.
    targets : ndarray of uint8, shape (p, 3, N / 2, N / 2 / 8)
        Bit-packed masks at half resolution, from the smallest region up.
    valid : ndarray of bool, shape (p, 3)
        Which of them exist.
    places : ndarray of uint8, shape (N / 4, N / 4)
        Number of the smallest region at every fourth pixel.
    kinds : ndarray of bool, shape (3, N / 4, N / 4)
        Whether there is a defect, a pattern, a strip or a bar.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    targets: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    places: NDArray[np.uint8]
    kinds: NDArray[np.bool_]


class Batch(NamedTuple):
    """Samples stacked as tensors, with the fields of `Sample`; a loader can pin it."""

    image: Tensor
    points: Tensor
    targets: Tensor
    valid: Tensor
    places: Tensor
    kinds: Tensor

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def collate(samples: list[Sample]) -> Batch:
    """Stack samples of one size."""
    names = (field.name for field in fields(Sample))
    return Batch(
        *(torch.from_numpy(np.stack([getattr(one, name) for one in samples])) for name in names)
    )


def make_sample(seed: int, size: int, clicks: int) -> Sample:
    """Make training sample number `seed`."""
    rng = np.random.default_rng([TRAINING_STREAM, seed])
    scene = _draw_scene(rng, size)
    if rng.random() < ZOOMED:
        scene = _enlarged(rng, scene)
    masks = np.stack([region.mask for region in scene.regions])
    kinds = [region.kind for region in scene.regions]
    areas = np.array([np.count_nonzero(mask) for mask in masks])
    half = _halved(masks)
    packed = np.packbits(half, axis=-1)
    wanted = np.array([_wanted(kind, kinds) for kind in kinds])
    usable = wanted & np.array([np.count_nonzero(mask) >= 6 for mask in half])
    points = _clicks(rng, scene, masks, clicks)
    targets = np.zeros((clicks, TARGETS, *packed.shape[1:]), np.uint8)
    valid = np.zeros((clicks, TARGETS), bool)
    for number, (row, column) in enumerate(points):
        inside = sorted(np.flatnonzero(masks[:, row, column] & usable), key=lambda i: areas[i])
        # Of regions with the same pixels (a crystal of one facet) one is enough.
        distinct = list({areas[index]: index for index in inside}.values())
        for place, index in enumerate(distinct[:TARGETS]):
            targets[number, place] = packed[index]
            valid[number, place] = True
    columns_rows = points[:, ::-1].astype(np.float32)
    return Sample(scene.image, columns_rows, targets, valid, *_dense(scene, usable, areas))


def _halved(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep of each two by two pixels whether two or more are in the mask."""
    pairs = (masks[:, ::2].view(np.uint8) + masks[:, 1::2].view(np.uint8)).view(np.uint16)
    return (pairs & 255) + (pairs >> 8) >= 2


def _enlarged(rng: np.random.Generator, scene: Scene) -> Scene:
    """Enlarge the surroundings of a place, mostly of one on a defect, to the scene's own size."""
    size = scene.image.shape[0]
    there = scene.defect.any() and rng.random() < 0.8
    row, column = _inside(rng, scene.defect) if there else rng.integers((0, 0), scene.image.shape)
    edge = size / np.exp(rng.uniform(0, np.log(LARGEST_ZOOM)))
    # The place lies anywhere in the middle half of the window.
    corner = np.array([row, column]) - edge * rng.uniform(0.25, 0.75, 2)
    top, left = np.clip(corner, 0, size - edge)
    box = (left, top, left + edge, top + edge)
    image = Image.fromarray(scene.image).resize((size, size), Image.Resampling.BILINEAR, box)
    steps = (np.arange(size) + 0.5) * edge / size
    places = np.ix_((top + steps).astype(int), (left + steps).astype(int))
    regions = [replace(region, mask=region.mask[places]) for region in scene.regions]
    regions = tuple(region for region in regions if region.mask.any())
    return replace(scene, image=np.asarray(image), regions=regions, defect=scene.defect[places])


def _dense(
    scene: Scene, usable: NDArray[np.bool_], areas: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Tell of every fourth pixel the smallest region and what kinds of things are there."""
    grid = (slice(2, None, 4),) * 2
    places = np.zeros_like(scene.image[grid])
    kinds = np.zeros((3, *places.shape), bool)
    for index in np.argsort(-areas, kind="stable"):
        region = scene.regions[index]
        there = region.mask[grid]
        if usable[index]:
            places[there] = index % 255 + 1
        for own, group in zip(kinds, _GROUPS, strict=True):
            own |= there & (region.kind in group)
    return places, kinds


def make_disc_sample(seed: int, size: int, clicks: int) -> Sample:
    """Make a first exercise: a scene, where every click means two discs around it."""
    rng = np.random.default_rng([TRAINING_STREAM, seed])
    scene = make_scene(sample_spec(rng, (size, size)), int(rng.integers(2**62)))
    points = rng.uniform(0, size, (clicks, 2)).astype(np.float32)
    places = np.arange(size // 2) * 2 + 0.5
    column, row = points[:, :1] - places, points[:, 1:] - places
    distance = np.hypot(row[:, :, None], column[:, None, :])
    discs = np.stack([distance < radius for radius in DISCS], axis=1)
    targets = np.zeros((clicks, TARGETS, size // 2, size // 16), np.uint8)
    targets[:, : len(DISCS)] = np.packbits(discs, axis=-1)
    valid = np.arange(TARGETS) < np.full((clicks, 1), len(DISCS))
    nothing = np.zeros(scene.image[::4, ::4].shape, np.uint8)
    return Sample(
        scene.image, points, targets, valid, nothing, np.zeros((3, *nothing.shape), bool)
    )


def _draw_scene(rng: np.random.Generator, size: int) -> Scene:
    """Draw a scene of a wide kind, or one of `make_scene`."""
    if rng.random() < WIDE:
        kind = list(WIDE_KINDS)[int(rng.integers(len(WIDE_KINDS)))]
        return wide_scene(kind, int(rng.integers(2**62)), (size, size))
    return make_scene(draw_spec(rng, size), int(rng.integers(2**62)))


def draw_spec(rng: np.random.Generator, size: int) -> SceneSpec:
    """Draw a scene; half of them crowded.

    With one defect a scene, a network learns what stands out and ignores where the click is.
    """
    spec = sample_spec(rng, (size, size))
    if spec.label == 6 or rng.random() < 1 - CROWDED:
        return spec
    return replace(spec, defects=int(rng.integers(2, 7)), radius=0.7 * spec.radius)


def _wanted(kind: str, kinds: list[str]) -> bool:
    """Whether a click may mean a region of this kind.

    A defect's own kind repeats "defect", and "rest" is no one thing. The union of several pieces
    has about the box of the whole surface, and of two masks with one box the automatic generator
    keeps one only.
    """
    return kind not in (*_DEFECT, "rest") and f"{kind}_piece" not in kinds


def _clicks(
    rng: np.random.Generator, scene: Scene, masks: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    """Draw (row, column) clicks: on defects, anywhere (as a grid does), on each region."""
    defects = [i for i, region in enumerate(scene.regions) if region.kind == "defect"]
    rest = np.zeros(scene.image.shape, bool)
    for region in scene.regions:
        if region.kind == "rest":
            rest |= region.mask
    listed = [i for i, region in enumerate(scene.regions) if region.kind != "rest"]
    points = []
    for number in range(count):
        share = number / count
        if share < 0.4 and defects:
            points.append(_inside(rng, masks[rng.choice(defects)]))
        elif share < 0.75:
            points.append(_anywhere(rng, rest))
        else:
            points.append(_inside(rng, masks[rng.choice(listed)]))
    return np.array(points, dtype=np.int64)


def _anywhere(rng: np.random.Generator, rest: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Draw a place, if possible not where the smallest region is not listed."""
    places = rng.integers((0, 0), rest.shape, (8, 2))
    return places[int(np.argmin(rest[places[:, 0], places[:, 1]]))]


def _inside(rng: np.random.Generator, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    places = np.flatnonzero(mask)
    return np.array(divmod(int(rng.choice(places)), mask.shape[1]))
