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
from safetensors.torch import load_file, save_file
from torch import distributed, multiprocessing, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader

from napari_semxai.backends.sam2.checkpoints import IMAGE_SIZE, build_bundled_architecture
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from training.losses import DENSE_CHANNELS
from training.pretrained import load_imagenet
from training.samples import Batch, Sample, collate, make_disc_sample, make_sample
from training.start import look_at_the_click, quieten
from training.step import to_images, training_loss

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


@dataclass(slots=True, eq=False)
class Run:
    """Everything a run needs to go on."""

    network: nn.Module
    average: nn.Module
    head: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    images: int = 0
    minutes: float = 0.0
    decay_start: int = -1


def build_network() -> nn.Module:
    """Return the architecture with ImageNet weights in the trunk."""
    torch.manual_seed(0)
    network = build_bundled_architecture()
    load_imagenet(network.image_encoder.trunk)
    matrix = network.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    matrix.copy_(matrix.half().float())
    return network


def new_run(
    rate: float, weights: Path | None, encoder_only: bool = False, device: str = "cpu"
) -> Run:
    """Start from ImageNet, or from exported `weights` with a fresh optimizer.

    With `encoder_only` the prompt encoder and the mask decoder begin anew.
    """
    network, average = build_network(), build_network()
    if weights:
        state = {name: tensor.float() for name, tensor in load_file(weights).items()}
        if encoder_only:
            state = {name: t for name, t in state.items() if name.startswith("image_encoder.")}
        network.load_state_dict(state, strict=not encoder_only)
    if encoder_only or not weights:
        look_at_the_click(network)
        samples = [make_sample(seed, IMAGE_SIZE, 1) for seed in range(2)]
        quieten(network, to_images(collate(samples).image))
    average.load_state_dict(network.state_dict())
    head = nn.Conv2d(network.image_encoder.trunk.refinement.channels[0], DENSE_CHANNELS, 1)
    for module in (network, average, head):
        module.to(device)
    pretrained = list(network.image_encoder.trunk.stages.parameters())
    known = {id(parameter) for parameter in pretrained}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    rest += head.parameters()
    groups = [{"params": pretrained, "share": 0.1}, {"params": rest, "share": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)
    return Run(network, average, head, optimizer)


def save(run: Run, path: Path) -> None:
    """Write a checkpoint so that an interruption never leaves half of one."""
    state = {
        "network": run.network.state_dict(),
        "average": run.average.state_dict(),
        "head": run.head.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "numbers": _numbers(run),
    }
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)


def load(run: Run, path: Path) -> None:
    """Go on from the checkpoint at `path`."""
    # Loading copies to wherever the run is.
    state = torch.load(path, map_location="cpu", weights_only=True)
    run.network.load_state_dict(state["network"])
    run.average.load_state_dict(state["average"])
    run.head.load_state_dict(state["head"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step, run.images, run.minutes, run.decay_start = state["numbers"]


def pack(run: Run, folder: Path) -> None:
    """Write a checkpoint of halves: weights as float16, the optimizer's moments as bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    moments = run.optimizer.state_dict()["state"]
    parts = {
        "network": {name: t.half() for name, t in run.network.state_dict().items()},
        "average": {name: t.half() for name, t in run.average.state_dict().items()},
        "head": {name: t.half() for name, t in run.head.state_dict().items()},
        **{
            name: {str(key): value[name].bfloat16() for key, value in moments.items()}
            for name in ("exp_avg", "exp_avg_sq")
        },
        "steps": {str(key): value["step"].float() for key, value in moments.items()},
        "numbers": {"numbers": torch.tensor(_numbers(run), dtype=torch.float64)},
    }
    for name, tensors in parts.items():
        whole = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
        temporary = folder / f"{name}.part"
        save_file(whole, temporary)
        temporary.replace(folder / f"{name}.safetensors")


def unpack(run: Run, folder: Path) -> None:
    """Go on from a checkpoint that `pack` wrote."""
    parts = {path.stem: load_file(path) for path in folder.glob("*.safetensors")}
    for name in ("network", "average", "head"):
        getattr(run, name).load_state_dict({key: t.float() for key, t in parts[name].items()})
    state = run.optimizer.state_dict()
    state["state"] = {
        int(key): {
            "step": step,
            "exp_avg": parts["exp_avg"][key].float(),
            "exp_avg_sq": parts["exp_avg_sq"][key].float(),
        }
        for key, step in parts["steps"].items()
    }
    run.optimizer.load_state_dict(state)
    step, images, minutes, decay_start = parts["numbers"]["numbers"].tolist()
    run.step, run.images, run.minutes, run.decay_start = (
        int(step),
        int(images),
        minutes,
        int(decay_start),
    )


def _numbers(run: Run) -> tuple[int, int, float, int]:
    return run.step, run.images, run.minutes, run.decay_start


def export(
    run_path: Path, target: Path, share: float = 1.0, other: Path = BUNDLED_WEIGHTS
) -> None:
    """Write a share of a checkpoint's averaged weights, and of others the rest, as float16."""
    state = torch.load(run_path, map_location="cpu", weights_only=True)["average"]
    if share < 1:
        earlier = load_file(other)
        state = {name: torch.lerp(earlier[name].float(), t, share) for name, t in state.items()}
    half = {name: tensor.half().contiguous() for name, tensor in state.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".part")
    save_file(half, temporary)
    temporary.replace(target)


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
    multiprocessing.spawn(work, (options,), options.processes)


if __name__ == "__main__":
    main()
