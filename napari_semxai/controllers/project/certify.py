"""Certified accept: draw an audit sample, follow the audit, accept by it, take that back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_semxai.store.project.certificates import (
    Audit,
    draw_certificate,
    latest_certificate,
    note_decision,
    read_audit,
    take_back,
    taken_back,
)

if TYPE_CHECKING:
    from napari_semxai.algorithms.statistics.acceptance import Promise
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.queue import QueueController
    from napari_semxai.controllers.project.review import GroupReview
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject

JOB = "certify"


class CertifyController:
    """Masks of the open project that are accepted unseen, by an audit of a random sample.

    Parameters
    ----------
    session : Session
        Has the project and its annotator.
    queue : QueueController
        Hands the sample out.
    group : GroupReview
        Accepts many masks in one step that can be undone.
    writes : Jobs
        Reads and writes, after the reviews that were made before.
    """

    changed = Signal(object)
    """The latest `Audit` of the annotator was read; None where there is none."""

    def __init__(
        self, session: Session, queue: QueueController, group: GroupReview, writes: Jobs
    ) -> None:
        self._session, self._queue = session, queue
        self._group, self._writes = group, writes

    def draw(self, count: int, promise: Promise) -> None:
        """Draw a sample of so many images, and let the queue hand it out."""
        self._run(partial(_draw, count, promise), self._on_drawn)

    def look(self) -> None:
        """Read how far the audit is."""
        self._run(_look, self.changed.emit)

    def hand_out(self) -> None:
        """Show the sample in the image list, in the order in which it was drawn."""
        self._queue.rank("audit")

    def accept(self) -> None:
        """Accept what the audit allows; refused while a part of the sample waits."""
        self._run(_decide, self._on_decided)

    def take_back(self) -> None:
        """Make all masks candidates again that a rule has accepted, also in an earlier session."""
        self._session.say("Taking back what was accepted by rule …")
        self._run(_take_back, self._on_taken_back)

    def _run(self, work: Any, done: Any) -> None:
        project = self._session.project
        if project is None:
            self._session.message = "Open a project first"
            return
        self._writes.run(JOB, partial(work, project), done, self._session.say)

    def _on_drawn(self, audit: Audit) -> None:
        self.changed.emit(audit)
        self._session.say(f"{len(audit.waiting)} images are drawn to audit; they are the list now")
        self.hand_out()

    def _on_decided(self, audit: Audit | None) -> None:
        self.changed.emit(audit)
        if audit is None:
            self._session.message = "Draw an audit sample first"
        elif audit.images:
            # A large lot takes a minute.
            self._session.say("Accepting by rule …")
            self._group.accept_by_rule(audit.images, audit.certificate)
            self.look()
        else:
            self._session.say(str(audit))

    def _on_taken_back(self, done: tuple[int, Audit | None]) -> None:
        count, audit = done
        self.changed.emit(audit)
        self._queue.refresh(retry=False)
        self._session.say(taken_back(count))


def _draw(count: int, promise: Promise, project: OpenProject) -> Audit:
    annotator = project.cache.annotator
    return read_audit(
        project.project, draw_certificate(project.project, annotator, count, promise)
    )


def _look(project: OpenProject) -> Audit | None:
    certificate = latest_certificate(project.project, project.cache.annotator)
    return None if certificate is None else read_audit(project.project, certificate)


def _decide(project: OpenProject) -> Audit | None:
    audit = _look(project)
    if audit is not None and audit.images:
        note_decision(project.project, audit)
    return audit


def _take_back(project: OpenProject) -> tuple[int, Audit | None]:
    records = take_back(project.project, project.cache.annotator)
    for record in records:
        project.note(record)
        project.cache.drop(record.image)
    return len(records), _look(project)
