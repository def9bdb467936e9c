"""What the heat maps of one image are called, each by a name of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from napari_semxai.types import CAM_METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.types import Heatmap

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
        The method; its target layers where maps of one method differ by them; whether it looks
        inside the mask only. No name comes twice.
    """
    with_class |= len({heatmap.target for heatmap in heatmaps}) > 1
    names: dict[Heatmap, str] = {}
    seen: Counter[str] = Counter()
    for heatmap in heatmaps:
        name = _TITLES.get(heatmap.method, heatmap.method)
        if len({other.layers for other in heatmaps if other.method == heatmap.method}) > 1:
            name += f", {' + '.join(heatmap.layers) or 'all layers'}"
        if heatmap.inside_mask:
            name += ", inside the mask"
        if with_class:
            name += f": {heatmap.class_name}"
        seen[name] += 1
        names[heatmap] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names
