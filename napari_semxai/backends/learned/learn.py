"""From the reviews of a project to a new version: learn, cross-validate, judge, write."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import minimize

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask, known_by
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.statistics.acceptance import Compared, judge
from napari_semxai.backends.learned.network import (
    Calibration,
    LearnedNetwork,
    decided,
    strongest,
)
from napari_semxai.backends.learned.samples import (
    Sample,
    folds_of,
    groups_of,
    read_samples,
    todays_settings,
)
from napari_semxai.backends.learned.train import HeadTraining, Views
from napari_semxai.backends.runtime.tensor_files import DAMAGED, read_content
from napari_semxai.backends.sam2.batches import side_by_side
from napari_semxai.backends.sam2.dense import Head, pixels_of, sized
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import array_digest, text_digest
from napari_semxai.store.disk.folders import features_folder
from napari_semxai.store.images.companions import compare_image
from napari_semxai.store.images.mask_parts import region_counts
from napari_semxai.store.images.read import auto_border
from napari_semxai.store.project.learned import card_text, write_version
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.records import utc_now
from napari_semxai.types import IGNORED, BoolMask, InputError, Progress

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_semxai.backends.sam2.lite_trunk import LiteTrunk
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import MaskSettings, SemImage
    from napari_semxai.types.learned import (
        LearnedVersion,
        LearnRequest,
        LearnSettings,
    )

    Steps = Generator[Progress | LearnedVersion, None, None]

MOST_PROPOSALS, MOST_JUDGED = 60, 100
"""Proposals made anew for the comparison; where more are unknown, images compared at all, drawn at
random: a proposal takes ten seconds."""
_SAVE_EVERY, _SAVE_SECONDS = 50, 15.0
_PRIOR = Calibration(1.0, 0.0)


def learn_steps(request: LearnRequest) -> Steps:
    """Learn a project's masks.

    Closing the generator stops; what was done by then is kept in the cache, and the same request
    goes on from there.

    Parameters
    ----------
    request : LearnRequest
        Which project, and how.

    Yields
    ------
    Progress or LearnedVersion
        The latter once, last: the new version, in use where its verdict says so.

    Raises
    ------
    InputError
        When there are no reviewed images, or something cannot be read or written.
    """
    yield Progress("Read reviews")
    project = open_project(request.project)
    learning = Learning(project, request.settings)
    for step in (learning.propose, learning.encode, learning.train, learning.conclude):
        yield from step()


class Learning:
    """One learning with all that it keeps between its steps."""

    def __init__(self, project: Project, settings: LearnSettings) -> None:
        self._project, self._settings = project, settings
        self._began = time.monotonic()
        self.samples = read_samples(project, settings)
        self._key = _key(self.samples, settings, todays_settings(project))
        folder = features_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._views_path = folder / f"learning-{self._key[:24]}.bin"
        self._state_path = self._views_path.with_suffix(".pt")
        self._views = Views(
            self._views_path,
            [sample.gray for sample in self.samples],
            [sample.small_labels() for sample in self.samples],
            settings,
        )
        self._folds = folds_of(self.samples, settings)
        self._judged = np.arange(len(self.samples))
        if sum(sample.today is None for sample in self.samples) > MOST_PROPOSALS:
            rng = np.random.default_rng([settings.seed, 4])
            self._judged = np.sort(rng.permutation(self._judged)[:MOST_JUDGED])
        self._heads: list[Head] = []
        self._state: dict[str, Any] = self._kept()

    @cached_property
    def _trunk(self) -> LiteTrunk:
        trunk: LiteTrunk = self._segmenter.network.image_encoder.trunk
        return trunk

    @cached_property
    def _segmenter(self) -> Segmenter:
        return Segmenter("bundled", device="cpu", steady=True)

    def propose(self) -> Steps:
        """Make today's proposal of each image, unless its recipe tells it."""
        known: dict[str, NDArray[np.uint8]] = self._state.setdefault("today", {})
        settings = todays_settings(self._project)
        samples = [self.samples[number] for number in self._judged]
        # Only those made anew take time.
        unknown = sum(one.today is None and one.chosen.image.id not in known for one in samples)
        began, made = time.monotonic(), 0
        try:
            for number, sample in enumerate(samples):
                left = _seconds_left(began, made, unknown - made)
                yield Progress("Today's proposals", number, len(samples), left)
                image = sample.chosen.image
                if sample.today is not None:
                    known[image.id] = np.packbits(sample.today)
                elif image.id not in known:
                    seen = self._project.read_image(image.id)
                    seen = replace(seen, ignored=sample.chosen.ignored)
                    known[image.id] = np.packbits(todays_mask(self._segmenter, seen, settings))
                    made += 1
                    if number % 10 == 9:
                        self._save()
        finally:
            # Also after a cancel: each takes seconds.
            self._save()

    def encode(self) -> Steps:
        """Let the encoder look at all views."""
        total, began, first = len(self._views.views), time.monotonic(), self._views.encoded
        while (done := self._views.encoded) < total:
            left = _seconds_left(began, done - first, total - done)
            yield Progress("Features", done, total, left)
            self._views.encode_next(self._trunk)

    def train(self) -> Steps:
        """Train the head of each fold, and ask it about the images it was not trained on."""
        settings = self._settings
        trainings = [self._training(fold) for fold in range(len(self._folds))]
        total = len(trainings) * settings.steps
        began, first = time.monotonic(), sum(one.step for one in trainings)
        while not self._late:
            # As many folds at once as there are cores, each on one of its own: layers this small
            # are no faster on several.
            due = sorted(
                (one for one in trainings if one.step < settings.steps), key=lambda one: one.step
            )[: torch.get_num_threads()]
            if not due:
                break
            done = sum(one.step for one in trainings)
            left = _seconds_left(began, done - first, total - done)
            yield Progress("Training", done, total, left)
            side_by_side(HeadTraining.advance, due)
            if any(one.step % _SAVE_EVERY == 0 for one in due):
                self._state["heads"] = {n: one.state() for n, one in enumerate(trainings)}
                self._save()
        self._heads = [one.head.eval() for one in trainings]

    def _training(self, fold: int) -> HeadTraining:
        """Return the training of a fold, as far as an earlier run came."""
        held_out = set(self._folds[fold])
        chosen = [number for number in range(len(self.samples)) if number not in held_out]
        training = HeadTraining(self._views, chosen, self._settings, fold)
        kept = self._state.get("heads", {}).get(fold)
        if kept is not None:
            training.resume(kept)
        return training

    def conclude(self) -> Steps:
        """Judge, and write the new version."""
        strengths, learned = yield from self._cross_validate()
        samples = [self.samples[number] for number in self._judged]
        today = [
            np.unpackbits(self._state["today"][one.chosen.image.id], count=one.chosen.mask.size)
            .reshape(one.chosen.mask.shape)
            .astype(bool)
            for one in samples
        ]
        verdict = judge(
            Compared(
                np.array([sample.dice(mask) for mask, sample in zip(today, samples, strict=True)]),
                np.array(learned)[self._judged],
                np.array([sample.empty for sample in samples]),
                groups_of(samples, self._settings.folds),
                [_class_name(self._project, sample) for sample in samples],
            ),
            self._settings.seed,
        )
        network = LearnedNetwork(
            self._trunk,
            self._heads,
            fit_calibration(
                np.array(strengths), np.array([not one.empty for one in self.samples])
            ),
            self._views.grey,
            self._views.pooled(),
        )
        made = write_version(
            self._project.folder, network.content(card_text(verdict, self._card(network, learned)))
        )
        for path in (self._views_path, self._state_path):
            path.unlink(missing_ok=True)
        yield made

    def _cross_validate(self) -> Generator[Progress, None, tuple[list[float], list[float]]]:
        """Return how strong each image's strongest defect is, and the Dice, both out of fold."""
        logits: dict[int, NDArray[np.float16]] = {}
        count, began = len(self.samples), time.monotonic()
        first = {view.image: view for view in reversed(self._views.views)}
        for head, held_out in zip(self._heads, self._folds, strict=True):
            for number in held_out:
                left = _seconds_left(began, len(logits), count - len(logits))
                yield Progress("Judge", len(logits), count, left)
                sample, view = self.samples[number], first[number]
                with torch.inference_mode():
                    pixels = pixels_of(sample.gray, *self._views.grey)
                    found = head(pixels, self._views.levels(view))
                logits[number] = sized(found, sample.gray.shape).astype(np.float16)
                # What it sees where nothing counts makes no image one with a defect.
                logits[number][sample.small_labels() == IGNORED] = logits[number].min()
        strengths = np.array([strongest(logits[n].astype(np.float32)) for n in range(count)])
        defect = np.array([not sample.empty for sample in self.samples])
        dice = np.zeros(count)
        for held_out in self._folds:
            rest = np.setdiff1d(np.arange(count), held_out)
            # Of the other folds: no image decides how sure the network is of it.
            calibration = fit_calibration(strengths[rest], defect[rest])
            for number in held_out:
                truth = self.samples[number].chosen.mask
                full = sized(
                    torch.from_numpy(logits[number].astype(np.float32))[None, None], truth.shape
                )
                dice[number] = self.samples[number].dice(decided(full, calibration)[0])
        return strengths.tolist(), dice.tolist()

    def _card(self, network: LearnedNetwork, dice: list[float]) -> dict[str, Any]:
        info = self._project.info
        return {
            "created": utc_now(),
            "project": {"id": info.id, "name": info.name},
            "annotator": self._settings.annotator,
            "settings": asdict(self._settings),
            "encoder": self._segmenter.info.sha256,
            "heads": len(network.heads),
            "calibration": [network.calibration.slope, network.calibration.offset],
            "grey": list(network.grey),
            "images": [
                {
                    "id": sample.chosen.image.id,
                    "sha256": sample.chosen.image.sha256,
                    "mask_sha256": array_digest(sample.chosen.mask),
                    "state": str(sample.chosen.state),
                    # Of the head that has not seen it.
                    "dice": round(out_of_fold, 4),
                }
                for sample, out_of_fold in zip(self.samples, dice, strict=True)
            ],
            "versions": {name: version(name) for name in ("napari-semxai", "torch", "numpy")},
            "seconds": round(time.monotonic() - self._began, 1),
        }

    @property
    def _late(self) -> bool:
        minutes = self._settings.minutes
        return bool(minutes) and time.monotonic() - self._began > 60 * minutes

    def _kept(self) -> dict[str, Any]:
        # A damaged file costs only the time to begin anew.
        with suppress(*DAMAGED, InputError):
            state = read_content(self._state_path)
            return {
                "today": {name: value.numpy() for name, value in state["today"].items()},
                "heads": state["heads"],
            }
        return {}

    def _save(self) -> None:
        today = self._state.get("today", {})
        state = {
            "today": {name: torch.from_numpy(value) for name, value in today.items()},
            "heads": self._state.get("heads", {}),
        }
        with atomic_write(self._state_path) as file:
            torch.save(state, file)


def todays_mask(segmenter: Segmenter, image: SemImage, settings: MaskSettings) -> BoolMask:
    """Return what is proposed without learning: Algorithm 1 with today's settings."""
    difference = compare_image(image, settings.algorithm)
    pool = None
    for update in segmenter.generate(image.gray, settings.generate, difference, mapped=False):
        pool = pool if update.pool is None else update.pool
    if pool is None:
        raise RuntimeError("the network ended without a pool of candidates")
    chosen = pool.take(filter_candidates(pool, settings.filters))
    left_out = settings.algorithm.left_out(auto_border(image), image.ignored)
    known = known_by(settings.algorithm, image.gray, left_out, chosen, difference)
    return automatic_mask(chosen, image, settings.algorithm, left_out, known=known).mask


def fit_calibration(strengths: NDArray[np.float64], defect: BoolMask) -> Calibration:
    """Return the logistic function from strengths to a defect, near the head's own where few.

    Parameters
    ----------
    strengths : ndarray of float, shape (n,)
        Of images that the head was not trained on.
    defect : ndarray of bool, shape (n,)
        Whether they have one.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin
       Classifiers, 1999.
    """
    sign = np.where(defect, 1.0, -1.0)

    def loss(values: NDArray[np.float64]) -> float:
        slope, offset = values
        fit = np.logaddexp(0, -sign * (slope * strengths + offset)).sum()
        # The head was trained to answer in log odds, which few images must not overrule.
        return float(fit + 2 * (slope - _PRIOR.slope) ** 2 + 0.2 * offset**2)

    found = minimize(loss, [_PRIOR.slope, _PRIOR.offset], bounds=[(0.1, 5), (-8, 8)])
    return Calibration(*map(float, found.x))


def _seconds_left(began: float, done: int, left: int) -> float | None:
    """Return how long `left` steps take if `done` of them took the time since `began`."""
    return (time.monotonic() - began) / done * left if done else None


def _class_name(project: Project, sample: Sample) -> str:
    label = sample.chosen.label
    return project.info.class_names.get(label, label)


def _key(samples: list[Sample], settings: LearnSettings, today: MaskSettings) -> str:
    """Return the digest of all that a learning depends on."""
    content = [
        f"{one.chosen.image.id} {one.chosen.image.sha256} {array_digest(one.chosen.mask)}"
        f"{region_counts(one.chosen.ignored)}"
        for one in samples
    ]
    return text_digest(version("napari-semxai"), repr(settings), repr(today), *content)
