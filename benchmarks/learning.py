"""What learning a layer's masks brings: a lot of images with a look of its own, made here.

All images share surface, pattern, noise and light; each has a defect of its own or none. The first
ones are reviewed with their exact masks, and learned by `semxai learn`; the rest are not:

    python -m benchmarks.learning --masks 20 100 --unreviewed 880

prints, for each number of masks, the mean Dice on unreviewed images of what is learned and of
today's proposal, with seconds and memory of learning, and the share of wrong masks (as *Certified
accept* understands it) in each twentieth of them, the surest first, with mean IoU and confidence;
`--pattern lines` takes a layer with a pattern. Today's proposal of an image takes ten seconds of a
core: `--compared N` makes it for the first N unreviewed ones only, and the others count for the
learned masks alone. With `--random 20` as many lots get random masks, from which nothing can be
learned: it prints how often the gate let them pass.

The seeds of layers and images were fixed before the head was designed, which was tried on others.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.acceptance import LAYERS, Promise
from napari_semxai.algorithms.synthetic import PATTERNS, SceneSpec, sample_spec
from napari_semxai.algorithms.synthetic.defects import paint_defect, pattern_defect
from napari_semxai.algorithms.synthetic.fields import Field, pattern_field
from napari_semxai.algorithms.synthetic.scene import surface_levels, to_uint8
from napari_semxai.store.project.create import create_project
from napari_semxai.types import MaskSettings, ReviewChange, ReviewState
from napari_semxai.types.learned import LearnRequest, LearnSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPE = (480, 480)
LAYER = 1
"""Seed of the layer that is reported; its pattern is drawn by it as well."""
SHARES = {1: 0.3, 2: 0.15, 3: 0.12, 4: 0.13, 5: 0.1, 6: 0.2}
"""How often each class is drawn; 6 is no defect, and 5 needs a pattern."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What all images of a layer have in common."""

    seed: int
    spec: SceneSpec
    light: tuple[float, float]
    surface: Field
    field: Field | None
    step: float
    edge: tuple[float, float]


def make_layer(seed: int, pattern: str = "") -> Layer:
    """Draw the look of a layer, four times as large as an image."""
    rng = np.random.default_rng([seed, 7])
    pattern = pattern or str(np.random.default_rng([seed, 8]).choice(PATTERNS))
    large = (2 * SHAPE[0], 2 * SHAPE[1])
    spec = replace(
        sample_spec(rng, SHAPE),
        pattern=pattern,
        noise=float(rng.uniform(3, 14)),
        blur=float(rng.uniform(0.6, 1.4)),
        level=float(rng.uniform(70, 150)),
        contrast=float(rng.uniform(0.7, 1.1)),
        tilt=float(rng.uniform(3, 12)),
    )
    surface = surface_levels(rng, replace(spec, shape=large))
    field = None if pattern == "none" else pattern_field(rng, pattern, large)
    angle = rng.uniform(0, 2 * np.pi)
    light = float(np.sin(angle)), float(np.cos(angle))
    step = float(rng.choice((-1, 1)) * rng.uniform(20, 0.5 * spec.level))
    edge = float(rng.uniform(8, 80)), float(rng.uniform(1.0, 3.0))
    return Layer(seed, spec, light, surface, field, step, edge)


def make_image(layer: Layer, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """Make an image of a layer with its exact mask and its class."""
    rng = np.random.default_rng([layer.seed, 11, number])
    classes = [label for label in SHARES if label != 5 or layer.field is not None]
    chances = np.array([SHARES[label] for label in classes])
    label = int(rng.choice(classes, p=chances / chances.sum()))
    spec = replace(
        layer.spec,
        label=label,
        radius=sample_spec(rng, SHAPE).radius,
        contrast=layer.spec.contrast * float(rng.uniform(0.6, 1.4)),
        defects=0 if label == 6 else int(rng.choice((1, 2, 3), p=(0.8, 0.14, 0.06))),
    )
    row, column = (int(place) for place in rng.integers(0, SHAPE[0], 2))
    window = np.s_[row : row + SHAPE[0], column : column + SHAPE[1]]
    image = layer.surface[window] * np.float32(rng.uniform(0.95, 1.05))
    image = image + np.float32(rng.normal(0, 3))
    painted = []
    if layer.field is not None:
        field = layer.field[window].copy()
        for _ in range(spec.defects if label == 5 else 0):
            field, found = pattern_defect(rng, spec, field)
            painted += [found] if found else []
        image += np.float32(layer.step) * np.clip(field + np.float32(0.5), 0, 1)
        high, width = layer.edge
        image += np.float32(high) * np.exp(-((field / np.float32(width)) ** 2))
    if label < 5:
        painted = [paint_defect(rng, spec, image, layer.light) for _ in range(spec.defects)]
    truth = np.zeros(SHAPE, bool)
    for item in painted:
        truth |= item.mask
    image = ndimage.gaussian_filter(image, spec.blur, truncate=3)
    sigma = np.float32(spec.noise) * np.sqrt(np.clip(image, 5, 255) / np.float32(100))
    image += sigma * rng.standard_normal(SHAPE, dtype=np.float32)
    return to_uint8(image), truth, label if truth.any() else 6


def random_mask(seed: int, number: int) -> NDArray[np.bool_]:
    """Return a disc anywhere, or nothing, whatever the image shows."""
    rng = np.random.default_rng([seed, 13, number])
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    row, column = rng.uniform(0, SHAPE[0]), rng.uniform(0, SHAPE[1])
    disc = (rows - row) ** 2 + (columns - column) ** 2 < rng.uniform(15, 60) ** 2
    return disc & bool(rng.random() < 0.8)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", type=int, default=LAYER, help="seed of the layer")
    parser.add_argument(
        "--pattern", choices=PATTERNS, default="", help="instead of the one that is drawn"
    )
    parser.add_argument("--masks", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--unreviewed", type=int, default=880)
    parser.add_argument("--compared", type=int, default=60)
    parser.add_argument("--steps", type=int, default=LearnSettings().steps)
    parser.add_argument("--random", type=int, default=0, metavar="TRIALS")
    options = parser.parse_args()
    # Of its own, so that nothing of an earlier run is taken up.
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    settings = LearnSettings(steps=options.steps)
    if options.random:
        passed = sum(
            learned_from(options.layer + trial, options.pattern, 20, settings, random=True)[0]
            for trial in range(options.random)
        )
        print(f"random masks: {passed} of {options.random} trials came into use")
    else:
        _compare(options, settings)


def _compare(options: argparse.Namespace, settings: LearnSettings) -> None:
    # Imported here, so that images alone can be made without torch.
    from napari_semxai.backends.learned.network import LearnedNetwork

    layer, first = make_layer(options.layer, options.pattern), max(options.masks)
    print(f"layer {layer.seed}: {layer.spec}")
    # Before all else, whose memory would be taken for that of learning; fewer masks first.
    learned = {
        masks: learned_from(options.layer, options.pattern, masks, settings)
        for masks in sorted(options.masks)
    }
    rest = [make_image(layer, first + number) for number in range(options.unreviewed)]
    today = _of_today(rest[: options.compared])
    labels = np.array([label for _, _, label in rest])
    for masks, (_, path, said) in learned.items():
        network = LearnedNetwork.load(path)
        answers = [network.answer(pixels) for pixels, _, _ in rest]
        pairs = [(one.mask, truth) for one, (_, truth, _) in zip(answers, rest, strict=True)]
        dice = np.array([scores(mask, truth).dice for mask, truth in pairs])
        of_class = {int(one): round(dice[labels == one].mean(), 3) for one in np.unique(labels)}
        print(f"{masks} masks: learned {dice.mean():.3f} on {len(dice)}", end="")
        if today:
            gain = dice[: len(today)] - today
            print(f", {gain.mean():+.3f} against today's on {len(today)}", end="")
        print(f"; by class {of_class}; {said}")
        iou = np.mean([scores(mask, truth).iou for mask, truth in pairs])
        sure = np.mean([one.confidence for one in answers])
        print(f"mean IoU {iou:.3f}, mean confidence {sure:.3f}")
        confidence = np.array([one.confidence for one in answers])
        print(shares_of_wrong(confidence, *zip(*pairs, strict=True)), flush=True)


def shares_of_wrong(
    confidence: NDArray[np.float64],
    masks: Sequence[NDArray[np.bool_]],
    truths: Sequence[NDArray[np.bool_]],
) -> str:
    """Say what share of masks is wrong in each layer of a lot, see `Promise`."""
    pairs = zip(masks, truths, strict=True)
    wrong = np.array([Promise().is_wrong(mask, truth) for mask, truth in pairs])
    # What is not known is taken for the least sure, as an audit does.
    order = np.argsort(-np.nan_to_num(confidence), kind="stable")
    layers = [round(float(part.mean()), 2) for part in np.array_split(wrong[order], LAYERS)]
    return f"wrong in each twentieth, the surest first: {layers}"


def _of_today(images: list[tuple[NDArray[np.uint8], NDArray[np.bool_], int]]) -> list[float]:
    """Return the Dice of today's proposal of each image."""
    from napari_semxai.backends.learned.learn import todays_mask
    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.store.images.read import image_from_array

    segmenter = Segmenter("bundled", device="cpu", steady=True)
    dice: list[float] = []
    for pixels, truth, _ in images:
        mask = todays_mask(segmenter, image_from_array(pixels, "image"), MaskSettings())
        dice.append(scores(mask, truth).dice)
        print(f"\rtoday's proposal of {len(dice)} images: {np.mean(dice):.3f}", end="", flush=True)
    print()
    return dice


def learned_from(
    seed: int, pattern: str, masks: int, settings: LearnSettings, *, random: bool = False
) -> tuple[bool, Path, str]:
    """Learn from the first images of a layer; return the verdict, the file, and the costs."""
    from napari_semxai.backends.learned import learn

    folder = Path(tempfile.mkdtemp())
    (folder / "images").mkdir()
    layer = make_layer(seed, pattern)
    made = [make_image(layer, number) for number in range(masks)]
    for number, (pixels, _, _) in enumerate(made):
        Image.fromarray(pixels).save(folder / "images" / f"{number:04}.png")
    with closing(create_project(folder / "project", folder / "images")) as project:
        for number, (_, truth, label) in enumerate(made):
            mask = random_mask(seed, number) if random else truth
            state = ReviewState.CORRECTED if mask.any() else ReviewState.NO_DEFECT
            change = ReviewChange(state, mask, label=str(label))
            project.write_review(f"{number:04}", "truth", change)
    spent: dict[str, float] = {}
    wall, processor, stage = time.perf_counter(), time.process_time(), ""
    for update in learn.learn_steps(LearnRequest(folder / "project", settings)):
        now = time.process_time()
        spent[stage] = spent.get(stage, 0.0) + now - processor
        processor, stage = now, getattr(update, "stage", "")
        version = update
    costs = {name or "Start": round(seconds) for name, seconds in spent.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall = time.perf_counter() - wall
    said = f"{wall:.0f} s, of processors {json.dumps(costs)}, {peak:.2f} GB at most"
    print(f"{masks} masks, {'random' if random else 'exact'}: {version.verdict.reason}")
    return version.verdict.better, version.path, said


if __name__ == "__main__":
    main()
