"""The small SAM 2 that ships with the package.

It consists of the sam2 package's own classes with a small configuration (512 x 512 input,
32 x 32 embedding of width 128) and an EfficientNet-Lite0 trunk, so that every code path is the
one an official checkpoint takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.transformer import Attention
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor

from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from torch import nn

BUNDLED_WEIGHTS = Path(__file__).parents[2] / "weights" / "bundled_sam2.safetensors"
IMAGE_SIZE = 512
WIDTH = 128
HEADS = 4


def build_bundled_architecture() -> nn.Module:
    """Build the network with random weights.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        In evaluation mode; for images only, it has no memory for video.
    """
    trunk = LiteTrunk()
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(WIDTH, normalize=True, scale=None),
        d_model=WIDTH,
        backbone_channel_list=trunk.channel_list,
        fpn_top_down_levels=[0, 1, 2, 3],
        fpn_interp_model="bilinear",
    )
    network: nn.Module = SAM2Base(
        image_encoder=ImageEncoder(trunk, neck, scalp=1),
        memory_attention=None,
        memory_encoder=None,
        num_maskmem=1,
        image_size=IMAGE_SIZE,
        backbone_stride=16,
        directly_add_no_mem_embed=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        sam_mask_decoder_extra_args={
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
    )
    # sam2 writes 8 heads for 256 channels: heads of 8 channels would hardly tell places apart.
    for module in network.modules():
        if isinstance(module, Attention):
            module.num_heads = HEADS
    network.eval()
    return network


def build_bundled(weights: Path = BUNDLED_WEIGHTS) -> nn.Module:
    """Build the bundled network and load its weights.

    Parameters
    ----------
    weights : Path
        A safetensors file with this architecture's weights.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    InputError
        If the file is missing, damaged or holds another network.
    """
    if not weights.is_file():
        raise InputError(f"{weights}: no such file; reinstall the package to restore the weights")
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise InputError(f"{weights}: damaged weights ({error}); reinstall the package") from error
    network = build_bundled_architecture()
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        raise InputError(f"{weights}: these are not weights of the bundled network") from error
    return network


def image_predictor(network: nn.Module) -> SAM2ImagePredictor:
    """Wrap any SAM 2 `network` for prompts; feature sizes follow its own input size.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        An official network or the bundled one.

    Returns
    -------
    SAM2ImagePredictor
    """
    return fit_feature_sizes(SAM2ImagePredictor(network))


def fit_feature_sizes(predictor: SAM2ImagePredictor) -> SAM2ImagePredictor:
    """Give `predictor` the feature sizes of its network; sam2 writes those of 1024 pixels.

    Parameters
    ----------
    predictor : SAM2ImagePredictor
        Changed in place; also an automatic generator's ``predictor``.

    Returns
    -------
    SAM2ImagePredictor
        The same object.
    """
    network = predictor.model
    side = network.image_size // network.backbone_stride
    predictor._bb_feat_sizes = [(side * 4,) * 2, (side * 2,) * 2, (side,) * 2]
    return predictor


def parameter_count(network: nn.Module) -> int:
    """Count the numbers in `network`'s weights."""
    return sum(torch.numel(tensor) for tensor in network.state_dict().values())
