"""Learning the open project's masks, and which version proposes masks."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.store.project.learned import learned_versions, use_version, version_in_use
from napari_semxai.types import IDLE, JobState, Progress
from napari_semxai.types.learned import Learned, LearnedVersion, LearnRequest
from napari_semxai.types.settings import LEARNED

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.segment.segment import SegmentController
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.review import Tally
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.types import AlgorithmSettings

JOB = "learn"
OFFER_EVERY = 20
"""Reviews after which learning is offered."""


class LearningController:
    """Learns in an engine of its own, follows what the project has learned, and goes back.

    Parameters
    ----------
    session : Session
        Has the project, and is told what it has learned.
    segment : SegmentController
        Makes masks by the version in use.
    engine : EngineClient
        Learns; it runs only while it does.
    jobs : Jobs
        Read and write files.
    """

    def __init__(
        self, session: Session, segment: SegmentController, engine: EngineClient, jobs: Jobs
    ) -> None:
        self._session, self._segment = session, segment
        self._engine, self._jobs = engine, jobs
        self._offered = 0
        self._chosen = session.algorithm.algorithm
        session.events.algorithm.connect(self._on_algorithm_changed)
        session.events.project.connect(self._on_project_changed)
        session.events.tally.connect(self._on_tally_changed)

    def start(self) -> None:
        """Learn from the reviews of the open project, unless that is on its way."""
        project = self._session.project
        if project is None or self._session.learning.running:
            return
        folder = project.project.folder
        self._offered = self._session.tally.count
        self._session.learning = Progress("Read reviews")
        self._engine.submit(
            LearnRequest(folder),
            destination=JOB,
            on_update=partial(self._on_update, folder),
            on_done=self._on_done,
            on_failed=self._on_failed,
        )
        self._engine.lower_priority()

    def cancel(self) -> None:
        """Stop; asked again, learning goes on from there."""
        if self._session.learning.running:
            self._engine.forget(JOB)
            self._session.learning = replace(self._session.learning, state=JobState.CANCELLED)
            self._rest()

    def use(self, name: str) -> None:
        """Let another version propose masks from now on; "none" for none."""
        project = self._session.project
        if project is not None:
            folder = project.project.folder
            self._jobs.run(
                JOB,
                partial(_used, folder, name),
                partial(self._on_read, folder, True),
                self._session.say,
            )

    def _on_update(self, folder: Path, answer: Any) -> None:
        if isinstance(answer, LearnedVersion):
            self._session.say(
                f"Version {answer.name} is "
                f"{'in use' if answer.verdict.better else 'not in use'}: {answer.verdict.reason}"
            )
            self._read(folder, take=answer.verdict.better)
        elif isinstance(answer, Progress):
            self._session.learning = answer

    def _on_done(self) -> None:
        self._session.learning = replace(self._session.learning, state=JobState.DONE)
        self._rest()

    def _on_failed(self, message: str) -> None:
        self._session.learning = Progress(state=JobState.FAILED, message=message)
        self._rest()

    def _rest(self) -> None:
        # Half a gigabyte that nobody needs until the next time; ending it takes a moment.
        self._jobs.run("end learning", self._end)

    def _end(self) -> None:
        # It may have been started again meanwhile.
        if not self._session.learning.running:
            self._engine.close()

    def _read(self, folder: Path, *, take: bool = False) -> None:
        self._jobs.run(
            JOB, partial(_learned, folder), partial(self._on_read, folder, take), self._session.say
        )

    def _on_read(self, folder: Path, take: bool, learned: Learned) -> None:
        """Take over what was read; with `take` its version proposes masks at once."""
        session = self._session
        if session.project is None or session.project.project.folder != folder:
            return
        session.learned = learned
        chosen = session.algorithm.algorithm == LEARNED
        if learned.used is None:
            if chosen:
                self._segment.set_algorithm(algorithm=self._chosen, network="")
        elif take or chosen:
            self._segment.set_algorithm(algorithm=LEARNED, network=str(learned.used.path))

    def _on_algorithm_changed(self, now: AlgorithmSettings) -> None:
        # What masks are made by again once no version is in use.
        if now.algorithm != LEARNED:
            self._chosen = now.algorithm

    def _on_project_changed(self, project: OpenProject | None) -> None:
        if self._session.learning.running:
            self.cancel()
        self._session.learned, self._session.learning, self._offered = Learned(), IDLE, 0
        # Another project's network is no proposal for this one.
        if self._session.algorithm.algorithm == LEARNED:
            self._segment.set_algorithm(algorithm=self._chosen, network="")
        if project is not None:
            self._read(project.project.folder, take=True)

    def _on_tally_changed(self, tally: Tally) -> None:
        if tally.count < self._offered:
            self._offered = tally.count
        if tally.count - self._offered >= OFFER_EVERY and not self._session.learning.running:
            self._offered = tally.count
            self._session.say(
                f"{OFFER_EVERY} more reviews: Learn from reviews in Mask candidates tries whether "
                "they make better proposals"
            )


def _learned(folder: Path) -> Learned:
    return Learned(learned_versions(folder), version_in_use(folder))


def _used(folder: Path, name: str) -> Learned:
    use_version(folder, name)
    return _learned(folder)
