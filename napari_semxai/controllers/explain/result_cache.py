"""Size-bounded least-recently-used cache of the networks' answers."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable


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
