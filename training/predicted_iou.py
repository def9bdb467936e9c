"""How well the bundled network's predicted IoUs tell the true ones, and a last fit of them.

In training every click means a region; the automatic grid clicks everywhere. So the last of the
layers that predict IoUs is fitted once more, all else fixed, to what the grid offers on scenes of
their own, on and around small regions as often as everywhere else.

``python -m training.predicted_iou`` prints the table of validation scenes, ``--fit FILE`` writes
weights with the layer fitted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch.nn import functional

from napari_semxai.backends.sam2.checkpoints import IMAGE_SIZE, build_bundled
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from napari_semxai.types.settings import BUNDLED_FILTERS
from training.losses import pair_ious
from training.scenes import more, validation
from training.step import decode, encode, to_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from napari_semxai.algorithms.synthetic import Scene

FIT_STREAM = 70_707
SPACING = 15
"""Pixels between the grid's points: 32 a side of a scene of 480."""
SMALL = (1000, 5000, 25_000)
"""Where one size of masks ends and the next begins, in pixels."""
NEAR = 6
"""Around a region of the first two sizes all points of the grid are asked, this far in pixels."""
LAST = "sam_mask_decoder.iou_prediction_head.layers.2"


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The three masks of single clicks.

    Attributes
    ----------
    hidden : tensor, shape (p, d)
        What the last layer sees.
    predicted, true : tensor, shape (p, 3)
        IoU as predicted, and with the region of the scene that a mask is most like.
    areas : tensor, shape (p, 3)
        Pixels.
    """

    hidden: torch.Tensor
    predicted: torch.Tensor
    true: torch.Tensor
    areas: torch.Tensor


def points_of(scene: Scene) -> np.ndarray:
    """Every third point of the grid in both directions, and all at small regions; (x, y)."""
    near = np.zeros(scene.image.shape, bool)
    for region in scene.regions:
        if 0 < np.count_nonzero(region.mask) < SMALL[1]:
            near |= ndimage.binary_dilation(region.mask, iterations=NEAR)
    rows, columns = (np.arange(SPACING // 2, side, SPACING) for side in near.shape)
    wanted = near[np.ix_(rows, columns)]
    wanted[1::3, 1::3] = True
    row, column = np.nonzero(wanted)
    return np.stack([columns[column], rows[row]], axis=1).astype(np.float32)


@torch.no_grad()
def offers(network: nn.Module, scene: Scene) -> Offers:
    """Ask the network at `points_of` a scene."""
    image = torch.from_numpy(scene.image)[None, None].float()
    size = (IMAGE_SIZE, IMAGE_SIZE)
    image = functional.interpolate(image, size, mode="bilinear", antialias=True)[:, 0]
    encoded = encode(network, to_images(image), (0, 0))
    scale = torch.tensor([IMAGE_SIZE / scene.image.shape[1], IMAGE_SIZE / scene.image.shape[0]])
    regions = torch.from_numpy(np.stack([region.mask for region in scene.regions])).float()
    hidden: list[torch.Tensor] = []
    last = network.get_submodule(LAST)
    hook = last.register_forward_hook(lambda _, given, __: hidden.append(given[0]))
    found = []
    for points in torch.from_numpy(points_of(scene)).split(32):
        labels = torch.ones(len(points), 1, dtype=torch.int)
        owner = torch.zeros(len(points), dtype=torch.int)
        logits, predicted = decode(network, encoded, owner, ((points * scale)[:, None], labels))
        whole = functional.interpolate(logits[:, 1:], scene.image.shape, mode="bilinear")
        true = pair_ious(whole, regions.expand(len(points), -1, -1, -1)).amax(2)
        found.append((predicted[:, 1:], true, (whole > 0).sum((2, 3))))
    hook.remove()
    return Offers(torch.cat(hidden), *(torch.cat(parts) for parts in zip(*found, strict=True)))


def together(network: nn.Module, scenes: Iterable[tuple[str, Scene]]) -> Offers:
    """Return the offers of many scenes."""
    every = [offers(network, scene) for _, scene in scenes]
    return Offers(
        *(torch.cat([getattr(one, field.name) for one in every]) for field in fields(Offers))
    )


def fit(layer: nn.Linear, seen: Offers, steps: int = 2000) -> None:
    """Fit the rows of the three masks by the mean error, small masks counted thrice.

    That of the single mask, which answers corrections, stays.
    """
    generator = torch.Generator().manual_seed(0)
    weight, bias = (t.detach().clone().requires_grad_() for t in (layer.weight, layer.bias))
    optimizer = torch.optim.AdamW([weight, bias], 1e-3)
    for _ in range(steps):
        some = torch.randint(len(seen.hidden), (512,), generator=generator)
        told = torch.sigmoid(functional.linear(seen.hidden[some], weight, bias))[:, 1:]
        importance = 1 + 2 * (seen.areas[some] < SMALL[0])
        loss = ((told - seen.true[some]).abs() * importance).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        layer.weight[1:] = weight[1:]
        layer.bias[1:] = bias[1:]


def table(seen: Offers) -> str:
    """Markdown: the mean true IoU by size and predicted IoU, and the mean error, by size."""
    steps = (0.0, 0.25, BUNDLED_FILTERS.pred_iou_thresh, 0.625, 0.75, 0.875, 1.01)
    heads = [f"{low} to {min(high, 1)}" for low, high in pairwise(steps)]
    lines = ["| pixels | " + " | ".join(heads) + " | mean error; of those above the threshold |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    edges = (1, *SMALL, 10**9)
    for low, high in pairwise(edges):
        sized = (seen.areas >= low) & (seen.areas < high)
        told, true = seen.predicted[sized], seen.true[sized]
        bins = torch.bucketize(told, torch.tensor(steps), right=True) - 1
        inside = [true[bins == k] for k in range(len(heads))]
        cells = [f"{some.mean():.2f} ({len(some)})" if len(some) else "–" for some in inside]
        error, passed = (told - true).abs(), told > steps[2]
        means = [f"{error.mean():.3f}", f"{error[passed].mean():.3f}"]
        title = f"{low} to {high}" if high < edges[-1] else f"from {low}"
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {'; '.join(means)} |")
    return "\n".join(lines)


def main() -> None:
    """Fit, and print the table of before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=BUNDLED_WEIGHTS)
    parser.add_argument("--fit", type=Path, help="write weights with the last layer fitted")
    parser.add_argument("--scenes", type=int, default=16, help="of each kind, to fit on")
    parser.add_argument("--limit", type=int, default=8, help="validation scenes of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = build_bundled(options.weights).eval()
    seen = together(network, validation(options.limit))
    print(table(seen))
    if options.fit:
        layer = network.get_submodule(LAST)
        fit(layer, together(network, more(FIT_STREAM, options.scenes)))
        with torch.no_grad():
            predicted = torch.sigmoid(layer(seen.hidden))[:, 1:]
        print(table(Offers(seen.hidden, predicted, seen.true, seen.areas)))
        state = load_file(options.weights)
        for name in ("weight", "bias"):
            state[f"{LAST}.{name}"] = getattr(layer, name).detach().half()
        save_file(state, options.fit)


if __name__ == "__main__":
    main()
