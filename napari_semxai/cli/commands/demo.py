"""``semxai demo``: the main job on a sample image, with every step shown; needs no network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.localisation import trivial_baselines
from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.cli.commands import window
from napari_semxai.cli.common.options import add_mask_options, settings_from
from napari_semxai.cli.common.output import DONE, plain
from napari_semxai.cli.works.masks import Pipeline, mask_record
from napari_semxai.cli.works.record import SCORES, score_values
from napari_semxai.cli.works.rendered import as_rgb, tinted, write_picture
from napari_semxai.sample_data import KNOWN_LIGHT, class_scenes, sample_scene
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import colors

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.backends.concepts.craft import Concepts
    from napari_semxai.cli.common.output import Output
    from napari_semxai.cli.works.masks import MaskResult
    from napari_semxai.types import (
        BoolMask,
        CandidatePool,
        GenerateUpdate,
        GroundTruth,
        Scores,
    )

    Row = dict[str, float | None]

NAME = "semxai_demo"
TAU = 0.5
GRADCAM, CONCEPTS, SAMPLE_SET, BANK = "6_gradcam", "7_concepts", "sample_set", "concepts"
_IMAGES, _CONCEPTS, _FIRST_SEED = 20, 5, 700


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
        "--no-craft", action="store_true", help="skip concepts, which take half a minute"
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
    # Apart from the run, so that its time is told apart: loading is paid once for many images.
    pipeline.load()
    result = pipeline.run(image, show)
    found = scores(result.truth.mask, scene.defect)
    seconds |= {"network": pipeline.load_seconds, **result.seconds}
    _say_steps(result, seconds, found, output)
    write_mask(options.output / "exact_mask.png", scene.defect)
    write_mask(options.output / "sample_mask.png", result.truth.mask)
    pictures = _write_pictures(options.output, result, found)
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
    top, right, bottom, left = result.left_out.border
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
    write_picture(folder / "sample.png", result.image.gray)
    steps = write_steps(folder, result.image.gray, result.pool, result.truth)
    write_scores(folder / "5_scores.png", found)
    return [*steps, folder / "5_scores.png"]


def write_steps(
    folder: Path, gray: NDArray[np.uint8], pool: CandidatePool, truth: GroundTruth
) -> list[Path]:
    """Write candidates, winner, complement and final mask as PNG files.

    Parameters
    ----------
    folder : Path
        Where they go.
    gray : ndarray of uint8, shape (M, N)
        The image below.
    pool, truth : CandidatePool, GroundTruth
        What to show.

    Returns
    -------
    list of Path
        The four files, in the order of the steps.
    """
    pictures = {
        "1_candidates.png": candidates_picture(gray, pool),
        "2_winner.png": tinted(as_rgb(gray), truth.surface, colors.WINNER),
        "3_complement.png": tinted(as_rgb(gray), ~truth.surface, colors.COMPLEMENT),
        "4_mask.png": tinted(as_rgb(gray), truth.mask, colors.DEFECT),
    }
    for name, picture in pictures.items():
        write_picture(folder / name, picture)
    return [folder / name for name in pictures]


def candidates_picture(gray: NDArray[np.uint8], pool: CandidatePool) -> NDArray[np.uint8]:
    """Tint every candidate in a colour of its own, small ones on top; shape (M, N, 3)."""
    picture = as_rgb(gray)
    colored = picture.copy()
    # Large ones first, or they would hide what lies on them.
    for number, index in enumerate(np.argsort(-pool.areas, kind="stable")):
        mask = pool.mask(int(index))
        # From the plain picture: tints of several candidates would mix to a colour of nobody.
        colored[mask] = tinted(picture, mask, colors.SERIES[number % len(colors.SERIES)])[mask]
    return colored


def write_scores(path: Path, scores: Scores) -> None:
    """Write the five scores as a bar chart."""
    values = {
        name: getattr(scores, name) for name in ("dice", "iou", "precision", "recall", "accuracy")
    }
    # matplotlib takes half a second, which the other commands need not wait for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.5), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(values), np.nan_to_num(list(values.values())), color=colors.DEFECT)
    axes.bar_label(bars, [f"{value:.3f}" for value in values.values()], padding=3)
    axes.set(xlim=(0, 1.15), xlabel="against the exact mask")
    axes.invert_yaxis()
    with atomic_write(path) as file:
        # Without matplotlib's version two runs give the same bytes.
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})


def explain_sample(
    scene: Scene, folder: Path, output: Output, *, concepts: bool
) -> dict[str, Any]:
    """Say what the bundled classifier sees in the samples and why, and write the pictures.

    Parameters
    ----------
    scene : Scene
        The sample with its exact mask.
    folder : Path
        Where pictures and masks go.
    output : Output
        Where it is said.
    concepts : bool
        Whether to find concepts too, which takes some minutes the first time.

    Returns
    -------
    dict
        Prediction and scores of each explanation's mask and of the trivial masks: for the
        sample, and for one scene of each class with their mean.
    """
    # Imports torch.
    from napari_semxai.backends.classifier.classifier import load_classifier

    classifier = load_classifier()
    sample = _explain(scene, classifier, folder, "", concepts=concepts)
    output.say(
        f"Classifier: {sample['predicted']} ({sample['probability']:.0%}), trained on synthetic "
        "images"
    )
    _say_scores(f"Masks at tau {TAU} against the exact mask", sample["scores"], output)
    rows = []
    for label, shown in class_scenes().items():
        name = LABELS[label]
        output.progress(f"explaining {name}")
        start = f"{label}_{name}_"
        found = _explain(shown, classifier, folder / SAMPLE_SET, start, concepts=concepts)
        output.say(f"{name}: {found['predicted']} ({found['probability']:.0%})")
        rows.append({"class": name, **found})
    mean = _mean([row["scores"] for row in rows])
    _say_scores(f"The same, mean over a scene of each of {len(rows)} classes", mean, output)
    if concepts:
        banks = [row[BANK] for row in (sample, *rows)]
        kept, held = (np.mean([one[name] for one in banks]) for name in ("agreement", "r2"))
        output.say(f"Concepts alone keep the class of {kept:.0%} of their images, R² {held:.2f}")
    return {**sample, SAMPLE_SET: {"images": rows, "mean": mean}}


def _explain(
    scene: Scene, classifier: Classifier, folder: Path, start: str, *, concepts: bool
) -> dict[str, Any]:
    """Explain the predicted class, and write pictures whose names begin with `start`."""
    from napari_semxai.backends.cam.gradcam import gradcam
    from napari_semxai.cli.works.explainers import map_of, overlay_of

    probabilities = classifier.predict(scene.image)
    predicted = int(probabilities.argmax())
    answers: dict[str, Any] = {GRADCAM: gradcam(scene.image, classifier, target=predicted)}
    bank = {}
    if concepts:
        found = _concepts(classifier, predicted)
        answers[CONCEPTS] = found.explain(scene.image, refinement="fine")
        known = {name: getattr(found.bank, name) for name in ("n_images", "r2", "agreement")}
        bank[BANK] = plain(known)
    masks: dict[str, BoolMask] = {}
    for stem, answer in answers.items():
        masks[stem] = threshold_mask(map_of(answer), TAU)
        write_picture(folder / f"{start}{stem}.png", overlay_of(scene.image, answer))
        write_mask(folder / f"{start}{stem}_mask.png", masks[stem])
    masks |= trivial_baselines(scene.image)
    return {
        "predicted": classifier.class_names[predicted],
        "probability": float(probabilities[predicted]),
        "scores": {name: plain(score_values(mask, scene.defect)) for name, mask in masks.items()},
        **bank,
    }


def _concepts(classifier: Classifier, target: int) -> Concepts:
    """Find the concepts of a class in synthetic images of it."""
    from napari_semxai.backends.concepts.craft import craft

    images = [
        scene_of_class(target + 1, _FIRST_SEED + index, light=KNOWN_LIGHT).image
        for index in range(_IMAGES)
    ]
    return craft(images, classifier, target=target, n_concepts=_CONCEPTS, pieces="cells")


def _mean(rows: list[dict[str, Row]]) -> dict[str, Row]:
    """Return the mean of each score over the images where it is defined."""
    means: dict[str, Row] = {}
    for method in rows[0]:
        means[method] = {}
        for name in SCORES:
            known = [value for row in rows if (value := row[method][name]) is not None]
            means[method][name] = float(np.mean(known)) if known else None
    return means


def _say_scores(title: str, found: dict[str, Row], output: Output) -> None:
    output.say(f"{title}:")
    output.say("  ".join([f"  {'':12}", *(f"{name:>9}" for name in SCORES)]))
    for method, row in found.items():
        values = ("–" if row[name] is None else f"{row[name]:.3f}" for name in SCORES)
        output.say("  ".join([f"  {method:12}", *(f"{value:>9}" for value in values)]))


def _open_window(output: Output) -> None:
    if window.has_display():
        output.say("Opening napari with the sample and the docks …")
        window.start(["--sample"], output)
    else:
        output.say("No display: no window. With one, semxai opens napari with the docks.")
