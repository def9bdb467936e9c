"""``semxai explain``: why a classifier says what it says, as maps, pictures and masks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.cli.batch import add_batch_options, batch_options
from napari_semxai.cli.each import do_each
from napari_semxai.cli.options import count, fraction, network_file, place
from napari_semxai.cli.sources import find_sources
from napari_semxai.types import CAM_METHODS

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.output import Output

CRAFT = "craft"


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "explain",
        parents=[common],
        help="explain what a classifier sees in images",
        description="Explain every image and write <stem>.npy (the map as float32, the image's "
        "size), <stem>_rendering.png (the map in colours), <stem>_overlay.png, <stem>_mask.png "
        "(where the map exceeds tau of its maximum) and <stem>.json. CRAFT also writes "
        "<stem>_concepts.npy (one map per concept).",
    )
    parser.add_argument("inputs", nargs="+", type=place, metavar="IMAGE|FOLDER")
    parser.add_argument("-o", "--output", type=place, required=True, metavar="DIR")
    parser.add_argument(
        "--method",
        choices=[*(method.name for method in CAM_METHODS), CRAFT],
        default=CAM_METHODS[0].name,
        metavar="METHOD",
        help="gradcam (default), craft, or another of the Grad-CAM family: "
        + ", ".join(method.name for method in CAM_METHODS[1:]),
    )
    parser.add_argument(
        "--tau", type=fraction, default=0.5, help="of the mask (default %(default)s)"
    )
    add_explain_options(parser)
    add_batch_options(parser)
    parser.set_defaults(run=run)


def add_explain_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the classifier, the map and the concepts."""
    parser.add_argument(
        "--classifier",
        type=network_file,
        default="bundled",
        metavar="C",
        help="bundled, or the path of weights with their JSON (default %(default)s)",
    )
    parser.add_argument(
        "--target",
        metavar="T",
        help="class by name or index; by default the predicted one, for craft the one that is "
        "predicted most often",
    )
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="L",
        help="layer by dotted name; several average their maps (not for craft)",
    )
    concepts = parser.add_argument_group("concepts (craft)")
    concepts.add_argument(
        "--fit-on",
        nargs="+",
        type=place,
        default=[],
        metavar="IMAGE|FOLDER",
        help="images that the concepts are found in; by default the inputs themselves",
    )
    concepts.add_argument(
        "--bank",
        type=place,
        metavar="FILE",
        help="concepts that were found before (concepts_<class>.safetensors), instead of new ones",
    )
    concepts.add_argument("--concepts", type=count, default=10, metavar="K")
    concepts.add_argument("--patch-size", type=count, default=64, metavar="P")
    concepts.add_argument("--seed", type=int, default=0)
    concepts.add_argument(
        "--refinement",
        choices=("none", "guided", "fine"),
        default="none",
        help="guided: maps follow the image's edges; fine: and an earlier layer of the network",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Explain every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    sources = find_sources(options.inputs, failed)
    # Imports torch.
    from napari_semxai.cli.explain_setup import explain_work
    from napari_semxai.cli.explainers import show_progress

    batch = batch_options(options)
    work = explain_work(options, sources, output)
    outcome = do_each(work, sources, failed, batch, output, partial(show_progress, output))
    output.result({"output": options.output, "explanations": outcome.done, **outcome.rest})
    return outcome.conclude(output)
