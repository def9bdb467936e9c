"""What a recipe says of a mask that was taken from an explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_semxai.state.explanation import HEAT_MAP, PICTURE, UNION, WEIGHTED

if TYPE_CHECKING:
    from napari_semxai.state.explanation import Explanation, ExplanationPicture, MaskSettings
    from napari_semxai.types import ConceptMaps, Heatmap


def explanation_details(explanation: Explanation, name: str) -> dict[str, Any]:
    """Return what made a mask of `Explanation.masks`, as JSON can hold it."""
    settings, picture = explanation.mask_settings, explanation.picture
    heatmap, concepts = explanation.heatmaps.active, explanation.concepts
    if name == HEAT_MAP and heatmap is not None:
        return _of_heatmap(heatmap, settings)
    if name.startswith(PICTURE) and picture is not None:
        return _of_picture(picture, settings)
    return {} if concepts is None else _of_concepts(concepts, settings, name)


def _of_heatmap(heatmap: Heatmap, settings: MaskSettings) -> dict[str, Any]:
    return {
        "method": heatmap.method,
        "layers": list(heatmap.layers),
        "target": heatmap.target,
        "class": heatmap.class_name,
        "classifier_sha256": heatmap.sha256,
        "inside_mask": heatmap.inside_mask,
        "paper": settings.paper,
        "tau": settings.tau,
    }


def _of_concepts(maps: ConceptMaps, settings: MaskSettings, name: str) -> dict[str, Any]:
    several = name in (UNION, WEIGHTED)
    details = {
        "method": "craft",
        "layers": list(maps.layers),
        "target": maps.target,
        "classifier_sha256": maps.sha256,
        "bank": maps.bank,
        "refinement": maps.refinement,
        # Numbers begin at 1, as in the window.
        "concepts": sorted(n + 1 for n in settings.concepts) if several else [_number(name)],
        "paper": settings.paper,
    }
    if name == WEIGHTED:
        details["importances"] = "local" if settings.local else "global"
    threshold = {"delta": settings.delta} if settings.paper else {"tau": settings.concept_tau}
    return details | threshold


def _of_picture(picture: ExplanationPicture, settings: MaskSettings) -> dict[str, Any]:
    gradcam = picture.method == "gradcam"
    return {
        "method": picture.method,
        "picture": picture.name,
        "crop": None if picture.crop is None else list(picture.crop),
        "colors": [list(color) for color in picture.colors],
        **({"tau": settings.tau} if gradcam else {"delta": settings.delta}),
    }


def _number(name: str) -> int:
    return int(name.rsplit(" ", 1)[1])
