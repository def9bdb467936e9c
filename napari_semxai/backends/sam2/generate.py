"""Decode a grid of points coarse to fine, and show what there is after every level."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.utils.amg import build_point_grid, generate_crop_boxes
from torch import Tensor

from napari_semxai.backends.sam2.batches import BatchSizer, is_out_of_memory, lanes, side_by_side
from napari_semxai.backends.sam2.pool import MeasuredMask, PoolBuilder, measure_masks
from napari_semxai.types import CandidatePool, GenerateSettings, GenerateUpdate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_semxai.backends.sam2.decoder.decoder import SharedImageDecoder
    from napari_semxai.backends.sam2.image import Embedding

CROP_OVERLAP = 512 / 1500
"""Overlap of neighbouring crops, as in SAM 2."""
POOL_POINTS = 128
"""Points after which there is a pool also in mid-level: what a cancel keeps."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class CropPlan:
    """One crop and the order in which its points are decoded.

    Attributes
    ----------
    box : tuple of int
        (row0, col0, row1, col1) in the image.
    points : ndarray of float32, shape (p, 2)
        (x, y) in the crop, in the reference generator's order.
    levels : tuple of ndarray of int
        Indices of points, coarse to fine; all together each point once.
    """

    box: Box
    points: NDArray[np.float32]
    levels: tuple[NDArray[np.int64], ...]


def plan_crops(shape: tuple[int, int], settings: GenerateSettings) -> list[CropPlan]:
    """Lay out the whole image and its crops; crops have one level each."""
    boxes, layers = generate_crop_boxes(shape, settings.crop_n_layers, CROP_OVERLAP)
    grid = build_point_grid(settings.points_per_side)
    coarse_to_fine = grid_levels(settings.points_per_side)
    plans = []
    for (x0, y0, x1, y1), layer in zip(boxes, layers, strict=True):
        points = (grid * np.array([x1 - x0, y1 - y0])).astype(np.float32)
        levels = coarse_to_fine if layer == 0 else [np.arange(len(points))]
        plans.append(CropPlan((y0, x0, y1, x1), points, tuple(levels)))
    return plans


def grid_levels(side: int) -> list[NDArray[np.int64]]:
    """Split a grid of ``side ** 2`` points into levels: every 8th row and column, then 4th, ...

    Returns
    -------
    list of ndarray of int64
        Row-major indices; level by level in raster order, every point once.
    """
    line = np.arange(side)
    level_of_line = np.select([line % 8 == 4, line % 4 == 0, line % 2 == 0], [0, 1, 2], 3)
    level = np.maximum.outer(level_of_line, level_of_line).ravel()
    levels = [np.flatnonzero(level == k) for k in range(4)]
    return [points for points in levels if len(points)]


class Progress:
    """What was decoded of one image with one grid; a later generation goes on from here.

    Parameters
    ----------
    shape : tuple of int
        (M, N) of the image.
    plans : list of CropPlan
        Crops and points.

    Attributes
    ----------
    builder : PoolBuilder
        Candidates so far.
    reached : list of ndarray of float32, shape (p,)
        For each crop and point, the predicted IoU above which its masks are in the pool; inf
        where nothing was decoded yet.
    best : list of ndarray of float32, shape (p, 3)
        Predicted IoU of the masks of decoded points.
    """

    def __init__(self, shape: tuple[int, int], plans: list[CropPlan]) -> None:
        self.plans = plans
        self.builder = PoolBuilder(shape, crops=len(plans) > 1)
        self.reached = [np.full(len(plan.points), np.inf, np.float32) for plan in plans]
        self.best = [np.full((len(plan.points), 3), np.inf, np.float32) for plan in plans]

    def missing(self, crop: int, floor: float) -> list[NDArray[np.int64]]:
        """Return the points of each level with masks above `floor` that are not in the pool."""
        # What was decoded once has a known quality: a lower floor decodes only those in between.
        above = (self.best[crop] > floor) & (self.best[crop] <= self.reached[crop][:, None])
        needed: NDArray[np.bool_] = np.asarray(above.any(axis=1))
        return [level[needed[level]] for level in self.plans[crop].levels]

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.builder.nbytes + sum(each.nbytes for each in (*self.reached, *self.best))


class Clock:
    """Time left, from what encoding and decoding took so far."""

    def __init__(self, total: int, crops: int) -> None:
        self.total, self.done = total, 0
        self._crops_left = crops
        self._encoding = self._decoding = 0.0

    def encoded(self, seconds: float) -> None:
        """Note that one more crop was encoded."""
        self._crops_left -= 1
        self._encoding = max(self._encoding, seconds)

    def decoded(self, points: int, seconds: float) -> None:
        """Note that `points` more points were decoded."""
        self.done += points
        self._decoding += seconds

    def update(self, pool: CandidatePool | None = None) -> GenerateUpdate:
        """Return the message for what is done by now."""
        left = None
        if self.done:
            # Encoding a crop takes a time of its own, which points decoded say nothing of.
            left = self._decoding / self.done * (self.total - self.done)
            left += self._encoding * self._crops_left
        return GenerateUpdate("decode", self.done, self.total, left, pool)


class Generation:
    """Decodes what a `Progress` still misses, batch by batch.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        The network.
    decoder : SharedImageDecoder
        Its decoder.
    sizer : BatchSizer
        The batch sizes found to be good.
    embed : callable
        Returns the `Embedding` of a crop box.
    """

    def __init__(
        self,
        network: Any,
        decoder: SharedImageDecoder,
        sizer: BatchSizer,
        embed: Callable[[Box], Embedding],
    ) -> None:
        self._network = network
        self._decoder = decoder
        self._sizer = sizer
        self._embed = embed

    def run(self, progress: Progress, floor: float) -> Iterator[GenerateUpdate]:
        """Decode and yield an update after every batch, with a pool after every level and between.

        Parameters
        ----------
        progress : Progress
            Where to collect.
        floor : float
            Masks whose predicted IoU is above it are wanted.
        """
        todo = [progress.missing(crop, floor) for crop in range(len(progress.plans))]
        counts = [sum(len(level) for level in levels) for levels in todo]
        clock = Clock(sum(counts), sum(count > 0 for count in counts))
        for crop, levels in enumerate(todo):
            if counts[crop] == 0:
                continue
            yield GenerateUpdate("encode", clock.done, clock.total)
            start = time.perf_counter()
            embedding = self._embed(progress.plans[crop].box)
            clock.encoded(time.perf_counter() - start)
            for level in levels:
                yield from self._decode_level(progress, (crop, embedding), level, (floor, clock))
        if clock.total == 0:
            yield clock.update(progress.builder.build())

    def _decode_level(
        self,
        progress: Progress,
        crop: tuple[int, Embedding],
        level: NDArray[np.int64],
        aim: tuple[float, Clock],
    ) -> Iterator[GenerateUpdate]:
        floor, clock = aim
        count = lanes(self._network.device)
        position = shown = 0
        while position < len(level):
            size = self._sizer.size()
            points = level[position : position + size]
            start = time.perf_counter()
            try:
                # The same points are together on any number of cores, and so round alike.
                self._decode(progress, crop, points, -(-size // count), floor)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(points) == 1:
                    raise
                self._sizer.halve(len(points))
                torch.cuda.empty_cache()
                continue
            seconds = time.perf_counter() - start
            if len(points) == size:
                self._sizer.record(size, seconds)
            position += len(points)
            clock.decoded(len(points), seconds)
            complete = position == len(level)
            if complete or position >= shown + POOL_POINTS:
                shown = position
                yield clock.update(progress.builder.build())
            else:
                yield clock.update()

    def _decode(
        self,
        progress: Progress,
        crop: tuple[int, Embedding],
        points: NDArray[np.int64],
        each: int,
        floor: float,
    ) -> None:
        """Decode points (b,) of one crop, `each` together, and pool their missing masks."""
        number, embedding = crop
        plan = progress.plans[number]
        parts = [points[start : start + each] for start in range(0, len(points), each)]
        answers = side_by_side(
            lambda part: self._answer(
                embedding, plan.points[part], floor, progress.reached[number][part]
            ),
            parts,
        )
        for part, (best, found) in zip(parts, answers, strict=True):
            for row, mask, measured in found:
                point = int(part[row])
                x, y = plan.points[point].tolist()
                where = (y + plan.box[0], x + plan.box[1])
                iou = float(best[row, mask])
                progress.builder.add((number, point, mask), measured, iou, where, plan.box)
            progress.best[number][part] = best
            progress.reached[number][part] = floor

    @torch.no_grad()
    def _answer(
        self,
        embedding: Embedding,
        xy: NDArray[np.float32],
        floor: float,
        reached: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], list[tuple[int, int, MeasuredMask]]]:
        """Decode clicks (b, 2) and return predicted IoUs (b, 3) and, by row, the wanted masks.

        Those are the masks above `floor`, but none above what each point has `reached` before.
        """
        decoded = self._decoder.decode(embedding.shared, self._prompts(xy, embedding.shape))
        best: NDArray[np.float32] = decoded.predicted_iou[:, 1:].float().cpu().numpy()
        wanted = (best > floor) & (best <= reached[:, None])
        logits = [
            self._decoder.upscale(
                embedding.shared, decoded, row, (np.flatnonzero(wanted_of_point) + 1).tolist()
            )
            for row, wanted_of_point in enumerate(wanted)
            if wanted_of_point.any()
        ]
        measured = measure_masks(torch.cat(logits), embedding.shape) if logits else []
        places = np.argwhere(wanted).tolist()
        return best, [(row, mask, one) for (row, mask), one in zip(places, measured, strict=True)]

    def _prompts(self, points: NDArray[np.float32], shape: tuple[int, int]) -> Tensor:
        """Sparse embeddings of one foreground click each, points (b, 2) as (x, y)."""
        size = torch.tensor([shape[1], shape[0]])
        coords = torch.from_numpy(points) / size * self._network.image_size
        coords = coords.to(self._network.device).unsqueeze(1)
        labels = torch.ones(coords.shape[:2], dtype=torch.int, device=coords.device)
        sparse, _ = self._network.sam_prompt_encoder((coords, labels), boxes=None, masks=None)
        embeddings: Tensor = sparse
        return embeddings
