"""Parameters of the Mask candidates dock that are seldom changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superqt import QCollapsible

from napari_semxai.widgets.common.parameters import SettingsForm

if TYPE_CHECKING:
    from napari_semxai.state.session import Session

_BORDERS = [("auto: dark or constant strips", None), ("none", 0), *((f"{n} px", n) for n in
            (1, 2, 3, 4, 5, 8, 12, 16, 24, 32))]  # fmt: skip
_THRESHOLDS: dict[str, dict[str, Any]] = {
    "pred_iou_thresh": {
        "label": "predicted IoU ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out masks that the network itself thinks worse of",
    },
    "stability_score_thresh": {
        "label": "stability ≥",
        "min": 0.0,
        "max": 1.0,
        "step": 0.01,
        "decimals": 3,
        "tooltip": "Leave out masks whose area depends much on the logit threshold",
    },
    "stability_score_offset": {
        "label": "stability offset",
        "min": 0.125,
        "max": 8,
        "step": 0.125,
        "decimals": 3,
        "tooltip": "Stability is the area above + this logit over the area above − this logit",
    },
    "box_nms_thresh": {
        "label": "NMS box IoU ≤",
        "min": 0.0,
        "max": 1.0,
        "step": 0.05,
        "decimals": 3,
        "tooltip": "Of candidates whose boxes overlap more, only the best predicted stays",
    },
}
_GRID: dict[str, dict[str, Any]] = {
    "points_per_side": {
        "label": "points per side",
        "min": 4,
        "max": 64,
        "tooltip": "The grid holds this number squared; used by the next Generate",
    },
}
_COMPONENTS: dict[str, dict[str, Any]] = {
    "connectivity": {
        "label": "connectivity",
        "choices": [4, 8],
        "tooltip": "Whether diagonal neighbours belong to one component (8) or not (4)",
    },
    "ignore_border": {
        "label": "ignore border",
        "choices": _BORDERS,
        "tooltip": "Edge pixels that cannot become part of the defect",
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
        self.toggleButton().setToolTip("Border, components, thresholds and grid")
        self.components = SettingsForm(session.algorithm, _COMPONENTS)
        self.filters = SettingsForm(session.filters, _THRESHOLDS)
        self.grid = SettingsForm(session.generate, _GRID)
        for form in (self.components, self.filters, self.grid):
            self.addWidget(form.native)
