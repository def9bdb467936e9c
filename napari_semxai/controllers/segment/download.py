"""Download: official weights, only ever when a person asks for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from napari_semxai.state.session import ModelChoice
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.downloads import DownloadCancelled, digest_note, download_model
from napari_semxai.types import JobState, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.state.session import Session
    from napari_semxai.store.weights.models import OfficialModel

PACE_SECONDS = 0.1
"""Progress is told this often, however fast the blocks arrive."""


class DownloadController:
    """Get an official checkpoint, one at a time, and use it once it is here.

    Parameters
    ----------
    session : Session
        Where progress goes.
    jobs : Jobs
        Runs the download.
    segment : SegmentController
        Told about the network that has arrived.
    """

    def __init__(self, session: Session, jobs: Jobs, segment: SegmentController) -> None:
        self._session = session
        self._jobs = jobs
        self._segment = segment
        self._cancelled = Event()

    def download(self, model: OfficialModel) -> None:
        """Start a download, unless one is running."""
        if self._session.download.running:
            return
        # A new one each time: a thread that still ends must not be revived by the next download.
        cancelled = self._cancelled = Event()
        self._session.download = Progress(model.name, 0, model.size)
        report = self._reporter()

        def fetch() -> str | None:
            try:
                path = download_model(model, progress=report, cancel=cancelled.is_set)
            except DownloadCancelled:
                return None
            return file_sha256(path)

        self._jobs.run("download", fetch, partial(self._on_ended, model), self._on_failed)

    def cancel(self) -> None:
        """Stop the download after the block that is arriving; nothing is kept of it."""
        if self._session.download.running:
            self._cancelled.set()
            self._session.download = replace(self._session.download, message="Stopping …")

    def _reporter(self) -> Callable[[int, int], None]:
        last = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last
            now = monotonic()
            if done == total or now - last >= PACE_SECONDS:
                last = now
                self._jobs.deliver(partial(self._on_received, done))

        return report

    def _on_received(self, done: int) -> None:
        self._session.download = replace(self._session.download, done=done)

    def _on_ended(self, model: OfficialModel, sha256: str | None) -> None:
        download = self._session.download
        if sha256 is None:
            self._session.download = replace(
                download,
                state=JobState.CANCELLED,
                message=f"{model.name}: download cancelled; the partial file is deleted",
            )
            return
        text = f"{model.name}: downloaded, {digest_note(model, sha256)}"
        self._session.download = replace(download, state=JobState.DONE, message=text)
        # Somebody who waited for a network wants to use it.
        self._segment.choose_model(ModelChoice(model.name, self._session.choice.device))

    def _on_failed(self, message: str) -> None:
        failed = replace(self._session.download, state=JobState.FAILED, message=message)
        self._session.download = failed
