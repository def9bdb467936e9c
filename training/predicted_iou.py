"""How well the bundled network's predicted IoUs tell the true ones, and a last fit of them.

In training every click means a region; the automatic grid clicks everywhere. So the layers that
predict IoUs are fitted once more, all else fixed, to what the grid offers on scenes of their own,
on and around small regions as often as everywhere else, and to answers to corrections.

``python -m training.predicted_iou`` prints the table of validation scenes, ``--fit FILE`` writes
weights with these layers fitted.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
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
from training.step import correction, decode, encode, to_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

    from napari_semxai.algorithms.synthetic import Scene

Answer = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
FIT_STREAM = 70_707
SPACING = 15
"""Pixels between the grid's points: 32 a side of a scene of 480."""
SMALL = (1000, 5000, 25_000)
"""Where one size of masks ends and the next begins, in pixels."""
NEAR = 6
"""Around a region of the first two sizes all points of the grid are asked, this far in pixels."""
HEAD = "sam_mask_decoder.iou_prediction_head"
CORRECTED = 24
"""Clicks of a scene that are followed by a correction."""


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The masks of single clicks, or of clicks with a correction.

    Attributes
    ----------
    token : tensor, shape (p, d)
        What the layers that predict IoUs see.
    predicted, true : tensor, shape (p, k)
        IoU as predicted, and with the region of the scene that a mask is most like; NaN for masks
        that are not offered: the single one, of single clicks.
    areas : tensor, shape (p, k)
        Pixels.
    """

    token: torch.Tensor
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
def offers(network: nn.Module, scene: Scene, number: int) -> Offers:
    """Ask the network at `points_of` a scene, and correct some of its answers."""
    image = torch.from_numpy(scene.image)[None, None].float()
    size = (IMAGE_SIZE, IMAGE_SIZE)
    image = functional.interpolate(image, size, mode="bilinear", antialias=True)[:, 0]
    encoded = encode(network, to_images(image), (0, 0))
    scale = torch.tensor([IMAGE_SIZE / scene.image.shape[1], IMAGE_SIZE / scene.image.shape[0]])
    regions = torch.from_numpy(np.stack([region.mask for region in scene.regions])).float()
    tokens: list[torch.Tensor] = []
    head = network.get_submodule(HEAD)
    hook = head.register_forward_hook(lambda _, given, __: tokens.append(given[0]))
    found = []

    def ask(points: torch.Tensor, labels: torch.Tensor, masks: torch.Tensor | None) -> Answer:
        owner = torch.zeros(len(points), dtype=torch.int)
        logits, predicted = decode(network, encoded, owner, (points * scale, labels), masks)
        whole = functional.interpolate(logits, scene.image.shape, mode="bilinear")
        ious = pair_ious(whole.flatten(0, 1)[None], regions[None])[0].unflatten(0, predicted.shape)
        found.append((predicted, ious.amax(2), (whole > 0).sum((2, 3))))
        return logits, whole, ious

    generator = torch.Generator().manual_seed(number)
    places = torch.from_numpy(points_of(scene))
    for points in places.split(32):
        ask(points[:, None], torch.ones(len(points), 1, dtype=torch.int), None)
        found[-1][1][:, 0] = torch.nan
    some = places[torch.randperm(len(places), generator=generator)[:CORRECTED], None]
    labels = torch.ones(len(some), 1, dtype=torch.int)
    logits, whole, ious = ask(some, labels, None)
    found[-1][1][:, 0] = torch.nan
    # What was meant is the region that the best answer is most like.
    best = ious[:, 1:].amax(2).argmax(1) + 1
    every = torch.arange(len(some))
    meant = regions[ious[every, best].argmax(1)].to(torch.uint8)
    clicks, said = correction((whole[every, best] > 0).to(torch.uint8), meant, generator)
    masks = logits[every, best][:, None].clamp(-32, 32)
    ask(torch.cat([some, clicks / 2], 1), torch.cat([labels, said], 1), masks)
    hook.remove()
    return Offers(torch.cat(tokens), *(torch.cat(parts) for parts in zip(*found, strict=True)))


def together(network: nn.Module, scenes: Iterable[tuple[str, Scene]]) -> Offers:
    """Return the offers of many scenes."""
    every = [offers(network, scene, number) for number, (_, scene) in enumerate(scenes)]
    return Offers(
        *(torch.cat([getattr(one, field.name) for one in every]) for field in fields(Offers))
    )


def fit(head: nn.Module, seen: Offers, steps: int = 500) -> None:
    """Fit the layers that predict IoUs by the mean squared error."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(head.parameters(), 1e-3)
    for _ in range(steps):
        some = torch.randint(len(seen.token), (512,), generator=generator)
        offered = ~torch.isnan(seen.true[some])
        loss = functional.mse_loss(head(seen.token[some])[offered], seen.true[some][offered])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def table(seen: Offers) -> str:
    """Markdown: the mean true IoU by size and predicted IoU, and the mean error, by size."""
    steps = (0.0, 0.25, BUNDLED_FILTERS.pred_iou_thresh, 0.625, 0.75, 0.875, 1.01)
    heads = [f"{low} to {min(high, 1)}" for low, high in pairwise(steps)]
    lines = ["| pixels | " + " | ".join(heads) + " | mean error; of those above the threshold |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    edges = (1, *SMALL, 10**9)
    for low, high in pairwise(edges):
        sized = (seen.areas >= low) & (seen.areas < high) & ~torch.isnan(seen.true)
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
    parser.add_argument("--fit", type=Path, help="write weights with these layers fitted")
    parser.add_argument("--scenes", type=int, default=16, help="of each kind, to fit on")
    parser.add_argument("--limit", type=int, default=8, help="validation scenes of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = build_bundled(options.weights).eval()
    seen = together(network, validation(options.limit))
    print(table(seen))
    if options.fit:
        head = network.get_submodule(HEAD)
        fit(head, together(network, more(FIT_STREAM, options.scenes)))
        with torch.no_grad():
            print(table(replace(seen, predicted=head(seen.token))))
        state = load_file(options.weights)
        state |= {f"{HEAD}.{name}": tensor.half() for name, tensor in head.state_dict().items()}
        save_file(state, options.fit)


if __name__ == "__main__":
    main()
