"""The queue: next, previous, jump and filter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.names import name_key
from napari_semxai.store.project.ranked import RANKINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.images import ImageController
    from napari_semxai.controllers.project.rankings import Rankings
    from napari_semxai.state.queue import Queue
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject


class QueueController:
    """Steps through the images that the filter shows, and changes the filter.

    Parameters
    ----------
    session : Session
        Has the queue.
    images : ImageController
        Opens images.
    writes : Jobs
        Asks the index after the writes that were asked for before.
    rankings : Rankings
        Works out the orders that the index does not know.
    """

    def __init__(
        self, session: Session, images: ImageController, writes: Jobs, rankings: Rankings
    ) -> None:
        self._session, self._images, self._writes = session, images, writes
        self._rankings = rankings
        session.events.blind.connect(self._on_blind_changed)

    def step(self, by: int) -> None:
        """Open the image `by` places on among those that the filter shows."""
        queue = self._session.queue
        if queue is not None:
            self._go_or_say(queue.onward(by), "No further image in the filtered list")

    def next_unreviewed(self) -> None:
        """Open the next image without a review."""
        queue = self._session.queue
        if queue is not None:
            self._go_or_say(queue.unreviewed(), "All images in the list are reviewed")

    def find(self, text: str) -> None:
        """Open an image by its number, counted from 1, or by its name or a part of it.

        Where it cannot be read, that is said and the one behind it opens.
        """
        project = self._session.project
        if project is None:
            return
        wanted, images = name_key(text.strip()), project.project.images
        ids = [image.id for image in images]
        if wanted.isdigit() and 1 <= int(wanted) <= len(ids):
            found: str | None = ids[int(wanted) - 1]
        else:
            whole = (one.id for one in images if wanted in (name_key(one.name), name_key(one.id)))
            part = (one.id for one in images if wanted and wanted in name_key(one.name))
            found = next(whole, next(part, None))
        # With all behind it, so that one that cannot be read is skipped.
        onward = () if found is None else ids[ids.index(found) :]
        self._go_or_say(onward, f"No image {text!r} in this project")

    def set_filter(self, **change: Any) -> None:
        """Change fields of the `QueueFilter`; the open image stays open.

        An order of `RANKINGS` is worked out first, when it is not the present one already; the
        list stays as it is until then.
        """
        queue, order = self._session.queue, change.get("order")
        if order in RANKINGS and queue is not None and order != queue.filter.order:
            self.rank(order, **change)
        else:
            ranked = {} if order is None or order in RANKINGS else {"ranked": None}
            self._ask(change | ranked)

    def rank(self, name: str, **change: Any) -> None:
        """Work out an order of `RANKINGS` anew, and show the list in it."""
        self._rankings.rank(
            name, lambda ranked: self._ask({**change, "order": name, "ranked": ranked})
        )

    def cancel(self) -> None:
        """Stop making what an order needs."""
        self._rankings.cancel()

    def refresh(self, *, retry: bool = True) -> None:
        """Look at every file for what others wrote, and apply the filter again.

        Parameters
        ----------
        retry : bool
            Whether images that could not be read are tried again; their files may be back.
        """
        if retry and self._session.queue is not None:
            # The drive may be back: they are tried again.
            self._session.queue = replace(self._session.queue, unreadable={})
        self._ask({}, every_file=True)

    def watch(self) -> None:
        """Show what others wrote since the last look; nothing changes where nobody did."""
        project, queue = self._session.project, self._session.queue
        if project is not None and queue is not None:
            self._writes.run(
                "watch", partial(_news, project, queue), partial(self._on_news, queue), _ignore
            )

    def _ask(self, change: dict[str, Any], *, every_file: bool = False) -> None:
        project, queue = self._session.project, self._session.queue
        if project is not None and queue is not None:
            # In the question, not in the view: a state that is sorted or filtered by would give
            # others' reviews away.
            hidden_from = queue.annotator if self._session.blind else None
            chosen = replace(queue.filter, **change, hidden_from=hidden_from)
            self._session.queue = replace(queue, filter=chosen)
            question = partial(project.ask, chosen, queue.annotator, every_file=every_file)
            # After the writes that were asked for before, so that it sees them.
            self._writes.run("filter", question, self._on_asked)

    def _on_blind_changed(self, _: bool) -> None:
        self._ask({})

    def _on_news(self, asked: Queue, answer: dict[str, Any] | None) -> None:
        queue = self._session.queue
        # Asked in the background: a person may have chosen another filter meanwhile.
        if answer is not None and queue is not None and queue.filter is asked.filter:
            self._on_asked(answer)

    def _go_or_say(self, images: Sequence[str], otherwise: str) -> None:
        if images:
            self._images.go(*images)
        else:
            self._session.message = otherwise

    def _on_asked(self, answer: dict[str, Any]) -> None:
        if self._session.queue is not None:
            self._session.queue = replace(self._session.queue, **answer)


def _news(project: OpenProject, queue: Queue) -> dict[str, Any] | None:
    """Return what is not as it is shown: another window may have told the index before us."""
    answer = project.ask(queue.filter, queue.annotator)
    return answer if any(getattr(queue, name) != value for name, value in answer.items()) else None


def _ignore(_: str) -> None:
    """Ignore: where the drive is still away, what a person asks for next says it."""
