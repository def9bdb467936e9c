"""Train the bundled classifier on synthetic scenes; resumes where it was interrupted.

Every scene is new: nothing is seen twice. The first layers keep their ImageNet weights. The rate
warms up, stays, and goes down over the last 40 % of ``--steps``.

A defect fills some of the 400 cells of the last map, and their average alone says little about
where to look. Therefore a second linear layer, which is not shipped, learns to name the class of
every cell: that of the scene where a defect is visible, "none" elsewhere. And the heat maps of
Grad-CAM and LayerCAM are to cover the defect (explanations in the loss: A. S. Ross et al., "Right
for the right reasons", IJCAI 2017).
"""

from __future__ import annotations

import argparse
import csv
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from napari_semxai.algorithms.statistics.classification import (
    ClassificationScores,
    classification_scores,
    fit_temperature,
)
from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.backends.classifier.classifier import normalised, resized
from napari_semxai.backends.classifier.files import (
    WIDTH,
    LiteClassifier,
    description_of,
    description_path,
)
from napari_semxai.store.disk.atomic import write_json
from training.classify_batches import IGNORED, INFO, PRIOR, batch_at
from training.classify_scenes import VALIDATION_COUNT, VALIDATION_STREAM, scene_at
from training.pretrained import load_imagenet_classifier

CACHE = Path.home() / ".cache" / "semxai-training"
FROZEN = ("stem", "filter1", "project1", "expand2", "filter2", "project2", "blocks2")
CELL_WEIGHT = 0.5
MAP_WEIGHT = 1.0
STRONGEST = 8
"""Exponent: cells at 0.9 of the strongest count 0.43 of it."""
EMA = 0.99
ANY_LIGHT, ANY_LIGHT_SEED = 300, 5000
CONFIDENT, CALLED_WRONG = 0.9, 0.01
"""At most this share of `ANY_LIGHT` scenes may be called wrong with a confidence over that."""
WARM_UP = 40
COLUMNS = ("step", "images", "minutes", "rate", "loss", "accuracy", "validation_f1")


@dataclass(slots=True, eq=False)
class Run:
    """Everything a run needs to go on."""

    network: LiteClassifier
    average: LiteClassifier
    cells: nn.Conv2d
    optimizer: torch.optim.Optimizer
    step: int = 0
    minutes: float = 0.0
    first: int = 0


def new_run(rate: float, weights: Path | None = None, first: int = 0) -> Run:
    """Start from ImageNet, or from exported `weights` that have seen `first` steps.

    Exporting took the classes' shares back (`export`): they are put in again.
    """
    torch.manual_seed(0)
    network, average = LiteClassifier(len(LABELS)), LiteClassifier(len(LABELS))
    load_imagenet_classifier(network)
    if weights:
        state = load_file(weights)
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        with torch.no_grad():
            network.classifier.bias += PRIOR
    average.load_state_dict(network.state_dict())
    for name in FROZEN:
        network.features.get_submodule(name).requires_grad_(False)
    known = [p for p in network.features.parameters() if p.requires_grad]
    cells = nn.Conv2d(WIDTH, len(LABELS), 1)
    groups = [
        {"params": known, "share": 0.5},
        {"params": [*network.classifier.parameters(), *cells.parameters()], "share": 3.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
    for model in (network, average):
        model.to(memory_format=torch.channels_last)
    return Run(network, average, cells, optimizer, step=first, first=first)


def save(run: Run, path: Path) -> None:
    """Write a checkpoint so that an interruption never leaves half of one."""
    state = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "cells": run.cells.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "numbers": (run.step, run.minutes, run.first),
    }
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)


def load(run: Run, path: Path) -> None:
    """Go on from the checkpoint at `path`."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.cells.load_state_dict(state["cells"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.minutes, run.first = state["numbers"]


def cell_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of cells; the few with a defect weigh as much as all the others."""
    losses = functional.cross_entropy(logits, classes, reduction="none", ignore_index=IGNORED)
    none = classes == len(LABELS) - 1
    parts = [losses[none], losses[~none & (classes != IGNORED)]]
    return torch.stack([part.sum() / max(1, part.numel()) for part in parts]).mean()


def map_loss(
    features: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """How badly the heat maps of the true classes cover the defect, and where they are strongest.

    `features` (B, C, H, W) are not negative, `weight` (K, C) is that of the last linear layer;
    Grad-CAM of the last map is then the positive part of the weighted sum of its channels,
    LayerCAM the sum of the positive parts. `shares` (B, H, W) is how much of each cell is defect;
    images without one count nowhere. One minus the soft Dice, and half the negative logarithm of
    how much of the strongest cells is defect.
    """
    seen = shares.flatten(1).any(1)
    features, shares, own = features[seen], shares[seen], weight[targets[seen], :, None, None]
    most = shares.flatten(1).amax(1).clamp_min(1e-6)[:, None, None]
    losses = []
    for maps in ((features * own).sum(1).relu(), (features * own.relu()).sum(1)):
        scaled = maps / maps.flatten(1).amax(1).clamp_min(1e-6)[:, None, None]
        size = scaled.square() + shares.square()
        losses.append(1 - 2 * (scaled * shares).sum((1, 2)) / size.sum((1, 2)))
        strong = scaled**STRONGEST
        hit = (strong * shares / most).sum((1, 2)) / strong.sum((1, 2)).clamp_min(1e-6)
        losses.append(-0.5 * hit.clamp_min(0.01).log())
    return torch.cat(losses).sum() / max(1, 2 * len(shares))


def rate_at(run: Run, steps: int) -> float:
    """Share of the learning rate at the next step."""
    done, planned = run.step - run.first, steps - run.first
    return min(1.0, (done + 1) / WARM_UP, max(0.0, (planned - done) / (0.4 * planned)))


def update(
    run: Run, options: argparse.Namespace, batch: tuple[torch.Tensor, ...]
) -> tuple[float, float]:
    """One optimizer step and one of the average; return the images' loss and accuracy."""
    values, targets, cells, shares = batch
    for group in run.optimizer.param_groups:
        group["lr"] = options.rate * group["share"] * rate_at(run, options.steps)
    run.network.train()
    inputs = normalised(values, INFO).to(memory_format=torch.channels_last)
    features = run.network.features(inputs)
    logits = run.network.classifier(torch.flatten(run.network.pool(features), 1))
    loss = functional.cross_entropy(logits, targets)
    run.optimizer.zero_grad(set_to_none=True)
    maps = map_loss(features, run.network.classifier.weight, targets, shares)
    whole = loss + CELL_WEIGHT * cell_loss(run.cells(features), cells) + MAP_WEIGHT * maps
    whole.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    run.step += 1
    done = run.step - run.first
    keep = min(EMA, (1 + done) / (10 + done))
    with torch.no_grad():
        for old, new in zip(run.average.parameters(), run.network.parameters(), strict=True):
            old.lerp_(new, 1 - keep)
    return loss.item(), float((logits.argmax(1) == targets).float().mean())


def validation_set(*, wide: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the validation scenes as inputs and class indices; `wide` as the generator is."""
    found = [
        scene_at(VALIDATION_STREAM, label, index, wide=wide)
        for index in range(VALIDATION_COUNT)
        for label in LABELS
    ]
    values = torch.cat([resized(scene.image, INFO) for scene in found])
    return values, torch.tensor([scene.label - 1 for scene in found])


@torch.inference_mode()
def logits_of(network: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """Logits of many inputs in [0, 1]."""
    network.eval()
    return torch.cat([network(normalised(part, INFO)) for part in values.split(10)])


def scores_of(logits: torch.Tensor, targets: torch.Tensor) -> ClassificationScores:
    """Scores of the most probable classes."""
    return classification_scores(targets.numpy(), logits.argmax(1).numpy(), len(LABELS))


def train(run: Run, options: argparse.Namespace, path: Path) -> None:
    """Train until the minutes or the steps are over."""
    start = saved = time.monotonic()
    before, sums = run.minutes, []
    values, targets = validation_set()
    # The next batch is made beside this step, in a process of its own.
    pool = ProcessPoolExecutor(1)
    following = pool.submit(batch_at, run.step, options.batch)
    while run.step < options.steps and time.monotonic() - start < options.minutes * 60:
        batch = following.result()
        following = pool.submit(batch_at, run.step + 1, options.batch)
        sums.append(update(run, options, batch))
        run.minutes = before + (time.monotonic() - start) / 60
        if run.step % 25 == 0 or run.step == options.steps:
            score = float("nan")
            if run.step % 100 == 0 or run.step == options.steps:
                score = scores_of(logits_of(run.average, values), targets).macro_f1
            loss, accuracy = np.mean(sums, axis=0)
            rate = options.rate * rate_at(run, options.steps)
            images = run.step * options.batch
            row = (run.step, images, run.minutes, rate, loss, accuracy, score)
            log(path.with_suffix(".csv"), [round(float(value), 6) for value in row])
            sums = []
        if time.monotonic() - saved > 120:
            save(run, path)
            saved = time.monotonic()
    pool.shutdown(cancel_futures=True)
    save(run, path)


def log(path: Path, row: list[float]) -> None:
    """Append a line to the training curve, and show it."""
    print(*row, flush=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow(row)


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the averaged weights as float16 safetensors, with their description beside.

    They may be blended with those the run began with: two that lie near each other are right about
    different scenes (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    Classes that came more often in training are more probable by as much; that is taken back.
    """
    if options.blend < 1:
        start = new_run(options.rate, options.init_from).average
        for own, old in zip(run.average.parameters(), start.parameters(), strict=True):
            own.data.copy_(torch.lerp(old.data, own.data, options.blend))
    with torch.no_grad():
        run.average.classifier.bias -= PRIOR
    half = {name: tensor.half().contiguous() for name, tensor in run.average.state_dict().items()}
    run.average.load_state_dict({name: tensor.float() for name, tensor in half.items()})
    values, targets = validation_set()
    scores = scores_of(logits_of(run.average, values), targets)
    # On the scenes that are hard to tell: where it is wrong it must not be sure.
    values, targets = validation_set(wide=True)
    logits = logits_of(run.average, values).double().numpy()
    temperature = modest(run.average, fit_temperature(logits, targets.numpy()))
    print("step", run.step, "validation macro F1", scores.macro_f1, "temperature", temperature)
    # Part of the file, so that its SHA-256 tells the network from one that pads otherwise.
    save_file(half, options.export, {"padding": "more at the end"})
    options.export.chmod(0o644)
    write_json(
        description_path(options.export), description_of(replace(INFO, temperature=temperature))
    )


def modest(network: nn.Module, temperature: float) -> float:
    """Raise a temperature until few scenes of any light are called wrong and with certainty."""
    scenes = [scene_of_class(n % len(LABELS) + 1, ANY_LIGHT_SEED + n) for n in range(ANY_LIGHT)]
    logits = logits_of(network, torch.cat([resized(scene.image, INFO) for scene in scenes]))
    wrong = logits.argmax(1) != torch.tensor([scene.label - 1 for scene in scenes])
    while True:
        sure = torch.softmax(logits / temperature, 1).amax(1) > CONFIDENT
        if (wrong & sure).float().mean() <= CALLED_WRONG:
            return round(temperature, 4)
        temperature *= 1.01


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=CACHE, help="checkpoints and curves")
    parser.add_argument("--name", default="classifier", help="of the checkpoint")
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=18)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--init-from", type=Path, help="exported weights, fresh optimizer")
    parser.add_argument("--first-step", type=int, default=0, help="steps those have seen")
    parser.add_argument(
        "--blend", type=float, default=1.0, help="share of the run in what is exported"
    )
    parser.add_argument("--export", type=Path, help="only write the averaged weights")
    return parser.parse_args()


def main() -> None:
    """Train or export."""
    options = parse()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"{options.name}.pt"
    run = new_run(options.rate, options.init_from, options.first_step)
    if path.exists():
        load(run, path)
    if options.export:
        export(run, options)
    else:
        train(run, options, path)


if __name__ == "__main__":
    main()
