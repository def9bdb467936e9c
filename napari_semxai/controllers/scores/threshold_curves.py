"""Dice of the current image's explanations over their thresholds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.explanations.localisation import RankedMap
from napari_semxai.algorithms.explanations.masks import cropped, resized_mask
from napari_semxai.algorithms.explanations.threshold_curves import (
    DELTAS,
    ThresholdCurve,
    dice_within,
)
from napari_semxai.controllers.explain.masks import (
    concept_distances,
    concept_name,
    picture_concept,
)
from napari_semxai.controllers.scores.comparison_table import threshold_of
from napari_semxai.state.comparison import TAUS
from napari_semxai.state.explanation import PICTURE, UNION, ExplanationPicture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from napari_semxai.controllers.explain.masks import ExplanationMaskController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.scores.comparison_table import ComparisonTableController
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask, ConceptMaps, FloatArray

    Curves = tuple[ThresholdCurve, ...]
    Rendering = ConceptMaps | ExplanationPicture


class ThresholdCurvesController:
    """What the Research dock can ask for of the current image's explanations.

    Parameters
    ----------
    session : Session
        Where the curves go.
    jobs : Jobs
        Computes them.
    evaluate : EvaluateController
        Knows the truth that is compared with.
    table : ComparisonTableController
        Knows the maps.
    masks : ExplanationMaskController
        Takes a threshold.
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        evaluate: EvaluateController,
        table: ComparisonTableController,
        masks: ExplanationMaskController,
    ) -> None:
        self._session, self._jobs = session, jobs
        self._evaluate, self._table, self._masks = evaluate, table, masks
        session.events.image.connect(self._on_image_changed)

    def draw(self) -> None:
        """Score every threshold of every explanation against the truth of the Scores dock."""
        image, truth = self._session.image, self._evaluate.truth
        maps, renderings = self._table.maps(), self._renderings()
        fits = image is not None and truth is not None and truth.shape == image.gray.shape
        if truth is None or not fits or not (maps or renderings):
            self._session.message = (
                "The curves need an explanation (Explain) and a truth of the image's size, which "
                "is chosen in Scores."
            )
            return
        shown = self._session.explanation.mask_settings.concepts
        makers = {name: make for name, (_, make) in maps.items()}
        self._jobs.run(
            "curves",
            partial(_curves, makers, renderings, shown, truth),
            self._on_drawn,
            self._on_failed,
        )

    def use(self, parameter: str, threshold: float) -> None:
        """Take the threshold of the curves nearest to `threshold`.

        A delta counts on rendered colours alone, so that it chooses the paper's route.
        """
        own = [curve for curve in self._session.curves if curve.parameter == parameter]
        if not own:
            return
        value = own[0].nearest(threshold)
        if parameter == "delta":
            self._masks.set_masks(delta=value, paper=True)
        elif parameter == "concept_tau":
            self._masks.set_masks(concept_tau=value, paper=False)
        else:
            self._masks.set_masks(tau=value)

    def _renderings(self) -> list[Rendering]:
        explanation = self._session.explanation
        found = (explanation.concepts, explanation.picture)
        return [rendering for rendering in found if rendering is not None]

    def _on_image_changed(self) -> None:
        self._jobs.forget("curves")
        self._session.curves = ()

    def _on_drawn(self, curves: Curves) -> None:
        self._session.curves = curves

    def _on_failed(self, message: str) -> None:
        self._session.message = message


def _curves(
    maps: Mapping[str, Callable[[], FloatArray]],
    renderings: Iterable[Rendering],
    shown: frozenset[int],
    truth: BoolMask,
) -> Curves:
    found = []
    for name, make in maps.items():
        curve = RankedMap(make()).dice_curve(truth, TAUS)
        found.append(ThresholdCurve(name, threshold_of(name), TAUS, curve))
    for rendering in renderings:
        if isinstance(rendering, ExplanationPicture) and rendering.method == "gradcam":
            red = cropped(rendering.rgb, rendering.crop)[..., 0]
            values = resized_mask(red, _size(truth))
            curve = RankedMap(values.astype(np.float32)).dice_curve(truth, TAUS)
            found.append(ThresholdCurve(PICTURE, "tau", TAUS, curve))
        else:
            found += _delta_curves(rendering, shown, truth)
    return tuple(found)


def _delta_curves(
    rendering: Rendering, shown: frozenset[int], truth: BoolMask
) -> Iterator[ThresholdCurve]:
    """Yield a curve for each shown concept, all of them in a picture, and for their union."""
    picture = isinstance(rendering, ExplanationPicture)
    title = picture_concept if picture else concept_name
    own = {
        title(number): resized_mask(distances, _size(truth))
        for number, distances in enumerate(concept_distances(rendering))
        if picture or number in shown
    }
    if len(own) > 1:
        own[PICTURE if picture else UNION] = np.minimum.reduce(list(own.values()))
    for name, values in own.items():
        yield ThresholdCurve(name, "delta", DELTAS, dice_within(values, truth, DELTAS))


def _size(mask: BoolMask) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]
