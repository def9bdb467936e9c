"""Train the bundled SAM 2 on synthetic scenes; resumes where it was interrupted.

On CPUs one process a core, each with one thread, which share their gradients: on busy cores this
is several times faster than one process with several threads. ``--device cuda`` is one process,
for which ``--workers`` make the scenes. ``--carry FOLDER`` begins from a small checkpoint there,
when there is one, and leaves one at the end: files of less than 16 MiB, to go on elsewhere.

The learning rate warms up and then stays; ``--decay N`` starts from the newest checkpoint a branch
that lowers it to zero over N steps, so that the long run can go on from where it was.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from training.runs import Run, export, load, new_run, pack, save, unpack
from training.samples import Batch, Sample, collate, make_disc_sample, make_sample
from training.step import training_loss

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = Path.home() / ".cache" / "semxai-training"
WARM_UP = 150
EMA = 0.998
"""How much of the averaged weights stays a step."""
DECAY_EMA = 0.995
"""The same while the rate goes down: the last steps are the best ones."""
COLUMNS = ("step", "images", "minutes", "rate", "loss", "dense", "one_click", "smallest")
COLUMNS += ("round_1", "round_2", "round_3", "round_4", "round_5")


def rate_at(run: Run, rate: float, decay: int) -> float:
    """Learning rate of the next step: warm up, stay, and in a branch go down to 0."""
    if decay:
        left = 1 - (run.step - run.decay_start) / decay
        return rate * max(left, 0.0)
    return rate * min(1.0, (run.step + 1) / WARM_UP)


def share_gradients(run: Run) -> None:
    """Replace every gradient by its mean over the processes."""
    if distributed.get_world_size() == 1:
        return
    parameters = [*run.network.parameters(), *run.head.parameters()]
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    pieces = flat.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


@dataclass(frozen=True, slots=True)
class Scenes:
    """Samples by their number, as a loader asks for them."""

    size: int
    clicks: int
    discs: int

    def __getitem__(self, number: int) -> Sample:
        """Make sample `number`; the first `discs` are the first exercise."""
        make = make_disc_sample if number < self.discs else make_sample
        return make(number, self.size, self.clicks)


def batches(run: Run, options: argparse.Namespace) -> Iterator[Batch]:
    """Make batch after batch of this process, from where the run is."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    together = options.batch * world
    numbers = (
        range(first + rank * options.batch, first + (rank + 1) * options.batch)
        for first in count(run.images, together)
    )
    device = torch.device(options.device)
    loader = DataLoader(
        Scenes(options.size, options.clicks, options.discs * together),
        batch_sampler=numbers,
        collate_fn=collate,
        num_workers=options.workers,
        pin_memory=device.type == "cuda",
    )
    return (batch.to(device) for batch in loader)


def update(run: Run, batch: Batch, options: argparse.Namespace) -> dict[str, float]:
    """One optimizer step and one step of the average; return the figures."""
    rank, world = distributed.get_rank(), distributed.get_world_size()
    device = torch.device(options.device)
    generator = torch.Generator(device).manual_seed(run.step * world + rank)
    # The same number in every process, which wait for one another.
    draw = np.random.default_rng(run.step)
    rounds = int(draw.integers(min(2, options.rounds), options.rounds + 1))
    rate = rate_at(run, options.rate, options.decay)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["share"]
    # The fused attention is slow backwards for tokens of 8 channels a head.
    half = torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16)
    with half, sdpa_kernel(SDPBackend.MATH):
        loss, figures = training_loss(run.network, run.head, batch, generator, rounds)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    share_gradients(run)
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    if torch.isfinite(norm):
        run.optimizer.step()
    run.step += 1
    run.images += options.batch * world
    if rank == 0:
        follow(run, DECAY_EMA if options.decay else EMA)
    return {"loss": loss.item(), **figures}


@torch.no_grad()
def follow(run: Run, most: float) -> None:
    """Move the averaged weights a little towards the present ones, `most` of them staying."""
    keep = min(most, (1 + run.step) / (10 + run.step))
    present = run.network.state_dict()
    for name, tensor in run.average.state_dict().items():
        tensor.lerp_(present[name], 1 - keep)


def train(run: Run, options: argparse.Namespace, path: Path) -> None:
    """Train until the minutes or the decay are over."""
    start = saved = time.monotonic()
    before, sums, seen = run.minutes, Counter[str](), Counter[str]()
    lead = distributed.get_rank() == 0
    over = torch.zeros(1)
    made = batches(run, options)
    while not over:
        figures = update(run, next(made), options)
        run.minutes = before + (time.monotonic() - start) / 60
        sums.update(figures)
        seen.update(figures.keys())
        if lead and run.step % 25 == 0:
            means = [round(sums[name] / max(seen[name], 1), 4) for name in COLUMNS[4:]]
            rate = round(rate_at(run, options.rate, options.decay), 7)
            row = [run.step, run.images, round(run.minutes, 2), rate, *means]
            log(path.with_suffix(".csv"), row)
            sums, seen = Counter[str](), Counter[str]()
        if lead and time.monotonic() - saved > 150:
            save(run, path)
            saved = time.monotonic()
        late = time.monotonic() - start > options.minutes * 60
        over.fill_(late or (options.decay and run.step - run.decay_start >= options.decay))
        distributed.broadcast(over, 0)
    if lead:
        save(run, path)
        if options.carry:
            pack(run, options.carry)


def log(path: Path, row: list[float]) -> None:
    """Append a line to the training curve, and show it."""
    print(*row, flush=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow(row)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=CACHE, help="checkpoints and curves")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--size", type=int, default=256, help="edge of the scenes in pixels")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda with --processes 1")
    parser.add_argument("--workers", type=int, default=0, help="make scenes beside each process")
    parser.add_argument("--carry", type=Path, help="folder of a small checkpoint")
    parser.add_argument("--batch", type=int, default=4, help="images a step and process")
    parser.add_argument("--clicks", type=int, default=12, help="clicks an image")
    parser.add_argument(
        "--rounds", type=int, default=6, help="a click and its corrections, at most"
    )
    parser.add_argument("--first", type=int, default=0, help="number of a new run's first sample")
    parser.add_argument("--discs", type=int, default=0, help="steps of the first exercise")
    parser.add_argument("--bfloat16", action="store_true", help="faster where the CPU has it")
    parser.add_argument(
        "--frozen-stages", type=int, default=3, help="of the trunk, from the first"
    )
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument(
        "--trunk-share", type=float, default=0.1, help="of the rate, for the pretrained trunk"
    )
    parser.add_argument("--decay", type=int, default=0, help="steps of a branch that ends at 0")
    parser.add_argument("--branch", default="main", help="name of the checkpoint to go on with")
    parser.add_argument("--from-branch", default="main", help="where a new branch starts")
    parser.add_argument("--init-from", type=Path, help="exported weights, fresh optimizer")
    parser.add_argument("--encoder-only", action="store_true", help="begin the decoder anew")
    parser.add_argument("--export", type=Path, help="only write the branch's averaged weights")
    parser.add_argument(
        "--blend",
        type=float,
        default=1.0,
        help="their share in what is exported; the rest is of --init-from, or as shipped",
    )
    return parser.parse_args()


def work(rank: int, options: argparse.Namespace) -> None:
    """Train as one of the processes."""
    torch.set_num_threads(1)
    meeting = options.folder / f"{options.branch}.meeting"
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.processes
    )
    path = options.folder / f"{options.branch}.pt"
    run = new_run(options.rate, options.init_from, options.encoder_only, options.device)
    source = path if path.exists() else options.folder / f"{options.from_branch}.pt"
    if source.exists() and (source == path or not options.init_from):
        load(run, source)
    elif options.carry and options.carry.exists():
        unpack(run, options.carry)
    else:
        run.images = options.first
    run.optimizer.param_groups[0]["share"] = options.trunk_share
    if options.decay and (source != path or run.decay_start < 0):
        run.decay_start = run.step
    trunk = run.network.image_encoder.trunk
    for part in (trunk.stem, *trunk.stages[: options.frozen_stages]):
        part.requires_grad_(False)
    distributed.barrier()
    train(run, options, path)
    distributed.destroy_process_group()


def main() -> None:
    """Train or export."""
    options = parse()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.export:
        other = options.init_from or BUNDLED_WEIGHTS
        export(options.folder / f"{options.branch}.pt", options.export, options.blend, other)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    (options.folder / f"{options.branch}.meeting").unlink(missing_ok=True)
    multiprocessing.spawn(work, (options,), options.processes)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
