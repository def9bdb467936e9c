"""``semxai explain``: why a classifier says what it says, as maps, pictures and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.cli.batch.batch import add_batch_options, batch_options, do_each
from napari_semxai.cli.common.options import (
    add_explain_options,
    add_foreground_option,
    color,
    crop,
    fraction,
    number,
    place,
)
from napari_semxai.cli.common.sources import find_sources, with_truths
from napari_semxai.cli.works.evaluate import DEFAULT_DELTA, EXPLANATIONS
from napari_semxai.cli.works.rendered import RENDERED, rendered_work
from napari_semxai.types import CAM_METHODS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_semxai.cli.batch.workers import Work
    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.common.sources import Source


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "explain",
        parents=[common],
        help="explain what a classifier sees in images",
        description="Explain every image and write <stem>.npy (the map as float32, the image's "
        "size), <stem>_rendering.png (the map in colours), <stem>_overlay.png, <stem>_mask.png "
        "(where the map exceeds tau of its maximum) and <stem>.json. CRAFT also writes "
        "<stem>_concepts.npy (one map per concept). Where an input holds true masks the "
        "record has scores of the mask.",
    )
    parser.add_argument("inputs", nargs="+", type=place, metavar="IMAGE|FOLDER")
    parser.add_argument("-o", "--output", type=place, required=True, metavar="DIR")
    parser.add_argument(
        "--method",
        choices=[*EXPLANATIONS, *RENDERED],
        default=CAM_METHODS[0].name,
        metavar="METHOD",
        help="gradcam (default), craft, or another of the Grad-CAM family: "
        + ", ".join(method.name for method in CAM_METHODS[1:])
        + "; or algorithm2, algorithm3: the inputs are pictures of heat maps or concepts that "
        "were made elsewhere, and masks are read out of them as published",
    )
    parser.add_argument(
        "--tau", type=fraction, default=0.5, help="of the mask (default %(default)s)"
    )
    _add_picture_options(parser)
    add_foreground_option(parser)
    parser.add_argument(
        "--sanity",
        action="store_true",
        help="also compare every map with those of randomised weights, another class and noise: "
        "six more maps an image",
    )
    parser.add_argument(
        "--nearest",
        type=place,
        metavar="FOLDER|PROJECT|TABLE",
        help="also name, in the record, the five images there that the classifier sees as most "
        "like each input, with their class and review",
    )
    add_explain_options(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


def _add_picture_options(parser: argparse.ArgumentParser) -> None:
    pictures = parser.add_argument_group("pictures made elsewhere (algorithm2, algorithm3)")
    pictures.add_argument(
        "--crop",
        type=crop,
        metavar="R0,C0,R1,C1",
        help="where the heat map lies within every picture: rows and columns, half open",
    )
    pictures.add_argument(
        "--delta",
        type=number,
        default=DEFAULT_DELTA,
        metavar="D",
        help="algorithm3: largest distance of colours (default %(default)s)",
    )
    pictures.add_argument(
        "--color",
        action="append",
        default=[],
        type=color,
        metavar="R,G,B",
        help="algorithm3: of a concept, the most important first; by default the five of CRAFT's "
        "published figures",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Explain every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    sources = find_sources(options.inputs, failed)
    sources = with_truths(sources, options.inputs, options.foreground)
    work = _work(options, sources, output)
    outcome = do_each(work, sources, failed, batch_options(options), output)
    output.result({"output": options.output, "explanations": outcome.done, **outcome.rest})
    return outcome.conclude(output)


def _work(options: argparse.Namespace, sources: Sequence[Source], output: Output) -> Work:
    if options.method in RENDERED:
        return rendered_work(options)
    # Imports torch.
    from napari_semxai.cli.works.explain_setup import explain_work

    return explain_work(options, sources, output)
