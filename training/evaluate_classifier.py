"""Figures of the bundled classifier's card: held-out scores, confusion, training curve.

Run ``python -m training.evaluate_classifier``; it writes the tables into the card,
``docs/images/classifier_*`` and ``training/results/classifier.json``.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import torch

from napari_semxai.algorithms.statistics.classification import (
    calibration_error,
    classification_scores,
)
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.cli.common.output import plain
from napari_semxai.sample_data import class_scenes
from napari_semxai.store.disk.atomic import write_json
from training.classify import CACHE
from training.classify_scenes import (
    DIGESTS,
    HELD_OUT_COUNT,
    HELD_OUT_STREAM,
    WIDE_STREAM,
    digest,
    scenes,
)

if TYPE_CHECKING:
    from napari_semxai.algorithms.statistics.classification import ClassificationScores
    from napari_semxai.backends.classifier.classifier import Classifier

SETS = {"held-out": HELD_OUT_STREAM, "wide": WIDE_STREAM}
CARD = Path("docs/classifier-card.md")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
IMAGES = Path("docs/images")
RESAMPLES = 2000
SAMPLES, SCENES = 20, 300
"""Samples a class beside those of the package, and scenes of `scene_of_class`."""
CONFIDENT = 0.9


def predictions(classifier: Classifier, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and class indices of a stream's scenes."""
    chances, truth = [], []
    for scene in scenes(stream, HELD_OUT_COUNT):
        chances.append(classifier.predict(scene.image))
        truth.append(scene.label - 1)
    return np.array(chances), np.array(truth)


def interval(truth: np.ndarray, called: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the macro F1."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(truth), (RESAMPLES, len(truth)))
    values = [classification_scores(truth[i], called[i], len(LABELS)).macro_f1 for i in drawn]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def evaluate(classifier: Classifier, stream: int) -> tuple[dict[str, object], str]:
    """Return the figures of one set, for programs and as Markdown."""
    chances, truth = predictions(classifier, stream)
    called = chances.argmax(1)
    scores = classification_scores(truth, called, len(LABELS))
    low, high = interval(truth, called)
    error = calibration_error(chances, truth)
    values = {
        "images": len(truth),
        "macro_f1": scores.macro_f1,
        "macro_f1_interval": [low, high],
        "accuracy": scores.accuracy,
        "calibration_error": error,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "confusion": scores.confusion,
    }
    line = (
        f"{len(truth)} scenes, {HELD_OUT_COUNT} a class: **macro F1 {scores.macro_f1:.3f}** "
        f"(95 % bootstrap interval {low:.3f} to {high:.3f}), accuracy {scores.accuracy:.3f}, "
        f"expected calibration error {error:.3f}."
    )
    return values, f"{line}\n\n{table(scores)}\n"


def table(scores: ClassificationScores) -> str:
    """Confusion matrix with precision, recall and F1."""
    names = list(LABELS.values())
    lines = ["| true class | " + " | ".join(f"called {name}" for name in names)]
    lines[0] += " | precision | recall | F1 |"
    lines.append("|---" * (len(names) + 4) + "|")
    for index, name in enumerate(names):
        counts = " | ".join(map(str, scores.confusion[index]))
        rates = (scores.precision[index], scores.recall[index], scores.f1[index])
        lines.append(
            f"| {name} | {counts} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |"
        )
    return "\n".join(lines)


def sample_page(classifier: Classifier) -> tuple[dict[str, object], str]:
    """Return how the samples of the package do, and scenes of any light, as Markdown too."""
    own = {label: classifier.classify(scene.image) for label, scene in class_scenes().items()}
    named = sum(found.predicted == label - 1 for label, found in own.items())
    alike = [
        classifier.classify(scene.image).predicted == label - 1
        for seed in range(100, 100 + 10 * SAMPLES, 10)
        for label, scene in class_scenes(seed).items()
    ]
    wrong, sure, told = 0, 0, 0
    for seed in range(SCENES):
        label = seed % len(LABELS) + 1
        found = classifier.classify(scene_of_class(label, seed).image)
        if found.predicted != label - 1:
            wrong += 1
            sure += found.confidence > CONFIDENT
            told += LABELS[label] in found.answer.split(" or ") or found.answer == "unsure"
    values: dict[str, object] = {
        "samples_right": named,
        "more_samples": len(alike),
        "more_samples_accuracy": float(np.mean(alike)),
        "scenes": SCENES,
        "scenes_wrong": wrong,
        "scenes_wrong_and_sure": sure,
        "scenes_wrong_and_told": told,
    }
    page = (
        f"Of the six samples that the package offers {named} are named right, of {len(alike)} "
        f"others of their kinds {np.mean(alike):.0%}. Of {SCENES} scenes of `scene_of_class`, "
        f"lit from either side, {wrong} are named wrong, {sure} of them with more than "
        f"{CONFIDENT:.0%} confidence; for {told} the right class is one of the two that are "
        "named, or the answer is that it is unsure.\n"
    )
    return values, page


def judged_on(stream: int) -> str:
    """Say whether the scenes are, bit by bit, those that were fixed before the first training."""
    own, fixed = digest(stream), DIGESTS[stream]
    if own == fixed:
        return f"SHA-256 of the scenes: `{own[:12]}`, as before the first training."
    return (
        f"SHA-256 of the scenes: `{own[:12]}`; before the first training `{fixed[:12]}`, on "
        "a processor that rounds differently. Seeds and generator are the same."
    )


def draw_curve(source: Path) -> str:
    """Copy the training curve and draw it; return what the training took, as Markdown."""
    target = IMAGES / "classifier_training.csv"
    if source.exists():
        shutil.copyfile(source, target)
    with target.open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    panels[0].plot([row["step"] for row in rows], [row["loss"] for row in rows])
    panels[0].set(xlabel="step", ylabel="training loss")
    scored = [row for row in rows if np.isfinite(row["validation_f1"])]
    steps = [row["step"] for row in scored]
    panels[1].plot(steps, [row["validation_f1"] for row in scored], "o-")
    panels[1].set(xlabel="step", ylabel="validation macro F1", ylim=(0.5, 1))
    figure.savefig(target.with_suffix(".png"), dpi=110)
    plt.close(figure)
    last = rows[-1]
    return (
        f"Trained for {last['step']:.0f} steps on {last['images']:,.0f} scenes, in "
        f"{last['minutes']:.0f} minutes of one thread on a core shared with other work.\n"
    )


def main() -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curve", type=Path, default=CACHE / "classifier.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier()
    found: dict[str, object] = {"sha256": classifier.info.sha256}
    text = [draw_curve(options.curve)]
    for name, stream in SETS.items():
        found[name], page = evaluate(classifier, stream)
        text.append(f"### {name.capitalize()} set\n\n{page}\n\n{judged_on(stream)}")
        print(page)
    found["samples"], page = sample_page(classifier)
    text.append(f"### Samples, and scenes of any light\n\n{page}")
    print(page)
    write_json(Path("training/results/classifier.json"), plain(found))
    head, rest = CARD.read_text().split(BEGIN)
    CARD.write_text("\n".join([head + BEGIN, *text, END]) + rest.split(END)[1])


if __name__ == "__main__":
    main()
