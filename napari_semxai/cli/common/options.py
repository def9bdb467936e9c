"""Arguments that several commands share: of masks, explanations and data sets."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from napari_semxai.algorithms.masks.foreground import AUTO, RULES, ForegroundRule, parse_rule
from napari_semxai.store.project.learned import find_network
from napari_semxai.store.weights.models import BUNDLED, model_names
from napari_semxai.types import (
    PIECES,
    AlgorithmSettings,
    GenerateSettings,
    InputError,
    MaskSettings,
)
from napari_semxai.types.quantities import parse_length, parse_number
from napari_semxai.types.settings import (
    ALGORITHMS,
    AUTO_REFERENCE,
    DEFAULT_ALPHA,
    DEFAULT_BETA,
    LEARNED,
    NO_REFERENCE,
    SELF_REFERENCE,
    usual_filters,
)

_SAM2, _BUNDLED = usual_filters(""), usual_filters(BUNDLED)


def add_mask_options(
    parser: argparse.ArgumentParser,
    *,
    plane: bool = False,
    methods: bool = False,
    learned: bool = False,
) -> None:
    """Add the arguments of the network, the filters and Algorithm 1.

    With `plane` alpha and beta are left to the command, with `methods` which stage 2; with
    `learned` a network that learned a project's masks may answer instead.
    """
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model",
        type=network_file,
        default=BUNDLED,
        help=f"{', '.join(model_names())}, or the path of a checkpoint",
    )
    network.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    network.add_argument(
        "--points-per-side",
        type=count,
        default=GenerateSettings().points_per_side,
        metavar="P",
        help="prompt the network at P x P points (default %(default)s)",
    )
    filters = parser.add_argument_group("candidates, as in SAM 2's automatic mask generator")
    for name, text in (
        ("pred_iou_thresh", "minimum predicted IoU"),
        ("stability_score_thresh", "minimum stability score"),
        ("box_nms_thresh", "maximum box IoU between two candidates (NMS)"),
    ):
        filters.add_argument(
            f"--{name.replace('_', '-')}",
            type=fraction,
            metavar="X",
            help=f"{text} (default {_usual(name)})",
        )
    group = parser.add_argument_group("Algorithm 1")
    if not plane:
        _add_plane_options(group)
    if not methods:
        group.add_argument(
            "--algorithm",
            choices=(*ALGORITHMS, LEARNED) if learned else ALGORITHMS,
            default=ALGORITHMS[0],
            help="stage 2: robust takes all components outside the surface that look like "
            "defects, or none, with a confidence; paper takes the largest one"
            + ("; learned asks a network of --network instead of SAM 2" if learned else "")
            + " (default %(default)s)",
        )
    if learned:
        group.add_argument(
            "--network",
            type=place,
            metavar="FILE|PROJECT",
            help="the learned network: its file, or a project that has one in use",
        )
    if not plane and not methods:
        _add_reference_option(group)
    _add_component_options(group)


def _add_reference_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--reference",
        type=reference,
        default=AUTO_REFERENCE,
        metavar="auto|none|self|FILE|FOLDER",
        help="what images are compared with, for the robust stage 2: a picture of the same "
        "place without defects, a folder of such pictures with equal names, self (the "
        "pattern's own repetitions), or none; auto, the default, takes <stem>_reference "
        "beside the image, else self",
    )


def _usual(name: str) -> str:
    bundled, others = getattr(_BUNDLED, name), getattr(_SAM2, name)
    return f"{others}" if bundled == others else f"{others}; {bundled} for the bundled network"


def _add_component_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--connectivity",
        type=whole,
        choices=(4, 8),
        default=8,
        help="neighbours of a pixel (default %(default)s)",
    )
    group.add_argument(
        "--ignore-border",
        type=border,
        default=None,
        metavar="auto|N",
        help="pixels at every side where no defect is looked for; auto, the default, measures "
        "dark and constant strips and leaves out info bars",
    )


def _add_plane_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--alpha", type=number, default=DEFAULT_ALPHA, help="centre bias (default %(default)s)"
    )
    group.add_argument(
        "--beta",
        type=fraction,
        default=DEFAULT_BETA,
        help="smallest area of the surface as a fraction of the image (default %(default)s)",
    )


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
    parser.add_argument(
        "--as-drawn",
        action="store_true",
        help="leave maps where the library draws them, instead of where the layer was measured to "
        "look; renderings, which Algorithms 2 and 3 read, always are",
    )
    _add_concept_options(parser)


def _add_concept_options(parser: argparse.ArgumentParser) -> None:
    concepts = parser.add_argument_group("concepts (craft)")
    concepts.add_argument(
        "--fit-on",
        nargs="+",
        type=place,
        default=[],
        metavar="IMAGE|FOLDER",
        help="images to fit concepts on (default: the inputs)",
    )
    concepts.add_argument(
        "--bank",
        type=place,
        metavar="FILE",
        help="concepts fitted earlier (concepts_<class>.safetensors), instead of new ones",
    )
    concepts.add_argument(
        "--pieces",
        choices=tuple(PIECES),
        default="cells",
        help="what concepts are found in: cells of whole images (default), or crops enlarged to "
        "the network's input, as published, which needs the extra craft and takes longer",
    )
    concepts.add_argument("--concepts", type=count, default=10, metavar="K")
    concepts.add_argument("--patch-size", type=count, default=64, metavar="P")
    concepts.add_argument("--seed", type=whole, default=0)
    concepts.add_argument(
        "--refinement",
        choices=("none", "guided", "fine"),
        default="fine",
        help="guided: maps follow the image's edges; fine (default): and an earlier layer, too",
    )


def add_foreground_option(parser: argparse._ActionsContainer) -> None:
    """Add the argument that says what is foreground in masks that come in."""
    parser.add_argument(
        "--foreground",
        type=foreground_rule,
        default=AUTO,
        metavar="RULE",
        help=f"what is foreground in masks of other programs: {RULES}; by default what is clear "
        "is read, and the rest refused by name",
    )


def add_ignore_option(parser: argparse._ActionsContainer) -> None:
    """Add the argument that says which pixels count for nothing."""
    parser.add_argument(
        "--ignore",
        type=place,
        metavar="FILE|FOLDER",
        help="pixels that count for nothing, where no defect is looked for, white: a picture for "
        "all images, or a folder of <stem>_ignored.png or <stem>.png",
    )


def settings_from(options: argparse.Namespace, algorithm: str | None = None) -> MaskSettings:
    """Collect the parsed arguments of `add_mask_options`; `algorithm` where those leave it."""
    filters = usual_filters(
        options.model,
        pred_iou_thresh=options.pred_iou_thresh,
        stability_score_thresh=options.stability_score_thresh,
        box_nms_thresh=options.box_nms_thresh,
    )
    network = getattr(options, "network", None)
    if network is None and getattr(options, "algorithm", "") == LEARNED:
        raise InputError(f"--algorithm {LEARNED}: name the network, --network FILE|PROJECT")
    return MaskSettings(
        model=options.model,
        device=options.device,
        # Nothing below the threshold is kept: no slider asks for it later, as one does in the
        # window.
        generate=GenerateSettings(options.points_per_side, pred_iou_floor=filters.pred_iou_thresh),
        filters=filters,
        algorithm=AlgorithmSettings(
            options.alpha,
            options.beta,
            options.connectivity,
            options.ignore_border,
            algorithm or options.algorithm,
            "" if network is None else _network_path(network, options.algorithm),
            getattr(options, "reference", NO_REFERENCE),
        ),
    )


def _network_path(given: Path, algorithm: str) -> str:
    if algorithm != LEARNED:
        raise InputError(f"--network {given}: needs --algorithm {LEARNED}")
    return str(find_network(given).path)


def place(text: str) -> Path:
    """Return a path that means the same to workers in other folders."""
    # Not resolved: what a folder shows lies in that folder, wherever links lead.
    return Path(os.path.abspath(text))


def named_folder(text: str) -> tuple[str, Path]:
    """Parse NAME=DIR, or DIR, which is its own name."""
    # The last one: a name may hold "=", as in "tau=0.5".
    name, equals, folder = text.rpartition("=")
    path = place(folder)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is not a folder")
    return (name if equals else path.name), path


def reference(text: str) -> str:
    """Return one of the words for references, or a path as `place` gives it."""
    words = (AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE)
    return text if text in words else str(place(text))


def network_file(text: str) -> str:
    """Return the name of a network, or the path of its file as `place` does."""
    # A file of that name in this folder counts before a network of the list.
    return str(place(text)) if Path(text).is_file() else text


def foreground_rule(text: str) -> ForegroundRule:
    """Parse what is foreground in a mask."""
    try:
        return parse_rule(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def number(text: str) -> float:
    """Parse a finite number; comma and point both are the decimal point."""
    try:
        return parse_number(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def length(text: str) -> float:
    """Parse a length with its unit, in metres; without a unit it is in nanometres."""
    try:
        value = parse_length(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if value <= 0:
        raise argparse.ArgumentTypeError(f"“{text}” is not more than 0")
    return value


def fraction(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def whole(text: str, least: int = 0) -> int:
    """Parse a whole number from `least` on."""
    if not re.fullmatch(r"\s*[+-]?[0-9]+\s*", text):
        # 1,000 may have been meant as a thousand.
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number")
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    return value


def count(text: str) -> int:
    """Parse a whole number from 1 on."""
    return whole(text, 1)


def crop(text: str) -> tuple[int, int, int, int]:
    """Parse "row0,col0,row1,col1", half open."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is not ROW0,COL0,ROW1,COL1 in pixels")
    row0, column0, row1, column1 = map(int, parts)
    if row0 >= row1 or column0 >= column1:
        raise argparse.ArgumentTypeError(f"{text} holds no pixel")
    return row0, column0, row1, column1


def color(text: str) -> tuple[int, int, int]:
    """Parse "red,green,blue", each from 0 to 255."""
    parts = text.split(",")
    if len(parts) != 3 or not all(p.strip().isdecimal() and int(p) <= 255 for p in parts):
        raise argparse.ArgumentTypeError(f"{text} is not R,G,B of 0 to 255")
    red, green, blue = map(int, parts)
    return red, green, blue


def border(text: str) -> int | None:
    """Parse "auto" (None) or a whole number from 0 on."""
    if text == "auto":
        return None
    try:
        return whole(text)
    except argparse.ArgumentTypeError:
        message = f"“{text}” is neither auto nor a number of pixels"
        raise argparse.ArgumentTypeError(message) from None
