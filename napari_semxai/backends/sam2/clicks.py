"""SAM 2 as a tool for refining a mask that a person has at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from napari_semxai.algorithms.exposure import luminance
from napari_semxai.algorithms.masks.click_edits import BOX_MARGIN, MOST_OF_IMAGE
from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.types import PredictedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.backends.sam2.segmenter import Segmenter
    from napari_semxai.types import BoolMask, Prompts

PROMPT_LOGIT = 10.0
"""What a certain pixel of a mask prompt is worth, as where SAM 2 reuses a mask it was given."""

# How answers are redrawn, chosen on validation scenes; lengths in pixels of the close-up.
SIDE = 512
"""Edge of the largest close-up; windows around larger things are reduced to it."""
GRAIN, SMOOTH = 1.4, 1.4
"""Standard deviations of the Gaussians over grey values, and over the sum of opinions."""
GRAY, BINS, RING = 0.5, 24, 0.8
"""Weight and bins of the histograms; the background is a ring, in roots of the area."""
CLICK, LIMIT = 6.0, 6.0
"""Logits of a click where it was made, and at which the network's are cut."""
FIRST_REACH, LEAST_REACH, FARTHER, ALIKE = 6.0, 2.0, 1.5, 0.5
"""Radius of a first click and of the smallest disc; how much farther a click speaks for what
differs in grey by less than this share of the standard deviation."""
NEAR = 0.2
"""Logits from which a click has a say in a pixel."""
KEPT, KEPT_FROM, KEPT_WIDTH = 12.0, 2.0, 4.0
"""Logits of the object before; from how many radii of the newest click's disc on, and over how
many they rise to that."""
AROUND = 8.0
"""Pixels, beside its diameter, within which a change at a click takes others along."""
FEWEST, SPECK = 12, 0.05
"""Pixels below which a side tells nothing; share of the largest component that is a speck."""

Window = tuple[slice, slice]


def answer_prompts(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    prompts: Prompts,
    mask: BoolMask | None = None,
) -> PredictedMask:
    """Return the mask that clicks, a box and the mask so far mean.

    A single click is ambiguous: of three answers the one of the best predicted IoU is taken, and
    where answers are redrawn, one that covers most of the image only if the others do so, too.

    Parameters
    ----------
    segmenter : Segmenter
        The network.
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.
    prompts : Prompts
        Clicks and a box; may be empty beside a mask.
    mask : ndarray of bool, shape (M, N), optional
        The object as it is now.
    """
    return answers(segmenter, image, prompts, mask, best_only=True)[0]


def answers(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    prompts: Prompts,
    mask: BoolMask | None = None,
    *,
    best_only: bool = False,
) -> list[PredictedMask]:
    """Return all masks that a prompt may mean: three for a single click, else one.

    Where answers are redrawn, what the map of defects shows at a first click takes the place of
    the network's worst answer, and what it shows in a box that of the only one, if its stability
    is higher than that one's predicted IoU.

    Of a mask only those pixels change whose side the network changed, so that details finer than
    its resolution stay, and those near a click where answers are redrawn. There a foreground click
    only adds to the object, and a background click only takes away from it.
    Parameters as for `answer_prompts`; with `best_only` the mask that is taken alone.
    """
    logits = None if mask is None else mask_logits(mask, segmenter.mask_prompt_shape)
    alone = mask is None and prompts.box is None and len(prompts.points) == 1
    answer = segmenter.predict(
        image,
        np.array(prompts.points, dtype=np.float32),
        np.array(prompts.foreground, dtype=np.int32),
        prompts.box,
        logits,
        multimask=alone,
    )
    found, ious, rows = [], answer.predicted_iou, list(range(len(answer.masks)))
    if best_only:
        # A click means a thing on the surface sooner than the surface, of which the network is
        # surer. To draw one that covers the image takes several times as long as the network.
        wide = answer.masks.mean((1, 2)) >= MOST_OF_IMAGE if segmenter.redraws else False
        rows = [int(np.argmax(ious - wide))]
    if segmenter.redraws and mask is None:
        worst = min(rows, key=ious.__getitem__)
        shown = segmenter.defects.meant(image, prompts)
        if shown is not None and (len(rows) > 1 or shown.predicted_iou > ious[worst]):
            rows.remove(worst)
            found.append(shown)
    for row in rows:
        drawn = own = answer.masks[row]
        near = np.zeros_like(own)
        if segmenter.redraws:
            drawn, near = redrawn(image, own, answer.logits[row], prompts, mask)
        if mask is not None and logits is not None:
            # The mask as the network was given it, at its own resolution.
            given = _enlarge(logits, mask.shape) > 0
            drawn = np.where((own != given) | near, drawn, mask)
            if segmenter.redraws:
                drawn = nearby(mask, drawn, prompts)
                if prompts.points:
                    drawn = mask | drawn if prompts.foreground[-1] else mask & drawn
        found.append(PredictedMask(drawn, float(ious[row])))
    return found


def nearby(mask: BoolMask, drawn: BoolMask, prompts: Prompts) -> BoolMask:
    """Return a mask (M, N) that differs from the one before only near the clicks it differs at.

    The connected change at a click is what it means; others are taken along if they lie within
    that one's diameter of the click, and `AROUND`. Farther off nothing was asked for [1]_. If no
    click lies in a change, `drawn` stays.

    Parameters
    ----------
    mask, drawn : ndarray of bool, shape (M, N)
        The object before, and as it is answered.
    prompts : Prompts
        All clicks so far.

    References
    ----------
    .. [1] X. Chen et al., "FocalClick: Towards Practical Interactive Image Segmentation",
       CVPR 2022, section 3.3.
    """
    changed = mask != drawn
    box = bounding_box(changed)
    if box is None:
        return drawn
    labels, count = ndimage.label(changed[box], np.ones((3, 3)))
    sizes, wanted = np.bincount(labels.ravel()), np.zeros(count + 1, bool)
    rows, columns = np.ogrid[box]
    for row, column in prompts.points:
        if not changed[int(row), int(column)]:
            continue
        meant = labels[int(row) - box[0].start, int(column) - box[1].start]
        reach = 2 * np.sqrt(sizes[meant] / np.pi) + AROUND
        wanted[labels[(rows - row) ** 2 + (columns - column) ** 2 < reach**2]] = True
    wanted[0] = False
    if not wanted.any():
        return drawn
    result = mask.copy()
    result[box] ^= wanted[labels]
    return result


def redrawn(
    image: NDArray[np.uint8],
    answer: BoolMask,
    logits: NDArray[np.float32],
    prompts: Prompts,
    mask: BoolMask | None = None,
) -> tuple[BoolMask, BoolMask]:
    """Draw a network's answer again, on the picture around it and with the clicks obeyed.

    Three opinions on every pixel are added up as logits: the network's, the grey value's, by
    histograms of both sides as in GrabCut [1]_, and those of the clicks. A click speaks for the
    disc around it that reaches to the present outline, and for what looks alike a little
    farther off: people click in the middle of what is wrong [2]_. Far from the newest click the
    object before speaks.

    Parameters
    ----------
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        The image.
    answer : ndarray of bool, shape (M, N)
        The network's mask.
    logits : ndarray of float32, shape (h, w)
        What it was made of; they cover the image.
    prompts : Prompts
        What the network was asked.
    mask : ndarray of bool, shape (M, N), optional
        The object before.

    Returns
    -------
    drawn, near : ndarray of bool, shape (M, N)
        The mask, and the pixels that clicks speak for.

    References
    ----------
    .. [1] C. Rother, V. Kolmogorov and A. Blake, "GrabCut: Interactive Foreground Extraction
       Using Iterated Graph Cuts", SIGGRAPH 2004.
    .. [2] K. Sofiiuk, I. Petrov and A. Konushin, "Reviving Iterative Training with Mask Guidance
       for Interactive Segmentation", ICIP 2022.
    """
    near = np.zeros_like(answer)
    window = _window(answer if mask is None else answer | mask, prompts)
    close_up = _CloseUp(image, logits, window)
    inside = close_up.reduced(answer)
    before = None if mask is None else close_up.reduced(mask)
    said, kept = close_up.said(prompts, before)
    drawn = close_up.draw(inside, said + kept)
    if drawn is None:
        return answer, near
    result = np.zeros_like(answer)
    result[window] = _without_specks(close_up.enlarged(drawn) > 0, window, prompts)
    near[window] = close_up.enlarged(np.abs(said)) > NEAR
    return result, near


class _CloseUp:
    """What is known of the pixels of a window, reduced where it is large."""

    def __init__(
        self, image: NDArray[np.uint8], logits: NDArray[np.float32], window: Window
    ) -> None:
        rows, columns = self.window = window
        self.origin = np.array([rows.start, columns.start])
        self.shape = (rows.stop - rows.start, columns.stop - columns.start)
        self.scale = max(1.0, max(self.shape) / SIDE)
        self.small = tuple(max(1, round(edge / self.scale)) for edge in self.shape)
        gray = luminance(image[window]).astype(np.float32)
        self.gray = ndimage.gaussian_filter(self._resized(gray), GRAIN)
        self.logits = self._resized(_enlarge(logits, image.shape[:2])[window])

    def _resized(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        if values.shape == self.small:
            return values
        tensor = torch.from_numpy(np.ascontiguousarray(values))[None, None]
        found: NDArray[np.float32] = functional.interpolate(tensor, self.small, mode="area")[
            0, 0
        ].numpy()
        return found

    def reduced(self, mask: BoolMask) -> BoolMask:
        """Return a mask of the image as it is in the close-up."""
        return self._resized(mask[self.window].astype(np.float32)) >= 0.5

    def enlarged(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values of the close-up at the size of the window."""
        return _enlarge(values, self.shape)

    def said(
        self, prompts: Prompts, before: BoolMask | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits that clicks and a box speak for, and those of the object before.

        The latter rise with the distance from the newest click.
        """
        said, distance = np.zeros((2, *self.gray.shape), np.float32)
        spread = ALIKE * float(self.gray.std()) + 1e-3
        for place, foreground in zip(prompts.points, prompts.foreground, strict=True):
            pixel, distance = self._away(place, before)
            alike = np.exp(((self.gray - self.gray[pixel]) / spread) ** 2 / -2)
            disc = np.clip(1.3 - distance, 0, 1) * (1 + alike) / 2
            beyond = np.clip(1.3 - distance / FARTHER, 0, 1) * alike
            said += (CLICK if foreground else -CLICK) * np.maximum(disc, beyond)
        if prompts.box is not None:
            said[~self._within(prompts.box)] -= CLICK
        kept = KEPT * np.clip((distance - KEPT_FROM) / KEPT_WIDTH, 0, 1)
        return said, np.where(before, kept, -kept) if before is not None else np.zeros_like(kept)

    def _away(
        self, place: tuple[float, float], before: BoolMask | None
    ) -> tuple[tuple[int, int], NDArray[np.float32]]:
        """Return the pixel of a click, and how many radii of its disc every pixel is away."""
        row, column = (np.asarray(place) - self.origin) / self.scale
        rows, columns = (np.arange(n, dtype=np.float32) for n in self.gray.shape)
        pixel = (min(max(int(row), 0), len(rows) - 1), min(max(int(column), 0), len(columns) - 1))
        distance = np.sqrt(np.add.outer((rows - row) ** 2, (columns - column) ** 2))
        radius = FIRST_REACH
        if before is not None:
            # To the present outline, from either side.
            other = distance[before != before[pixel]]
            radius = max(float(other.min(initial=np.inf)), LEAST_REACH)
        return pixel, distance / np.float32(radius)

    def _within(self, box: tuple[float, float, float, float]) -> BoolMask:
        low, high = ((np.array(ends) - self.origin) / self.scale for ends in (box[:2], box[2:]))
        margin = BOX_MARGIN * (high - low)
        (top, left), (bottom, right) = low - margin, high + margin
        rows, columns = np.ogrid[: self.gray.shape[0], : self.gray.shape[1]]
        inside: BoolMask = (
            (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
        )
        return inside

    def draw(self, inside: BoolMask, said: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return the sum of all opinions as logits; None where a side has too few pixels."""
        levels = np.quantile(self.gray[::2, ::2], np.linspace(0, 1, BINS + 1)[1:-1])
        shades = self.gray.astype(np.uint8)
        bins = np.searchsorted(levels, np.arange(256) + 0.5)
        ring = RING * np.sqrt(np.count_nonzero(inside)) + LEAST_REACH
        # A ring need not be round to the pixel, and every other one is four times as fast.
        far = ndimage.distance_transform_edt(~inside[::2, ::2]) > ring / 2
        far = far.repeat(2, 0).repeat(2, 1)[: inside.shape[0], : inside.shape[1]]
        opinions = np.clip(self.logits, -LIMIT, LIMIT) + said
        total = None
        # Twice: the second time the histograms are those of a better mask.
        for _ in range(2):
            around = ~(inside | far)
            if min(np.count_nonzero(inside), np.count_nonzero(around)) < FEWEST:
                return total
            odds = _log_histogram(bins[shades[inside]]) - _log_histogram(bins[shades[around]])
            gray = (GRAY * np.clip(odds, -3, 3))[bins].astype(np.float32)[shades]
            total = ndimage.gaussian_filter(opinions + gray, SMOOTH)
            inside = total > 0
        return total


def _log_histogram(bins: NDArray[np.intp]) -> NDArray[np.float64]:
    # Two more in each: what was never seen is improbable, not impossible.
    counts = ndimage.gaussian_filter1d(np.bincount(bins, minlength=BINS) + 2.0, 1)
    found: NDArray[np.float64] = np.log(counts / counts.sum())
    return found


def _window(mask: BoolMask, prompts: Prompts) -> Window:
    """Rows and columns around a mask and all prompts, with a margin."""
    places = [np.array(prompts.points, dtype=np.float64).reshape(-1, 2)]
    if prompts.box is not None:
        places.append(np.array(prompts.box, dtype=np.float64).reshape(2, 2))
    box = bounding_box(mask)
    if box is not None:
        places.append(np.array([(side.start, side.stop - 1) for side in box], np.float64).T)
    every = np.concatenate(places)
    low, high = np.floor(every.min(0)), np.ceil(every.max(0))
    margin = max(12, int(0.5 * (high - low).max()))
    first = np.maximum(low - margin, 0).astype(int)
    last = np.minimum(high + margin + 1, mask.shape).astype(int)
    return (slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1])))


def _without_specks(mask: BoolMask, window: Window, prompts: Prompts) -> BoolMask:
    """Leave out components that are small beside the largest one, and were not clicked at."""
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    keep = sizes >= SPECK * sizes.max()
    for place, foreground in zip(prompts.points, prompts.foreground, strict=True):
        row, column = int(place[0]) - window[0].start, int(place[1]) - window[1].start
        keep[labels[row, column]] |= foreground
    keep[0] = False
    found: BoolMask = keep[labels]
    return found


def mask_logits(mask: BoolMask, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a mask (M, N) as the logits of a mask prompt of `shape`."""
    values = torch.from_numpy(mask.astype(np.float32))[None, None]
    share = functional.interpolate(values, shape, mode="area")[0, 0]
    logits: NDArray[np.float32] = ((2 * share - 1) * PROMPT_LOGIT).numpy()
    return logits


def _enlarge(logits: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    small = torch.from_numpy(logits)[None, None]
    large: NDArray[np.float32] = functional.interpolate(small, shape, mode="bilinear")[
        0, 0
    ].numpy()
    return large
