"""SAM 2 as a tool for refining a mask that a person has at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_semxai.types import PredictedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.types import BoolMask, Prompts

PROMPT_LOGIT = 10.0
"""What a certain pixel of a mask prompt is worth, as where SAM 2 reuses a mask it was given."""


def answer_prompts(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    prompts: Prompts,
    mask: BoolMask | None = None,
) -> PredictedMask:
    """Return the mask that clicks, a box and the mask so far mean.

    A single click is ambiguous: of three answers the one that the network thinks best of is
    taken. Of a mask only those pixels change whose side the network changed, so that details
    finer than its resolution stay.

    Parameters
    ----------
    segmenter : Segmenter
        The network.
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.
    prompts : Prompts
        Clicks and a box; may be empty beside a mask.
    mask : ndarray of bool, shape (M, N), optional
        The object as it is now.
    """
    logits = None if mask is None else mask_logits(mask, segmenter.mask_prompt_shape)
    answer = segmenter.predict(
        image,
        np.array(prompts.points, dtype=np.float32),
        np.array(prompts.foreground, dtype=np.int32),
        prompts.box,
        logits,
        multimask=mask is None and prompts.box is None and len(prompts.points) == 1,
    )
    best = int(answer.predicted_iou.argmax())
    found = answer.masks[best]
    if mask is not None and logits is not None:
        # The mask as the network was given it, at its own resolution.
        prompt_mask = _enlarge(logits, mask.shape) > 0
        found = np.where(found != prompt_mask, found, mask)
    return PredictedMask(found, float(answer.predicted_iou[best]))


def mask_logits(mask: BoolMask, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a mask (M, N) as the logits of a mask prompt of `shape`."""
    values = torch.from_numpy(mask.astype(np.float32))[None, None]
    share = functional.interpolate(values, shape, mode="area")[0, 0]
    logits: NDArray[np.float32] = ((2 * share - 1) * PROMPT_LOGIT).numpy()
    return logits


def _enlarge(logits: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    small = torch.from_numpy(logits)[None, None]
    large: NDArray[np.float32] = functional.interpolate(small, shape, mode="bilinear")[
        0, 0
    ].numpy()
    return large
