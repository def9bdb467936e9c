"""A service without a network: what the tests of the protocol ask of an engine process."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Generator


@dataclass(frozen=True)
class Count:
    """Answered by 0, 1, ..., stop - 1, with a pause after each."""

    stop: int
    pause: float = 0.0


@dataclass(frozen=True, eq=False)
class Echo:
    """Answered by the array."""

    array: NDArray[np.uint8]


@dataclass(frozen=True)
class Hang:
    """Answered once; then burns processor time for ever, even when it is closed."""


@dataclass(frozen=True)
class Fail:
    """Raises the error after one update."""

    error: Exception


@dataclass(frozen=True)
class Leave:
    """Ends the process in the middle of a step, after a last word."""

    code: int
    word: str


@dataclass(frozen=True)
class Chatter:
    """Prints, as some libraries do, and reads what may be on stdin."""


def _count(request: Count) -> Generator[Any, None, None]:
    for number in range(request.stop):
        yield number
        time.sleep(request.pause)


def _echo(request: Echo) -> Generator[Any, None, None]:
    yield request.array


def _hang(_request: Hang) -> Generator[Any, None, None]:
    try:
        yield "hanging"
    finally:
        while True:
            pass


def _fail(request: Fail) -> Generator[Any, None, None]:
    yield "failing"
    raise request.error


def _leave(request: Leave) -> Generator[Any, None, None]:
    yield "leaving"
    sys.stderr.write(f"{request.word}\n")
    sys.stderr.flush()
    os._exit(request.code)


def _chatter(_request: Chatter) -> Generator[Any, None, None]:
    sys.stdout.write("noise\n")
    sys.stdout.flush()
    yield sys.stdin.read()


def build() -> dict[type, Any]:
    return {
        Count: _count,
        Echo: _echo,
        Hang: _hang,
        Fail: _fail,
        Leave: _leave,
        Chatter: _chatter,
    }


def build_broken() -> dict[type, Any]:
    raise InputError("no network library here")
