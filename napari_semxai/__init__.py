"""SAM 2 masks, explanations and live scores for SEM defect images in napari.

Names are loaded on first use: importing the package brings in no Qt, no torch and no SciPy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
    from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
    from napari_semxai.algorithms.explanations.masks import concept_masks, gradcam_mask
    from napari_semxai.algorithms.masks.metrics import scores
    from napari_semxai.algorithms.statistics.survey import survey_summary
    from napari_semxai.backends.cam.gradcam import gradcam
    from napari_semxai.backends.classifier.classifier import load_classifier
    from napari_semxai.backends.concepts.craft import Concepts, craft
    from napari_semxai.backends.sam2.segmenter import generate_candidates
    from napari_semxai.types import CandidatePool, GroundTruth, Heatmap, InputError, Scores
    from napari_semxai.types.settings import DEFAULT_ALPHA, DEFAULT_BETA

__version__ = version("napari-semxai")

_ROOMS = {
    "DEFAULT_ALPHA": "types.settings",
    "DEFAULT_BETA": "types.settings",
    "CandidatePool": "types",
    "Concepts": "backends.concepts.craft",
    "GroundTruth": "types",
    "Heatmap": "types",
    "InputError": "types",
    "Scores": "types",
    "concept_masks": "algorithms.explanations.masks",
    "craft": "backends.concepts.craft",
    "edge_strips": "algorithms.algorithm1.edge_strips",
    "generate_candidates": "backends.sam2.segmenter",
    "gradcam": "backends.cam.gradcam",
    "gradcam_mask": "algorithms.explanations.masks",
    "ground_truth": "algorithms.algorithm1.ground_truth",
    "load_classifier": "backends.classifier.classifier",
    "scores": "algorithms.masks.metrics",
    "survey_summary": "algorithms.statistics.survey",
}

__all__ = [
    "DEFAULT_ALPHA",
    "DEFAULT_BETA",
    "CandidatePool",
    "Concepts",
    "GroundTruth",
    "Heatmap",
    "InputError",
    "Scores",
    "__version__",
    "concept_masks",
    "craft",
    "edge_strips",
    "generate_candidates",
    "gradcam",
    "gradcam_mask",
    "ground_truth",
    "load_classifier",
    "scores",
    "survey_summary",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
