"""What the command prints: text for display, or one JSON object for programs."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_semxai.types import Progress

DONE = 0
BAD_INPUT = 2
SOME_FAILED = 3
INTERRUPTED = 130
PROGRESS_LINES = "SEMXAI_PROGRESS_LINES"
"""When set, every progress is a line of its own: a dock reads along."""


class Output:
    """Where a command says things.

    Parameters
    ----------
    as_json : bool
        Whether stdout carries one JSON object at the end and no text.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._progress_length = 0

    def say(self, text: str) -> None:
        """Print a line of text."""
        self.progress("")
        if not self._as_json:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def result(self, values: Mapping[str, Any]) -> None:
        """Print the result for programs."""
        if self._as_json:
            self.progress("")
            sys.stdout.write(json.dumps(plain(values), indent=2, allow_nan=False) + "\n")
            sys.stdout.flush()

    def error(self, message: str) -> None:
        """Print one line to stderr."""
        self.progress("")
        sys.stderr.write(f"semxai: {' '.join(message.split())}\n")

    def conclude(self, failed: Mapping[str, str], done: object = True) -> int:
        """Name what failed, and return the exit code; `done` is false where nothing was done."""
        for message in failed.values():
            self.error(message)
        if failed:
            return SOME_FAILED if done else BAD_INPUT
        return DONE

    def follow(self, job: Progress) -> None:
        """Show how far a job is."""
        self.progress(f"{job.stage} {job.done}/{job.total}")

    def progress(self, text: str) -> None:
        """Show `text` in place of the last progress, on a terminal only."""
        if os.environ.get(PROGRESS_LINES):
            if text:
                sys.stderr.write(text + "\n")
            return
        if not sys.stderr.isatty() or (not text and not self._progress_length):
            return
        sys.stderr.write("\r" + text.ljust(self._progress_length) + ("" if text else "\r"))
        sys.stderr.flush()
        self._progress_length = len(text)


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: arrays as lists, NaN and infinities as null."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
