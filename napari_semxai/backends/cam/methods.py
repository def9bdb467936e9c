"""The methods of grad-cam behind one call, with what the library leaves out.

The largest value before grad-cam scales a map to [0, 1] is kept, nothing is left behind in the
network, and its progress bars are silent.

References
----------
.. [1] R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
   Gradient-based Localization", ICCV 2017.
.. [2] A. Chattopadhyay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional
   Networks", WACV 2018.
.. [3] R. Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of
   CNNs", BMVC 2020: XGrad-CAM.
.. [4] R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
   convolutional neural networks", arXiv:2011.08891.
.. [5] P.-T. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for
   Localization", TIP 30, 2021.
.. [6] M. B. Muhammad and M. Yeasin, "Eigen-CAM: Class Activation Map using Principal
   Components", IJCNN 2020; Eigen-Grad-CAM multiplies by the gradients first.
.. [7] S. Karmani et al., "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using
   Kernel PCA", arXiv:2410.00267.
.. [8] C.-T. Chung and J. J.-C. Ying, "Seg-Eigen-CAM: Eigen-Value-Based Visual Explanations for
   Semantic Segmentation Models", Applied Sciences 15 (13), 2025.
.. [9] K. A. A. Fuad et al., "Features Understanding in 3D CNNs for Actions Recognition in Video",
   IPTA 2020: FEM.
.. [10] Z. Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual
   Explanation", arXiv:2501.11309.
.. [11] H. Cai, "CAMs as Shapley Value-based Explainers", arXiv:2501.06261.
.. [12] S. Srinivas and F. Fleuret, "Full-Gradient Representation for Neural Network
   Visualization", NeurIPS 2019.
.. [13] S. Desai and H. G. Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional
   Network via Gradient-free Localization", WACV 2020.
.. [14] H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
   Networks", arXiv:1910.01279.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semxai.backends.classifier.layers.outputs import moved, to_map
from napari_semxai.backends.runtime.seeding import numpy_seed
from napari_semxai.backends.runtime.window_safe_import import qt_paths_kept

with qt_paths_kept():
    import pytorch_grad_cam as library
    from pytorch_grad_cam import ablation_cam, score_cam
    from pytorch_grad_cam.utils.model_targets import (
        ClassifierOutputTarget,
        SemanticSegmentationTarget,
    )

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_semxai.types import BoolMask, CamMethod

# Standard error belongs to the command line's own progress.
ablation_cam.tqdm = score_cam.tqdm = SimpleNamespace(tqdm=iter)

_RANDOM_SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class CamRun:
    """A map at the size of the network's input, and its largest value before scaling.

    `values` are where the layers look, `drawn` where the library draws them.
    """

    values: NDArray[np.float32]
    raw_maximum: float
    drawn: NDArray[np.float32]


def run_cam(  # noqa: PLR0913 - what decides a map
    network: nn.Module,
    inputs: Tensor,
    layers: list[nn.Module],
    method: CamMethod,
    target: int,
    mask: BoolMask | None = None,
    shifts: tuple[tuple[float, float], ...] = (),
) -> CamRun:
    """Run one method on one image.

    Parameters
    ----------
    network : nn.Module
        To logits, or with a `mask` to a map of logits of the mask's size.
    inputs : Tensor, shape (1, C, H, W)
        The image.
    layers : list of nn.Module
        Target layers.
    method : CamMethod
        One of `CAM_METHODS`.
    target : int
        Index of the class.
    mask : ndarray of bool, shape (M, N), optional
        Where the class's logits are summed.
    shifts : tuple of tuple of float
        How far the map of each layer is moved, as in `Registration.shift`; () for none.

    Returns
    -------
    CamRun
    """
    with (
        numpy_seed(_RANDOM_SEED),
        _weights_require_grad(network, method.weight_gradients),
        # Not the object's own context: that one swallows IndexError.
        _released(_class_of(method)(network, layers, to_map)) as cam,
    ):
        base = getattr(cam, "base_cam", cam)
        combine, parts = base.aggregate_multi_layers, _keep_parts(base)
        raw = _keep_raw_maximum(base, method.whole_network)
        asked = inputs.clone().requires_grad_()
        if method.compares_classes:
            values = cam(asked, None, target_idx=target)
        else:
            values = cam(asked, [_target(target, mask)])
        drawn = placed = np.asarray(values[0], np.float32)
        if any(map(any, shifts)):
            # Each layer by its own offset, before the library takes their mean.
            pairs = zip(parts, shifts, strict=True)
            placed = combine([moved(part[0], shift)[None] for part, shift in pairs])[0]
        peak = float(np.max(raw, initial=0.0))
        return CamRun(np.asarray(placed, np.float32), peak, drawn)


def _class_of(method: CamMethod) -> Any:
    module, _, name = method.implementation.rpartition(":")
    return getattr(import_module(module) if module else library, name)


@contextmanager
def _released(cam: Any) -> Iterator[Any]:
    try:
        yield cam
    finally:
        kept = getattr(cam, "base_cam", cam).activations_and_grads
        # Emptied first: releasing fails on views, which a transformer's gradients can be.
        kept.activations, kept.gradients = [], []
        kept.release()


def _target(target: int, mask: BoolMask | None) -> Any:
    if mask is None:
        return ClassifierOutputTarget(target)
    return SemanticSegmentationTarget(target, np.asarray(mask, np.float32))


def _keep_parts(cam: Any) -> list[NDArray[np.float32]]:
    """Make `cam` note the map of each layer, scaled and at the input's size, (1, 1, H, W)."""
    parts: list[NDArray[np.float32]] = []
    original = cam.aggregate_multi_layers

    def noting(maps: Any) -> Any:
        parts.extend(np.asarray(one, np.float32) for one in maps)
        return original(maps)

    cam.aggregate_multi_layers = noting
    return parts


def _keep_raw_maximum(cam: Any, whole_network: bool) -> list[float]:
    """Make `cam` note the largest value of each map that it goes on to scale."""
    raw: list[float] = []
    # FullGrad has no maps of single layers: it is handed what it has to add up.
    name = "aggregate_multi_layers" if whole_network else "get_cam_image"
    original = getattr(cam, name)

    def noting(*arguments: Any) -> Any:
        result = original(*arguments)
        unscaled = arguments[0] if whole_network else result
        # Not max(0, …), which would make 0 of NaN.
        raw.append(float(np.maximum(0.0, np.max(unscaled))))
        return result

    setattr(cam, name, noting)
    return raw


@contextmanager
def _weights_require_grad(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Have gradients of weights, or save the work; none is left in the network."""
    before = [(weight, weight.requires_grad) for weight in network.parameters()]
    for weight, _ in before:
        weight.requires_grad_(wanted)
    try:
        with torch.enable_grad():
            yield
    finally:
        for weight, required in before:
            weight.requires_grad_(required)
            weight.grad = None
