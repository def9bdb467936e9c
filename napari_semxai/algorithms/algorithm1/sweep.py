"""Algorithm 1 over the plane of alpha and beta, on one image and on many.

The network is asked once per image; the exact map of winners leaves stage 2 to the few
candidates that win anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.ground_truth import rank
from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.algorithms.masks.metrics import scores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_semxai.algorithms.algorithm1.ground_truth import Defect
    from napari_semxai.types import BoolMask, CandidatePool

BOOTSTRAP = 1000
ENOUGH_IMAGES = 10


@dataclass(frozen=True, slots=True, eq=False)
class ImagePlane:
    """One image over the plane; rows are betas, columns alphas.

    Attributes
    ----------
    winners : ndarray of int64, shape (b, a)
        Index of the winner in the pool; -1 where nothing passes beta.
    dice, iou : ndarray of float64, shape (b, a)
        Against the truth.
    """

    winners: NDArray[np.int64]
    dice: NDArray[np.float64]
    iou: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SweepResult:
    """Many images over the plane, and what they suggest.

    Attributes
    ----------
    alphas, betas : ndarray of float64, shapes (a,) and (b,)
        The plane.
    mean, median, worst : ndarray of float64, shape (b, a)
        Of the images' Dice.
    mean_iou, median_iou, worst_iou : ndarray of float64, shape (b, a)
        Of the images' IoU.
    best : tuple of int
        (row, column) of the suggested point: the middle of the plateau of the best mean Dice.
    interval : tuple of float
        95 % bootstrap interval of the mean Dice there; images resampled.
    chosen : ndarray of int64, shape (r, 2)
        The point that each resampling suggests.
    left_out : ndarray of float64, shape (n,)
        Dice of each image at the point that the others suggest; NaN for a single image.
    left_out_at : ndarray of float64, shape (n, 2)
        Alpha and beta of that point; NaN for a single image.
    """

    alphas: NDArray[np.float64]
    betas: NDArray[np.float64]
    mean: NDArray[np.float64]
    median: NDArray[np.float64]
    worst: NDArray[np.float64]
    mean_iou: NDArray[np.float64]
    median_iou: NDArray[np.float64]
    worst_iou: NDArray[np.float64]
    best: tuple[int, int]
    interval: tuple[float, float]
    chosen: NDArray[np.int64]
    left_out: NDArray[np.float64]
    left_out_at: NDArray[np.float64]

    @property
    def alpha(self) -> float:
        """The suggested alpha."""
        return float(self.alphas[self.best[1]])

    @property
    def beta(self) -> float:
        """The suggested beta."""
        return float(self.betas[self.best[0]])

    @property
    def tied(self) -> NDArray[np.bool_]:
        """Where the mean Dice is as good as at the suggested point, shape (b, a)."""
        return best_of(self.mean)

    def nearest(self, alpha: float, beta: float) -> tuple[float, float]:
        """Return the alpha and beta of the plane that lie nearest to these."""
        column = int(np.argmin(np.abs(self.alphas - alpha)))
        row = int(np.argmin(np.abs(self.betas - beta)))
        return float(self.alphas[column]), float(self.betas[row])


def sweep_image(
    pool: CandidatePool,
    truth: BoolMask,
    alphas: NDArray[np.float64],
    betas: NDArray[np.float64],
    find: Callable[[BoolMask], Defect],
) -> ImagePlane:
    """Score Algorithm 1 on one image at every point of the plane.

    Parameters
    ----------
    pool : CandidatePool
        The candidates.
    truth : ndarray of bool, shape (M, N)
        The true mask.
    alphas, betas : ndarray, shapes (a,) and (b,)
        The plane.
    find : callable
        Finds the defect in a surface: stage 2, see `automatic.stage_two`.
    """
    ranking = rank(pool.areas, pool.centroids, pool.shape, alpha=0.0, beta=0.0)
    envelope = winner_envelope(pool.areas, ranking.distances, pool.shape)
    winners = envelope.winners(alphas, betas)
    # Few candidates win anywhere on the plane: stage 2 runs once for each of them.
    found, places = np.unique(winners, return_inverse=True)
    nothing = np.zeros(pool.shape, dtype=bool)
    each = []
    for winner in found.tolist():
        mask = nothing
        if winner >= 0:
            mask = find(pool.mask(winner)).mask
        counted = scores(mask, truth)
        each.append((counted.dice, counted.iou))
    planes = np.array(each)[places.reshape(winners.shape)]
    return ImagePlane(winners, planes[..., 0], planes[..., 1])


def sweep_set(
    planes: Sequence[ImagePlane],
    alphas: NDArray[np.float64],
    betas: NDArray[np.float64],
    *,
    seed: int = 0,
) -> SweepResult:
    """Put the planes of a set's images together.

    Parameters
    ----------
    planes : sequence of ImagePlane
        At least one.
    alphas, betas : ndarray, shapes (a,) and (b,)
        As for `sweep_image`.
    seed : int
        Of the resampling.
    """
    dice = np.stack([plane.dice for plane in planes])
    iou = np.stack([plane.iou for plane in planes])
    count = len(dice)
    mean = dice.mean(axis=0)
    best = plateau_middle(mean)
    # How often each image is drawn is all that a mean needs: weights instead of 1000 copies.
    draws = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=BOOTSTRAP
    )
    resampled = np.tensordot(draws / count, dice, axes=1)
    low, high = np.percentile(resampled[:, best[0], best[1]], [2.5, 97.5])
    left_out, left_out_at = _leave_one_out(dice, mean, alphas, betas)
    return SweepResult(
        alphas=alphas,
        betas=betas,
        mean=mean,
        median=np.median(dice, axis=0),
        worst=dice.min(axis=0),
        mean_iou=iou.mean(axis=0),
        median_iou=np.median(iou, axis=0),
        worst_iou=iou.min(axis=0),
        best=best,
        interval=(float(low), float(high)),
        chosen=np.array(
            [plateau_middle(plane) for plane in resampled[: None if count > 1 else 1]]
        ),
        left_out=left_out,
        left_out_at=left_out_at,
    )


def best_of(plane: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a plane has its best value."""
    # Sums in another order differ in the last digits; a plateau must not fall apart over them.
    found: NDArray[np.bool_] = plane >= plane.max() - 1e-9
    return found


def plateau_middle(plane: NDArray[np.float64]) -> tuple[int, int]:
    """Return the point of the best value that lies deepest within points as good.

    A point in the middle of a plateau goes on being right when images differ a little.
    """
    best = best_of(plane)
    depth = scipy.ndimage.distance_transform_cdt(np.pad(best, 1), metric="chessboard")[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), plane.shape)
    return int(row), int(column)


def advice(result: SweepResult) -> str:
    """Say in words what the set suggests, and how far that can be trusted."""
    count = len(result.left_out)
    row, column = result.best
    flat = bool(result.tied.all())
    text = f"α {_short(result.alpha)}, β {_short(result.beta)}: "
    if count == 1:
        text += f"Dice {result.mean[row, column]:.3f}, IoU {result.mean_iou[row, column]:.3f}"
    else:
        low, high = result.interval
        alphas = result.alphas[result.chosen[:, 1]]
        betas = result.betas[result.chosen[:, 0]]
        text += (
            f"mean Dice {result.mean[row, column]:.3f} over {count} images, 95 % bootstrap "
            f"interval {low:.3f} to {high:.3f}, worst image {result.worst[row, column]:.3f}; "
            f"chosen without the image that is scored: {result.left_out.mean():.3f}"
        )
        # On a flat plane every resampling "chooses" its middle, which says nothing.
        text += (
            ""
            if flat
            else (
                f"; resampled images choose α {_ends(*np.percentile(alphas, [2.5, 97.5]))}, "
                f"β {_ends(*np.percentile(betas, [2.5, 97.5]))}"
            )
        )
    text += ties(result)
    if count < ENOUGH_IMAGES:
        few = "one image" if count == 1 else f"fewer than {ENOUGH_IMAGES} images"
        text += f"; {few}: take it as a hint"
    return text


def ties(result: SweepResult) -> str:
    """Say how many points of the plane are as good as the suggested one; "" where none is."""
    tied, points = result.tied, result.mean.size
    number = int(tied.sum())
    if number == points:
        return f"; all {points:,} points are as good: α and β make no difference here"
    if number == 1:
        return ""
    rows, columns = np.nonzero(tied)
    alphas, betas = result.alphas[columns], result.betas[rows]
    return (
        f"; {number:,} of {points:,} points are as good, α {_ends(alphas.min(), alphas.max())}, "
        f"β {_ends(betas.min(), betas.max())}: this is their middle"
    )


def _short(value: float) -> str:
    return f"{round(value, 3):g}"


def _ends(low: float, high: float) -> str:
    return f"{_short(low)} to {_short(high)}"


def _leave_one_out(
    dice: NDArray[np.float64],
    mean: NDArray[np.float64],
    alphas: NDArray[np.float64],
    betas: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each image's Dice where the others point, and alpha and beta there."""
    count = len(dice)
    if count == 1:
        return np.array([np.nan]), np.full((1, 2), np.nan)
    # The mean without an image, from the mean with it: no need to add up all others again.
    points = [plateau_middle((mean * count - plane) / (count - 1)) for plane in dice]
    rows, columns = np.array(points).T
    return dice[np.arange(count), rows, columns], np.stack([alphas[columns], betas[rows]], axis=1)
