"""Losses between the masks a network offers and the regions a click may mean."""

from __future__ import annotations

import torch
from torch.nn import functional

FOCAL_WEIGHT = 20.0
DICE_WEIGHT = 1.0
IOU_WEIGHT = 4.0


def pair_losses(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Focal and dice loss of every offered mask against every target.

    Parameters
    ----------
    logits : tensor, shape (p, o, M, N)
        Offered masks.
    targets : tensor, shape (p, t, M, N)
        True regions, 0 or 1.

    Returns
    -------
    tensor, shape (p, o, t)
    """
    logits, targets = logits.flatten(2).float(), targets.flatten(2).float()
    chance = torch.sigmoid(logits)
    positive = (1 - chance) ** 2 * functional.softplus(-logits)
    negative = chance**2 * functional.softplus(logits)
    crossed = (positive - negative) @ targets.transpose(1, 2)
    focal = (crossed + negative.sum(-1, keepdim=True)) / logits.shape[-1]
    overlap = chance @ targets.transpose(1, 2)
    both = chance.sum(-1)[:, :, None] + targets.sum(-1)[:, None, :]
    return FOCAL_WEIGHT * focal + DICE_WEIGHT * (1 - (2 * overlap + 1) / (both + 1))


@torch.no_grad()
def pair_ious(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """IoU of every offered mask with every target, shape (p, o, t)."""
    masks, targets = (logits.flatten(2) > 0).float(), targets.flatten(2).float()
    overlap = masks @ targets.transpose(1, 2)
    union = masks.sum(-1)[:, :, None] + targets.sum(-1)[:, None, :] - overlap
    return overlap / union.clamp(min=1)


def click_loss(
    logits: torch.Tensor, predicted_iou: torch.Tensor, targets: torch.Tensor, valid: torch.Tensor
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

    Returns
    -------
    loss : tensor, scalar
    ious : tensor, shape (p, o, t)
        0 where a target does not exist.
    """
    ious = pair_ious(logits, targets) * valid[:, None, :]
    best = pair_losses(logits, targets).min(dim=1).values
    mask_loss = (best * valid).sum() / valid.sum().clamp(min=1)
    known = valid.any(dim=1)[:, None].float()
    error = (predicted_iou.float() - ious.amax(dim=2)) ** 2
    iou_loss = (error * known).sum() / (known.sum() * error.shape[1]).clamp(min=1)
    return mask_loss + IOU_WEIGHT * iou_loss, ious
