"""Train the bundled map of defects: a dense head on the bundled encoder, on synthetic scenes.

``python -m training.defects FOLDER --scenes 1400`` lets the encoder look at scenes of a stream of
their own, once, and keeps what it sees (3.7 MB a scene). ``--minutes 30`` trains the head on all
scenes of the folder, the rate going down to 0; ``--init-from FILE`` begins from another head, and
``--export FILE`` takes the averaged weights.
"""

from __future__ import annotations

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from napari_semxai.algorithms.synthetic import Scene, make_scene, sample_spec
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.backends.learned.train import SHAPES, SIZES, HeadTraining, View
from napari_semxai.backends.sam2.dense import LEVELS, Head, encoded
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types.learned import LearnSettings
from training.samples import draw_spec
from training.scenes import SHAPE

if TYPE_CHECKING:
    from torch import Tensor

STREAM = 88_001
WIDE, CROWDED = 0.35, 0.2
"""Shares of scenes of the wide kinds, and of those that mostly hold several defects."""
GREY = (113.74, 56.61)
"""Mean and deviation of the grey levels of the first scenes."""
BATCH, MOST = 8, 0.995
"""Windows a step; how much of the averaged weights stays a step."""


def draw_scene(number: int) -> Scene:
    """Return scene `number` of the stream."""
    rng = np.random.default_rng([STREAM, number])
    share = rng.random()
    if share < WIDE:
        kinds = list(WIDE_KINDS)
        kind = kinds[int(rng.integers(len(kinds)))]
        return wide_scene(kind, int(rng.integers(2**62)), SHAPE)
    spec = sample_spec(rng, SHAPE) if share < 1 - CROWDED else draw_spec(rng, SHAPE[0])
    return make_scene(spec, int(rng.integers(2**62)))


def look(folder: Path, first: int, count: int) -> None:
    """Write features, pixels and truth of some scenes."""
    trunk = Segmenter("bundled", device="cpu", steady=True).network.image_encoder.trunk
    folder.mkdir(parents=True, exist_ok=True)
    features, pixels, truths = (
        np.lib.format.open_memmap(folder / f"{first}.{name}.npy", "w+", dtype, (count, *shape))
        for name, dtype, shape in (
            ("features", np.float16, (sum(SIZES),)),
            ("gray", np.uint8, SHAPE),
            ("truth", np.uint8, SHAPE),
        )
    )
    for row in range(count):
        scene = draw_scene(first + row)
        pixels[row], truths[row] = scene.image, scene.defect
        levels = encoded(trunk, scene.image)
        features[row] = np.concatenate([level.numpy().ravel() for level in levels])
        (folder / f"{first}.count").write_text(str(row + 1))
        print(f"\r{row + 1} of {count} scenes", end="", flush=True)
    print()


class Scenes:
    """Scenes that were looked at, with what `HeadTraining` asks of views."""

    grey = GREY

    def __init__(self, folder: Path) -> None:
        self.views: list[View] = []
        self._features: list[np.ndarray] = []
        for path in sorted(folder.glob("*.count")):
            features, pixels, truths = (
                np.load(path.with_suffix(f".{name}.npy"), mmap_mode="r")
                for name in ("features", "gray", "truth")
            )
            for row in range(int(path.read_text())):
                place = len(self.views)
                self.views.append(View(place, pixels[row], truths[row], place))
                self._features.append(features[row])

    def levels(self, view: View) -> list[Tensor]:
        """Return the features of a view."""
        parts = np.split(np.array(self._features[view.place]), np.cumsum(SIZES)[:-1])
        return [
            torch.from_numpy(part.reshape(1, *shape))
            for part, shape in zip(parts, SHAPES, strict=True)
        ]


def standardise(head: Head, features: list[list[Tensor]]) -> None:
    """Give a head mean and deviation of every channel from the features of some images."""
    for index in range(len(LEVELS)):
        values = torch.cat([levels[index] for levels in features]).float()
        getattr(head, f"mean{index}").copy_(values.mean((0, 2, 3), keepdim=True))
        getattr(head, f"scale{index}").copy_(1 / (values.std((0, 2, 3), keepdim=True) + 1e-3))


def train(scenes: Scenes, minutes: float, begin: Path | None) -> dict[str, Tensor]:
    """Return the averaged weights after some minutes."""
    settings = replace(LearnSettings(), batch=BATCH, steps=10**9)
    torch.manual_seed(0)
    head = Head()
    some = scenes.views[:: max(1, len(scenes.views) // 24)]
    standardise(head, [scenes.levels(view) for view in some])
    if begin is not None:
        state = load_file(begin)
        head.load_state_dict({n: v.float() for n, v in state.items() if n != "grey"})
    training = HeadTraining(scenes, range(len(scenes.views)), settings, 0, head)
    average, losses, began = copy.deepcopy(training.head), [], time.monotonic()
    while (spent := (time.monotonic() - began) / 60) < minutes:
        rate = settings.rate * 0.5 * (1 + np.cos(np.pi * spent / minutes))
        training.settings = replace(settings, rate=float(rate))
        losses.append(training.advance())
        keep = min(MOST, (1 + training.step) / (10 + training.step))
        with torch.no_grad():
            for mean, now in zip(average.parameters(), training.head.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        if training.step % 100 == 0:
            print(f"{training.step} steps, {spent:.1f} min, loss {np.mean(losses[-100:]):.4f}")
    return average.state_dict()


def main() -> None:
    """Look at scenes, or train on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of what the encoder sees")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--scenes", type=int, default=0, help="how many to look at")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to train")
    parser.add_argument("--init-from", type=Path, help="weights to begin from")
    parser.add_argument("--export", type=Path, help="where the weights are written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.scenes:
        look(options.folder, options.first, options.scenes)
    if options.minutes:
        state = train(Scenes(options.folder), options.minutes, options.init_from)
        halves = {name: value.half().contiguous() for name, value in state.items()}
        save_file(halves | {"grey": torch.tensor(GREY)}, options.export)


if __name__ == "__main__":
    main()
