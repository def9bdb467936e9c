"""Orders of the queue that have to be worked out, from features that may have to be made first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.controllers.jobs import Failures
from napari_semxai.store.project.ranked import RANKINGS, Ranking, without_features
from napari_semxai.types import IDLE, Failure, Progress
from napari_semxai.types.learned import FeaturesRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject

    _Taken = Callable[[dict[str, str]], None]

JOB = "rank"


class Rankings:
    """Works out an order of the open project's images; one at a time, the latest counts.

    Parameters
    ----------
    session : Session
        Has the project and the open image, and is told of progress.
    engine : EngineClient
        Makes features; it runs only while it does.
    jobs : Jobs
        Read files and compute.
    """

    def __init__(self, session: Session, engine: EngineClient, jobs: Jobs) -> None:
        self._session, self._engine, self._jobs = session, engine, jobs
        self._making = False
        self._failures = Failures(session.events.failure_over.emit)
        session.events.project.connect(self._on_project_changed)

    def rank(self, name: str, take: _Taken) -> None:
        """Hand over the order of `RANKINGS` that has this name, with the features it needs."""
        project, queue = self._session.project, self._session.queue
        if project is None or queue is None:
            return
        ranking = RANKINGS[name]
        if not ranking.by_features:
            self._work_out(project, ranking, take)
        elif not self._session.is_busy():
            self._jobs.run(
                JOB,
                partial(without_features, project.project),
                partial(self._on_counted, project, ranking, take),
            )

    def cancel(self) -> None:
        """Stop making features; those that are made stay."""
        if self._making:
            self._engine.forget(JOB)
            self._rest()

    def _on_counted(
        self, project: OpenProject, ranking: Ranking, take: _Taken, missing: int
    ) -> None:
        if project is not self._session.project:
            return
        if not missing:
            self._work_out(project, ranking, take)
            return
        self._making = True
        self._session.batch = Progress("Features", 0, missing)
        self._engine.submit(
            FeaturesRequest(project.project.folder),
            destination=JOB,
            on_update=partial(setattr, self._session, "batch"),
            on_done=partial(self._on_made, project, ranking, take),
            on_failed=self._on_failed,
        )
        self._engine.lower_priority()

    def _on_made(self, project: OpenProject, ranking: Ranking, take: _Taken) -> None:
        self._rest()
        self._failures.end(JOB)
        # Images that cannot be read are left out: asked for again, they would fail again.
        self._work_out(project, ranking, take)

    def _on_failed(self, message: str) -> None:
        self._rest()
        failure = Failure(message)
        self._failures.note(JOB, failure)
        self._session.say(failure)

    def _work_out(self, project: OpenProject, ranking: Ranking, take: _Taken) -> None:
        queue = self._session.queue
        if queue is not None and project is self._session.project:
            work = partial(ranking.rank, project.project, queue.annotator, queue.current)
            self._jobs.run(JOB, work, partial(self._on_ranked, project, take))

    def _on_ranked(self, project: OpenProject, take: _Taken, ranked: dict[str, str]) -> None:
        if project is self._session.project:
            take(ranked)

    def _rest(self) -> None:
        self._making = False
        self._session.batch = IDLE
        # Half a gigabyte that nobody needs until the next time; ending it takes a moment.
        self._jobs.run("end features", self._end)

    def _end(self) -> None:
        # It may have been started again meanwhile.
        if not self._making:
            self._engine.close()

    def _on_project_changed(self, _: Any) -> None:
        self.cancel()
