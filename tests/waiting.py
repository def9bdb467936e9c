"""Waiting for a condition in programs that tests run, where pytest has set nothing up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytestqt.qt_compat import qt_api
from pytestqt.qtbot import QtBot

if TYPE_CHECKING:
    from collections.abc import Callable


def wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Go on once a condition holds; Qt's events are handled meanwhile."""
    # The one that is loaded, as pytest's own start would have it.
    qt_api.set_qt_api(None)
    # Without a pytest request it can do all but close widgets.
    QtBot(None).waitUntil(lambda: bool(condition()), timeout=round(1000 * seconds))
