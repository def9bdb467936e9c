"""Libraries that take randomness from NumPy's global state, made repeatable."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seed NumPy's global state, and put it back as it was at the end."""
    before = np.random.get_state()  # noqa: NPY002 - the libraries know no other
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
