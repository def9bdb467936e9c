"""What a family of explanations gives to masks, layers, scores, curves and recipes.

All of these walk `SOURCES` of `masks` and know no family. Another family is one entry there: a
source that names its maps, and inherits whatever it has no better answer to.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.types import FloatArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.algorithms.explanations.localisation import ThresholdCurve
    from napari_semxai.state.explanation import Explanation
    from napari_semxai.types import BoolMask

    # Of a truth, and of what is ignored.
    Curves = Callable[[BoolMask, BoolMask | None], list[ThresholdCurve]]
    Made = tuple[dict[str, BoolMask], NDArray[Any] | None]


@dataclass(frozen=True, slots=True, eq=False)
class NamedMap:
    """One map of the current image.

    Attributes
    ----------
    name : str
        Of its layer, or of its row in a table.
    key : hashable
        What it was made from; equal keys stand for equal values.
    values : callable
        Returns the map, ndarray of float, shape (M, N).
    classifier : str
        Digest of the weights that it explains; "" where nobody knows.
    color : tuple of (int, int, int) or None
        Of its family's own choice; None draws it as heat.
    threshold : str
        The field of `ExplanationMaskSettings` that makes a mask of it.
    role : str
        Of the layer that shows it, by default its name; layers are used again by their role.
    rank : int
        Layers of lower rank lie above.
    signed : bool
        Whether it is a difference, from -1 to 1.
    """

    name: str
    key: Hashable
    values: Callable[[], FloatArray]
    classifier: str = ""
    color: tuple[int, int, int] | None = None
    threshold: str = "tau"
    role: str = ""
    rank: int = 0
    signed: bool = False

    def __post_init__(self) -> None:
        """Take the name for the role where there is none."""
        object.__setattr__(self, "role", self.role or self.name)


class MapSource:
    """A family of explanations as everything beyond its panel sees it.

    Attributes
    ----------
    family : str
        The names of its masks and the roles of its maps begin with this.
    field : str
        Of `Explanation`: where its answers are.
    mask_title : str
        Of the layer of its masks.
    has_layers : bool
        Whether its maps are shown as layers; its masks go with these.
    """

    family = field = ""
    mask_title = ""
    has_layers = True

    def maps(self, explanation: Explanation) -> list[NamedMap]:
        """Return the maps that can be judged and thresholded."""
        raise NotImplementedError

    def layers(self, explanation: Explanation) -> list[list[NamedMap]]:
        """Return the maps to show, those of a list on one tile; first what is looked at."""
        maps = self.maps(explanation)
        return [maps] if maps else []

    def masks(self, explanation: Explanation, shape: tuple[int, int]) -> Made:
        """Return masks (M, N) by name, and what the layer of masks shows: 0 or a colour's number.

        The same array again where nothing changed: it is not drawn again then.
        """
        settings = explanation.mask_settings
        found = {
            one.name: threshold_mask(one.values(), getattr(settings, one.threshold))
            for one in self.maps(explanation)
        }
        return found, joined_labels(dict(enumerate(found.values())), shape) if found else None

    def judged(self, explanation: Explanation) -> dict[str, tuple[Callable[[], BoolMask], str]]:
        """Return how each mask to judge is made, in a thread, and of which classifier."""
        classifier = self.classifier(explanation)
        of_source = ((n, m) for n, m in explanation.masks.masks.items() if self.owns(n) and m.size)
        return {name: (partial(np.asarray, mask), classifier) for name, mask in of_source}

    def curves(self, explanation: Explanation) -> Curves | None:
        """Return what draws curves over other thresholds than those of `maps`, or None."""

    def palette(self, explanation: Explanation) -> tuple[str, ...]:
        """Return the colours of the layer of masks, from number 1."""
        return tuple(hex_color(one.color or (255, 255, 255)) for one in self.maps(explanation))

    def classifier(self, explanation: Explanation) -> str:
        """Return the digest of the weights that are explained; "" where nobody knows."""
        return next((one.classifier for one in self.maps(explanation)), "")

    def details(self, explanation: Explanation, name: str) -> dict[str, Any]:
        """Return what made a mask of this family, as JSON can hold it."""
        raise NotImplementedError

    def owns(self, name: str) -> bool:
        """Whether a mask or a role is of this family."""
        return name.startswith(self.family)


def joined_labels(found: dict[int, BoolMask], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return at each pixel the number, from 1, of the first mask that covers it; 0 for none."""
    labels = np.zeros(shape, dtype=np.uint8)
    # The most important one is written last.
    for number, mask in reversed(found.items()):
        labels[mask] = number + 1
    return labels


def hex_color(color: Sequence[int]) -> str:
    """Return a colour as napari and Qt read it."""
    return "#{:02x}{:02x}{:02x}".format(*color)
