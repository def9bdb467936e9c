"""The engine without a process, so that what services answer is seen at once."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from napari_semxai.engine.host import advance, load_service

if TYPE_CHECKING:
    from collections.abc import Callable


class LocalEngine:
    """Like `EngineClient`, but `submit` runs the request and returns when it is over.

    Parameters
    ----------
    service : str
        As in `EngineClient`; its networks are imported here.
    """

    alive = True

    def __init__(self, service: str = "segment") -> None:
        self._handlers = load_service(service)
        self._newest: dict[str, int] = {}
        self._numbers = count(1)

    def start(self) -> None:
        """Do nothing; there is no process to start."""

    def submit(
        self,
        request: Any,
        *,
        destination: str,
        on_update: Callable[[Any], None],
        on_done: Callable[[], None],
        on_failed: Callable[[str], None],
        background: bool = False,
    ) -> int:
        """Run a request to its end, or until a callback cancels it."""
        number = self._newest[destination] = next(self._numbers)
        steps = self._handlers[type(request)](request)
        kind, value = advance(steps)
        while kind == "update":
            on_update(value)
            kind, value = advance(steps, cancelled=self._newest.get(destination) != number)
        if kind == "done":
            on_done()
        elif kind == "failed":
            on_failed(value)
        return number

    def cancel(self, destination: str) -> None:
        """Drop what `destination` waits for; for callbacks."""
        self._newest.pop(destination, None)

    def forget(self, destination: str) -> None:
        """Drop what `destination` waits for; for callbacks."""
        self.cancel(destination)

    def close(self) -> None:
        """Cancel everything."""
        self._newest.clear()
