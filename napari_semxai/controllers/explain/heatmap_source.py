"""Heat maps as a family of maps: their names, masks, and how two of them differ."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.masks import gradcam_mask, threshold_mask
from napari_semxai.controllers.explain.sources import MapSource, NamedMap
from napari_semxai.state.explanation import HEAT_MAP
from napari_semxai.types import CAM_METHODS, Heatmap, colors, moved_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_semxai.controllers.explain.sources import Made
    from napari_semxai.state.explanation import Explanation
    from napari_semxai.types import BoolMask

_TITLES = {method.name: method.title for method in CAM_METHODS}


def heat_names(heatmaps: Sequence[Heatmap], *, with_class: bool = False) -> dict[Heatmap, str]:
    """Return a name for each heat map of an image.

    Parameters
    ----------
    heatmaps : sequence of Heatmap
        All that there are.
    with_class : bool
        Whether to name the class also where all explain the same one.

    Returns
    -------
    dict of Heatmap to str
        The method; its target layers where maps of one method differ by them; its classifier
        where there are several; whether it looks inside the mask only. No name comes twice.
    """
    with_class |= len({heatmap.target for heatmap in heatmaps}) > 1
    names: dict[Heatmap, str] = {}
    seen: Counter[str] = Counter()
    for heatmap in heatmaps:
        name = _TITLES.get(heatmap.method, heatmap.method)
        if len({other.layers for other in heatmaps if other.method == heatmap.method}) > 1:
            name += f", {' + '.join(heatmap.layers) or 'all layers'}"
        if len({other.sha256 for other in heatmaps}) > 1:
            name += f", {heatmap.classifier or heatmap.sha256[:8]}"
        if heatmap.inside_mask:
            name += ", inside the mask"
        if heatmap.as_drawn:
            name += ", as drawn"
        if with_class:
            name += f": {heatmap.class_name}"
        seen[name] += 1
        names[heatmap] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


PAPER_MAP = "heat map, rendered (Algorithm 2)"


class HeatmapSource(MapSource):
    """Heat maps: the one that is looked at, and all that were made of the image."""

    family, field, mask_title = HEAT_MAP, "heatmaps", "heat map mask"

    def __init__(self) -> None:
        # Of the heat map shown now, and of the one before it.
        render = lru_cache(maxsize=2)(Heatmap.rgb)
        self._mask = lru_cache(maxsize=1)(partial(heat_mask, render=render))

    def maps(self, explanation: Explanation) -> list[NamedMap]:
        """Return all heat maps, and the active one as Algorithm 2 sees it in paper mode."""
        active = explanation.heatmaps.active
        maps = [
            NamedMap(name, heatmap, partial(getattr, heatmap, "values"), heatmap.sha256)
            for heatmap, name in heat_names(explanation.heatmaps.all).items()
        ]
        if explanation.mask_settings.paper and active is not None:
            maps.append(NamedMap(PAPER_MAP, (active, "red"), partial(_red, active), active.sha256))
        return maps

    def layers(self, explanation: Explanation) -> list[list[NamedMap]]:
        """Return each heat map for a tile of its own, the active one or nothing first."""
        active = explanation.heatmaps.active
        names = heat_names(explanation.heatmaps.all, with_class=True)
        unlike = partial(_unlike, active, like=explanation.compare)
        shown = sorted(explanation.heatmaps.all, key=unlike)
        layers = []
        for number, heatmap in enumerate(shown):
            role = HEAT_MAP if number == 0 else f"{HEAT_MAP} {number + 1}"
            # Compared, all have one scale: the share of the own maximum, which has no unit.
            values = partial(heat_values, heatmap, share=explanation.compare)
            key = (heatmap, "share") if explanation.compare else heatmap
            layers.append([NamedMap(names[heatmap], key, values, heatmap.sha256, role=role)])
        if explanation.compare and len(shown) > 1:
            layers.append([_difference(shown[0], shown[1], names)])
        return [[], *layers] if active is None and layers else layers

    def masks(self, explanation: Explanation, shape: tuple[int, int]) -> Made:
        """Return the mask of the active heat map."""
        settings, active = explanation.mask_settings, explanation.heatmaps.active
        if active is None:
            return {}, None
        mask = self._mask(active, settings.tau, settings.paper)
        return {HEAT_MAP: mask}, mask

    def judged(self, explanation: Explanation) -> dict[str, tuple[Callable[[], BoolMask], str]]:
        """Return the masks of all heat maps, not of the active one alone."""
        settings, names = explanation.mask_settings, heat_names(explanation.heatmaps.all)
        return {
            HEAT_MAP if len(names) == 1 else f"{HEAT_MAP}, {name}": (
                partial(heat_mask, heatmap, settings.tau, settings.paper),
                heatmap.sha256,
            )
            for heatmap, name in names.items()
        }

    def palette(self, explanation: Explanation) -> tuple[str, ...]:
        """Return the one colour of heat."""
        return (colors.HEAT,)

    def classifier(self, explanation: Explanation) -> str:
        """Return that of the active heat map."""
        active = explanation.heatmaps.active
        return "" if active is None else active.sha256

    def details(self, explanation: Explanation, name: str) -> dict[str, Any]:
        """Return method, layers, class and threshold of the active heat map."""
        heatmap, settings = explanation.heatmaps.active, explanation.mask_settings
        if heatmap is None:
            return {}
        return {
            "method": heatmap.method,
            "layers": list(heatmap.layers),
            "target": heatmap.target,
            "class": heatmap.class_name,
            "classifier_sha256": heatmap.sha256,
            "inside_mask": heatmap.inside_mask,
            "moved_by": {} if settings.paper else moved_by(heatmap),
            "paper": settings.paper,
            "tau": settings.tau,
        }


def heat_mask(
    heatmap: Heatmap,
    tau: float,
    paper: bool,
    render: Callable[[Heatmap], NDArray[np.uint8]] = Heatmap.rgb,
) -> BoolMask:
    """Return the mask that a heat map gives.

    Parameters
    ----------
    heatmap : Heatmap
        The map.
    tau, paper
        See `ExplanationMaskSettings`.
    render : callable
        Returns the map in JET colours; one that remembers them, where they are needed often.

    Returns
    -------
    ndarray of bool, shape (M, N)
    """
    if paper:
        return gradcam_mask(render(heatmap), tau)
    return threshold_mask(heatmap.values, tau)


def heat_values(heatmap: Heatmap, *, share: bool = False) -> NDArray[np.float32]:
    """Return a map in the unit of its method, or as a share of its maximum, shape (M, N).

    A mean over several layers, each scaled to its own range first, has no unit: from 0 to 1.
    """
    if share:
        # Resizing, moving and the border take the maximum itself away.
        peak = float(heatmap.values.max(initial=0.0))
        return heatmap.values / np.float32(peak if peak > 0 else 1.0)
    # A mean over layers is of maps that were scaled to 1 each: it has no unit to go back to.
    unit = heatmap.raw_maximum if len(heatmap.layers) < 2 else 1.0
    return heatmap.values * np.float32(unit)


def _unlike(active: Heatmap | None, other: Heatmap, *, like: bool) -> tuple[bool, ...]:
    """Return a key by which the active map comes first, and then its `like` of a classifier."""
    if active is None or not like:
        return (other is not active,)
    return other is not active, other.method != active.method, other.layers != active.layers


def _difference(one: Heatmap, other: Heatmap, names: dict[Heatmap, str]) -> NamedMap:
    """Return how two maps differ, as shares of their maxima, from -1 to 1."""
    return NamedMap(
        f"{names[one]} − {names[other]}",
        (one, other),
        lambda: heat_values(one, share=True) - heat_values(other, share=True),
        one.sha256,
        role=f"{HEAT_MAP} difference",
        signed=True,
    )


def _red(heatmap: Heatmap) -> NDArray[np.float32]:
    return heatmap.rgb()[..., 0].astype(np.float32)
