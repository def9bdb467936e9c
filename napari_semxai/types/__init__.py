"""Frozen values that the rooms hand to each other: arrays with names.

Every value is compared by identity and never changed after it was made. Coordinates are
(row, column) everywhere; only the SAM 2 adapter flips to (x, y).
"""

from napari_semxai.types.arrays import BoolMask, Border, FloatArray, InputError, IntArray
from napari_semxai.types.image import SemImage
from napari_semxai.types.masks import GroundTruth, MaskSize, Scores
from napari_semxai.types.pool import (
    CURVE_LEVELS,
    CandidatePool,
    FilterSettings,
    GenerateSettings,
)
from napari_semxai.types.segment import GenerateRequest, GenerateUpdate, ModelInfo, WarmRequest

__all__ = [
    "CURVE_LEVELS",
    "BoolMask",
    "Border",
    "CandidatePool",
    "FilterSettings",
    "FloatArray",
    "GenerateRequest",
    "GenerateSettings",
    "GenerateUpdate",
    "GroundTruth",
    "InputError",
    "IntArray",
    "MaskSize",
    "ModelInfo",
    "Scores",
    "SemImage",
    "WarmRequest",
]
