"""Requests to the service "explain" of the engine, and its answers.

Every request names the classifier as `load_classifier` takes it ("bundled" or a path) and the
device ("auto" or "cpu": explanations run on the CPU), and is answered by zero or more
`ExplainProgress` values and then one result:

======================= ===========================================
request                 result
======================= ===========================================
`WarmRequest`           `ClassifierInfo`, network loaded and run once
`ClassifyRequest`       `Classification`
`LayersRequest`         `NetworkLayers`
`GradcamRequest`        `Heatmap`
`CraftFitRequest`       `ConceptBank`
`CraftOpenRequest`      `ConceptBank`
`CraftTransformRequest` `ConceptMaps`, twice where the importances in
                        this image take long: NaN at first
`CraftSweepRequest`     `SweepRow` after each setting, then `SweepAdvice`
======================= ===========================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.arrays import BoolMask
from napari_semxai.types.classify import ClassifierInfo


@dataclass(frozen=True, slots=True)
class ExplainProgress:
    """How far a request is.

    Attributes
    ----------
    stage : str
        What is being done, for people: "load", "crops", "factorize", "importances" …
    done, total : int
        Steps of this stage.
    seconds_left : float or None
        Of this stage, from measured speed, once there is one.
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ClassifyRequest:
    """Ask for the class of an image.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        8-bit grey, `SemImage.gray`.
    classifier, device : str
        See the module.
    """

    image: NDArray[np.uint8]
    classifier: str
    device: str = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What the classifier says of an image.

    Attributes
    ----------
    probabilities : ndarray of float32, shape (c,)
        Calibrated where the classifier holds a temperature; they sum to 1.
    class_names : tuple of str, length c
        Name of each class.
    info : ClassifierInfo
        Of the classifier; people must be told where it is `ClassifierInfo.synthetic`.
    """

    probabilities: NDArray[np.float32]
    class_names: tuple[str, ...]
    info: ClassifierInfo

    @property
    def predicted(self) -> int:
        """Index of the most probable class."""
        return int(np.argmax(self.probabilities))


@dataclass(frozen=True, slots=True)
class LayersRequest:
    """Ask for the layers of a network and what each can be used for."""

    classifier: str
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class LayerNode:
    """One module of a network.

    Attributes
    ----------
    name : str
        Dotted, as in ``named_modules``; the tree follows the dots.
    kind : str
        Class of the module.
    shape : tuple of int
        (channels, m, n) of its output as a map; () where the output is no map.
    cam : bool
        Whether Grad-CAM and its relatives can take it as a target layer.
    concepts : bool
        Whether the network can be split behind it for CRAFT.
    reason : str
        Why `concepts` or `cam` is False, or what `clamped` means here, and what to take instead.
    clamped : bool
        Whether concepts are made there with values below 0 taken for 0; how much that changes
        is told by `ConceptBank.clamp_agreement`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    cam: bool
    concepts: bool
    reason: str = ""
    clamped: bool = False


@dataclass(frozen=True, slots=True)
class CamMethod:
    """One method of the Grad-CAM family and what it costs.

    Attributes
    ----------
    name, title : str
        For requests, and for people.
    passes : float
        Time it takes, in forward passes of one image (measured on a ResNet-18).
    passes_per_channel : float
        The same for each channel of the target layer.
    passes_per_bias : float
        The same for each layer with a bias, of which the method makes a map each.
    whole_network : bool
        Whether the method chooses its layers itself and takes none from the request.
    """

    name: str
    title: str
    passes: float
    passes_per_channel: float = 0.0
    passes_per_bias: float = 0.0
    whole_network: bool = False

    def cost(self, channels: int) -> float:
        """Return the runs of the network for target layers of so many channels in all."""
        return self.passes + self.passes_per_channel * channels


CAM_METHODS: tuple[CamMethod, ...] = (
    CamMethod("gradcam", "Grad-CAM", 2),
    CamMethod("gradcam++", "Grad-CAM++", 2),
    CamMethod("xgradcam", "XGrad-CAM", 2),
    CamMethod("hirescam", "HiResCAM", 2),
    CamMethod("layercam", "LayerCAM", 2),
    CamMethod("elementwise", "Grad-CAM element-wise", 2),
    CamMethod("eigencam", "Eigen-CAM", 1),
    CamMethod("eigengradcam", "Eigen-Grad-CAM", 2),
    CamMethod("kpcacam", "KPCA-CAM", 1),
    CamMethod("segeigencam", "Seg-Eigen-CAM", 2),
    CamMethod("fem", "FEM", 1),
    CamMethod("finercam", "Finer-CAM", 2),
    CamMethod("shapleycam", "Shapley-CAM", 2),
    CamMethod("randomcam", "Random-CAM (baseline)", 2),
    CamMethod("fullgrad", "FullGrad", 2, passes_per_bias=0.65, whole_network=True),
    CamMethod("ablationcam", "Ablation-CAM", 2, 1.0),
    CamMethod("scorecam", "Score-CAM", 1, 1.0),
)
"""All methods, default first, the slow ones last."""


@dataclass(frozen=True, slots=True)
class NetworkLayers:
    """The layers of a network in forward order, parents before children.

    Attributes
    ----------
    layers : tuple of LayerNode
        All modules except the network itself.
    cam_default, concepts_default : str
        Names of the layers to begin with; "" where none can be used.
    methods : tuple of CamMethod
        Those that run on this network, `CamMethod.passes` with what its layers cost.
    seconds_per_pass : float
        Measured: one forward pass of one image.
    craft_missing : str
        What to install before CRAFT can run; "" when it can.
    info : ClassifierInfo
        Of the classifier.
    """

    layers: tuple[LayerNode, ...]
    cam_default: str
    concepts_default: str
    methods: tuple[CamMethod, ...]
    seconds_per_pass: float
    craft_missing: str
    info: ClassifierInfo


@dataclass(frozen=True, slots=True, eq=False)
class GradcamRequest:
    """Ask why the classifier says a class; answered by a `Heatmap`.

    Attributes
    ----------
    image : ndarray of uint8, shape (M, N)
        8-bit grey.
    classifier, device : str
        See the module.
    target : int or None
        Index of the class; None takes the predicted one.
    layers : tuple of str
        Target layers by dotted name, combined by their mean; () takes the default.
    method : str
        A name of `CAM_METHODS`.
    mask : ndarray of bool, shape (M, N), or None
        Explain the class's evidence inside this mask only.
    """

    image: NDArray[np.uint8]
    classifier: str
    target: int | None = None
    layers: tuple[str, ...] = ()
    method: str = "gradcam"
    mask: BoolMask | None = None
    device: str = "auto"
