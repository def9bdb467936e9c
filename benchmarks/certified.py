"""Certified accept on simulated lots: how often the promise holds, and how much is accepted.

    python -m benchmarks.certified

draws lots of images, each with a mask confidence and a mask that is right or wrong, audits 120 of
each, accepts what may be accepted, and counts. A kind of lot is the share of wrong masks in equal
parts of its images, the surest first. Two are measured on the layer of `benchmarks.learning`:
today's proposal of 64 points on 160 images, as `python -m benchmarks.wrong_masks` prints it, and
what was learned from 100 masks on 240 others, as
`python -m benchmarks.learning --masks 100 --unreviewed 240 --compared 0` does. Of the third,
which is made up, the confidence tells most. The others are the worst cases: it tells nothing, and
just more masks are wrong than may be accepted. Seconds in all.
"""

from __future__ import annotations

import argparse

import numpy as np

from napari_semxai.algorithms.statistics.acceptance import Promise, draw_layers, prove

KINDS = {
    "today's proposal, measured": (
        *(0, 0.12, 0, 0, 0, 0, 0.12, 0, 0.12, 0.12),
        *(0.12, 0.12, 0.12, 0.38, 0.5, 0.88, 0.88, 0.88, 0.88, 0.75),
    ),
    "learned from 100 masks, measured": (
        *(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        *(0, 0, 0.17, 0.17, 0.5, 0.75, 0.5, 1, 0.75, 0.92),
    ),
    "confidence tells most": (0, 0, 0, 0, 0.005, 0.01, 0.03, 0.08, 0.2, 0.4),
    "tells nothing, 5.5 % wrong": (0.055,) * 10,
    "tells nothing, 7 % wrong": (0.07,) * 10,
}


def lot(kind: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure the masks of a lot are, and which of them are wrong."""
    confidence = np.sort(rng.random(count))[::-1]
    parts = np.array_split(np.empty(count), len(KINDS[kind]))
    chance = np.repeat(KINDS[kind], [len(part) for part in parts])
    return confidence, rng.random(count) < chance


def accepted(
    confidence: np.ndarray, wrong: np.ndarray, audits: int, seed: int, promise: Promise
) -> np.ndarray:
    """Return the images that an audit lets one accept."""
    layers, drawn = draw_layers(confidence, audits, seed)
    found = [int(wrong[part].sum()) for part in drawn]
    left = [sorted(set(layer) - set(part)) for layer, part in zip(layers, drawn, strict=True)]
    sizes = [len(layer) for layer in layers]
    proof = prove(sizes, len(drawn[0]), found, [len(part) for part in left], promise)
    return np.array([image for part in left[: proof.layers] for image in part], int)


def main() -> None:
    """Print a line for each kind of lot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--audits", type=int, default=120)
    parser.add_argument("--repetitions", type=int, default=1000)
    options = parser.parse_args()
    promise = Promise()
    for number, kind in enumerate(KINDS):
        held, shares, wrongs = [], [], []
        for repetition in range(options.repetitions):
            rng = np.random.default_rng([number, repetition])
            confidence, wrong = lot(kind, options.images, rng)
            chosen = accepted(confidence, wrong, options.audits, repetition, promise)
            held.append(not len(chosen) or wrong[chosen].mean() <= promise.most_wrong)
            shares.append(len(chosen) / (options.images - options.audits))
            wrongs.append(wrong.mean())
        print(
            f"{kind}: {np.mean(wrongs):.1%} of all masks wrong; promise held in "
            f"{np.mean(held):.1%} of {len(held)}; accepted {np.mean(shares):.1%} of the others"
        )


if __name__ == "__main__":
    main()
