"""Engine processes that can import the tests' own service."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from napari_semxai.engine.client import EngineClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAKE = "tests.engine.fake_service:build"
PATIENCE_SECONDS = 60.0


class Inbox:
    """Everything that was called back, in order, as (name, kind, value)."""

    def __init__(self) -> None:
        self._events: SimpleQueue[tuple[str, str, Any]] = SimpleQueue()

    def of(self, name: str) -> dict[str, Callable[..., None]]:
        """Return the three callbacks of one job."""
        return {
            "on_update": lambda value: self._events.put((name, "update", value)),
            "on_done": lambda: self._events.put((name, "done", None)),
            "on_failed": lambda value: self._events.put((name, "failed", value)),
        }

    def until(self, name: str, kind: str) -> list[tuple[str, str, Any]]:
        """Return what arrives up to the first event of this kind."""
        events = []
        while not events or events[-1][:2] != (name, kind):
            events.append(self._events.get(timeout=PATIENCE_SECONDS))
        return events

    def rest(self) -> list[tuple[str, str, Any]]:
        """Return what has arrived by now."""
        return [self._events.get() for _ in range(self._events.qsize())]


class Mailbox:
    """Delivers on the thread that asks for it, as a GUI's event loop does."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.deliver = self._calls.put

    def hold(self, number: int) -> list[Callable[[], None]]:
        """Wait for a number of deliveries and return them undelivered."""
        return [self._calls.get(timeout=PATIENCE_SECONDS) for _ in range(number)]


@pytest.fixture(autouse=True)
def _importable_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def client() -> Iterator[EngineClient]:
    client = EngineClient(FAKE)
    yield client
    client.close()
