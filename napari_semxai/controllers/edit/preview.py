"""What a SAM click would select, shown before it is made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.masks.click_edits import prompted_object
from napari_semxai.types import PredictedMask, PredictRequest

if TYPE_CHECKING:
    from napari_semxai.controllers.edit.clicks import ClickController, Question
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.review import Clicks
    from napari_semxai.state.session import Session
    from napari_semxai.types import BoolMask

PREVIEW = "click preview"


class ClickPreview:
    """Asks the network about the place under the pointer, behind all else that it has to do.

    One place is asked at a time; of those that come meanwhile only the newest counts.

    Parameters
    ----------
    session : Session
        Where the answer is shown; it never comes into the mask.
    engine : EngineClient
        Runs the network.
    jobs : Jobs
        Finds the object in the answer.
    clicks : ClickController
        Knows what a click would ask.
    """

    def __init__(
        self, session: Session, engine: EngineClient, jobs: Jobs, clicks: ClickController
    ) -> None:
        self._session, self._engine, self._jobs = session, engine, jobs
        self._clicks = clicks
        self.enabled = True
        self._asked: Question | None = None
        self._waiting: tuple[float, float] | None = None
        session.events.clicks.connect(self._on_clicks_changed)
        session.events.image.connect(self.end)

    def enable(self, wanted: bool) -> None:
        """Show previews, or none."""
        self.enabled = wanted
        self.end()

    def point(self, row: float, column: float) -> None:
        """Show what a foreground click at (row, column), in pixels of the image, would select."""
        session = self._session
        clicks = session.clicks
        if not self.enabled or clicks.state.is_waiting or clicks.offer is not None:
            return
        if self._asked is not None:
            self._waiting = row, column
            return
        asked = self._clicks.question(row, column) if clicks.active else None
        if asked is None or session.image is None:
            return
        self._asked, choice = asked, session.choice
        self._engine.submit(
            PredictRequest(
                session.image.gray, choice.model, choice.device, asked.prompts, asked.prompt
            ),
            destination=PREVIEW,
            on_update=self._on_update,
            on_done=self._on_done,
            # The click itself tells what is wrong.
            on_failed=lambda _: self.end(),
            background=True,
        )

    def end(self) -> None:
        """Show no preview, and wait for none."""
        self._waiting = None
        if self._asked is not None:
            self._asked = None
            self._engine.forget(PREVIEW)
        self._jobs.forget(PREVIEW)
        self._session.preview = None

    def _on_update(self, answer: Any) -> None:
        asked = self._asked
        if isinstance(answer, PredictedMask) and asked is not None:
            find = partial(prompted_object, answer.mask, asked.before, asked.prompts)
            self._jobs.run(PREVIEW, find, self._on_found)

    def _on_found(self, preview: BoolMask) -> None:
        self._session.preview = preview

    def _on_done(self) -> None:
        waiting, self._asked, self._waiting = self._waiting, None, None
        if waiting is not None:
            self.point(*waiting)

    def _on_clicks_changed(self, now: Clicks, before: Clicks) -> None:
        # What was previewed may have come true, or is another tool's matter.
        if now.active != before.active or now.prompts is not before.prompts:
            self.end()
