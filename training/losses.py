"""Losses between the masks a network offers and the regions a click may mean."""

from __future__ import annotations

import torch
from torch.nn import functional

ENTROPY_WEIGHT = 5.0
DICE_WEIGHT = 1.0
IOU_WEIGHT = 1.5
NEAR = 9
"""Edge of what counts as near a defect, in steps of four pixels."""
NEAR_WEIGHT = 6.0


def pixel_weights(defects: torch.Tensor) -> torch.Tensor:
    """How much every pixel of a picture counts: more at defects and around them.

    The outline of a defect is what Algorithm 1 needs of the surface's mask, a small part of it.

    Parameters
    ----------
    defects : tensor of bool, shape (b, M, N)
        Where a defect is, at every fourth pixel.

    Returns
    -------
    tensor, shape (b, 2 M, 2 N)
    """
    near = functional.max_pool2d(defects[:, None].float(), NEAR, 1, NEAR // 2)
    return 1 + NEAR_WEIGHT * functional.interpolate(near, scale_factor=2)[:, 0]


def pair_losses(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy and dice loss of every offered mask against every target.

    Cross-entropy in place of SAM's focal loss: it makes sharper outlines in a short training, and
    the automatic generator keeps only masks with sharp outlines.

    Parameters
    ----------
    logits : tensor, shape (p, o, M, N)
        Offered masks.
    targets : tensor, shape (p, t, M, N)
        True regions, 0 or 1.
    weights : tensor, shape (p, M, N)
        How much every pixel counts.

    Returns
    -------
    tensor, shape (p, o, t)
    """
    weights = weights.flatten(1)[:, :, None]
    logits, targets = logits.flatten(2).float(), targets.flatten(2).float()
    transposed = targets.transpose(1, 2) * weights
    total = functional.softplus(logits) @ weights
    entropy = (total - logits @ transposed) / weights.sum(1)[:, None]
    chance = torch.sigmoid(logits)
    overlap = chance @ transposed
    both = chance @ weights + (targets @ weights).transpose(1, 2)
    return ENTROPY_WEIGHT * entropy + DICE_WEIGHT * (1 - (2 * overlap + 1) / (both + 1))


@torch.no_grad()
def pair_ious(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """IoU of every offered mask with every target, shape (p, o, t)."""
    masks, targets = (logits.flatten(2) > 0).float(), targets.flatten(2).float()
    overlap = masks @ targets.transpose(1, 2)
    union = masks.sum(-1)[:, :, None] + targets.sum(-1)[:, None, :] - overlap
    return overlap / union.clamp(min=1)


def click_loss(
    logits: torch.Tensor,
    predicted_iou: torch.Tensor,
    targets: torch.Tensor,
    valid: torch.Tensor,
    weights: torch.Tensor,
    all_offers: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every target is answered by its best offer; every predicted IoU meets the true one.

    Parameters
    ----------
    logits : tensor, shape (p, o, M, N)
        Offered masks.
    predicted_iou : tensor, shape (p, o)
        The network's estimates.
    targets : tensor, shape (p, t, M, N)
        True regions.
    valid : tensor of bool, shape (p, t)
        Which of them exist.
    weights : tensor, shape (p, M, N)
        How much every pixel counts.
    all_offers : float
        Share of the mean over all offers in place of the best one: once a correction has settled
        what is meant, every offer should be it.

    Returns
    -------
    loss : tensor, scalar
    ious : tensor, shape (p, o, t)
        0 where a target does not exist.
    """
    ious = pair_ious(logits, targets) * valid[:, None, :]
    losses = pair_losses(logits, targets, weights)
    best = (1 - all_offers) * losses.min(dim=1).values + all_offers * losses.mean(dim=1)
    mask_loss = (best * valid).sum() / valid.sum().clamp(min=1)
    known = valid.any(dim=1)[:, None].float()
    error = (predicted_iou.float() - ious.amax(dim=2)).abs()
    iou_loss = (error * known).sum() / (known.sum() * error.shape[1]).clamp(min=1)
    return mask_loss + IOU_WEIGHT * iou_loss, ious


DISTANCES = (1, 3, 8, 20)
"""How far apart pairs of places are, at every fourth pixel."""
DENSE_CHANNELS = 3 + 2 * len(DISTANCES)


def dense_loss(logits: torch.Tensor, places: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Judge what is where and which places belong together: every pixel teaches the trunk.

    Parameters
    ----------
    logits : tensor, shape (b, 3 + 2 d, m, m)
        Kinds, then for each distance whether the place below and to the right is of one region.
    places : tensor of int, shape (b, m, m)
        Number of the region.
    kinds : tensor of bool, shape (b, 3, m, m)
        Defect, pattern, strip or bar.

    Returns
    -------
    tensor, scalar
    """
    kinds = kinds.float()
    loss = functional.binary_cross_entropy_with_logits(logits[:, :3], kinds)
    chance = torch.sigmoid(logits[:, :1]).flatten(1)
    truth = kinds[:, :1].flatten(1)
    overlap = 2 * (chance * truth).sum(1) + 1
    loss = loss + 0.3 * (1 - overlap / (chance.sum(1) + truth.sum(1) + 1)).mean()
    for number, step in enumerate(DISTANCES):
        below, right = logits[:, 3 + 2 * number], logits[:, 4 + 2 * number]
        same = (places[:, step:] == places[:, :-step]).float()
        loss = loss + _balanced(below[:, :-step], same)
        same = (places[:, :, step:] == places[:, :, :-step]).float()
        loss = loss + _balanced(right[:, :, :-step], same)
    return loss


def _balanced(logits: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in which borders, which are rare, weigh more."""
    weight = torch.where(same > 0, 0.5, 2.0)
    return 0.25 * functional.binary_cross_entropy_with_logits(logits, same, weight)
