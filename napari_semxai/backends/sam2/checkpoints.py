"""From a model's name or path to a SAM 2 network ready to answer.

Files from elsewhere are read as plain tensors only: a pickle that would run code is refused
before anything in it runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.sam.transformer import Attention
from sam2.modeling.sam2_base import SAM2Base

from napari_semxai.backends.runtime.tensor_files import (
    DamagedFileError,
    is_state_dict,
    read_content,
)
from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.models import (
    BUNDLED,
    BUNDLED_WEIGHTS,
    OFFICIAL_MODELS,
    find_model,
    model_names,
    official_model,
)
from napari_semxai.types import InputError, ModelInfo

if TYPE_CHECKING:
    from pathlib import Path

    from sam2.sam2_image_predictor import SAM2ImagePredictor
    from torch import Tensor, nn

_PATCH_EMBEDDING = "image_encoder.trunk.patch_embed.proj.weight"
_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
_ONLY_IN_2_1 = "no_obj_embed_spatial"
# Width of the trunk and number of its blocks -> suffix of the sam2 package's configurations.
_SIZES = {(96, 12): "t", (96, 16): "s", (112, 24): "b+", (144, 48): "l"}
IMAGE_SIZE = 512
WIDTH = 128
HEADS = 4


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to compute on; "auto" is CUDA, then MPS, then the CPU.

    Raises
    ------
    InputError
        If `device` is not one of "auto", "cpu", "cuda", "mps", or is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name, found in there.items() if found), "cpu")
    name = device.split(":")[0]
    if name not in ("cpu", *there):
        raise InputError(f"Unknown device {device!r}: use auto, cpu, cuda or mps.")
    if not there.get(name, True):
        raise InputError(f"No {name} device here: use auto or cpu.")
    return torch.device(device)


def load_network(model: str, device: str | torch.device = "cpu") -> tuple[nn.Module, ModelInfo]:
    """Build a SAM 2 network and load its weights.

    Parameters
    ----------
    model : str
        "bundled", an official name ("sam2.1_hiera_tiny" …) found in a folder of models, or the
        path of a checkpoint: SAM 2.1 or 2.0 in one of its four sizes, or of the bundled
        architecture, as ``{"model": state_dict}``, a state dict, or safetensors.
    device : str or torch.device
        Where to put it.

    Returns
    -------
    network : sam2.modeling.sam2_base.SAM2Base
        In evaluation mode.
    info : ModelInfo
        Name, digest and device of what was loaded.

    Raises
    ------
    InputError
        When the file is missing, cut off, of the wrong size, not a SAM 2 checkpoint, or would
        run code.
    """
    device_type = torch.device(device).type
    if model == BUNDLED:
        path, network = BUNDLED_WEIGHTS, build_bundled()
    else:
        path = find_model(model)
        network = _network_of(read_state(path), path)
    sha256 = file_sha256(path)
    _check_digest(model, path, sha256)
    info = ModelInfo(model if model in model_names() else path.name, sha256, device_type)
    return network.to(device).eval(), info


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, without running anything in it.

    Raises
    ------
    InputError
        When the file is damaged or holds anything else.
    """
    try:
        content = read_content(path)
    except DamagedFileError as error:
        raise InputError(_cut_off_official(path) or str(error)) from error
    state = content.get("model", content) if isinstance(content, dict) else None
    if not is_state_dict(state):
        raise InputError(f"{path}: not a SAM 2 checkpoint (no weights by name in it)")
    return dict(state)


def _check_digest(model: str, path: Path, sha256: str) -> None:
    """Files that go by an official name are the official ones."""
    expected = official_model(model).sha256 if model in model_names()[1:] else None
    if expected not in (None, sha256):
        raise InputError(
            f"{path}: not the official {model} (sha256 {sha256}); get it again with: semxai "
            f"models download {model}, or give this file's path as the model"
        )


def _network_of(state: dict[str, Tensor], path: Path) -> nn.Module:
    network = _architecture_of(state, path)
    wanted = network.state_dict()
    missing = wanted.keys() - state.keys()
    unknown = state.keys() - wanted.keys()
    shared = wanted.keys() & state.keys()
    reshaped = [key for key in shared if wanted[key].shape != state[key].shape]
    if missing or unknown or reshaped:
        raise InputError(
            f"{path}: not a SAM 2 checkpoint ({len(missing)} of {len(wanted)} weights missing, "
            f"{len(unknown)} unknown, {len(reshaped)} of another shape)"
        )
    network.load_state_dict(state)
    return network


def _architecture_of(state: dict[str, Tensor], path: Path) -> nn.Module:
    """Build the network, still without these weights, that `state` looks made for."""
    config = _config_of(state)
    if config is not None:
        # Takes its configurations from the installed package, through Hydra.
        from sam2.build_sam import build_sam2

        network: nn.Module = build_sam2(config, None, device="cpu")
        return network
    bundled = build_bundled_architecture()
    if state.keys() & bundled.state_dict().keys():
        return bundled
    raise InputError(
        f"{path}: not a SAM 2 checkpoint; SAM 2.1 and 2.0 (tiny, small, base_plus, large) are "
        "understood, SAM 1, SAM 3 and converted formats are not"
    )


def _config_of(state: dict[str, Tensor]) -> str | None:
    embedding = state.get(_PATCH_EMBEDDING)
    blocks = [int(found[1]) for found in map(_BLOCK.match, state) if found]
    if embedding is None or not blocks:
        return None
    size = _SIZES.get((embedding.shape[0], max(blocks) + 1))
    if size is None:
        return None
    version = "sam2.1" if _ONLY_IN_2_1 in state else "sam2"
    return f"configs/{version}/{version}_hiera_{size}.yaml"


def _cut_off_official(path: Path) -> str | None:
    """Say how long a file that goes by an official name should be, if it is not."""
    size = path.stat().st_size
    for official in OFFICIAL_MODELS:
        if path.name == official.file_name and size != official.size:
            return (
                f"{path}: {size:,} bytes instead of {official.size:,}, so it is cut off or "
                f"damaged; get it again with: semxai models download {official.name}"
            )
    return None


def build_bundled_architecture() -> nn.Module:
    """Build the network with random weights.

    Returns
    -------
    sam2.modeling.sam2_base.SAM2Base
        In evaluation mode; for images only, it has no memory for video.
    """
    trunk = LiteTrunk()
    neck = FpnNeck(
        # Places on the maps are asked for in videos only.
        position_encoding=torch.nn.Identity(),
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
    # Not at the top: it imports torchvision, of which masks need nothing, and with it 90 MB.
    from sam2.sam2_image_predictor import SAM2ImagePredictor

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
