"""The map of the Grad-CAM family, and the pure colours a paper shows it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_semxai.types.arrays import FloatArray

# Where the ramps of red, green and blue begin and end; each is four times as steep as the scale.
_JET_RAMPS = ((1.5, 4.5), (0.5, 3.5), (-0.5, 2.5))


def jet(values: FloatArray) -> NDArray[np.uint8]:
    """Colour values by the JET map, without any image below.

    Red is 0 up to 0.375, full from 0.625 to 0.875, and 128 again at 1.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        From 0 to 1; NaN counts as 0.

    Returns
    -------
    ndarray of uint8, shape (M, N, 3)
    """
    levels = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    scale = np.linspace(0, 4, 256)
    ramps = [np.minimum(scale - start, stop - scale) for start, stop in _JET_RAMPS]
    table = np.rint(np.clip(np.stack(ramps, axis=1), 0, 1) * 255).astype(np.uint8)
    colors: NDArray[np.uint8] = table[levels]
    return colors


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Answer of the Grad-CAM family for one image.

    Attributes
    ----------
    values : ndarray of float32, shape (M, N)
        At the image's size, from 0 to 1: scaled to the map's own range, as grad-cam does.
    raw_maximum : float
        Largest value before that scaling, in the method's own unit (activation times gradient);
        0 means that there is no evidence and `values` is all 0.
    method : str
        Name of the method, see `CAM_METHODS`.
    target : int
        Index of the explained class.
    class_name : str
        Its name.
    layers : tuple of str
        Dotted names of the target layers.
    sha256 : str
        Digest of the classifier's weights.
    inside_mask : bool
        Whether it answers "why inside this mask".
    """

    values: NDArray[np.float32]
    raw_maximum: float
    method: str
    target: int
    class_name: str
    layers: tuple[str, ...]
    sha256: str
    inside_mask: bool = False

    def rgb(self) -> NDArray[np.uint8]:
        """Return the map in pure JET colours, shape (M, N, 3): what Algorithm 2 reads."""
        return jet(self.values)
