"""What is learned from: reviewed images, what was proposed for them, and their folds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.backends.sam2.dense import LARGEST
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.project.masks import chosen_masks, replay_edits
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from napari_semxai.types import (
    AlgorithmSettings,
    BoolMask,
    ChosenMask,
    InputError,
    MaskSettings,
    mask_labels,
)
from napari_semxai.types.settings import AUTO_REFERENCE

if TYPE_CHECKING:
    from napari_semxai.store.project.project import Project
    from napari_semxai.types.learned import LearnSettings

MOST_IMAGES = 400
"""Reviewed images that are learned from; of more, as many are drawn."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One reviewed image.

    Attributes
    ----------
    chosen : ChosenMask
        Its mask, class and whose they are.
    gray : ndarray of uint8, shape (m, n)
        What the head sees of it.
    today : ndarray of bool, shape (M, N), or None
        Today's proposal, where its recipe tells it.
    """

    chosen: ChosenMask
    gray: NDArray[np.uint8]
    today: BoolMask | None

    @property
    def empty(self) -> bool:
        """Whether it is "no defect"."""
        return not self.chosen.mask.any()

    def small_labels(self) -> NDArray[np.uint8]:
        """Return mask and ignored pixels at the size of `gray`, see `mask_labels`."""
        ignored = self.chosen.ignored
        return mask_labels(
            _halved(self.chosen.mask), None if ignored is None else _halved(ignored)
        )

    def dice(self, mask: BoolMask) -> float:
        """Return the Dice of a mask (M, N) with that of the image, where it counts."""
        return scores(mask, self.chosen.mask, self.chosen.ignored).dice


def read_samples(project: Project, settings: LearnSettings) -> list[Sample]:
    """Read the reviewed images of a project, `MOST_IMAGES` of them where there are more.

    Raises
    ------
    InputError
        When they are too few, or one cannot be read.
    """
    chosen = list(chosen_masks(project, settings.annotator))
    if len(chosen) < 2 * settings.folds:
        raise InputError(
            f"{project.folder}: {len(chosen)} reviewed images are too few to learn from; review "
            f'{2 * settings.folds} or more (accepted, corrected or "no defect")'
        )
    if len(chosen) > MOST_IMAGES:
        rng = np.random.default_rng([settings.seed, 3])
        drawn = np.sort(rng.choice(len(chosen), MOST_IMAGES, replace=False))
        chosen = [chosen[number] for number in drawn]
    return [
        Sample(one, _smaller(project.read_image(one.image.id).gray), _known_proposal(project, one))
        for one in chosen
    ]


def todays_settings(project: Project) -> MaskSettings:
    """Return what masks are proposed with unless somebody asks for something else.

    What images are compared with is kept in a project.
    """
    return MaskSettings(
        algorithm=AlgorithmSettings(reference=project.info.reference or AUTO_REFERENCE)
    )


def _halved(mask: BoolMask) -> BoolMask:
    """Return a mask (M, N) no larger than the head sees, where at least half of a pixel is in."""
    return np.asarray(_smaller(mask.astype(np.uint8) * 255) > 127)


def _smaller(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (M, N) no larger than the head sees."""
    if max(gray.shape) <= LARGEST:
        return np.array(gray)
    factor = LARGEST / max(gray.shape)
    values = torch.from_numpy(gray.astype(np.float32))[None, None]
    size = [max(4, round(edge * factor)) for edge in gray.shape]
    small = torch.nn.functional.interpolate(values, size, mode="bilinear", antialias=True)
    return np.asarray(small[0, 0].round().clamp(0, 255).numpy(), np.uint8)


def _known_proposal(project: Project, chosen: ChosenMask) -> BoolMask | None:
    """Return the automatic mask that an annotator began with, where it is today's proposal."""
    usual = todays_settings(project)
    for name in chosen.annotators:
        record = project.record(chosen.image.id, name)
        recipe = None if record is None else record.recipe
        if recipe is None or recipe.base != "automatic" or recipe.settings.get("overridden"):
            continue
        with suppress(InputError):
            same = MaskSettings.from_json(recipe.settings, usual.device) == usual
            same = same and recipe.settings["model"]["sha256"] == file_sha256(BUNDLED_WEIGHTS)
            if same and "points_done" not in recipe.settings:
                return replay_edits(project, chosen.image.id, name).steps[0]
    return None


def groups_of(samples: list[Sample], folds: int) -> list[object]:
    """Return the wafer of each image, or the image itself where wafers are too few."""
    wafers = [(one.chosen.image.lot, one.chosen.image.wafer) for one in samples]
    named = {wafer for wafer in wafers if wafer[1]}
    if len(named) < folds or not all(wafer[1] for wafer in wafers):
        return [sample.chosen.image.id for sample in samples]
    return list(wafers)


def folds_of(samples: list[Sample], settings: LearnSettings) -> list[list[int]]:
    """Divide images into folds: by wafer where there are enough, with "no defect" in each.

    Returns
    -------
    list of list of int
        The numbers of the images that each fold holds out.
    """
    groups = groups_of(samples, settings.folds)
    empty = np.array([sample.empty for sample in samples], dtype=int)
    count = min(settings.folds, len(set(groups)))
    # Of fewer than one a fold nothing can be spread.
    if np.bincount(empty, minlength=2).min() < count:
        empty[:] = 0
    names = np.array([str(group) for group in groups])
    divider = StratifiedGroupKFold(count, shuffle=True, random_state=settings.seed)
    return [held.tolist() for _, held in divider.split(names, empty, names)]
