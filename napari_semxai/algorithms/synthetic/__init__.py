"""The one generator of SEM-like scenes with exact masks.

`spec` describes a scene and draws descriptions, `scene` makes it, with light, noise and blur:
`fields` gives smooth random fields and the wafer's patterns, `defects` the defects.
`make_reference` is the same place without them, for comparison.
Equal descriptions and seeds give equal pixels: samples, tests and held-out sets rest on it. The
folder `wide` holds scenes of other makers, materials and imaging troubles.
"""

from napari_semxai.algorithms.synthetic.scene import make_reference, make_scene, scene_of_class
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
    "make_reference",
    "make_scene",
    "sample_spec",
    "scene_of_class",
]
