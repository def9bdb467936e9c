"""Requests to the service "explain" of the engine, and its answers.

Every request names the classifier as `load_classifier` takes it ("bundled" or a path) and the
device ("auto" or "cpu": explanations run on the CPU), and is answered by zero or more
`Progress` values and then one result:

======================= ===========================================
request                 result
======================= ===========================================
`WarmRequest`           `ClassifierInfo`, network loaded and run once
`ClassifyRequest`       `Classification`
`LayersRequest`         `NetworkLayers`
`NearestRequest`        `Nearest`
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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.classifier import ClassifierInfo, LayerNode
from napari_semxai.types.concepts import ConceptMaps, Registration
from napari_semxai.types.image import BoolMask, Border

if TYPE_CHECKING:
    from napari_semxai.types.image import FloatArray


# Where the ramps of red, green and blue begin and end; each is four times as steep as the scale.
_JET_RAMPS = ((1.5, 4.5), (0.5, 3.5), (-0.5, 2.5))


def jet(values: FloatArray) -> NDArray[np.uint8]:
    """Colour values by the JET map, without any image below.

    Red is 0 up to 0.375, full from 0.625 to 0.875, and 128 again at 1.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        From 0 to 1; NaN counts as 0.

    Returns
    -------
    ndarray of uint8, shape (M, N, 3)
    """
    levels = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    scale = np.linspace(0, 4, 256)
    # A table of 256 colours, because rendered pictures of 8 bits have no others.
    ramps = [np.minimum(scale - start, stop - scale) for start, stop in _JET_RAMPS]
    table = np.rint(np.clip(np.stack(ramps, axis=1), 0, 1) * 255).astype(np.uint8)
    colors: NDArray[np.uint8] = table[levels]
    return colors


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Answer of the Grad-CAM family for one image.

    Attributes
    ----------
    values : ndarray of float32, shape (M, N)
        At the image's size, from 0 to 1: scaled to the map's own range, as grad-cam does, and
        moved to where the layers look.
    raw_maximum : float
        Largest value before that scaling, in the method's own unit (activation times gradient);
        0 means that there is no evidence and `values` is all 0.
    method : str
        Name of the method, see `CAM_METHODS`.
    target : int
        Index of the explained class.
    class_name : str
        Its name.
    layers : tuple of str
        Dotted names of the target layers.
    sha256 : str
        Digest of the classifier's weights.
    inside_mask : bool
        Whether it answers "why inside this mask".
    registrations : tuple of Registration
        Of the target layers; () where the method has none.
    as_drawn : bool
        Whether the map was left where the library draws it.
    drawn : ndarray of uint8, shape (M, N), or None
        The map as the library draws it, from 0 to 255, where `values` are not.
    classifier : str
        What the classifier is called.
    border : tuple of int
        (top, right, bottom, left): info bars and edge strips, in which `values` are 0.
    """

    values: NDArray[np.float32]
    raw_maximum: float
    method: str
    target: int
    class_name: str
    layers: tuple[str, ...]
    sha256: str
    inside_mask: bool = False
    registrations: tuple[Registration, ...] = ()
    as_drawn: bool = False
    drawn: NDArray[np.uint8] | None = None
    classifier: str = ""
    border: Border = (0, 0, 0, 0)

    def rgb(self) -> NDArray[np.uint8]:
        """Return the map in pure JET colours, shape (M, N, 3): what Algorithm 2 reads.

        As the library draws it, like the published pictures; never moved.
        """
        # A picture has 256 levels, so these are the same colours as those of the floats.
        return jet(self.values if self.drawn is None else self.drawn / np.float32(255))


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Scores of one map by the network that it explains.

    Attributes
    ----------
    insertion : float
        Area under the class's probability while pixels come into a blurred image, the most
        relevant first; higher is better.
    deletion : float
        The same while they are taken out of the image; lower is better.
    road : float
        Half the difference between the probabilities after the least and the most relevant
        pixels were taken out and filled in from their neighbours; higher is better.
    """

    insertion: float
    deletion: float
    road: float


@dataclass(frozen=True, slots=True)
class Sanity:
    """Rank correlations of a map with maps that it should and should not be like.

    Attributes
    ----------
    randomised : float
        With the map of a network whose weights are in random places; near 0 is good.
    other_class : float
        With the map of the most probable other class; 1 says that the class does not matter.
    noise : float
        With the maps of the image under noise that nobody sees; near 1 is good.
    """

    randomised: float
    other_class: float
    noise: float


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """What is known of how far a heat map can be believed.

    Attributes
    ----------
    areas : dict of str to (float, float)
        Insertion and deletion as in `Faithfulness`, by what stands for the pixels that are not
        there: "grey", the image's mean, and "blurred", the image out of focus.
    sanity : Sanity
        Its maps as the library draws them.
    """

    areas: dict[str, tuple[float, float]]
    sanity: Sanity


@dataclass(frozen=True, slots=True)
class CamMethod:
    """One method that makes a heat map of a class, and what it costs.

    Attributes
    ----------
    name, title : str
        For requests and files, and for display.
    implementation : str
        Name of the class in ``pytorch_grad_cam``, or "module:name" of one with its interface.
    passes : float
        Time it takes, in forward passes of one image (measured on a ResNet-18).
    passes_per_channel : float
        The same for each channel of the target layer.
    passes_per_bias : float
        The same for each layer with a bias, of which the method makes a map each.
    batch : int
        Images in one run of the network, of methods that run it many times; 1 for the others.
    whole_network : bool
        Whether the method chooses its layers itself and takes none from the request.
    inside_mask : bool
        Whether it can explain the evidence inside a mask. Methods that ask about no class, compare
        whole images or take out the layer that the evidence is read from cannot.
    averages : bool
        Whether it averages the gradient over the map. Before a global average and a linear layer
        that gradient is the same everywhere inside a mask, and its mean tells of no place.
    compares_places : bool
        Whether it compares every place of the map with every other.
    channels_first : bool
        Whether the library's code for it needs a map with channels first.
    weight_gradients : bool
        Whether it needs gradients of the weights, too.
    compares_classes : bool
        Whether it needs a second class, and takes the first by its index.
    """

    name: str
    title: str
    implementation: str
    passes: float
    passes_per_channel: float = 0.0
    passes_per_bias: float = 0.0
    batch: int = 1
    whole_network: bool = False
    inside_mask: bool = True
    averages: bool = False
    compares_places: bool = False
    channels_first: bool = False
    weight_gradients: bool = False
    compares_classes: bool = False

    def cost(self, channels: int) -> float:
        """Return the forward passes for target layers of so many channels in all."""
        return self.passes + self.passes_per_channel * channels


_OWN = "napari_semxai.backends.cam.methods"
_SHAPLEY: Any = {"averages": True, "channels_first": True, "weight_gradients": True}
_ABLATION: Any = {"batch": 32, "inside_mask": False, "channels_first": True}
RUN = 2
"""Images in one run of a network: more do not fit a core's cache, and take up to three times as
long each."""
_COVERING: Any = {"batch": RUN, "whole_network": True, "inside_mask": False}
CAM_METHODS: tuple[CamMethod, ...] = (
    CamMethod("gradcam", "Grad-CAM", "GradCAM", 2, averages=True),
    CamMethod("gradcam++", "Grad-CAM++", "GradCAMPlusPlus", 2, averages=True),
    CamMethod("xgradcam", "XGrad-CAM", "XGradCAM", 2, averages=True),
    CamMethod("hirescam", "HiResCAM", "HiResCAM", 2),
    CamMethod("layercam", "LayerCAM", "LayerCAM", 2),
    CamMethod("elementwise", "Grad-CAM element-wise", "GradCAMElementWise", 2),
    CamMethod("eigencam", "Eigen-CAM", "EigenCAM", 1, inside_mask=False, compares_places=True),
    CamMethod("eigengradcam", "Eigen-Grad-CAM", "EigenGradCAM", 2, compares_places=True),
    CamMethod("kpcacam", "KPCA-CAM", "KPCA_CAM", 1, inside_mask=False, compares_places=True),
    CamMethod("segeigencam", "Seg-Eigen-CAM", "SegEigenCAM", 2, compares_places=True),
    CamMethod("fem", "FEM", "FEM", 1, inside_mask=False),
    CamMethod("finercam", "Finer-CAM", "FinerCAM", 2, inside_mask=False, compares_classes=True),
    CamMethod("shapleycam", "Shapley-CAM", "ShapleyCAM", 2, **_SHAPLEY),
    CamMethod("randomcam", "Random-CAM (baseline)", "RandomCAM", 2, inside_mask=False),
    CamMethod("fullgrad", "FullGrad", "FullGrad", 2, passes_per_bias=0.65, whole_network=True),
    CamMethod("ablationcam", "Ablation-CAM", "AblationCAM", 2, 1.0, **_ABLATION),
    CamMethod("scorecam", "Score-CAM", "ScoreCAM", 1, 1.0, batch=16),
    CamMethod("occlusion", "Occlusion", f"{_OWN}:Occlusion", 226, **_COVERING),
    CamMethod("rise", "RISE", f"{_OWN}:Rise", 1000, **_COVERING),
)
"""All methods, default first, the slow ones last; a new one is an entry here and nothing else."""


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
    as_drawn : bool
        Leave the map where the library draws it, instead of where the layers look, and show it in
        the border, too.
    picture_rows : int or None
        Rows above a known info bar.
    """

    image: NDArray[np.uint8]
    classifier: str
    target: int | None = None
    layers: tuple[str, ...] = ()
    method: str = "gradcam"
    mask: BoolMask | None = None
    device: str = "auto"
    as_drawn: bool = False
    picture_rows: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ChecksRequest:
    """Ask how far a heat map can be believed; answered by `Checks`.

    Attributes
    ----------
    asked : GradcamRequest
        What the map answered.
    heatmap : Heatmap
        The map.
    """

    asked: GradcamRequest
    heatmap: Heatmap


def moved_by(answer: Heatmap | ConceptMaps) -> dict[str, list[float]]:
    """Return how far the map of each layer is moved, down and right, as shares of the sides."""
    places = () if answer.as_drawn else answer.registrations
    return {place.layer: list(place.shift) for place in places}
