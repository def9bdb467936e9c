"""What an image is to be compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_semxai.types.image import Border


@dataclass(frozen=True, slots=True, eq=False)
class CompareRequest:
    """Ask how an image differs from its reference; answered by a `Difference`.

    Attributes
    ----------
    wanted : str
        As in `AlgorithmSettings.reference`.
    border : tuple of int
        (top, right, bottom, left) pixels of the image that show no wafer.
    path, page : Path or None; int
        The image's file, beside which references lie.
    known : Path or None
        The reference that a project, table or KLARF file names.
    image : ndarray of uint8, shape (M, N), or None
        The image; None within a request that has it already.
    """

    wanted: str
    border: Border
    path: Path | None = None
    page: int = 0
    known: Path | None = None
    image: NDArray[np.uint8] | None = None
