"""``semxai mask``: defect masks of many images, each with a record of how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.cli.batch.batch import add_batch_options, batch_options, do_each
from napari_semxai.cli.common.options import (
    add_ignore_option,
    add_mask_options,
    place,
    settings_from,
)
from napari_semxai.cli.common.sources import find_sources, with_ignored
from napari_semxai.cli.works.masks import MaskWork

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.common.output import Output


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
    add_mask_options(parser, learned=True)
    add_ignore_option(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Do every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    sources = with_ignored(find_sources(options.inputs, failed), options.ignore)
    work = MaskWork(settings_from(options), options.output)
    outcome = do_each(work, sources, failed, batch_options(options), output)
    output.result({"output": options.output, "masks": outcome.done, **outcome.rest})
    return outcome.conclude(output)
