"""One training step: single clicks, then boxes and corrective clicks with mask prompts."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_semxai.backends.sam2.checkpoints import IMAGE_SIZE
from training.losses import click_loss, dense_loss, pixel_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training.samples import Batch

_MEAN = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
_STD = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
STRIDE = 16
TRUTH_SAMPLED = 0.1
"""Share of corrective clicks that are drawn from the target and not from the error."""
BOXES = 0.25
"""Share of prompts that become a box in the first round of corrections."""
ALL_OFFERS = 0.5
"""After a correction, how much every one of the three masks counts beside the best one."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Features of a batch of images, and where their window lies in the network's frame."""

    embedding: torch.Tensor
    fine: list[torch.Tensor]
    offset: tuple[int, int]


def to_images(gray: torch.Tensor) -> torch.Tensor:
    """Grey pictures (b, N, N) of uint8 as the network wants them, shape (b, 3, N, N)."""
    return (gray[:, None].float() / 255 - _MEAN.to(gray.device)) / _STD.to(gray.device)


def unpack(targets: torch.Tensor) -> torch.Tensor:
    """Masks (b, p, 3, N / 2, N / 2) of 0 and 1 from bits, the highest first."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=targets.device)
    return ((targets[..., None] >> shifts) & 1).flatten(-2)


def encode(network: nn.Module, images: torch.Tensor, offset: tuple[int, int]) -> Encoded:
    """Encode `images`, a window of the network's frame that starts at `offset` (tokens)."""
    maps = network.forward_image(images)["backbone_fpn"]
    embedding = maps[2] + network.no_mem_embed.reshape(1, -1, 1, 1)
    return Encoded(embedding, [maps[0], maps[1]], offset)


def decode(
    network: nn.Module,
    encoded: Encoded,
    owner: torch.Tensor,
    prompts: tuple[torch.Tensor, torch.Tensor],
    masks: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All four masks and predicted IoUs of each prompt.

    Parameters
    ----------
    network : nn.Module
        The network.
    encoded : Encoded
        Its features.
    owner : tensor of int, shape (p,)
        Which image each prompt belongs to.
    prompts : tuple of tensor
        Points (p, n, 2) as (column, row) in the window, and labels (p, n).
    masks : tensor, shape (p, 1, m, m), optional
        Mask prompts; a prompt whose mask is all NaN has none.

    Returns
    -------
    logits : tensor, shape (p, 4, m, m)
    predicted_iou : tensor, shape (p, 4)
    """
    row, column = encoded.offset
    side = encoded.embedding.shape[-1]
    shift = prompts[0].new_tensor([column * STRIDE, row * STRIDE])
    encoder = network.sam_prompt_encoder
    sparse, _ = encoder(points=(prompts[0] + shift, prompts[1]), boxes=None, masks=None)
    dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(len(owner), -1, side, side)
    if masks is not None:
        given = ~torch.isnan(masks[:, :, :1, :1])
        dense = torch.where(given, encoder.mask_downscaling(torch.nan_to_num(masks)), dense)
    place = encoder.get_dense_pe()[:, :, row : row + side, column : column + side]
    logits, predicted, _, _ = network.sam_mask_decoder.predict_masks(
        image_embeddings=encoded.embedding[owner],
        image_pe=place,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=[features[owner] for features in encoded.fine],
    )
    return logits.float(), predicted.float()


def enlarge(logits: torch.Tensor) -> torch.Tensor:
    """Masks at half the image's resolution, where losses are taken."""
    return functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)


def boxes_of(targets: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Boxes (p, 2, 2) around masks (p, M, N) at half resolution, their corners moved a little."""
    rows, columns = targets.any(2), targets.any(1)
    size = targets.shape[-1]
    low = torch.stack([columns.int().argmax(1), rows.int().argmax(1)], 1)
    high = size - torch.stack([columns.flip(1).int().argmax(1), rows.flip(1).int().argmax(1)], 1)
    corners = torch.stack([low, high], 1).float() * 2
    extent = (corners[:, 1:] - corners[:, :1]).clamp(min=4)
    noise = _randn(corners.shape, generator).clamp(-2, 2)
    return (corners + 0.05 * extent * noise).clamp(0, 2 * size - 1)


def correction(
    masks: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a click (p, 1, 2) in each mask's error and its label (p, 1): 1 missed, 0 too much.

    Half of the clicks are where the error is broadest, as people click, half anywhere in it; some
    are anywhere in the target, so that a click that corrects nothing changes nothing.
    """
    wrong = (masks != targets).float()
    error = wrong.flatten(1) + 1e-6 * targets.flatten(1)
    picked = torch.multinomial(error + 1e-12, 1, generator=generator)
    broad = (_breadth(wrong) * wrong).flatten(1).argmax(1, keepdim=True)
    picked = torch.where(_rand(picked.shape, generator) < 0.5, broad, picked)
    anywhere = torch.multinomial(targets.flatten(1).float() + 1e-12, 1, generator=generator)
    sampled = _rand(picked.shape, generator) < TRUTH_SAMPLED
    picked = torch.where(sampled, anywhere, picked)
    labels = targets.flatten(1).gather(1, picked).int()
    size = targets.shape[-1]
    jitter = (_rand((len(masks), 1, 2), generator) < 0.5).int()
    points = torch.stack([picked % size, picked // size], 2) * 2 + jitter
    return points.float(), labels


def _breadth(wrong: torch.Tensor) -> torch.Tensor:
    """How much of the neighbourhood of each pixel is wrong too, over three ranges."""
    coarse = functional.avg_pool2d(wrong[:, None], 8)
    score = coarse + sum(functional.avg_pool2d(coarse, n, 1, n // 2) for n in (3, 7))
    return functional.interpolate(score, wrong.shape[1:], mode="bilinear")[:, 0]


def random_window(side: int, generator: torch.Generator) -> tuple[int, int]:
    """Where a picture of `side` tokens lies in the network's frame."""
    free = IMAGE_SIZE // STRIDE - side + 1
    row, column = (_rand((2,), generator) * free).long().tolist()
    return row, column


def _rand(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _randn(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


@contextmanager
def finest_map(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the refined maps at stride 4 that the trunk makes meanwhile."""
    trunk, found = network.image_encoder.trunk, []
    width = trunk.refinement.channels[0]
    hook = trunk.register_forward_hook(lambda _, __, maps: found.append(maps[0][:, -width:]))
    try:
        yield found
    finally:
        hook.remove()


def training_loss(
    network: nn.Module,
    head: nn.Module,
    batch: Batch,
    generator: torch.Generator,
    rounds: int = 3,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Loss of a batch over all rounds, and figures to watch.

    Everything happens on the device of `batch` and `generator`. `head` tells from the trunk's
    finest map what is where; it is for training only.
    """
    points, targets, valid = batch.points, unpack(batch.targets), batch.valid
    count, clicks = points.shape[:2]
    window = random_window(batch.image.shape[-1] // STRIDE, generator)
    with finest_map(network) as found:
        encoded = encode(network, to_images(batch.image), window)
    dense = dense_loss(head(found[0]), batch.places, batch.kinds)
    owner = torch.arange(count, device=points.device).repeat_interleave(clicks)
    points, targets, valid = points.flatten(0, 1), targets.flatten(0, 1), valid.flatten(0, 1)
    prompts = (points[:, None], torch.ones(len(points), 1, dtype=torch.int, device=points.device))
    logits, predicted = decode(network, encoded, owner, prompts)
    weights = pixel_weights(batch.kinds[:, 0])[owner]
    loss, ious = click_loss(enlarge(logits[:, 1:]), predicted[:, 1:], targets, valid, weights)
    first = ious.amax(1)[valid]
    smallest = ious[:, :, 0].amax(1)[valid[:, 0]]
    figures = {"dense": float(dense.detach()), "one_click": float(first.mean())}
    figures["smallest"] = float(smallest.mean())
    loss = loss + dense
    known = torch.nonzero(valid.any(1))[:, 0]
    order = _rand((len(known),), generator).argsort()
    keep = known[order[: len(points) // 2]]
    chosen = _choose(valid[keep], generator)
    state = _Round(
        owner[keep], prompts[0][keep], prompts[1][keep], targets[keep, chosen], weights[keep]
    )
    offered = logits[keep, 1:].detach()
    best = ious[keep].gather(2, chosen[:, None, None].expand(-1, 3, 1)).argmax(1)[:, 0]
    state.logits = offered[torch.arange(len(keep), device=best.device), best]
    for number in range(1, rounds):
        extra, value = _refine(network, encoded, state, generator, boxes=number == 1)
        loss = loss + 0.5 * extra
        figures[f"round_{number}"] = value
    return loss, figures


@dataclass(slots=True, eq=False)
class _Round:
    """Prompts so far, what they mean, and the last answer."""

    owner: torch.Tensor
    points: torch.Tensor
    labels: torch.Tensor
    target: torch.Tensor
    weights: torch.Tensor
    logits: torch.Tensor | None = None


def _choose(valid: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pick one existing target of each click; the smallest in half of the cases."""
    chosen = torch.multinomial(valid.float(), 1, generator=generator)[:, 0]
    small = _rand((len(valid),), generator) < 0.5
    return torch.where(small, torch.zeros_like(chosen), chosen)


def _refine(
    network: nn.Module, encoded: Encoded, state: _Round, generator: torch.Generator, boxes: bool
) -> tuple[torch.Tensor, float]:
    """One more round: a click in the error for most, a box instead for some."""
    half = enlarge(state.logits[:, None])[:, 0]
    points, labels = correction((half > 0).to(torch.uint8), state.target, generator)
    masks = state.logits[:, None].clamp(-32, 32)
    new_points = torch.cat([state.points, points], 1)
    new_labels = torch.cat([state.labels, labels], 1)
    if boxes:
        box = _rand((len(masks),), generator) < BOXES
        new_points[box] = boxes_of(state.target[box], generator)
        new_labels[box] = new_labels.new_tensor([2, 3])
        bare = box | (_rand((len(masks),), generator) < 0.15)
        masks = torch.where(bare[:, None, None, None], torch.full_like(masks, torch.nan), masks)
    logits, predicted = decode(network, encoded, state.owner, (new_points, new_labels), masks)
    target, valid = (
        state.target[:, None],
        torch.ones(len(masks), 1, dtype=torch.bool, device=masks.device),
    )
    large = enlarge(logits)
    single, ious = click_loss(large[:, :1], predicted[:, :1], target, valid, state.weights)
    several, _ = click_loss(
        large[:, 1:], predicted[:, 1:], target, valid, state.weights, ALL_OFFERS
    )
    state.points, state.labels = new_points, new_labels
    state.logits = logits[:, 0].detach()
    return single + 0.5 * several, float(ious.mean())
