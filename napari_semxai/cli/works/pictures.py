"""Pictures of every step of Algorithm 1 over the image, in the colours of the docks' layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.types import colors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask, CandidatePool, GroundTruth, Scores

_OPACITY = 0.5


def write_steps(
    folder: Path, gray: NDArray[np.uint8], pool: CandidatePool, truth: GroundTruth
) -> list[Path]:
    """Write candidates, winner, complement and final mask as PNG files.

    Parameters
    ----------
    folder : Path
        Where they go.
    gray : ndarray of uint8, shape (M, N)
        The image below.
    pool, truth : CandidatePool, GroundTruth
        What to show.

    Returns
    -------
    list of Path
        The four files, in the order of the steps.
    """
    pictures = {
        "1_candidates.png": candidates_picture(gray, pool),
        "2_winner.png": tinted(as_rgb(gray), truth.surface, colors.WINNER),
        "3_complement.png": tinted(as_rgb(gray), ~truth.surface, colors.COMPLEMENT),
        "4_mask.png": tinted(as_rgb(gray), truth.mask, colors.DEFECT),
    }
    for name, picture in pictures.items():
        write_picture(folder / name, picture)
    return [folder / name for name in pictures]


def candidates_picture(gray: NDArray[np.uint8], pool: CandidatePool) -> NDArray[np.uint8]:
    """Tint every candidate in a colour of its own, small ones on top; shape (M, N, 3)."""
    picture = as_rgb(gray)
    colored = picture.copy()
    for number, index in enumerate(np.argsort(-pool.areas, kind="stable")):
        mask = pool.mask(int(index))
        colored[mask] = tinted(picture, mask, colors.SERIES[number % len(colors.SERIES)])[mask]
    return colored


def tinted(picture: NDArray[np.uint8], mask: BoolMask, color: str) -> NDArray[np.uint8]:
    """Return an RGB picture (M, N, 3) with the pixels of `mask` (M, N) tinted."""
    result = picture.copy()
    tint = np.array(ImageColor.getrgb(color)[:3])
    result[mask] = np.rint((1 - _OPACITY) * picture[mask] + _OPACITY * tint).astype(np.uint8)
    return result


def blended(
    picture: NDArray[np.uint8], colors: NDArray[np.uint8], strength: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Lay colours (M, N, 3) over an RGB picture, by a strength (M, N) from 0 to 1."""
    opacity = (_OPACITY * strength)[..., None]
    return np.rint(picture + opacity * (colors.astype(np.float32) - picture)).astype(np.uint8)


def as_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat a grey picture (M, N) over three channels."""
    return np.repeat(gray[..., None], 3, axis=2)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a grey or RGB picture as PNG, atomically."""
    with atomic_write(path) as file:
        Image.fromarray(picture).save(file, format="PNG")


def write_scores(path: Path, scores: Scores) -> None:
    """Write the five scores as a bar chart."""
    values = {
        name: getattr(scores, name) for name in ("dice", "iou", "precision", "recall", "accuracy")
    }
    figure = Figure(figsize=(5, 2.5), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(values), np.nan_to_num(list(values.values())), color=colors.DEFECT)
    axes.bar_label(bars, [f"{value:.3f}" for value in values.values()], padding=3)
    axes.set(xlim=(0, 1.15), xlabel="against the exact mask")
    axes.invert_yaxis()
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
