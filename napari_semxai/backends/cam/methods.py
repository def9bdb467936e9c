"""The methods of grad-cam behind one call, with what the library leaves out.

The largest value before grad-cam scales a map to [0, 1] is kept, nothing is left behind in the
network, and its progress bars are silent. Two methods that need no gradients, `Occlusion` and
`Rise`, have the library's interface.

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
.. [15] M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks",
   ECCV 2014: occlusion.
.. [16] V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized Input Sampling for Explanation of
   Black-box Models", BMVC 2018.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semxai.backends.classifier.layers.outputs import moved, to_map
from napari_semxai.backends.runtime.libraries import qt_paths_kept
from napari_semxai.backends.runtime.stepwise import numpy_seed
from napari_semxai.types.explain import RUN

with qt_paths_kept():
    import pytorch_grad_cam as library
    from pytorch_grad_cam import ablation_cam, score_cam
    from pytorch_grad_cam.base_cam import BaseCAM
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
# Masks made at once, each as large as the input.
_BATCH = 16
# Patches to a side of the image, and places that one patch takes on its way over itself.
_PATCHES, _STEPS = 8, 2
# The published figures have 4,000 masks and more; see the documentation for what fewer cost.
RISE_MASKS, _GRID, _SHOWN = 1000, 7, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class CamRun:
    """A map at the size of the network's input, and its largest value before scaling.

    `values` are where the layers look, `drawn` where the library draws them.
    """

    values: NDArray[np.float32]
    raw_maximum: float
    drawn: NDArray[np.float32]


class Perturbation(BaseCAM):  # type: ignore[misc]
    """A map from what a class loses when parts of the image are covered; knows no layer.

    Covered is what has the mean grey of the image: a defect that lies there is gone, and black
    patches, which look like defects themselves, do not come in.
    """

    def __init__(self, network: nn.Module, layers: list[nn.Module], reshape: Any = None) -> None:
        super().__init__(network, layers, reshape, uses_gradients=False)

    def forward(
        self, input_tensor: Tensor, targets: list[Any], eigen_smooth: bool = False
    ) -> NDArray[np.float32]:
        """Return the map of one image (1, C, H, W), scaled, shape (1, H, W)."""
        with torch.no_grad():
            values = self.map_of(input_tensor, targets[0]).clamp_min(0)
        scaled: NDArray[np.float32] = self.aggregate_multi_layers([values[None, None].numpy()])
        return scaled

    def map_of(self, image: Tensor, target: Any) -> Tensor:
        """Return the map (H, W) in its own unit."""
        raise NotImplementedError

    def answers(self, image: Tensor, kept: Tensor, target: Any) -> Tensor:
        """Return what the class gets where the image is kept (B, 1, H, W), 0 to 1, shape (B,)."""
        mean = image.mean((2, 3), keepdim=True)
        runs = [self.model(mean + (image - mean) * part) for part in kept.split(RUN)]
        return torch.stack([target(answer) for answer in self.unit(torch.cat(runs))])

    def unit(self, logits: Tensor) -> Tensor:
        """Return what is compared of logits (B, classes)."""
        return logits


class Occlusion(Perturbation):
    """How much of its logit a class loses where a square patch lies [15]_."""

    def map_of(self, image: Tensor, target: Any) -> Tensor:
        """Return the mean loss under all patches that cover a pixel."""
        rows, columns = image.shape[2:]
        steps = range((_PATCHES - 1) * _STEPS + 1)
        unit = _PATCHES * _STEPS
        spans = (
            [slice(side * n // unit, side * (n + _STEPS) // unit) for n in steps]
            for side in (rows, columns)
        )
        places = list(product(*spans))
        lost = torch.zeros(rows, columns)
        covers = torch.zeros_like(lost)
        kept = torch.ones(len(places) + 1, 1, rows, columns)
        for number, (row, column) in enumerate(places, start=1):
            kept[number, 0, row, column] = 0
        whole, *covered = self.answers(image, kept, target)
        for place, answer in zip(places, covered, strict=True):
            lost[place] += whole - answer
            covers[place] += 1
        return lost / covers.clamp_min(1)


class Rise(Perturbation):
    """How much more probable a class is where random coarse masks show the image [16]_."""

    def map_of(self, image: Tensor, target: Any) -> Tensor:
        """Return the covariance of probability and being shown, over the share that is shown."""
        rows, columns = image.shape[2:]
        generator = torch.Generator().manual_seed(_RANDOM_SEED)
        total = torch.zeros(rows, columns)
        found, shown = [], torch.zeros(rows, columns)
        for start in range(0, RISE_MASKS, _BATCH):
            masks = self._masks(min(_BATCH, RISE_MASKS - start), (rows, columns), generator)
            answers = self.answers(image, masks, target)
            found.append(answers)
            total += torch.einsum("b,bhw->hw", answers, masks[:, 0])
            shown += masks[:, 0].sum(0)
        # Less the mean: what every mask gets tells of no place, and is most of the noise.
        return (total - torch.cat(found).mean() * shown) / (RISE_MASKS * _SHOWN)

    def unit(self, logits: Tensor) -> Tensor:
        """Return probabilities, as published."""
        return torch.softmax(logits, 1)

    @staticmethod
    def _masks(number: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Return smooth masks (B, 1, H, W) of a coarse random grid that is shifted at random."""
        cells = [-(-side // _GRID) for side in shape]
        size = [(_GRID + 1) * cell for cell in cells]
        grid = (torch.rand(number, 1, _GRID, _GRID, generator=generator) < _SHOWN).float()
        large = torch.nn.functional.interpolate(grid, size, mode="bilinear", align_corners=False)
        starts = [torch.randint(cell, (number,), generator=generator).tolist() for cell in cells]
        parts = zip(large, *starts, strict=True)
        return torch.stack([m[:, r : r + shape[0], c : c + shape[1]] for m, r, c in parts])


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
