"""Masks from explanations: Algorithms 2 and 3 as published, and thresholds on float maps.

The published route goes through a rendered picture, and a rendering says less than the numbers
behind it. OpenCV's *jet*, the usual colours of Grad-CAM, is the plainest case: its red channel
is 0 up to 0.37 of the range, 255 from 0.63 to 0.88, and falls to 128 at 1. Algorithm 2 with tau
above 0.5 therefore selects a ring and leaves out the peak (tau = 0.7 selects 0.55 to 0.95), and
below 0.5 it selects everything above about 0.38 + 0.25 tau. Over a grey picture the picture's
brightness leaks into the mask as well. Colours blended over a picture match their nominal value
nowhere, so Algorithm 3 with a small delta finds nothing. Where the float map is at hand,
threshold that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, FloatArray

    Color = tuple[int, int, int]

T = TypeVar("T", bound=np.generic)

PAPER_COLORS = ((39, 205, 255), (250, 0, 81), (255, 185, 27), (0, 172, 88), (108, 0, 110))
"""Colours of the concepts in CRAFT's published figures, most important first."""


def gradcam_mask(
    rgb: NDArray[Any], tau: float, *, crop: tuple[int, int, int, int] | None = None
) -> BoolMask:
    """Return the mask of a rendered Grad-CAM picture (Algorithm 2, as published).

    With e the red channel: e / max(e) > tau.

    Parameters
    ----------
    rgb : ndarray, shape (M, N, 3) or (M, N, 4)
        The rendered explanation; opacity is left out.
    tau : float
        Threshold in [0, 1].
    crop : (row0, col0, row1, col1), optional
        As in `concept_masks`.

    Returns
    -------
    ndarray of bool, shape (M, N)
        All False where there is no red at all.

    Raises
    ------
    ValueError
        For other shapes, or where the crop does not lie within the picture.

    Notes
    -----
    On a *jet* rendering with tau > 0.5 the result is a ring without its peak, see the module.

    Examples
    --------
    >>> import numpy as np
    >>> rgb = np.array([[[0, 0, 255], [128, 0, 0], [255, 0, 0]]], np.uint8)
    >>> gradcam_mask(rgb, 0.5)
    array([[False,  True,  True]])
    """
    red = cropped(_rgb(rgb), crop)[..., 0].astype(np.float64)
    peak = red.max(initial=0.0)
    # The published algorithm reads the red channel of the picture, not the map behind it.
    mask: BoolMask = red / peak > tau if peak > 0 else np.zeros(red.shape, dtype=bool)
    return mask


def concept_masks(
    rgb: NDArray[Any],
    colors: Sequence[Color] | NDArray[Any],
    delta: float,
    *,
    crop: tuple[int, int, int, int] | None = None,
) -> BoolMask:
    """Return one mask for each concept of a rendered CRAFT picture (Algorithm 3, as published).

    With D the Euclidean distance of a pixel to a concept's colour: D <= delta.

    Parameters
    ----------
    rgb : ndarray, shape (M, N, 3) or (M, N, 4)
        The rendered explanation; opacity is left out.
    colors : array-like, shape (k, 3)
        The concepts' colours, in the units of `rgb`.
    delta : float
        Tolerance, in the same units.
    crop : (row0, col0, row1, col1), optional
        Where the heat map lies within the picture, half open; the masks have its size.

    Returns
    -------
    ndarray of bool, shape (k, M, N)
        They may overlap.

    Raises
    ------
    ValueError
        For other shapes, or where the crop does not lie within the picture.

    Examples
    --------
    >>> import numpy as np
    >>> rgb = np.array([[[39, 205, 255], [250, 0, 81], [0, 0, 0]]], np.uint8)
    >>> concept_masks(rgb, [(39, 205, 255), (250, 0, 81)], 10)
    array([[[ True, False, False]],
    <BLANKLINE>
           [[False,  True, False]]])
    """
    # At most delta, as published; tau of Algorithm 2 is exceeded.
    return color_distances(rgb, colors, crop=crop) <= delta


def color_distances(
    rgb: NDArray[Any],
    colors: Sequence[Color] | NDArray[Any],
    *,
    crop: tuple[int, int, int, int] | None = None,
) -> FloatArray:
    """Return D of Algorithm 3, so that every delta after it is one comparison.

    Parameters are those of `concept_masks`; the result has shape (k, M, N).
    """
    pixels = cropped(_rgb(rgb), crop).astype(np.float64)
    targets = np.asarray(colors, dtype=np.float64)
    if targets.ndim != 2 or targets.shape[1] != 3:
        raise ValueError(f"colours must have shape (k, 3), not {targets.shape}")
    distances: FloatArray = np.stack(
        [np.sqrt(((pixels - color) ** 2).sum(axis=-1)) for color in targets]
    ).reshape(len(targets), *pixels.shape[:2])
    return distances


def threshold_mask(values: FloatArray, tau: float) -> BoolMask:
    """Return where a map exceeds the share `tau` of its own maximum.

    Parameters
    ----------
    values : ndarray of float, shape (M, N)
        A heat map or concept map; NaN is nothing.
    tau : float
        In [0, 1].

    Returns
    -------
    ndarray of bool, shape (M, N)
        Never True where the map is 0 or less: no evidence is no mask.
    """
    values = values.astype(np.float32, copy=False)
    mask: BoolMask = values > max(tau, 0.0) * _peak(values)
    return mask


def weighted_map(maps: FloatArray, importances: FloatArray) -> FloatArray:
    """Return the importance-weighted sum of concept maps.

    In the bank's own unit: scaled to its own maximum, a concept that is not in the image would
    count as much as one that is. What that makes of localisation is in the documentation.

    Parameters
    ----------
    maps : ndarray of float, shape (k, M, N)
        Concept maps; NaN and negative values are nothing.
    importances : ndarray of float, shape (k,)
        Concept importances; negative ones are nothing.

    Returns
    -------
    ndarray of float32, shape (M, N)
        0 everywhere where no map and importance is positive.
    """
    total = np.zeros(maps.shape[1:], dtype=np.float32)
    for values, importance in zip(maps, importances, strict=True):
        # What speaks against the class would take away from what speaks for it.
        if importance > 0:
            total += np.float32(importance) * np.fmax(values, np.float32(0))
    return total


def resized_mask(mask: NDArray[T], shape: tuple[int, int]) -> NDArray[T]:
    """Return a mask or map at another size, each pixel from the one its centre falls on."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def cropped(pixels: NDArray[Any], crop: tuple[int, int, int, int] | None) -> NDArray[Any]:
    """Return the part of a picture within (row0, col0, row1, col1), half open."""
    if crop is None:
        return pixels
    row0, column0, row1, column1 = crop
    rows, columns = pixels.shape[:2]
    if not (0 <= row0 < row1 <= rows and 0 <= column0 < column1 <= columns):
        raise ValueError(
            f"crop {tuple(crop)} does not lie within the picture of {rows} x {columns} pixels"
        )
    return pixels[row0:row1, column0:column1]


def _peak(values: FloatArray) -> float:
    return float(np.fmax.reduce(values, axis=None, initial=0.0))


def _rgb(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"a rendered explanation is RGB or RGBA, not of shape {pixels.shape}")
    return pixels[..., :3]
