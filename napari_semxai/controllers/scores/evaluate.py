"""Evaluate: live scores of one mask against another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_semxai.algorithms.masks.foreground import AUTO
from napari_semxai.algorithms.masks.metrics import LiveMask, LiveScores
from napari_semxai.state.session import LoadedTruth, Readout
from napari_semxai.store.images.masks import UnclearMaskError, read_mask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_semxai.algorithms.masks.foreground import ForegroundRule
    from napari_semxai.algorithms.masks.metrics import MaskChange
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask


@dataclass(frozen=True, slots=True, eq=False)
class NamedMask:
    """A live mask and what people call it."""

    name: str
    mask: LiveMask


class EvaluateController:
    """Keep the session's readout equal to the two chosen masks.

    Parameters
    ----------
    session : Session
        Where the readout goes.
    jobs : Jobs
        Reads truth masks.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        self._pair: tuple[NamedMask, NamedMask] | None = None
        self._live: LiveScores | None = None

    def load_truth(
        self,
        path: Path,
        rule: ForegroundRule = AUTO,
        ask: Callable[[str], None] | None = None,
    ) -> None:
        """Read a mask file of the current image's size to compare with.

        Parameters
        ----------
        path : Path
            The file.
        rule : ForegroundRule
            What in it is foreground.
        ask : callable, optional
            Told why where it could be read in two ways; without it the file is refused.
        """
        image = self._session.image
        shape = None if image is None else (image.gray.shape[0], image.gray.shape[1])

        def read() -> BoolMask | UnclearMaskError:
            try:
                return read_mask(path, shape, rule)
            except UnclearMaskError as error:
                if ask is None:
                    raise
                return error

        def show(found: BoolMask | UnclearMaskError) -> None:
            if not isinstance(found, UnclearMaskError):
                self._session.loaded_truth = LoadedTruth(found, path.stem)
            elif ask is not None:
                ask(str(found))

        self._jobs.run("load truth", read, show)

    def compare(self, prediction: NamedMask | None, truth: NamedMask | None) -> None:
        """Compare two masks from now on; nothing when one is missing or the sizes differ."""
        self._pair = self._live = None
        if (
            prediction is not None
            and truth is not None
            and prediction.mask.mask.shape == truth.mask.mask.shape
        ):
            self._pair = prediction, truth
            self._live = LiveScores(prediction.mask, truth.mask)
        self._show()

    def mask_changed(self, mask: LiveMask, change: MaskChange) -> None:
        """Count a change of one of the masks."""
        if self._pair is None or self._live is None:
            return
        prediction, truth = self._pair
        # A mask against itself: one change would have to be counted on both sides at once.
        if prediction.mask is truth.mask:
            if mask is truth.mask:
                self.compare(prediction, truth)
            return
        if mask is prediction.mask:
            self._live.prediction_changed(change)
        elif mask is truth.mask:
            self._live.truth_changed(change)
        else:
            return
        self._show()

    @property
    def truth(self) -> BoolMask | None:
        """A copy of the truth mask that is compared with; None without one."""
        # It goes to threads, while a person may be painting on it.
        return None if self._pair is None else self._pair[1].mask.mask.copy()

    def _show(self) -> None:
        if self._pair is None or self._live is None:
            self._session.readout = None
        else:
            prediction, truth = self._pair
            self._session.readout = Readout(prediction.name, truth.name, self._live.scores)
