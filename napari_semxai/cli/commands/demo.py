"""``semxai demo``: the main job on a sample image, with every step shown; needs no network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.cli.commands import window
from napari_semxai.cli.common.options import add_mask_options, settings_from
from napari_semxai.cli.common.output import DONE, plain
from napari_semxai.cli.works.pipeline import Pipeline
from napari_semxai.cli.works.record import SCORES, mask_record
from napari_semxai.sample_data import sample_scene
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import image_from_array

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.works.pipeline import MaskResult
    from napari_semxai.types import GenerateUpdate, Scores

NAME = "semxai_demo"


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "demo",
        parents=[common],
        help="find the defect in a sample image, step by step",
        description="Make a synthetic SEM image whose defect is known exactly, find the defect, "
        "explain what a classifier sees in it, print and picture every step, and open napari "
        "with the docks where there is a display.",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(NAME),
        metavar="DIR",
        help="where the pictures go (default %(default)s)",
    )
    parser.add_argument("--no-window", action="store_true", help="do not open napari")
    parser.add_argument(
        "--no-craft", action="store_true", help="skip CRAFT concepts, which take minutes"
    )
    add_mask_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Run every step, say how long it took and what came out, then open the window."""
    start = time.perf_counter()
    scene = sample_scene()
    image = image_from_array(scene.image, "sample")
    seconds = {"sample": time.perf_counter() - start}
    rows, columns = image.gray.shape
    output.say(f"Sample image, {columns} x {rows} pixels, defect of {scene.defect.sum():,} px")

    def show(update: GenerateUpdate) -> None:
        output.progress(f"{update.stage}: {update.done} of {update.total} points")

    pipeline = Pipeline(settings_from(options))
    pipeline.load()
    result = pipeline.run(image, show)
    found = scores(result.truth.mask, scene.defect)
    seconds |= {"network": pipeline.load_seconds, **result.seconds}
    _say_steps(result, seconds, found, output)
    write_mask(options.output / "exact_mask.png", scene.defect)
    write_mask(options.output / "sample_mask.png", result.truth.mask)
    pictures = _write_pictures(options.output, result, found)
    # Imports torchvision and more.
    from napari_semxai.cli.commands.demo_explain import explain_sample

    explained = explain_sample(scene, options.output, output, concepts=not options.no_craft)
    record = mask_record(result, pipeline.settings, "sample.png")
    record["explanation"] = explained
    record["scores"] = {name: getattr(found, name) for name in SCORES}
    write_json(options.output / "demo.json", plain(record))
    output.say(f"Pictures of every step: {options.output}")
    output.result({**record, "seconds": seconds, "pictures": pictures})
    if not options.no_window:
        _open_window(output)
    return DONE


def _say_steps(
    result: MaskResult, seconds: dict[str, float], found: Scores, output: Output
) -> None:
    truth, model = result.truth, result.model
    output.say(f"Network {model.name} on {model.device}, sha256 {model.sha256[:12]}…")
    for step, took in seconds.items():
        output.say(f"  {step.replace('_', ' '):12}{took:8.2f} s")
    top, right, bottom, left = result.border
    output.say(f"Candidates: {len(result.pool)}")
    output.say(f"Ignored border: top {top}, right {right}, bottom {bottom}, left {left} px")
    if truth.winner is None:
        output.say(f"No winner: {truth.reason}")
    else:
        output.say(
            f"Winner M_k: candidate {truth.winner + 1}, area {truth.areas[truth.winner]:,} px, "
            f"score {truth.scores[truth.winner]:,.0f}"
        )
    output.say(f"Mask: {int(truth.mask.sum()):,} px {truth.reason}".rstrip())
    output.say(f"Against the exact mask: Dice {found.dice:.3f}, IoU {found.iou:.3f}")


def _write_pictures(folder: Path, result: MaskResult, found: Scores) -> list[Any]:
    # matplotlib takes half a second, which the other commands need not wait for.
    from napari_semxai.cli.works.pictures import write_picture, write_scores, write_steps

    write_picture(folder / "sample.png", result.image.gray)
    steps = write_steps(folder, result.image.gray, result.pool, result.truth)
    write_scores(folder / "5_scores.png", found)
    return [*steps, folder / "5_scores.png"]


def _open_window(output: Output) -> None:
    if window.has_display():
        output.say("Opening napari with the sample and the docks …")
        window.start(["--sample"], output)
    else:
        output.say("No display: no window. With one, semxai opens napari with the docks.")
