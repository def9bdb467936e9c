"""Training of a head on views of reviewed images, in steps that one can stop and resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.backends.learned.network import pooled
from napari_semxai.backends.sam2.dense import (
    CELLS,
    LEVELS,
    SIDE,
    Head,
    bundled_head,
    encoded,
    pixels_of,
)
from napari_semxai.types import IGNORED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
    from napari_semxai.types.learned import LearnSettings

MOST_VIEWS = 400
"""Of all images together: about 2 GB, which lie on the disk."""
_WARM_UP = 20
_ON_DEFECT = 0.7
SHAPES = [
    (channels, SIDE // stride, SIDE // stride)
    for channels, stride in zip(LEVELS, (4, 8, 16), strict=True)
]
SIZES = [int(np.prod(shape)) for shape in SHAPES]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One look at an image: turned or flipped, brighter or darker.

    Attributes
    ----------
    image : int
        Number of the image.
    gray : ndarray of uint8, shape (m, n)
        What is seen.
    labels : ndarray of uint8, shape (m, n)
        What is to be found, and what counts for nothing, see `mask_labels`.
    place : int
        Where its features stand in the file.
    """

    image: int
    gray: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    place: int


class Views:
    """Views of images with what the encoder says of them, float16, in a file of the cache.

    Parameters
    ----------
    path : Path
        The file; what an earlier run of the same images left in it is used.
    images, labels : sequence of ndarray, shape (m, n)
        What is learned from.
    settings : LearnSettings
        How many views, and the seed.
    """

    def __init__(
        self,
        path: Path,
        images: Sequence[NDArray[np.uint8]],
        labels: Sequence[NDArray[np.uint8]],
        settings: LearnSettings,
    ) -> None:
        self._path = path
        copies = max(1, min(settings.copies, MOST_VIEWS // len(images)))
        rng = np.random.default_rng([settings.seed, 1])
        self.views: list[View] = []
        for number, (gray, marked) in enumerate(zip(images, labels, strict=True)):
            # The first view is the image itself: by it images are told apart later.
            for turn in (0, *rng.permutation(np.arange(1, 8))[: copies - 1]):
                look = (1.0, 0.0) if turn == 0 else (rng.uniform(0.88, 1.12), rng.uniform(-14, 14))
                seen = np.clip(np.rint(_turned(gray, int(turn)) * look[0] + look[1]), 0, 255)
                place = len(self.views)
                self.views.append(
                    View(number, seen.astype(np.uint8), _turned(marked, int(turn)), place)
                )
        _, self.grey = bundled_head()

    @property
    def encoded(self) -> int:
        """How many views have their features in the file."""
        return self._path.stat().st_size // (2 * sum(SIZES)) if self._path.exists() else 0

    def encode_next(self, trunk: LiteTrunk) -> None:
        """Add the features of the next view to the file."""
        place = self.encoded
        levels = [level.numpy().ravel() for level in encoded(trunk, self.views[place].gray)]
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            # A killed run may have left half of one.
            file.seek(place * 2 * sum(SIZES))
            file.write(np.concatenate(levels).tobytes())
            file.truncate()

    def levels(self, view: View) -> list[Tensor]:
        """Return the features of a view."""
        values = np.fromfile(
            self._path, np.float16, sum(SIZES), offset=view.place * 2 * sum(SIZES)
        )
        parts = np.split(values, np.cumsum(SIZES)[:-1])
        return [
            torch.from_numpy(part.reshape(1, *shape))
            for part, shape in zip(parts, SHAPES, strict=True)
        ]

    def pixels(self, view: View) -> Tensor:
        """Return a view as the head sees it, `pixels_of`."""
        return pixels_of(view.gray, *self.grey)

    def pooled(self) -> Tensor:
        """Return what each image looks like as a whole, shape (images, c)."""
        first = {view.image: view for view in reversed(self.views)}
        return torch.stack([pooled(self.levels(first[number])) for number in sorted(first)])


class HeadTraining:
    """One head that learns from some of the images.

    Parameters
    ----------
    views : Views
        Of all images.
    chosen : sequence of int
        Numbers of the images to learn from.
    settings : LearnSettings
        How.
    fold : int
        Which head; together with the seed it fixes all that is random.
    head : Head, optional
        What it begins with; by default the one that comes with the package.
    """

    def __init__(
        self,
        views: Views,
        chosen: Sequence[int],
        settings: LearnSettings,
        fold: int,
        head: Head | None = None,
    ) -> None:
        self._views, self.settings, self._fold = views, settings, fold
        wanted = set(chosen)
        self._mine = [view for view in views.views if view.image in wanted]
        self.head = head or bundled_head()[0]
        self._optimizer = torch.optim.AdamW(
            self.head.parameters(), lr=settings.rate, weight_decay=0.02
        )
        self.step = 0

    def state(self) -> dict[str, Any]:
        """Return all that going on needs."""
        return {
            "head": self.head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def advance(self) -> float:
        """Take one step, and return the loss; the same for the same step."""
        settings = self.settings
        # By the step, so that a run that was stopped draws what it would have drawn.
        rng = np.random.default_rng([settings.seed, 2, self._fold, self.step])
        warm = min(1.0, (self.step + 1) / _WARM_UP)
        fall = 0.5 * (1 + np.cos(np.pi * self.step / settings.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = float(settings.rate * warm * fall)
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for index in rng.choice(len(self._mine), settings.batch):
            pixels, levels, truth = self._window(self._mine[int(index)], rng)
            loss = _loss(self.head(pixels, levels).float(), truth) / settings.batch
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(self.head.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return total

    def _window(self, view: View, rng: np.random.Generator) -> tuple[Tensor, list[Tensor], Tensor]:
        """Return half of the height and width of a view, mostly with some of the defect in it."""
        rows, columns = view.labels.shape
        inside = np.argwhere(view.labels[::8, ::8] == 1)
        half = CELLS // 2
        if len(inside) and rng.random() < _ON_DEFECT:
            cell = inside[rng.integers(len(inside))] * 8 * CELLS / (rows, columns)
            corner = cell - rng.uniform(1, half - 1, 2)
        else:
            corner = rng.uniform(0, half, 2)
        row, column = np.clip(np.rint(corner), 0, half).astype(int).tolist()
        top, left = round(row * rows / CELLS), round(column * columns / CELLS)
        window = np.s_[top : top + rows // 2, left : left + columns // 2]
        levels = []
        for level in self._views.levels(view):
            times = level.shape[-1] // CELLS
            part = np.s_[
                row * times : (row + half) * times, column * times : (column + half) * times
            ]
            levels.append(level[..., part[0], part[1]])
        pixels = self._views.pixels(view)[..., window[0], window[1]]
        truth = torch.from_numpy(view.labels[window].astype(np.float32))[None, None]
        return pixels, levels, truth


def _turned(values: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return an image (M, N) turned by quarters, and from 4 on flipped as well."""
    turned = np.rot90(values, turn % 4)
    return np.ascontiguousarray(turned[:, ::-1] if turn >= 4 else turned)


def _loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross entropy, and Dice, which counts little where there is nothing to find.

    Pixels that are `IGNORED` in the truth count nowhere.
    """
    known = truth != IGNORED
    if not known.all():
        # A pixel too many keeps the mean of none from being no number.
        logits, truth = (functional.pad(part[known], (0, 1)) for part in (logits, truth))
    entropy = functional.binary_cross_entropy_with_logits(logits, truth)
    chance = torch.sigmoid(logits)
    overlap = (2 * (chance * truth).sum() + 1) / (chance.sum() + truth.sum() + 1)
    weight = 1.0 if bool(truth.any()) else 0.1
    return 2 * entropy + weight * (1 - overlap)
