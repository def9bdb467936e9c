"""Whether the nearest images show the labels that mislead a classifier.

A last layer is fitted by least squares to the bundled classifier's features of 300 scenes, of
which 2 % bear a wrong label, many times with other labels. A call is *caused* by a label where the
same fit with that one label put right calls the image right. Asked about are the scenes of the
wrong labels taken again (moved by a few pixels, with other brightness and noise) and others.

    python -m benchmarks.nearest_labels --page docs/explanations.md

writes the table between two comments of that page.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.pages import footer, write_table
from napari_semxai.algorithms.synthetic import LABELS
from napari_semxai.backends.classifier.classifier import load_classifier
from training.classify_scenes import HELD_OUT_STREAM, VALIDATION_STREAM, scenes

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAINED, OTHERS, DRAWS, WRONG, FOUND = 50, 34, 200, 0.02, 5
# Little enough that the wrong labels are learned, too, as a network of many steps does.
_WEAK = 1e-3


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier, rng = load_classifier(), np.random.default_rng(0)
    trained = [scene.image for scene in scenes(VALIDATION_STREAM, TRAINED)]
    asked = {
        "again": np.array([classifier.features(taken_again(one, rng)) for one in trained]),
        "others": np.array(
            [classifier.features(one.image) for one in scenes(HELD_OUT_STREAM, OTHERS)]
        ),
    }
    known = np.array([classifier.features(one) for one in trained])
    start = time.perf_counter()
    for row in known[:20]:
        nearest(known, row)
    milliseconds = (time.perf_counter() - start) * 50
    table = _table(judged(known, asked)) + (
        f"\n\nOf {len(known)} images with known features a search takes {milliseconds:.1f} ms "
        f"beside the one pass of the network. {footer(classifier.info.sha256)}"
    )
    print(table)
    if options.page is not None:
        write_table(options.page, "nearest", table)


def taken_again(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a scene as a microscope would show it a second time."""
    moved = np.roll(image, tuple(rng.integers(-6, 7, 2)), (0, 1))
    noisy = moved * rng.uniform(0.9, 1.1) + rng.normal(0, 4, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def nearest(known: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the images most like one, as `nearest_steps` finds them."""
    return np.argsort(-(known @ row), kind="stable")[:FOUND]


def judged(
    known: NDArray[np.float32], asked: dict[str, NDArray[np.float32]]
) -> dict[str, list[bool]]:
    """Return for every call that a wrong label causes whether the nearest images show one."""
    classes = len(LABELS)
    truth, one_hot = np.arange(len(known)) % classes, np.eye(classes)
    solved = np.linalg.inv(known @ known.T + _WEAK * np.eye(len(known)))
    found: dict[str, list[bool]] = {name: [] for name in asked}
    for draw in range(DRAWS):
        rng = np.random.default_rng([1, draw])
        wrong = rng.choice(len(known), round(WRONG * len(known)), replace=False)
        labels = truth.copy()
        labels[wrong] = (truth[wrong] + rng.integers(1, classes, len(wrong))) % classes
        for name, rows in asked.items():
            chosen = wrong if name == "again" else np.arange(len(rows))
            # Least squares: what each trained image adds to the scores of each that is asked.
            weights = rows[chosen] @ known.T @ solved
            scores, right = weights @ one_hot[labels], chosen % classes
            for place in np.flatnonzero(scores.argmax(axis=1) != right):
                causes = {
                    int(one)
                    for one in wrong
                    if right[place]
                    == np.argmax(
                        scores[place]
                        + weights[place, one] * (one_hot[truth[one]] - one_hot[labels[one]])
                    )
                }
                if causes:
                    shown = nearest(known, rows[chosen[place]]).tolist()
                    found[name].append(not causes.isdisjoint(shown))
    return found


def _table(found: dict[str, list[bool]]) -> str:
    titles = {
        "again": "the scene of a wrong label, taken again",
        "others": "another scene",
    }
    lines = [
        "| asked about | wrong calls caused by a wrong label | cause among the five nearest |",
        "|---|---|---|",
    ]
    for name, hits in found.items():
        share = f"{np.mean(hits):.0%}" if hits else "–"
        lines.append(f"| {titles[name]} | {len(hits)} | {share} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
