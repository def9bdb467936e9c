"""Compare an image with a reference: the same pattern without its defects.

The reference is another picture, or the image's own repetitions (`registration`). Its brightness
is matched, and the difference measured in units of the noise, which depends on the grey level and
on how steep the edges are, because no two edges are equally rough.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.appearance import grown
from napari_semxai.algorithms.algorithm1.registration import (
    LEAST_CORRELATION,
    LEAST_REPETITION,
    POINTS,
    Picture,
    reduced,
    registered,
    repeated,
)
from napari_semxai.types import LeftOut, Prompts

if TYPE_CHECKING:
    from napari_semxai.algorithms.algorithm1.appearance import Box
    from napari_semxai.types import Border

_WORK = 2048
_ASKED = 6
_LOW, _HIGH, _SHARE = 2.5, 3.5, 0.35
NEAR = 4
"""Pixels around a part in which its outline is looked for."""
# Window for the strongest difference nearby, and units of the noise that no outline goes below.
_NEARBY, _FAINT = 25, 1.5
_SMALLEST = 20
_SCALES = (1.2, 1.0), (4.0, 1.5)
_SHARP = 0.7
SAME, GREYS = 128, 6
"""Grey level of `Difference.signed` where nothing differs, and levels a unit of the noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """How an image differs from its reference.

    Attributes
    ----------
    strength : ndarray of float32, shape (M, N)
        Root mean square of the difference around each pixel in units of the local noise, about 1
        where nothing differs; 0 where the reference shows nothing.
    parts : ndarray of int32, shape (M, N)
        Label of each part that differs clearly, the clearest first; 0 elsewhere.
    correlation : float
        Of image and reference after registration, or of the image with its own shifts.
    reason : str
        Why there is no comparison; "" when there is one.
    itself : bool
        Whether the image is its own reference, whose edges are less alike than another picture's.
    signed : ndarray of uint8, shape (M, N)
        The difference with its sign as a picture: `SAME` where nothing differs, `GREYS` more for
        every unit of the noise by which the image is brighter. It shows the defect without the
        pattern, sharper than `strength`, so that a network can outline it.
    picture : ndarray of uint8, shape (M, N), or None
        The reference as it lies on the image, in its own brightness; 0 where it shows nothing.
    name, sha256 : str
        What the reference is called, and the digest of its file; "" of what has none.

    With a reason all arrays are empty, and once it is `light`.
    """

    strength: Picture
    parts: NDArray[np.int32]
    correlation: float
    reason: str = ""
    itself: bool = False
    signed: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    picture: NDArray[np.uint8] | None = None
    name: str = ""
    sha256: str = ""

    def units(self, box: Box) -> Picture:
        """Return the size of the sharp difference in a box, in units of the noise."""
        units = (self.signed[box].astype(np.float32) - SAME) / GREYS
        return np.asarray(np.abs(units), np.float32)

    @property
    def light(self) -> Difference:
        """All but the arrays: what is kept of an image that was left."""
        nothing = _nothing(self.correlation, self.reason)
        return replace(
            self,
            strength=nothing.strength,
            parts=nothing.parts,
            signed=nothing.signed,
            picture=None,
        )

    @property
    def is_light(self) -> bool:
        """Whether the comparison has to be made again."""
        return not self.reason and not self.strength.size


def compare(
    gray: NDArray[np.uint8],
    border: Border,
    reference: NDArray[np.uint8] | None = None,
    reference_border: Border = (0, 0, 0, 0),
) -> Difference:
    """Compare an image with a reference, or with itself.

    Parameters
    ----------
    gray : ndarray of uint8, shape (M, N)
        The image.
    border : tuple of int
        (top, right, bottom, left) pixels that show no wafer.
    reference : ndarray of uint8, shape (M, N), optional
        The other picture; without it the image's own repetitions are the reference.
    reference_border : tuple of int
        Its `border`.

    Returns
    -------
    Difference
        With a reason where the picture cannot be registered, or the image has no period.
    """
    step = -(-max(gray.shape) // _WORK)
    window = LeftOut(border).window(gray.shape)
    if reference is not None:
        if reference.shape != gray.shape:
            sizes = [f"{rows} x {columns}" for rows, columns in (reference.shape, gray.shape)]
            reason = f"the reference has {sizes[0]} pixels, the image {sizes[1]}"
            return _nothing(0.0, reason)
        common = tuple(map(max, border, reference_border))
        window = LeftOut((common[0], common[1], common[2], common[3])).window(gray.shape)
    image = reduced(gray[window], step)
    if min(image.shape) < 32:
        return _nothing(0.0, "the image is too small to be compared")
    if reference is None:
        expected, correlation = repeated(image)
        least, what = LEAST_REPETITION, "the image has no period"
    else:
        expected, correlation = registered(image, reduced(reference[window], step))
        least, what = LEAST_CORRELATION, "the reference does not match"
    if correlation < least:
        return _nothing(correlation, f"{what}: correlation {correlation:.2f}")
    strength, units = noise_units(image, expected)
    signed = np.clip(SAME + GREYS * units, 0, 255).astype(np.uint8)
    picture = np.clip(np.nan_to_num(expected), 0, 255).astype(np.uint8)
    strength, parts, signed, picture = (
        _whole(part, gray.shape, window, step, empty)
        for part, empty in (
            (strength, 0),
            (clear_parts(strength), 0),
            (signed, SAME),
            (picture, 0),
        )
    )
    return Difference(
        strength, parts, correlation, itself=reference is None, signed=signed, picture=picture
    )


def _whole(
    part: NDArray[Any], shape: tuple[int, ...], window: Box, step: int, empty: int
) -> NDArray[Any]:
    """Return what was found in a window of an image, of which `step` pixels were taken as one."""
    whole = np.full(shape, empty, part.dtype)
    large = part.repeat(step, axis=1).repeat(step, axis=0)
    whole[window][: large.shape[0], : large.shape[1]] = large
    return whole


def prompts_at(difference: Difference) -> tuple[Prompts, ...]:
    """Return what to ask the network about the clearest parts: a box around, a click inside."""
    prompts: list[Prompts] = []
    # What was not compared has no pixels, which SciPy does not take.
    boxes = scipy.ndimage.find_objects(difference.parts) if difference.parts.size else []
    for number, box in enumerate(boxes[:_ASKED], 1):
        part = np.pad(difference.parts[box] == number, 1)
        depth = scipy.ndimage.distance_transform_edt(part)[1:-1, 1:-1]
        row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
        rows, columns = box
        click = float(rows.start + row), float(columns.start + column)
        low, high = (float(rows.start), float(columns.start)), (float(rows.stop), columns.stop)
        prompts.append(Prompts((click,), (True,), (*low, *high)))
    return tuple(prompts)


def _nothing(correlation: float, reason: str) -> Difference:
    # Kept with the candidates of every image that was left: most repeat nowhere.
    return Difference(
        np.empty((0, 0), np.float32), np.empty((0, 0), np.int32), correlation, reason
    )


def noise_units(image: Picture, expected: Picture) -> tuple[Picture, Picture]:
    """Return the difference in units of the noise: `Difference.strength`, and with its sign.

    Parameters
    ----------
    image : ndarray of float32, shape (M, N)
        The image.
    expected : ndarray of float32, shape (M, N)
        What the reference shows there; NaN where it shows nothing.
    """
    known = np.isfinite(expected)
    gain, offset = _brightness(
        *(
            scipy.ndimage.gaussian_filter(each, _SCALES[0][0], truncate=3)[known]
            for each in (image, np.where(known, expected, image))
        )
    )
    matched = np.where(known, gain * expected + offset, image).astype(np.float32)
    rest = np.where(known, image - matched, 0)
    rest = np.where(known, rest - _slow(rest), 0)
    strength, noises = np.zeros_like(image), []
    # What is small and sharp, and what is large and faint, whose noise is less even.
    for blur, unit in _SCALES:
        seen, meant = (
            scipy.ndimage.gaussian_filter(each, blur, truncate=3) for each in (rest, matched)
        )
        down, right = np.gradient(meant)
        # Six times as fast as hypot, which minds numbers that no image has.
        slope = scipy.ndimage.gaussian_filter(np.sqrt(down**2 + right**2), 1.0, truncate=3)
        noises.append(_noise(np.abs(seen), meant, slope, known))
        mean = scipy.ndimage.gaussian_filter((seen / unit / noises[-1]) ** 2, 1.5, truncate=3)
        np.maximum(strength, np.sqrt(mean), out=strength)
    # Noise is stronger where it is blurred less, in the same places.
    sharp = scipy.ndimage.gaussian_filter(rest, _SHARP, truncate=3) / noises[0]
    return strength, sharp / (_spread(np.abs(sharp[known])) + np.float32(1e-3))


def _brightness(image: Picture, expected: Picture) -> tuple[float, float]:
    """Return gain and offset from the reference to the image, by what does not differ."""
    stride = max(1, image.size // POINTS)
    y, x = image[::stride].astype(np.float64), expected[::stride].astype(np.float64)
    weights = np.ones_like(x)
    for _ in range(6):
        mean = np.average(x, weights=weights), np.average(y, weights=weights)
        wide = weights * (x - mean[0])
        gain = float(wide @ (y - mean[1]) / max(float(wide @ (x - mean[0])), 1e-6))
        rest = np.abs(y - mean[1] - gain * (x - mean[0]))
        weights = 1 / np.maximum(1, rest / (2.2 * float(np.median(rest)) + 1e-6))
    return gain, float(mean[1] - gain * mean[0])


def _slow(rest: Picture) -> Picture:
    """Return what changes over half an image only: charging and shading."""
    step = max(1, min(rest.shape) // 20)
    coarse = scipy.ndimage.median_filter(reduced(rest, step), 11, mode="nearest")
    zoom = [size / few for size, few in zip(rest.shape, coarse.shape, strict=True)]
    slow = scipy.ndimage.zoom(coarse, zoom, order=1, mode="nearest", grid_mode=True)
    return np.asarray(slow, np.float32)


def _noise(rest: Picture, level: Picture, slope: Picture, known: NDArray[np.bool_]) -> Picture:
    """Return the noise at every pixel: the spread among pixels as grey and on as steep an edge."""
    classes = np.zeros(rest.shape, np.uint8)
    for values, parts in ((slope, 8), (level, 4)):
        shares = np.linspace(0, 1, parts + 1)[1:-1]
        cuts = np.quantile(values[known][:: max(1, values.size // POINTS)], shares)
        classes *= np.uint8(parts)
        for cut in cuts.astype(np.float32):
            classes += values > cut
    stride = max(1, rest.size // (4 * POINTS))
    values, numbers = rest[known][::stride], classes[known][::stride]
    overall = _spread(values) + 1e-3
    table = np.full(32, overall, np.float32)
    values = values[np.argsort(numbers, kind="stable")]
    ends = np.cumsum(np.bincount(numbers, minlength=32))
    for number, own in enumerate(np.split(values, ends[:-1])):
        if own.size > 50:
            table[number] = max(_spread(own), 0.5 * overall)
    return table[classes]


def _spread(sizes: NDArray[np.floating[Any]]) -> float:
    """Return the median absolute deviation from 0, as a standard deviation."""
    return 1.4826 * float(np.median(sizes))


def clear_parts(strength: Picture) -> NDArray[np.int32]:
    """Label what differs clearly, the clearest first.

    A part reaches to where it is a share of its own strength: a bright particle's blur and shadow
    are as strong as another's middle.
    """
    labels, _ = scipy.ndimage.label(strength > _LOW)
    chosen = np.zeros(strength.shape, dtype=bool)
    for number, box in enumerate(scipy.ndimage.find_objects(labels), 1):
        inside = labels[box] == number
        values = strength[box][inside]
        if values.max() < _HIGH or values.size < _SMALLEST:
            continue
        reach = max(_LOW, _SHARE * float(np.quantile(values, 0.9)))
        part = np.pad(inside & (strength[box] > reach), 3)
        part = scipy.ndimage.binary_closing(part, iterations=2)
        chosen[box] |= scipy.ndimage.binary_fill_holes(part)[3:-3, 3:-3]
    labels, count = scipy.ndimage.label(chosen)
    each = labels[chosen]
    areas = np.bincount(each, minlength=count + 1)[1:]
    weight = np.bincount(each, strength[chosen] - 1, count + 1)[1:]
    order = np.argsort(np.where(areas >= _SMALLEST, -weight, np.inf), kind="stable")
    table = np.zeros(count + 1, np.int32)
    kept = int(np.count_nonzero(areas >= _SMALLEST))
    table[order[:kept] + 1] = np.arange(1, kept + 1)
    found: NDArray[np.int32] = table[labels]
    return found


def outlined(size: Picture, part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the outline that a part has in the sharp difference, without holes and specks.

    It ends where the difference is a share of its own strength nearby.

    Parameters
    ----------
    size : ndarray of float32, shape (m, n)
        Of the difference, in units of the noise.
    part : ndarray of bool, shape (m, n)
        Where to look, and a little around.
    """
    size = np.where(grown(part, NEAR), size, 0)
    peak = scipy.ndimage.maximum_filter(scipy.ndimage.gaussian_filter(size, 1.0), _NEARBY)
    reach = _SHARE * scipy.ndimage.gaussian_filter(peak, _NEARBY / 4)
    part = np.pad(size > np.maximum(reach, _FAINT), 3)
    part = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(part))[3:-3, 3:-3]
    part = scipy.ndimage.binary_opening(part, np.ones((2, 2)))
    labels, _ = scipy.ndimage.label(part, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return np.asarray((areas >= max(1, 0.1 * areas.max()))[labels])
