"""The masks that answer one prompt on an encoded image: clicks, a box, an earlier mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_semxai.backends.sam2_masks import measure_masks
from napari_semxai.types import mask_of_runs

if TYPE_CHECKING:
    from napari_semxai.backends.sam2_decoder import SharedImageDecoder
    from napari_semxai.backends.sam2_image import Embedding

Marks = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Places (row, column), shape (p, 2), and what each says, shape (p,), in SAM 2's numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Masks that answer a prompt.

    Attributes
    ----------
    masks : ndarray of bool, shape (k, M, N)
        k is 3 or 1.
    predicted_iou : ndarray of float32, shape (k,)
        The network's own estimate of each mask's IoU.
    logits : ndarray of float32, shape (k, h, w)
        Low-resolution mask logits, to be given back with the next click.
    """

    masks: NDArray[np.bool_]
    predicted_iou: NDArray[np.float32]
    logits: NDArray[np.float32]


def clicks(
    points: NDArray[np.float32],
    labels: NDArray[Any],
    box: tuple[float, float, float, float] | None,
) -> Marks | None:
    """Return clicks and a box (row0, col0, row1, col1) as marks; a box is two corners first."""
    said = np.asarray(labels, dtype=np.int32)
    if box is not None:
        points = np.concatenate([np.asarray(box, dtype=np.float32).reshape(2, 2), points])
        said = np.concatenate([np.array([2, 3], np.int32), said])
    return (points, said) if len(points) else None


@torch.no_grad()
def answer(
    network: Any,
    decoder: SharedImageDecoder,
    embedding: Embedding,
    marks: Marks | None,
    mask_logits: NDArray[np.float32] | None,
    multimask: bool,
) -> Prediction:
    """Return what a ``sam2`` network makes of marks and an earlier mask, one of which must be.

    Parameters
    ----------
    network : SAM2Base
        The network.
    decoder : SharedImageDecoder
        Its decoder.
    embedding : Embedding
        The image.
    marks : tuple of ndarray, optional
        As `clicks` returns them.
    mask_logits : ndarray of float32, shape (h, w), optional
        The earlier mask.
    multimask : bool
        Three masks, or one.
    """
    given = None if marks is None else _scaled(network, marks, embedding.shape)
    mask = None
    if mask_logits is not None:
        mask = torch.from_numpy(mask_logits)[None, None].to(network.device)
    sparse, dense = network.sam_prompt_encoder(given, boxes=None, masks=mask)
    shared = embedding.shared
    if mask is not None:
        shared = decoder.share(embedding.embedding, embedding.high_resolution, dense)
    decoded = decoder.decode(shared, sparse)
    heads = network.sam_mask_decoder
    single = not multimask and not heads.dynamic_multimask_via_stability
    wanted = [0] if single else list(range(int(multimask), heads.num_mask_tokens))
    logits = decoder.upscale(shared, decoded, 0, wanted)[None]
    iou = decoded.predicted_iou[:, wanted]
    if not multimask and not single:
        logits, iou = heads._dynamic_multimask_via_stability(logits, iou)
    measured = measure_masks(logits[0], embedding.shape)
    masks = np.stack([mask_of_runs(each.runs, embedding.shape) for each in measured])
    small = logits[0].clamp(-32, 32)
    return Prediction(masks, iou[0].cpu().numpy(), small.cpu().numpy())


def _scaled(network: Any, marks: Marks, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Turn marks into what the prompt encoder wants: (x, y) in pixels of the network's input."""
    places, said = marks
    xy = torch.from_numpy(places[:, ::-1].copy()) / torch.tensor([shape[1], shape[0]])
    coords = (xy * network.image_size).to(network.device)
    return coords[None], torch.from_numpy(said)[None].to(network.device)
