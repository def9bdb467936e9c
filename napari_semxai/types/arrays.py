"""Names of array types, and the error a person is told about."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolMask: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]
Border: TypeAlias = tuple[int, int, int, int]


class InputError(ValueError):
    """Bad input from a person: one line that names the file or value and says what to do."""
