"""Bring a reference to where an image lies: register another picture, or repeat the image's own.

Whole pixels are found by correlation, then an affine map by weighted least squares [1]_, in which
what differs counts little. A pattern that repeats is its own reference: the median over the
image's shifts by the periods.

References
----------
.. [1] B. D. Lucas, T. Kanade, "An iterative image registration technique", IJCAI 1981.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

LEAST_CORRELATION = 0.4
"""Correlation below which a picture is no reference: it shows another place."""
LEAST_REPETITION = 0.5
"""Correlation with its own shifts below which an image has no period."""

POINTS = 15_000
"""Pixels that are enough to fit a few numbers to a picture."""
_COARSE = 512
_PEAKS = 12
_SHIFTS = 8
_NEEDED = 5
_LEAST_LIKENESS = 0.3
_BAND = 2**15
"""Pixels of each copy that are sorted at once: all copies of a band stay in the cache."""

Picture = NDArray[np.float32]
Affine = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Matrix and offset: image pixel p shows what the reference shows at ``matrix @ p + offset``."""


def reduced(image: NDArray[np.generic], step: int) -> Picture:
    """Average blocks of `step` by `step` pixels."""
    rows, columns = (size // step for size in image.shape)
    whole = image[: rows * step, : columns * step].astype(np.float32)
    if step == 1:
        return whole
    # Whole rows at a time: five times as fast as the mean over blocks.
    bands = whole.reshape(rows, step, -1).sum(axis=1)
    return np.asarray(sum(bands[:, k::step] for k in range(step)) / step**2, np.float32)


def _high_pass(image: Picture, sigma: float) -> Picture:
    """Leave the structures of some `sigma`; what is brighter than most edges is cut off."""
    fine = scipy.ndimage.gaussian_filter(image, sigma, truncate=3)
    rest = fine - scipy.ndimage.uniform_filter(fine, round(24 * sigma))
    # Text of info bars and bright particles must not count more than the pattern.
    limit = 6 * float(np.median(np.abs(rest[::3, ::3]))) + 1e-3
    return np.asarray(np.clip(rest, -limit, limit), np.float32)


def _correlation(one: Picture, other: Picture) -> float:
    one, other = one - one.mean(), other - other.mean()
    product = np.vdot(one, one) * np.vdot(other, other)
    return float(np.vdot(one, other) / max(float(product) ** 0.5, 1e-6))


def _overlap(shift: tuple[int, int], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], ...]:
    """Return the windows in which ``other[p + shift]`` lies on ``one[p]``."""
    pairs = list(zip(shift, shape, strict=True))
    one = tuple(slice(max(0, -by), min(size, size - by)) for by, size in pairs)
    other = tuple(slice(max(0, by), min(size, size + by)) for by, size in pairs)
    return one, other


def registered(image: Picture, reference: Picture) -> tuple[Picture, float]:
    """Return a reference as it lies on the image, NaN where it does not reach, and how well.

    The correlation is that of the nine tenths of the pixels that agree best.
    """
    scales = [_high_pass(image, 1.5)], [_high_pass(reference, 1.5)]
    steps = [1]
    while max(image.shape) // steps[-1] > 1.5 * _COARSE:
        steps.append(2 * steps[-1])
        for levels, picture in zip(scales, (image, reference), strict=True):
            levels.append(_high_pass(reduced(picture, steps[-1]), 1.5))
    shift = _whole_shift(scales[0][-1], scales[1][-1])
    lies: Affine = np.eye(2), np.array(shift, dtype=np.float64)
    for number in reversed(range(len(steps))):
        lies, correlation = _refined(scales[0][number], scales[1][number], lies)
        if number:
            # Pixel 0 of a reduced picture lies between pixels 0 and 1 of the finer one.
            half = np.array([0.5, 0.5])
            lies = lies[0], 2 * lies[1] + half - lies[0] @ half
    expected = scipy.ndimage.affine_transform(reference, *lies, order=3, cval=np.nan)
    return expected, correlation


def _whole_shift(image: Picture, reference: Picture) -> tuple[int, int]:
    """Return the shift, in whole pixels, at which what overlaps is most alike."""
    size = [scipy.fft.next_fast_len(n + n // 2, real=True) for n in image.shape]
    spectra = (scipy.fft.rfft2(each, size) for each in (image, reference))
    product = np.conj(next(spectra)) * next(spectra)
    surface = scipy.fft.irfft2(product, size)
    best, least = (0, 0), -1.0
    for _ in range(_PEAKS):
        place = np.unravel_index(int(np.argmax(surface)), surface.shape)
        pairs = [(int(at), n) for at, n in zip(place, size, strict=True)]
        surface[np.ix_(*((np.arange(-4, 5) + at) % n for at, n in pairs))] = -np.inf
        rows, columns = (at - n if at > n // 2 else at for at, n in pairs)
        far = max(abs(rows) / image.shape[0], abs(columns) / image.shape[1])
        if far > 0.5:
            continue
        own, other = _overlap((rows, columns), image.shape)
        # In a pattern that repeats, many shifts are nearly as good: the nearest shares most.
        value = _correlation(image[own], reference[other]) * (1 - 0.7 * far)
        if value > least + 0.01:
            best, least = (rows, columns), value
    return best


def _refined(image: Picture, reference: Picture, lies: Affine) -> tuple[Affine, float]:
    """Improve an affine map by least squares over a grid of points; return it and the match."""
    seen = (reference, *np.gradient(reference))
    # Few points bring it near, all of them to where it stays.
    for points in (POINTS // 6, POINTS):
        lies, correlation = _fitted(image, seen, lies, points)
    return lies, correlation


def _fitted(
    image: Picture, seen: tuple[Picture, ...], lies: Affine, points: int
) -> tuple[Affine, float]:
    """Do so for a reference with its slopes down and to the right."""
    matrix, offset = lies
    size = np.array(image.shape, dtype=np.float64)[:, None]
    stride = max(1, int((image.size / points) ** 0.5))
    places = np.mgrid[3 : size[0, 0] - 3 : stride, 3 : size[1, 0] - 3 : stride].reshape(2, -1)
    values = image[tuple(places.astype(np.intp))]
    relative = places / size - 0.5
    for _ in range(10):
        at = matrix @ places + offset[:, None]
        inside = ((at > 2) & (at < size - 3)).all(axis=0)
        rows, columns = relative[:, inside]
        moved, down, right = (
            scipy.ndimage.map_coordinates(each, at[:, inside], order=1) for each in seen
        )
        gain = float(values[inside] @ moved / max(float(moved @ moved), 1e-6))
        rest = values[inside] - gain * moved
        spread = 1.4826 * float(np.median(np.abs(rest))) + 1e-6
        # Tukey's weights: what belongs to a defect or an info bar says nothing of the place.
        weights = np.clip(1 - (rest / (3.5 * spread)) ** 2, 0, None) ** 2
        terms = gain * np.stack(
            [down, right, down * rows, down * columns, right * rows, right * columns]
        )
        normal = (terms * weights) @ terms.T
        # Without structure to tell, there is no stretch.
        normal += np.diag([1e-4, 1e-4, 3e-2, 3e-2, 3e-2, 3e-2]) * np.trace(normal[:2, :2])
        move = np.clip(np.linalg.solve(normal + 1e-9 * np.eye(6), terms @ (weights * rest)), -1, 1)
        stretch = move[2:].reshape(2, 2) / size.T
        matrix, offset = matrix + stretch, offset + move[:2] - stretch @ size[:, 0] / 2
        if np.abs(move).max() < 0.01:
            break
    agree = np.abs(rest) <= np.quantile(np.abs(rest), 0.9)
    return (matrix, offset), _correlation(values[inside][agree], moved[agree])


def repeated(image: Picture) -> tuple[Picture, float]:
    """Return the median of an image's own shifts by its periods, and how well they repeat.

    NaN where there are too few of them. The correlation is that of the last shift that is needed.
    """
    step = -(-max(image.shape) // _COARSE)
    small = _high_pass(reduced(image, step), 2.0)
    found = _own_shifts(small)
    correlation = found[_NEEDED - 1][1] if len(found) >= _NEEDED else 0.0
    if correlation < LEAST_REPETITION:
        return np.full_like(image, np.nan), correlation
    shifts = [shift for shift, _ in found]
    if step > 1:
        fine = _high_pass(image, 2.0)
        shifts = [_finer(fine, (step * down, step * right), step) for down, right in shifts]
    return shifts_median(image, shifts), correlation


def _own_shifts(image: Picture) -> list[tuple[tuple[int, int], float]]:
    """Return shifts, well apart, at which an image is most like itself, and how much it is."""
    size = [scipy.fft.next_fast_len(n + n // 2, real=True) for n in image.shape]
    one, own, squares = (
        scipy.fft.rfft2(each, size) for each in (np.ones_like(image), image, image**2)
    )
    product = scipy.fft.irfft2(np.conj(own) * own, size)
    energy = scipy.fft.irfft2(np.conj(squares) * one, size)
    opposite = np.roll(energy[::-1, ::-1], 1, (0, 1))
    likeness = product / np.sqrt(np.maximum(energy * opposite, 1e-6))
    # Up to half the image, so that every pixel has a copy on one side at least; a shift and its
    # opposite are one.
    rows, columns = (n // 2 for n in image.shape)
    half = np.concatenate([likeness[:rows, -columns:], likeness[:rows, :columns]], axis=1)
    down, right = np.ogrid[:rows, -columns:columns]
    half[(down**2 + right**2 < 16**2) | ((down == 0) & (right < 0))] = -1
    peaks = (scipy.ndimage.maximum_filter(half, 5) == half) & (half > _LEAST_LIKENESS)
    places = np.argwhere(peaks)
    values = half[peaks]
    order = np.argsort(-values)
    places, values = places[order], values[order]
    found: list[tuple[tuple[int, int], float]] = []
    apart = 0.1 * min(image.shape)
    while len(found) < _SHIFTS and len(places):
        found.append(((int(places[0, 0]), int(places[0, 1]) - columns), float(values[0])))
        far = np.hypot(*(places - places[0]).T) > apart
        places, values = places[far], values[far]
    return found


def _finer(image: Picture, shift: tuple[int, int], reach: int) -> tuple[int, int]:
    """Return the best shift of an image on itself within `reach` pixels of a given one."""
    own, other = _overlap(shift, image.shape)
    one, two = image[own], image[other]
    middle = tuple(slice(max(0, n // 2 - 256), n // 2 + 256) for n in one.shape)
    spectra = [scipy.fft.rfft2(each[middle]) for each in (one, two)]
    surface = scipy.fft.irfft2(np.conj(spectra[0]) * spectra[1], one[middle].shape)
    near = np.arange(-reach, reach + 1)
    at = np.unravel_index(int(np.argmax(surface[np.ix_(near, near)])), (len(near),) * 2)
    return shift[0] + int(at[0]) - reach, shift[1] + int(at[1]) - reach


def shifts_median(image: Picture, shifts: list[tuple[int, int]]) -> Picture:
    """Return the median over shifts and their opposites; NaN where under 3 show something."""
    shifts = [*shifts, *((-down, -right) for down, right in shifts)]
    rows, columns = np.abs(shifts).max(axis=0).tolist()
    wide = np.pad(image, [(rows, rows), (columns, columns)], constant_values=np.inf)
    found = np.empty_like(image)
    band = max(1, _BAND // image.shape[1])
    for start in range(0, len(image), band):
        stop = min(start + band, len(image))
        copies = [
            wide[start + rows + down : stop + rows + down, columns + right :][:, : image.shape[1]]
            for down, right in shifts
        ]
        found[start:stop] = _middle(np.stack(copies))
    return found


def _middle(copies: Picture) -> Picture:
    """Return the median over the first axis of what is finite; NaN where that is under 3."""
    missing = np.isinf(copies)
    odd = np.zeros(copies.shape[1:], dtype=bool)
    # What is missing is lowest and highest in turn, so that the median stays in the middle.
    for copy, none in zip(copies, missing, strict=True):
        copy[none & odd] = -np.inf
        odd ^= none
    # Bubble sort of whole pictures, down to the middle: four times as fast as pixel by pixel.
    ranked, half = list(copies), len(copies) // 2
    for last in range(len(copies) - 1, half - 2, -1):
        for low in range(last):
            lower = np.minimum(ranked[low], ranked[low + 1])
            np.maximum(ranked[low], ranked[low + 1], out=ranked[low + 1])
            ranked[low] = lower
    below, above = ranked[half - 1 : half + 1]
    known = len(copies) - missing.sum(axis=0, dtype=np.uint8)
    below[known < 3] = np.nan
    return np.asarray((below + np.where(odd, below, above)) / 2, np.float32)
