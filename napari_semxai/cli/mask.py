"""``semxai mask``: defect masks of many images, each with a record of how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.options import add_mask_options, settings_from
from napari_semxai.cli.output import BAD_INPUT, DONE, INTERRUPTED, SOME_FAILED
from napari_semxai.cli.pipeline import Pipeline
from napari_semxai.cli.record import mask_record, size_of
from napari_semxai.cli.sources import MASK_ENDING, RECORD_ENDING, find_sources
from napari_semxai.store.atomic import write_json
from napari_semxai.store.images import read_image
from napari_semxai.store.masks import write_mask
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_semxai.cli.output import Output
    from napari_semxai.cli.pipeline import MaskResult
    from napari_semxai.cli.sources import Source
    from napari_semxai.types import GenerateUpdate


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
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IMAGE|FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    add_mask_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Do every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    done: list[dict[str, Any]] = []
    stopped = False
    sources = find_sources(options.inputs, failed)
    pipeline = Pipeline(settings_from(options))
    if sources:
        # A model that cannot be loaded is one fault, not one of every image.
        pipeline.load()
    try:
        for number, source in enumerate(sources, start=1):
            place = f"{number}/{len(sources)} {_label(source)}"
            try:
                done.append(_do(source, options.output, pipeline, output, place))
            except InputError as error:
                failed[_label(source)] = str(error)
    except KeyboardInterrupt:
        stopped = True
    output.result({"output": options.output, "masks": done, "failed": failed, "stopped": stopped})
    return _conclude(done, failed, stopped, len(sources), output)


def _do(
    source: Source, folder: Path, pipeline: Pipeline, output: Output, place: str
) -> dict[str, Any]:
    """Make the mask of one image, write both files, and return the short result."""

    def show(update: GenerateUpdate) -> None:
        output.progress(f"{place}: {update.stage} {update.done}/{update.total}")

    result = pipeline.run(read_image(source.path, source.page), show)
    mask_path, record_path = (
        Path(f"{folder / source.stem}{ending}") for ending in (MASK_ENDING, RECORD_ENDING)
    )
    write_mask(mask_path, result.truth.mask)
    write_json(record_path, mask_record(result, pipeline.settings, source.name))
    output.say(f"{place}: {summary(result)}")
    size = size_of(result.truth.mask)
    return {
        "image": source.name,
        "page": source.page,
        "mask": mask_path,
        "record": record_path,
        "area_px": size.area,
        "winner": result.truth.winner,
        "candidates": len(result.pool),
        "touches_edge": result.truth.touches_edge,
        "reason": result.truth.reason,
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
    text += f", surface is candidate {truth.winner} of {len(result.pool)}"
    return text + (", touches the edge: check it" if truth.touches_edge else "")


def _label(source: Source) -> str:
    return source.name if source.page == 0 else f"{source.name} page {source.page + 1}"


def _conclude(
    done: Sequence[object], failed: dict[str, str], stopped: bool, total: int, output: Output
) -> int:
    for message in failed.values():
        output.error(message)
    if stopped:
        output.error(f"stopped; {len(done)} of {total} images are done and kept")
        return INTERRUPTED
    if failed and done:
        output.error(f"{len(failed)} failed, {len(done)} done")
    if failed:
        return SOME_FAILED if done else BAD_INPUT
    return DONE
