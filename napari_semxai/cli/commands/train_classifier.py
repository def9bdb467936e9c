"""``semxai train-classifier``: a classifier of one's own classes."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.common.options import count, number, whole
from napari_semxai.types import InputError, time_left

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from napari_semxai.backends.classifier.train import TrainReport, TrainSettings
    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.sources.find_images import LabelledImages

_SUFFIX = ".safetensors"
_FEW = 10


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "train-classifier",
        parents=[common],
        help="train a classifier on labelled images",
        description="Train a classifier, on the CPU if need be, and write FILE (safetensors) with "
        "a description beside it (JSON; class names can be edited there). DATASET: a folder with "
        "a folder of images a class; a table (CSV) with columns image_path and label; or the "
        "Carinthia or Carinthia-S download. When interrupted, the same command resumes.",
    )
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--name", action="append", default=[], metavar="LABEL=NAME", help="what to call a class"
    )
    parser.add_argument("--start", default="bundled", metavar="FILE", help="weights to start from")
    parser.add_argument(
        "--steps", type=count, help="number of batches (default: every image five times)"
    )
    parser.add_argument("--batch", type=count, default=16, help="images per batch")
    parser.add_argument("--rate", type=number, default=1e-3, help="learning rate")
    parser.add_argument(
        "--balance", type=number, default=1.0,
        help="0 samples all images equally, 1 (default) all classes equally",
    )  # fmt: skip
    parser.add_argument(
        "--validation", type=number, default=0.2, help="share of each class for validation"
    )
    parser.add_argument("--seed", type=whole, default=0)
    parser.add_argument(
        "--synthetic", action="store_true",
        help="the images are synthetic: the classifier says so with every answer",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Train, write and report."""
    _check(options)
    from napari_semxai.backends.classifier.train import ClassifierTraining
    from napari_semxai.store.sources.find_images import labelled_images

    def show(done: int, total: int) -> None:
        output.progress(f"reading {done}/{total}")

    data = labelled_images(options.dataset, _names(options.name), show)
    settings = _settings(options, len(data.images))
    _say_data(data, output)
    # Finds the state that an interrupted run left beside the file.
    training = ClassifierTraining(data, settings, options.output)
    if training.step:
        output.say(f"resuming at step {training.step} of {settings.steps}")
    started = time.monotonic()
    try:
        report = training.run(_progress(output, training.step, settings.steps))
    except KeyboardInterrupt:
        output.say(f"kept {training.state_path}; run the same command to resume")
        raise
    values = _values(data, settings, report) | {
        "file": options.output,
        "seconds": round(time.monotonic() - started, 1),
    }
    _say(values, output)
    output.result(values)
    failed = dict(data.failed)
    if report.no_better_than_guessing:
        recall, classes = report.scores.macro_recall, len(data.labels)
        failed["training"] = (
            f"{options.output}: learned nothing: a mean recall of {recall:.2f} is what guessing "
            f"among {classes} classes reaches. Normalisation layers stay as they are, so random "
            "weights hardly learn: start from trained ones (--start) or give more --steps"
        )
    return output.conclude(failed)


def _settings(options: argparse.Namespace, images: int) -> TrainSettings:
    from napari_semxai.backends.classifier.train import TrainSettings

    return TrainSettings(
        start=options.start,
        steps=options.steps or min(max(5 * images // options.batch, 150), 2000),
        batch=options.batch,
        rate=options.rate,
        balance=options.balance,
        share=options.validation,
        seed=options.seed,
        synthetic=options.synthetic,
    )


def _check(options: argparse.Namespace) -> None:
    if options.output.suffix != _SUFFIX:
        raise InputError(f"{options.output}: the file must end in {_SUFFIX}")
    for name in ("steps", "batch"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: must be 1 or more")
    if not 0 <= options.balance <= 1:
        raise InputError(f"--balance {options.balance}: must be between 0 and 1")
    if not 0 < options.validation < 1:
        raise InputError(f"--validation {options.validation}: must be between 0 and 1")
    if not options.rate > 0:
        raise InputError(f"--rate {options.rate}: must be above 0")


def _names(given: Sequence[str]) -> dict[str, str]:
    names = {}
    for text in given:
        label, separator, name = text.partition("=")
        if not separator or not label.strip() or not name.strip():
            raise InputError(f"--name {text}: write LABEL=NAME, such as 3=particle")
        names[label.strip()] = name.strip()
    return names


def _progress(output: Output, first: int, steps: int) -> Callable[[int, float], None]:
    started = time.monotonic()
    smooth = float("nan")

    def show(step: int, loss: float) -> None:
        nonlocal smooth
        # The loss of one batch jumps too much to tell whether it falls.
        smooth = loss if step == first + 1 else 0.9 * smooth + 0.1 * loss
        # Counted from where this run began: resumed steps took no time now.
        left = (time.monotonic() - started) / (step - first) * (steps - step)
        output.progress(f"step {step}/{steps}, loss {smooth:.3f}{time_left(left)}")

    return show


def _say_data(data: LabelledImages, output: Output) -> None:
    counts = data.counts
    for name, images in zip(data.class_names, counts, strict=True):
        output.say(f"{name:20}{images:6} images")
    ratio = counts.max() / counts.min()
    output.say(f"largest to smallest class {ratio:.0f}:1, {len(data.failed)} left out")


def _values(data: LabelledImages, settings: TrainSettings, report: TrainReport) -> dict[str, Any]:
    scores = report.scores
    classes = [
        {
            "label": label,
            "name": name,
            "images": data.counts[index],
            "trained_on": report.training_counts[index],
            "validated_on": scores.support[index],
            "draws_per_image": round(float(report.draws[index]), 1),
            "precision": scores.precision[index],
            "recall": scores.recall[index],
            "f1": scores.f1[index],
        }
        for index, (label, name) in enumerate(zip(data.labels, data.class_names, strict=True))
    ]
    return {
        "sha256": report.info.sha256,
        "architecture": report.info.architecture,
        "settings": asdict(settings),
        "images": len(data.images),
        "imbalance": data.counts.max() / data.counts.min(),
        "classes": classes,
        "confusion": scores.confusion,
        "macro_f1": scores.macro_f1,
        "macro_recall": scores.macro_recall,
        "accuracy": scores.accuracy,
        "temperature": report.info.temperature,
        "calibration_error": report.calibration_error,
        "no_better_than_guessing": report.no_better_than_guessing,
        "failed": data.failed,
    }


def _say(values: dict[str, Any], output: Output) -> None:
    output.say(
        f"{'class':20}{'train':>7}{'draws':>7}{'valid.':>7}{'prec.':>7}{'recall':>7}{'F1':>7}"
    )
    for row in values["classes"]:
        output.say(
            f"{row['name']:20}{row['trained_on']:7}{row['draws_per_image']:7.0f}"
            f"{row['validated_on']:7}{row['precision']:7.2f}{row['recall']:7.2f}{row['f1']:7.2f}"
        )
    output.say(
        f"macro F1 {values['macro_f1']:.3f}, macro recall {values['macro_recall']:.3f}, "
        f"accuracy {values['accuracy']:.3f}, temperature {values['temperature']:.2f}"
    )
    few = [row["name"] for row in values["classes"] if row["validated_on"] < _FEW]
    if few:
        output.say(
            f"fewer than {_FEW} images to judge on: {', '.join(few)}; their scores say little"
        )
    output.say(f"{values['file']}: written, sha256 {values['sha256']}")
