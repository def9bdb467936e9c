"""Parameters of the Mask candidates dock that are seldom changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superqt import QCollapsible

from napari_semxai.widgets.common.parameters import SettingsForm

if TYPE_CHECKING:
    from napari_semxai.state.session import Session

_BORDERS = [("Auto: dark or constant strips", None), ("None", 0), *((f"{n} px", n) for n in
            (1, 2, 3, 4, 5, 8, 12, 16, 24, 32))]  # fmt: skip
_THRESHOLDS: dict[str, dict[str, Any]] = {
    "pred_iou_thresh": {
        "label": "Predicted IoU ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out candidates with a lower predicted IoU",
    },
    "stability_score_thresh": {
        "label": "Stability score ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out candidates whose area depends strongly on the logit threshold",
    },
    "stability_score_offset": {
        "label": "Stability offset",
        "min": 0.125,
        "max": 8,
        "step": 0.125,
        "decimals": 3,
        "tooltip": "Stability score: area above +offset divided by area above −offset, in logits",
    },
    "box_nms_thresh": {
        "label": "Box NMS IoU ≤",
        "min": 0.0,
        "max": 1.0,
        "step": 0.05,
        "decimals": 3,
        "tooltip": "Of candidates whose boxes overlap more, keep only the best predicted IoU",
    },
}
_GRID: dict[str, dict[str, Any]] = {
    "points_per_side": {
        "label": "Points per side",
        "min": 4,
        "max": 64,
        "tooltip": "SAM 2 is prompted on a square grid of points; used by the next generation",
    },
}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "connectivity": {
        "label": "Connectivity",
        "choices": [4, 8],
        "tooltip": "Whether diagonal neighbours belong to the same component (8) or not (4)",
    },
    "ignore_border": {
        "label": "Ignore border",
        "choices": _BORDERS,
        "tooltip": "Pixels at the image border that cannot become part of the defect",
    },
}


class AdvancedForms(QCollapsible):
    """Border and components, thresholds, and the grid of points.

    Parameters
    ----------
    session : Session
        Holds the values shown first.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Advanced")
        self.toggleButton().setToolTip("Connectivity, border, thresholds and point grid")
        self.components = SettingsForm(session.algorithm, _COMPONENTS)
        self.filters = SettingsForm(session.filters, _THRESHOLDS)
        self.grid = SettingsForm(session.generate, _GRID)
        for form in (self.components, self.filters, self.grid):
            self.addWidget(form.native)
