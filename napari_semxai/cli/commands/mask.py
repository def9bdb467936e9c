"""``semxai mask``: defect masks of many images, each with a record of how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.batch.batch import add_batch_options, batch_options
from napari_semxai.cli.batch.run_each import do_each
from napari_semxai.cli.batch.tasks import KEPT
from napari_semxai.cli.common.options import add_mask_options, place, settings_from
from napari_semxai.cli.common.sources import MASK_ENDING, RECORD_ENDING, find_sources
from napari_semxai.cli.works.pipeline import Pipeline
from napari_semxai.cli.works.record import content_key, known_record, mask_record, size_of
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import MaskSettings

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.common.sources import Source
    from napari_semxai.cli.works.pipeline import MaskResult


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "mask",
        parents=[common],
        help="find the defect in images and write masks",
        description="Find the defect in every image and write <stem>_mask.png (0 and 255, the "
        "image's size) and <stem>.json (settings, model, versions, candidates, scores). "
        "Sub-folders are mirrored; every page of a multi-page TIFF is an image.",
    )
    parser.add_argument("inputs", nargs="+", type=place, metavar="IMAGE|FOLDER")
    parser.add_argument("-o", "--output", type=place, required=True, metavar="DIR")
    add_mask_options(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


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
        key = content_key(source.path, source.page, self.settings, pipeline.load().info.sha256)
        known = known_record(record_path, key, [mask_path], "mask")
        if known is not None:
            return _short(known, mask_path, record_path) | {KEPT: True}
        result = pipeline.run(read_image(source.path, source.page))
        record = mask_record(result, pipeline.settings, source.name)
        record |= {"key": key, "summary": summary(result)}
        # The mask first: a record without its mask would be taken for done.
        write_mask(mask_path, result.truth.mask)
        write_json(record_path, record)
        return _short(record, mask_path, record_path)


def run(options: argparse.Namespace, output: Output) -> int:
    """Do every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    sources = find_sources(options.inputs, failed)
    work = MaskWork(settings_from(options), options.output)
    outcome = do_each(
        work, sources, failed, batch_options(options), output, partial(_show, output)
    )
    output.result({"output": options.output, "masks": outcome.done, **outcome.rest})
    return outcome.conclude(output)


def _show(output: Output, pipeline: Pipeline) -> None:
    """Show how far the network is with an image."""
    pipeline.on_update = lambda update: output.progress(
        f"{update.stage} {update.done}/{update.total}"
    )


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


def summary(result: MaskResult) -> str:
    """Say in one line what was found."""
    truth = result.truth
    if not truth.mask.any():
        return f"no defect ({truth.reason})"
    size = size_of(truth.mask)
    text = f"{size.area:,} px, {size.width} x {size.height} px"
    if result.image.pixel_size is not None:
        text += f", {size.area * (result.image.pixel_size * 1e6) ** 2:.4g} µm²"
    if truth.winner is not None:
        # People count from 1; the record's "winner" is a place in its list.
        text += f", surface is candidate {truth.winner + 1} of {len(result.pool)}"
    if truth.confidence is not None:
        text += f", confidence {truth.confidence:.2f}"
    return text + (", touches the edge: check it" if truth.touches_edge else "")
