"""From whatever an SEM wrote to the 8-bit grey that networks and people look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9
_SAMPLE = 2**22


def to_gray8(
    pixels: NDArray[Any], *, low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE
) -> NDArray[np.uint8]:
    """Return pixels as 8-bit grey.

    8-bit values stay as they are; all others are scaled so that the `low` and `high`
    percentiles become 0 and 255, because one hot pixel must not darken the rest.

    Parameters
    ----------
    pixels : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Grey, RGB or RGBA of a bool, integer or floating type; opacity is left out.
    low, high : float
        Percentiles in [0, 100].

    Returns
    -------
    ndarray of uint8, shape (M, N)
        NaN is 0, positive infinity 255. 8-bit grey input is returned itself.

    Raises
    ------
    ValueError
        For other shapes and types.
    """
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"pixels of type {pixels.dtype} are neither numbers nor bools")
    gray = luminance(pixels)
    if gray.dtype == np.uint8:
        return gray
    if gray.dtype == bool:
        return np.where(gray, np.uint8(255), np.uint8(0))
    return _scaled(gray, *intensity_range(gray, low, high))


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels as 8 bit like `to_gray8`, with their colours.

    Parameters
    ----------
    pixels : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Opacity is left out; colours are scaled alike, by the percentiles of their grey.

    Returns
    -------
    ndarray of uint8, shape (M, N) or (M, N, 3)

    Raises
    ------
    ValueError
        For other shapes and types.
    """
    gray = to_gray8(pixels)
    if pixels.ndim == 2:
        return gray
    colors = pixels[..., :3]
    if colors.dtype == np.uint8:
        return colors
    if colors.dtype == bool:
        return np.where(colors, np.uint8(255), np.uint8(0))
    return _scaled(colors, *intensity_range(luminance(colors)))


def luminance(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the grey of RGB or RGBA pixels (ITU-R BT.601 weights), in the same type.

    Equal channels give exactly that value. Grey input is returned itself.

    Parameters
    ----------
    pixels : ndarray, shape (M, N), (M, N, 3) or (M, N, 4)
        Opacity is left out.

    Returns
    -------
    ndarray, shape (M, N)
    """
    if pixels.ndim == 2:
        return pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        raise ValueError(f"an image has shape (M, N), (M, N, 3) or (M, N, 4), not {pixels.shape}")
    if pixels.dtype == bool:
        return np.asarray(pixels[..., :3].any(axis=2))
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    if pixels.dtype.kind != "f":
        gray = np.rint(gray)
    return gray.astype(pixels.dtype)


def intensity_range(
    gray: NDArray[Any], low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE
) -> tuple[float, float]:
    """Return the `low` and `high` percentile of the finite values.

    Where both are the same value, the smallest and largest are returned instead, so that a
    speck on a constant ground stays visible. Images above 4 megapixels are sampled.

    Parameters
    ----------
    gray : ndarray, shape (M, N)
        Integer or floating values.
    low, high : float
        Percentiles in [0, 100].

    Returns
    -------
    tuple of float
        (0, 0) when no value is finite.
    """
    values = gray[np.isfinite(gray)] if gray.dtype.kind == "f" else gray.ravel()
    if not values.size:
        return 0.0, 0.0
    # An odd step does not fall in with the columns of an image whose width is a power of two.
    sample = values[:: values.size // _SAMPLE | 1]
    bottom, top = np.percentile(sample, [low, high])
    # Nearly everything has one value; what differs is what one wants to see.
    if bottom == top:
        bottom, top = values.min(), values.max()
    return float(bottom), float(top)


def _scaled(gray: NDArray[Any], bottom: float, top: float) -> NDArray[np.uint8]:
    if not top > bottom:
        return np.zeros(gray.shape, dtype=np.uint8)
    # In place throughout: a large picture has several hundred MB in 64 bits; one copy is enough.
    values = gray.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(values, bottom, out=values)
        np.multiply(values, 255.0 / (top - bottom), out=values)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    np.clip(values, 0.0, 255.0, out=values)
    return np.rint(values, out=values).astype(np.uint8)
