"""Scenes wide enough that real images of many makers and materials are no strangers.

`scene` holds the table of kinds and paints a scene on a `canvas`, which keeps image, regions and
their nesting together; then a shadow, charging, drift or an info bar may befall the picture.
`materials`, `structures` and `objects` paint them, `plates` are the bars of five makers.
A new kind is an entry of `WIDE_KINDS` and, where needed, a paint function.
"""

from napari_semxai.algorithms.synthetic.wide.scene import WIDE_KINDS, wide_scene

__all__ = ["WIDE_KINDS", "wide_scene"]
