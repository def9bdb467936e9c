"""SAM 2 masks, explanations and live scores for SEM defect images in napari.

Names are loaded on first use: importing the package brings in no Qt, no torch and no SciPy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_semxai.algorithms.edge_strips import edge_strips
    from napari_semxai.algorithms.explanation_masks import concept_masks, gradcam_mask
    from napari_semxai.algorithms.ground_truth import DEFAULT_ALPHA, DEFAULT_BETA, ground_truth
    from napari_semxai.algorithms.metrics import scores
    from napari_semxai.algorithms.survey import survey_summary
    from napari_semxai.backends.classifiers import load_classifier
    from napari_semxai.backends.craft import Concepts, craft
    from napari_semxai.backends.gradcam import gradcam
    from napari_semxai.backends.sam2 import generate_candidates
    from napari_semxai.types import CandidatePool, GroundTruth, Heatmap, InputError, Scores

__version__ = version("napari-semxai")

_ROOMS = {
    "DEFAULT_ALPHA": "algorithms.ground_truth",
    "DEFAULT_BETA": "algorithms.ground_truth",
    "CandidatePool": "types",
    "Concepts": "backends.craft",
    "GroundTruth": "types",
    "Heatmap": "types",
    "InputError": "types",
    "Scores": "types",
    "concept_masks": "algorithms.explanation_masks",
    "craft": "backends.craft",
    "edge_strips": "algorithms.edge_strips",
    "generate_candidates": "backends.sam2",
    "gradcam": "backends.gradcam",
    "gradcam_mask": "algorithms.explanation_masks",
    "ground_truth": "algorithms.ground_truth",
    "load_classifier": "backends.classifiers",
    "scores": "algorithms.metrics",
    "survey_summary": "algorithms.survey",
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
