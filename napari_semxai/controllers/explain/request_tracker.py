"""Requests of one kind, how far they are, and a cache of their answers."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_semxai.types import IDLE, JobState, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.explanation import Explanation


class RequestTracker:
    """Send requests and keep one `Progress` of the explanation equal to how far they are.

    Parameters
    ----------
    engine : EngineClient
        Answers.
    explanation : Explanation
        Holds the progress.
    field : str
        Its name.
    """

    def __init__(self, engine: EngineClient, explanation: Explanation, field: str) -> None:
        self._engine, self._explanation, self._field = engine, explanation, field
        self._waiting: set[str] = set()

    def ask(
        self,
        request: Any,
        destination: str,
        receive: Callable[[Any], None],
        *,
        background: bool = False,
    ) -> None:
        """Send a request; `receive` is called with every answer that is not mere progress."""
        # By destination: a request that replaces another one of the same is still one.
        self._waiting.add(destination)
        self._show(Progress("starting"))

        def on_update(answer: Any) -> None:
            if isinstance(answer, Progress):
                self._show(answer)
            else:
                receive(answer)

        def on_done() -> None:
            self._waiting.discard(destination)
            if not self._waiting:
                self._show(Progress(state=JobState.DONE))

        def on_failed(message: str) -> None:
            self._waiting.discard(destination)
            self._show(Progress(state=JobState.FAILED, message=message))

        self._engine.submit(
            request,
            destination=destination,
            on_update=on_update,
            on_done=on_done,
            on_failed=on_failed,
            background=background,
        )

    def waits_for(self, destination: str) -> bool:
        """Return whether an answer for `destination` is still to come."""
        return destination in self._waiting

    def cancel(self) -> None:
        """Stop everything that was asked for here."""
        if self._waiting:
            self._drop(self._waiting, self._engine.cancel)
            now: Progress = getattr(self._explanation, self._field)
            self._show(replace(now, state=JobState.CANCELLED))

    def forget(self, *destinations: str) -> None:
        """Drop these, by default all: their image or network is no longer the current one.

        Nobody waits for them to stop, so that they may take their time.
        """
        self._drop(destinations or self._waiting, self._engine.forget)
        if not self._waiting:
            self._show(IDLE)

    def _drop(self, destinations: Iterable[str], end: Callable[[str], None]) -> None:
        # A copy: `_waiting` itself is given, and shrinks.
        for destination in tuple(destinations):
            if destination in self._waiting:
                self._waiting.remove(destination)
                end(destination)

    def _show(self, progress: Progress) -> None:
        setattr(self._explanation, self._field, progress)


class ResultCache:
    """The answers used last, up to a number of bytes.

    Parameters
    ----------
    limit : int
        Bytes in all; the newest answer stays however big it is.
    """

    def __init__(self, limit: int = 2**29) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Any:
        """Return the answer to `key`, or None."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def put(self, key: Hashable, answer: object, size: int) -> None:
        """Keep an answer of `size` bytes, and drop the oldest ones that no longer fit."""
        self._size -= self._entries.pop(key, (None, 0))[1]
        self._entries[key] = (answer, size)
        self._size += size
        while self._size > self._limit and len(self._entries) > 1:
            self._size -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
        self._size = 0
