"""Scenes wide enough that real images of many makers and materials are no strangers."""

from napari_semxai.algorithms.synthetic.wide.scene import WIDE_KINDS, wide_scene

__all__ = ["WIDE_KINDS", "wide_scene"]
