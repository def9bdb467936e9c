"""All that the Explain dock can ask for, over one engine and one cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.controllers.explain.classify import ClassifyController
from napari_semxai.controllers.explain.concepts import ConceptController
from napari_semxai.controllers.explain.heatmaps import HeatmapController
from napari_semxai.controllers.explain.masks import ExplanationMaskController
from napari_semxai.controllers.explain.result_cache import ResultCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.edit.clicks import ClickController
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import FitImage
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask


class Explaining:
    """The four controllers of explanations.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the service "explain".
    jobs : Jobs
        Runs what takes longer than a frame.
    open_image : callable
        Goes to the image of a crop.
    edit : EditController
        Knows the defect mask.
    clicks : ClickController
        Takes masks as prompts for SAM.
    """

    def __init__(
        self,
        session: Session,
        engine: EngineClient,
        jobs: Jobs,
        open_image: Callable[[FitImage], None],
        edit: EditController,
        clicks: ClickController,
    ) -> None:
        self._edit = edit
        cache = ResultCache()
        self.classify = ClassifyController(session, engine, jobs, cache)
        self.heatmaps = HeatmapController(session, engine, cache, self._mask)
        self.concepts = ConceptController(session, engine, jobs, cache, open_image, self._mask)
        self.masks = ExplanationMaskController(session, jobs, clicks.refine_mask)

    def release(self) -> None:
        """Follow the session no longer."""
        for controller in (self.classify, self.heatmaps, self.concepts, self.masks):
            controller.release()

    def _mask(self) -> BoolMask | None:
        mask = self._edit.mask
        return None if mask is None else mask.copy()
