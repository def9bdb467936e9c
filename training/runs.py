"""A training run of the bundled SAM 2: its beginning, its checkpoints, and what it ends in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from napari_semxai.backends.sam2.checkpoints import IMAGE_SIZE, build_bundled_architecture
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from training.losses import DENSE_CHANNELS
from training.pretrained import load_imagenet
from training.samples import collate, make_sample
from training.start import look_at_the_click, quieten
from training.step import to_images

if TYPE_CHECKING:
    from pathlib import Path


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
