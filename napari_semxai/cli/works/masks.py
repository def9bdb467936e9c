"""Image in, defect mask with its whole record or its plane of alpha and beta out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.automatic import (
    automatic_mask,
    known_by,
    learned_mask,
)
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.cli.batch.workers import KEPT
from napari_semxai.cli.common.output import plain
from napari_semxai.cli.common.sources import MASK_ENDING, RECORD_ENDING
from napari_semxai.cli.works.record import (
    PACKAGES,
    candidate_rows,
    compared_text,
    content_key,
    image_values,
    known_record,
    mask_values,
    size_of,
    versions,
)
from napari_semxai.store.datasets.dataset import read_pool, write_pool
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.companions import (
    compare_image,
    compared_values,
    write_ignored,
)
from napari_semxai.store.images.mask_parts import region_counts
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import auto_border, read_image
from napari_semxai.types import (
    CandidatePool,
    GroundTruth,
    LeftOut,
    MaskSettings,
    ModelInfo,
    SemImage,
)
from napari_semxai.types.quantities import area_text
from napari_semxai.types.settings import LEARNED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_semxai.backends.learned.network import LearnedNetwork
    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.cli.common.sources import Source
    from napari_semxai.store.datasets.dataset import TruthImage
    from napari_semxai.types import GenerateUpdate


Axis = tuple[float, float, int]
DEFAULT_ALPHAS: Axis = (0.0, 10.0, 41)
DEFAULT_BETAS: Axis = (0.0, 0.8, 41)
# In the order of the record; the others follow from these.
_SETTINGS = (
    "algorithm",
    "reference",
    "alpha",
    "beta",
    "connectivity",
    "ignore_border",
    "points_per_side",
    "pred_iou_thresh",
    "stability_score_thresh",
    "box_nms_thresh",
)


@dataclass(frozen=True, slots=True, eq=False)
class MaskResult:
    """A mask and how it came about.

    Attributes
    ----------
    image, pool, truth, model
        What went in and what each step gave.
    left_out : LeftOut
        What was ignored.
    seconds : dict
        Seconds each step took.
    difference : Difference or None
        How the image differs from its reference; None where none was looked for.
    """

    image: SemImage
    pool: CandidatePool
    truth: GroundTruth
    left_out: LeftOut
    model: ModelInfo
    seconds: dict[str, float]
    difference: Difference | None = None


class Pipeline:
    """Runs images through one network, loaded when the first one comes.

    Parameters
    ----------
    settings : MaskSettings
        The same for all images.
    """

    def __init__(self, settings: MaskSettings) -> None:
        self.settings = settings
        self.load_seconds = 0.0
        self.on_update: Callable[[GenerateUpdate], None] | None = None
        self._segmenter: Segmenter | None = None
        self._learned: LearnedNetwork | None = None

    def load(self) -> ModelInfo:
        """Load the network, SAM 2 or a learned one, which imports torch."""
        if self.settings.algorithm.algorithm != LEARNED:
            return self.segmenter().info
        path = Path(self.settings.algorithm.network)
        if self._learned is None:
            start = time.perf_counter()
            from napari_semxai.backends.learned.network import LearnedNetwork

            self._learned = LearnedNetwork.load(path)
            self.load_seconds = time.perf_counter() - start
        return ModelInfo(path.stem, self._learned.sha256, "cpu")

    def segmenter(self) -> Segmenter:
        """Load SAM 2."""
        if self._segmenter is None:
            start = time.perf_counter()
            from napari_semxai.backends.sam2.segmenter import Segmenter

            self._segmenter = Segmenter(
                self.settings.model, device=self.settings.device, steady=True
            )
            self.load_seconds = time.perf_counter() - start
        return self._segmenter

    def run(
        self, image: SemImage, on_update: Callable[[GenerateUpdate], None] | None = None
    ) -> MaskResult:
        """Find the defect mask of an image.

        Parameters
        ----------
        image : SemImage
            What to look at.
        on_update : callable, optional
            Called with the network's progress.

        Returns
        -------
        MaskResult
            With an empty mask and a reason where there is no defect.
        """
        settings, info = self.settings, self.load()
        left_out = settings.algorithm.left_out(auto_border(image), image.ignored)
        if self._learned is not None:
            start = time.perf_counter()
            truth = learned_mask(self._learned.answer(image.gray), left_out)
            seconds = {"learned": time.perf_counter() - start}
            pool = CandidatePool.empty(truth.mask.shape)
            return MaskResult(image, pool, truth, left_out, info, seconds)
        segmenter = self.segmenter()
        start = time.perf_counter()
        # The encoder takes one core, and comparing another meanwhile. `generate` finds the image
        # encoded.
        with ThreadPoolExecutor(1) as beside:
            comparing = beside.submit(compare_image, image, settings.algorithm)
            segmenter.embed(image.gray)
            encoded = time.perf_counter()
            difference = comparing.result()
        compared = time.perf_counter()
        # A difference speaks in the place of the map of the image alone.
        updates = segmenter.generate(image.gray, settings.generate, difference, mapped=False)
        everything = _candidates(updates, on_update or self.on_update)
        decoded = time.perf_counter()
        pool = everything.take(filter_candidates(everything, settings.filters))
        filtered = time.perf_counter()
        known = known_by(settings.algorithm, image.gray, left_out, pool, difference)
        truth = automatic_mask(pool, image, settings.algorithm, left_out, known=known)
        seconds = {
            "encoder": encoded - start,
            "decoder": decoded - compared,
            "filters": filtered - decoded,
            "algorithm_1": time.perf_counter() - filtered,
        }
        if difference is not None:
            seconds["reference"] = compared - encoded
        return MaskResult(image, pool, truth, left_out, info, seconds, difference)


def _candidates(
    updates: Iterator[GenerateUpdate],
    on_update: Callable[[GenerateUpdate], None] | None,
) -> CandidatePool:
    pool = None
    for update in updates:
        pool = pool if update.pool is None else update.pool
        if on_update is not None:
            on_update(update)
    if pool is None:
        raise RuntimeError("the network ended without a pool of candidates")
    return pool


@dataclass(frozen=True, slots=True)
class MaskWork:
    """Makes the mask of an image and its record, unless they are there already.

    Attributes
    ----------
    settings : MaskSettings
        Everything that decides a mask.
    output : Path
        Where results go.
    """

    settings: MaskSettings
    output: Path

    def load(self) -> Pipeline:
        """Load the network."""
        pipeline = Pipeline(self.settings)
        pipeline.load()
        return pipeline

    def do(self, pipeline: Pipeline, source: Source) -> dict[str, Any]:
        """Write both files of one image and return the short result."""
        mask_path, record_path = (
            Path(f"{self.output / source.stem}{ending}") for ending in (MASK_ENDING, RECORD_ENDING)
        )
        key = content_key(
            source.path,
            source.page,
            self.settings,
            pipeline.load().sha256,
            *source.digests(self.settings.algorithm),
        )
        known = known_record(record_path, key, [mask_path], "mask")
        if known is not None:
            return _short(known, mask_path, record_path) | {KEPT: True}
        result = pipeline.run(source.read())
        record = mask_record(result, pipeline.settings, source.name)
        record |= {"key": key, "summary": summary(result, pipeline.settings.algorithm.reference)}
        # The masks first: a record without its mask would be taken for done.
        write_ignored(mask_path, result.image.ignored)
        write_mask(mask_path, result.truth.mask)
        write_json(record_path, record)
        return _short(record, mask_path, record_path)


@dataclass(frozen=True, slots=True)
class SweepWork:
    """Scores the plane of one image; the network's answer is kept and used again.

    Attributes
    ----------
    settings : MaskSettings
        Of network, filters and components.
    alphas, betas : tuple
        First, last and number of values.
    pools : Path
        Where candidates are kept.
    """

    settings: MaskSettings
    alphas: Axis
    betas: Axis
    pools: Path

    def load(self) -> Pipeline:
        """Load the network, whose digest tells whether kept candidates are its own."""
        pipeline = Pipeline(self.settings)
        pipeline.load()
        return pipeline

    def do(self, pipeline: Pipeline, item: TruthImage) -> dict[str, Any]:
        """Return the plane of one image."""
        # scikit-image takes half a second.
        from napari_semxai.algorithms.algorithm1.automatic import stage_two
        from napari_semxai.algorithms.algorithm1.sweep import sweep_image

        image = read_image(item.path, item.page)
        image = replace(image, ignored=item.region((image.gray.shape[0], image.gray.shape[1])))
        path = self.pools / f"{item.name}.npz"
        settings = self.settings
        # Of the settings only what decides the candidates: the rest may change from run to run.
        key = content_key(
            item.path, item.page, settings.generate, settings.filters, pipeline.load().sha256
        )
        pool = read_pool(path, key)
        kept = pool is not None
        if pool is None:
            pool = pipeline.run(image).pool
            write_pool(path, pool, key)
        left_out = settings.algorithm.left_out(auto_border(image), image.ignored)
        plane = sweep_image(
            pool,
            left_out.seen(item.truth.read(pool.shape)),
            np.linspace(*self.alphas),
            np.linspace(*self.betas),
            stage_two(settings.algorithm, image.gray, left_out, pool),
        )
        return {"plane": plane, KEPT: kept}


def mask_record(result: MaskResult, settings: MaskSettings, source: str) -> dict[str, Any]:
    """Return everything about one mask as JSON can hold it; undefined numbers are null.

    Parameters
    ----------
    result : MaskResult
        The mask with its steps.
    settings : MaskSettings
        What was asked for.
    source : str
        What to call the image file.

    Returns
    -------
    dict
        Image, model, settings, versions, mask, winner and candidates.
    """
    values = settings.to_json(result.model.sha256, result.left_out.border)
    record = {
        "command": "mask",
        "image": image_values(result.image, source),
        "model": {
            "name": result.model.name,
            "sha256": result.model.sha256,
            "device": result.model.device,
            # By its file, or by its size where a learned network answered in its place.
            **({"requested": settings.model} if settings.model != result.model.name else {}),
        },
        **{name: values[name] for name in _SETTINGS if name in values},
        **({"network": values["network"]} if "network" in values else {}),
        "versions": versions(*PACKAGES),
        "mask": mask_values(result.truth, result.image.pixel_size),
        "ignored": region_counts(result.image.ignored),
        "compared": compared_values(result.difference),
        "winner": result.truth.winner,
        "candidates": candidate_rows(result.pool, result.truth),
    }
    return dict(plain(record))


def _short(record: dict[str, Any], mask_path: Path, record_path: Path) -> dict[str, Any]:
    return {
        "image": record["image"]["file"],
        "page": record["image"]["page"],
        "mask": str(mask_path),
        "record": str(record_path),
        "area_px": record["mask"]["area_px"],
        "winner": record["winner"],
        "candidates": len(record["candidates"]),
        "touches_edge": record["mask"]["touches_edge"],
        "reason": record["mask"]["reason"],
        "summary": record["summary"],
    }


def summary(result: MaskResult, wanted: str) -> str:
    """Say in one line what was found, and with what it was compared as `wanted`."""
    truth = result.truth
    compared = compared_text(result.difference, wanted)
    if not truth.mask.any():
        return f"no defect ({truth.reason}){compared}"
    size = size_of(truth.mask)
    text = f"{size.area:,} px, {size.width} x {size.height} px"
    if result.image.pixel_size is not None:
        text += f", {area_text(size.area * result.image.pixel_size**2)}"
    if truth.winner is not None:
        # People count from 1; the record's "winner" is a place in its list.
        text += f", surface is candidate {truth.winner + 1} of {len(result.pool)}"
    if truth.confidence is not None:
        text += f", mask confidence {truth.confidence:.2f}"
    text += compared
    return text + (", touches the edge: check it" if truth.touches_edge else "")
