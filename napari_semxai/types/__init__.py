"""Frozen values that the rooms hand to each other: arrays with names.

Every value is compared by identity and never changed after it was made. Coordinates are
(row, column) everywhere; only the SAM 2 adapter flips to (x, y).
"""

from napari_semxai.types.arrays import BoolMask, Border, FloatArray, InputError, IntArray
from napari_semxai.types.classify import ClassifierInfo
from napari_semxai.types.concepts import (
    ConceptBank,
    ConceptMaps,
    CraftFitRequest,
    CraftOpenRequest,
    CraftTransformRequest,
)
from napari_semxai.types.explain import (
    CAM_METHODS,
    CamMethod,
    Classification,
    ClassifyRequest,
    ExplainProgress,
    GradcamRequest,
    LayerNode,
    LayersRequest,
    NetworkLayers,
)
from napari_semxai.types.faithfulness import Faithfulness, Sanity
from napari_semxai.types.heatmap import Heatmap, jet
from napari_semxai.types.image import SemImage
from napari_semxai.types.masks import GroundTruth, MaskSize, Scores
from napari_semxai.types.pool import (
    CURVE_LEVELS,
    CandidatePool,
    FilterSettings,
    GenerateSettings,
    mask_of_runs,
)
from napari_semxai.types.project import (
    MaskEdit,
    MaskRecipe,
    ProjectImage,
    ProjectInfo,
    ProjectStatus,
    ReviewChange,
    ReviewEvent,
    ReviewRecord,
    ReviewState,
)
from napari_semxai.types.queue import PairAgreement, QueueFilter, QueueOrder, QueueRow
from napari_semxai.types.segment import (
    Encoding,
    GenerateRequest,
    GenerateUpdate,
    ModelInfo,
    PredictedMask,
    PredictRequest,
    Prompts,
    WarmRequest,
)
from napari_semxai.types.tuning import CraftSweepRequest, SweepAdvice, SweepRow

__all__ = [
    "CAM_METHODS",
    "CURVE_LEVELS",
    "BoolMask",
    "Border",
    "CamMethod",
    "CandidatePool",
    "Classification",
    "ClassifierInfo",
    "ClassifyRequest",
    "ConceptBank",
    "ConceptMaps",
    "CraftFitRequest",
    "CraftOpenRequest",
    "CraftSweepRequest",
    "CraftTransformRequest",
    "Encoding",
    "ExplainProgress",
    "Faithfulness",
    "FilterSettings",
    "FloatArray",
    "GenerateRequest",
    "GenerateSettings",
    "GenerateUpdate",
    "GradcamRequest",
    "GroundTruth",
    "Heatmap",
    "InputError",
    "IntArray",
    "LayerNode",
    "LayersRequest",
    "MaskEdit",
    "MaskRecipe",
    "MaskSize",
    "ModelInfo",
    "NetworkLayers",
    "PairAgreement",
    "PredictRequest",
    "PredictedMask",
    "ProjectImage",
    "ProjectInfo",
    "ProjectStatus",
    "Prompts",
    "QueueFilter",
    "QueueOrder",
    "QueueRow",
    "ReviewChange",
    "ReviewEvent",
    "ReviewRecord",
    "ReviewState",
    "Sanity",
    "Scores",
    "SemImage",
    "SweepAdvice",
    "SweepRow",
    "WarmRequest",
    "jet",
    "mask_of_runs",
]
