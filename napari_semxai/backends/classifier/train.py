"""Training a classifier on labelled images, from the weights of another one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn
from torch.nn import functional

from napari_semxai.algorithms.statistics.classification import (
    ClassificationScores,
    calibration_error,
    classification_scores,
    fit_temperature,
    sampling_weights,
    stratified_split,
)
from napari_semxai.backends.classifier.classifier import image_pixels, normalised, resized
from napari_semxai.backends.classifier.files import (
    PROGRAM,
    build_architecture,
    description_of,
    description_path,
    read_classifier,
)
from napari_semxai.backends.runtime.tensor_files import read_content
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.images.read import read_image
from napari_semxai.types import ClassifierInfo, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_semxai.store.sources.find_images import LabelledImages

_WARM_UP = 20
_AVERAGE = 0.98
_SAVE_EVERY = 50
_ENOUGH = 10
# The bundled network's first layers see edges and dots, which need no new lesson.
_KEPT = tuple(
    f"features.{name}."
    for name in ("stem", "filter1", "project1", "expand2", "filter2", "project2", "blocks2")
)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a classifier is trained.

    Attributes
    ----------
    start : str
        "bundled" or the path of the classifier to start from; its architecture is kept.
    steps, batch : int
        How many batches, of how many images.
    rate : float
        Learning rate of AdamW; it warms up, stays, and goes to 0 over the second half.
    balance : float
        See `sampling_weights`.
    share : float
        Share of every class to validate on.
    seed : int
        Fixes split, order and augmentation.
    synthetic : bool
        Whether all images are synthetic, which is told with every answer of the classifier.
    """

    start: str = "bundled"
    steps: int = 300
    batch: int = 16
    rate: float = 1e-3
    balance: float = 1.0
    share: float = 0.2
    seed: int = 0
    synthetic: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class TrainReport:
    """What a training came to.

    Attributes
    ----------
    info : ClassifierInfo
        Of the written file.
    scores : ClassificationScores
        On the validation images.
    training_counts : ndarray of int, shape (classes,)
        Images of every class that were trained on.
    draws : ndarray of float, shape (classes,)
        How often each image of a class was drawn, on average.
    calibration_error : float
        Expected calibration error on the validation images, after calibration.
    """

    info: ClassifierInfo
    scores: ClassificationScores
    training_counts: np.ndarray[Any, np.dtype[np.int64]]
    draws: np.ndarray[Any, np.dtype[np.float64]]
    calibration_error: float

    @property
    def no_better_than_guessing(self) -> bool:
        """Whether the mean recall is what guessing reaches, within two standard errors.

        False where the images to validate on are too few to tell.
        """
        classes, images = len(self.scores.support), int(self.scores.support.sum())
        chance = 1 / classes
        if images < _ENOUGH:
            return False
        error = (chance * (1 - chance) / images) ** 0.5
        return bool(self.scores.macro_recall <= chance + 2 * error)


class ClassifierTraining:
    """One training that can be stopped and gone on with.

    Parameters
    ----------
    data : LabelledImages
        What to learn.
    settings : TrainSettings
        How.
    target : Path
        The file to write in the end; the state in between lies beside it.

    Raises
    ------
    InputError
        When the start cannot be trained on, or the state beside `target` is of another training.
    """

    def __init__(self, data: LabelledImages, settings: TrainSettings, target: Path) -> None:
        self._data = data
        self._settings = settings
        self._target = target
        # The split has a stream of its own, so that a run that goes on splits alike.
        rng = np.random.default_rng([settings.seed, 1])
        self._held_out = stratified_split(data.targets, settings.share, rng)
        self._train = np.flatnonzero(~self._held_out)
        self._network, self._info = _start(settings, data)
        # Weights averaged over the steps are what is written: steadier than the last ones.
        self._average, _ = _start(settings, data)
        self._weights = sampling_weights(data.targets[self._train], settings.balance)
        trained = [p for p in self._network.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=0.01)
        self.step = 0
        if self.state_path.exists():
            self._resume()

    @property
    def state_path(self) -> Path:
        """Where the state lies until the training is over."""
        return self._target.with_name(f".{self._target.stem}.training.pt")

    def run(self, progress: Callable[[int, float], None] | None = None) -> TrainReport:
        """Train to the end and write weights and description.

        Parameters
        ----------
        progress : callable, optional
            Called after every step with the number of steps and the loss. What it raises stops
            the training; the state is kept.
        """
        try:
            while self.step < self._settings.steps:
                loss = self._update()
                if progress is not None:
                    progress(self.step, loss)
                if self.step % _SAVE_EVERY == 0:
                    self.save()
        except KeyboardInterrupt:
            self.save()
            raise
        report = self._conclude()
        self.state_path.unlink(missing_ok=True)
        return report

    def save(self) -> None:
        """Keep the state, so that the same training goes on from here."""
        state = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "key": self._key(),
        }
        with atomic_write(self.state_path) as file:
            torch.save(state, file)

    def _resume(self) -> None:
        state = read_content(self.state_path)
        if not isinstance(state, dict) or state.get("key") != self._key():
            raise InputError(
                f"{self.state_path}: the state of a training on other images or with other "
                "settings; go on with those, or delete this file"
            )
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def _key(self) -> str:
        """Digest of all that the training depends on."""
        images = [(str(image.path), image.page) for image in self._data.images]
        # Paths, not pixels: reading all images again would take as long as an epoch.
        content = [images, self._data.targets.tolist(), self._data.class_names]
        text = json.dumps([content, asdict(self._settings), self._info.sha256])
        return hashlib.sha256(text.encode()).hexdigest()

    def _update(self) -> float:
        """One step of the optimizer and of the average; the same for the same step."""
        settings = self._settings
        # By the step, so that a run that was stopped draws what it would have drawn.
        rng = np.random.default_rng([settings.seed, 2, self.step])
        drawn = rng.choice(self._train, settings.batch, p=self._weights)
        values = torch.cat([_augmented(self._read(int(index)), rng) for index in drawn])
        rate = min((self.step + 1) / _WARM_UP, 2 * (1 - self.step / settings.steps), 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate * rate
        # In evaluation mode: statistics of a few images would spoil batch normalisation.
        logits = self._network(normalised(values, self._info))
        loss = functional.cross_entropy(logits, torch.from_numpy(self._data.targets[drawn]))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        # Forgets the untrained start at first, and averages ever longer.
        keep = min(_AVERAGE, self.step / (10 + self.step))
        with torch.no_grad():
            pairs = zip(self._average.parameters(), self._network.parameters(), strict=True)
            for old, new in pairs:
                old.lerp_(new, 1 - keep)
        return float(loss.detach())

    def _read(self, index: int) -> Tensor:
        image = self._data.images[index]
        pixels = read_image(image.path, image.page).pixels
        return resized(image_pixels(pixels, self._info.channels), self._info)

    def _conclude(self) -> TrainReport:
        """Validate, calibrate, write."""
        held_out = np.flatnonzero(self._held_out)
        truth, count = self._data.targets[held_out], len(self._data.labels)
        with torch.inference_mode():
            rows = [
                self._average(normalised(self._read(int(index)), self._info))[0]
                for index in held_out
            ]
        logits = torch.stack(rows).double().numpy() if rows else np.zeros((0, count))
        info = replace(self._info, temperature=round(fit_temperature(logits, truth), 4))
        chances = torch.softmax(torch.from_numpy(logits) / info.temperature, 1).numpy()
        content = safetensors_bytes(
            {name: value.contiguous() for name, value in self._average.state_dict().items()}
        )
        info = replace(info, name=self._target.name, sha256=hashlib.sha256(content).hexdigest())
        training_counts = np.bincount(self._data.targets[self._train], minlength=count)
        share = np.bincount(self._data.targets[self._train], self._weights, count)
        report = TrainReport(
            info,
            classification_scores(truth, logits.argmax(1), count),
            training_counts,
            share * self.step * self._settings.batch / training_counts,
            calibration_error(chances, truth),
        )
        with atomic_write(self._target) as file:
            file.write(content)
        write_json(description_path(self._target), description_of(info))
        return report


def _start(settings: TrainSettings, data: LabelledImages) -> tuple[nn.Module, ClassifierInfo]:
    """Return the network to start from with as many logits as there are classes."""
    known, info = read_classifier(settings.start)
    if info.architecture == PROGRAM:
        raise InputError(f"{settings.start}: an exported program cannot be trained further")
    torch.manual_seed(settings.seed)
    network = build_architecture(info.architecture, len(data.labels), info.channels)
    wanted = network.state_dict()
    same = info.class_names == data.class_names
    state = {
        name: value
        for name, value in known.state_dict().items()
        if value.shape == wanted[name].shape and (same or not _is_last(name, network))
    }
    network.load_state_dict(state, strict=False)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith(_KEPT))
    # What was unlike the images of the start says nothing about these.
    info = replace(
        info, class_names=data.class_names, synthetic=settings.synthetic, familiarity=None
    )
    return network.eval(), info


def _is_last(name: str, network: nn.Module) -> bool:
    """Whether a weight belongs to the layer that makes the logits."""
    layers = [key for key, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    return bool(layers) and name.startswith(f"{layers[-1]}.")


def _augmented(values: Tensor, rng: np.random.Generator) -> Tensor:
    """Turn upside down, or not; a little brighter or darker.

    Left and right stay: the side that light comes from tells a bump from a hollow.
    """
    if rng.random() < 0.5:
        values = values.flip(2)
    gain, offset = rng.uniform(0.85, 1.15), rng.uniform(-0.06, 0.06)
    return (values * gain + offset).clamp(0, 1)
