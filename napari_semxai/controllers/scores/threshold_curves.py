"""Dice of the current image's explanations over their thresholds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.algorithms.explanations.localisation import RankedMap, ThresholdCurve
from napari_semxai.controllers.explain.explain import make_sources
from napari_semxai.state.comparison import TAUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.controllers.explain.explain import ExplanationMaskController
    from napari_semxai.controllers.explain.sources import Curves as Drawn
    from napari_semxai.controllers.explain.sources import NamedMap
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.scores.evaluate import EvaluateController
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask

    Curves = tuple[ThresholdCurve, ...]


class ThresholdCurvesController:
    """Scores every threshold of the current image's explanations against the truth.

    Parameters
    ----------
    session : Session
        Where the curves go.
    jobs : Jobs
        Computes them.
    evaluate : EvaluateController
        Knows the truth that is compared with.
    masks : ExplanationMaskController
        Takes a threshold.
    """

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        evaluate: EvaluateController,
        masks: ExplanationMaskController,
    ) -> None:
        self._session, self._jobs = session, jobs
        self._evaluate, self._masks = evaluate, masks
        self._sources = make_sources()
        session.events.image.connect(self._on_image_changed)

    def draw(self) -> None:
        """Score every threshold of every explanation against the truth of the Scores dock."""
        image, truth = self._session.image, self._evaluate.truth
        explanation = self._session.explanation
        maps = [one for source in self._sources for one in source.maps(explanation)]
        drawn = (source.curves(explanation) for source in self._sources)
        rendered = [draw for draw in drawn if draw is not None]
        # The truth stays chosen when another image opens, and may be of another size then.
        fits = image is not None and truth is not None and truth.shape == image.gray.shape
        if truth is None or not fits or not (maps or rendered):
            self._session.message = (
                "The curves need an explanation (Explain) and a truth of the image's size, which "
                "is chosen in Scores."
            )
            return
        draw_all = partial(_curves, maps, rendered, truth, self._session.ignored)
        self._jobs.run("curves", draw_all, self._on_drawn)

    def use(self, parameter: str, threshold: float) -> None:
        """Take the threshold of the curves nearest to `threshold`.

        A delta counts on rendered colours alone, so that it chooses the paper's route.
        """
        with_parameter = [curve for curve in self._session.curves if curve.parameter == parameter]
        if not with_parameter:
            return
        value = with_parameter[0].nearest(threshold)
        if parameter == "delta":
            self._masks.set_masks(delta=value, paper=True)
        # In paper mode concepts have no τ, while heat maps have one in both.
        elif parameter == "concept_tau":
            self._masks.set_masks(concept_tau=value, paper=False)
        else:
            self._masks.set_masks(tau=value)

    def _on_image_changed(self) -> None:
        # An answer on its way is of the image before.
        self._jobs.forget("curves")
        self._session.curves = ()

    def _on_drawn(self, curves: Curves) -> None:
        self._session.curves = curves


def _curves(
    maps: Sequence[NamedMap],
    rendered: Sequence[Drawn],
    truth: BoolMask,
    ignored: BoolMask | None,
) -> Curves:
    found = []
    for one in maps:
        curve = RankedMap(one.values()).without(ignored).dice_curve(truth, TAUS)
        found.append(ThresholdCurve(one.name, one.threshold, TAUS, curve))
    return (*found, *(curve for draw in rendered for curve in draw(truth, ignored)))
