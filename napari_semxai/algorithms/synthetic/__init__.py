"""The one generator of SEM-like scenes with exact masks."""

from napari_semxai.algorithms.synthetic.scene import make_scene, scene_of_class
from napari_semxai.algorithms.synthetic.spec import (
    LABELS,
    PATTERNS,
    Region,
    Scene,
    SceneSpec,
    sample_spec,
)

__all__ = [
    "LABELS",
    "PATTERNS",
    "Region",
    "Scene",
    "SceneSpec",
    "make_scene",
    "sample_spec",
    "scene_of_class",
]
