"""Train the bundled map of defects: a dense head on the bundled encoder, on synthetic scenes.

``python -m training.defects FOLDER --scenes 1400`` lets the encoder look at scenes of a stream of
their own, once, and keeps what it sees (3.7 MB a scene). ``--minutes 30`` trains the head on all
scenes of the folder, the rate going down to 0; ``--init-from FILE`` begins from another head, or
from the mean of several, and ``--export FILE`` takes the averaged weights. Runs of another
``--run`` can go on side by side, and be averaged with ``--minutes 0``. ``--patterned`` looks at
patterned scenes alone, of the stream of the next paragraph.

With ``--compared`` scenes and head are those of an image beside a reference: patterned scenes of
another stream, each compared with its own repetitions and with a made reference. They need a
folder of their own, and begin from the other head, which knows no reference.
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

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.reference import Difference, compare
from napari_semxai.algorithms.synthetic import (
    Scene,
    SceneSpec,
    make_reference,
    make_scene,
    sample_spec,
)
from napari_semxai.algorithms.synthetic.wide import WIDE_KINDS, wide_scene
from napari_semxai.backends.learned.train import SHAPES, SIZES, HeadTraining, View
from napari_semxai.backends.sam2.dense import LEVELS, Head, encoded, pixels_of
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types.learned import LearnSettings
from training.robust_scenes import kind_spec
from training.samples import draw_spec
from training.scenes import SHAPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

STREAM, COMPARED_STREAM = 88_001, 88_002
WIDE, CROWDED, DEFECTIVE = 0.35, 0.2, 0.75
"""Shares of scenes of the wide kinds, of those that mostly hold several defects, and of patterned
ones that hold any."""
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


def draw_patterned(number: int) -> tuple[SceneSpec, int]:
    """Return patterned scene `number` of a stream of its own, by its parameters and seed."""
    rng = np.random.default_rng([COMPARED_STREAM, number])
    kind = "patterned surface" if rng.random() < DEFECTIVE else "no defect, patterned"
    spec, seed = kind_spec(kind, rng), int(rng.integers(2**62))
    if spec.defects and rng.random() < CROWDED:
        spec = replace(spec, defects=int(rng.integers(2, 5)))
    return spec, seed


def draw_compared(number: int) -> tuple[Scene, list[Difference]]:
    """Return a patterned scene and how it differs.

    The latter from its own repetitions and from a made reference, as far as that works.
    """
    spec, seed = draw_patterned(number)
    scene, made = make_scene(spec, seed), make_reference(spec, seed)
    strips = edge_strips(scene.image)
    found = compare(scene.image, strips), compare(scene.image, strips, made, edge_strips(made))
    return scene, [one for one in found if not one.reason]


def drawn(
    number: int, *, compared: bool = False, patterned: bool = False
) -> tuple[Scene, list[Difference]]:
    """Return what is looked at: a scene, and how it differs."""
    if compared:
        return draw_compared(number)
    return make_scene(*draw_patterned(number)) if patterned else draw_scene(number), []


def look(
    folder: Path, first: int, count: int, *, compared: bool = False, patterned: bool = False
) -> None:
    """Write features, pixels and truth of some scenes, and how these differ."""
    trunk = Segmenter("bundled", device="cpu", steady=True).network.image_encoder.trunk
    folder.mkdir(parents=True, exist_ok=True)
    ways = 2 * compared
    features, pixels, truths, signed, strength, shown = (
        np.lib.format.open_memmap(folder / f"{first}.{name}.npy", "w+", dtype, (count, *shape))
        for name, (dtype, shape) in arrays_of(ways).items()
    )
    for row in range(count):
        scene, found = drawn(first + row, compared=compared, patterned=patterned)
        pixels[row], truths[row] = scene.image, scene.defect
        features[row] = _flat(encoded(trunk, scene.image))
        for way, one in enumerate(found):
            signed[row, way], strength[row, way] = one.signed, one.strength
            shown[row, way] = _flat(encoded(trunk, one.signed))
        (folder / f"{first}.count").write_text(str(row + 1))
        print(f"\r{row + 1} of {count} scenes", end="", flush=True)
    print()


def arrays_of(ways: int) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Return type and shape of what is kept of a scene that is compared in so many ways."""
    return {
        "features": (np.float16, (sum(SIZES),)),
        "gray": (np.uint8, SHAPE),
        "truth": (np.uint8, SHAPE),
        "signed": (np.uint8, (ways, *SHAPE)),
        "strength": (np.float16, (ways, *SHAPE)),
        "shown": (np.float16, (ways, sum(SIZES))),
    }


def _flat(levels: list[Tensor]) -> NDArray[np.float16]:
    return np.concatenate([level.numpy().ravel() for level in levels])


class Scenes:
    """Scenes that were looked at, with what `HeadTraining` asks of views."""

    grey = GREY

    def __init__(self, folder: Path) -> None:
        self.views: list[View] = []
        self._features: list[tuple[NDArray[np.float16], ...]] = []
        self._differences: list[Difference | None] = []
        for path in sorted(folder.glob("*.count")):
            features, pixels, truths, signed, strength, shown = (
                np.load(path.with_suffix(f".{name}.npy"), mmap_mode="r") for name in arrays_of(0)
            )
            for row in range(int(path.read_text())):
                if not signed.shape[1]:
                    self._add(pixels[row], truths[row], None, features[row])
                for way in range(signed.shape[1]):
                    one = _difference(signed[row, way], strength[row, way])
                    # Where it could not be compared nothing was written.
                    if one.strength[::40].any():
                        seen = features[row], shown[row, way]
                        self._add(pixels[row], truths[row], one, *seen)

    def _add(
        self,
        pixels: NDArray[np.uint8],
        truth: NDArray[np.uint8],
        difference: Difference | None,
        *features: NDArray[np.float16],
    ) -> None:
        place = len(self.views)
        self.views.append(View(place, pixels, truth, place))
        self._features.append(features)
        self._differences.append(difference)

    def levels(self, view: View) -> list[Tensor]:
        """Return the features of a view."""
        return [
            torch.from_numpy(part.reshape(1, *shape))
            for features in self._features[view.place]
            for part, shape in zip(
                np.split(np.array(features), np.cumsum(SIZES)[:-1]), SHAPES, strict=True
            )
        ]

    def pixels(self, view: View) -> Tensor:
        """Return a view as the head sees it."""
        return pixels_of(view.gray, *GREY, self._differences[view.place])


def _difference(signed: NDArray[np.uint8], strength: NDArray[np.float16]) -> Difference:
    return Difference(strength, np.empty((0, 0), np.int32), 1.0, signed=signed)


def standardise(head: Head, features: list[list[Tensor]]) -> None:
    """Give a head mean and deviation of every channel from the features of some images."""
    for index in range(len(features[0])):
        values = torch.cat([levels[index] for levels in features]).float()
        getattr(head, f"mean{index}").copy_(values.mean((0, 2, 3), keepdim=True))
        getattr(head, f"scale{index}").copy_(1 / (values.std((0, 2, 3), keepdim=True) + 1e-3))


def begun(scenes: Scenes, begin: Sequence[Path]) -> Head:
    """Return a new head for scenes, or the mean of others, which learn to see a difference."""
    torch.manual_seed(0)
    head = Head(compared=len(scenes.levels(scenes.views[0])) > len(LEVELS))
    some = scenes.views[:: max(1, len(scenes.views) // 24)]
    standardise(head, [scenes.levels(view) for view in some])
    if not begin:
        return head
    files = [load_file(path) for path in begin]
    known = {name: sum(file[name].float() for file in files) / len(files) for name in files[0]}
    for name, own in head.state_dict().items():
        if name in known:
            # Channels that it does not know count for nothing at first.
            own.zero_()
            own[tuple(map(slice, known[name].shape))] = known[name]
        elif name.startswith("across"):
            own.zero_()
    return head


def train(scenes: Scenes, minutes: float, begin: Sequence[Path], run: int) -> dict[str, Tensor]:
    """Return the averaged weights after some minutes of a run, which draws windows of its own."""
    settings = replace(LearnSettings(), batch=BATCH, steps=10**9)
    training = HeadTraining(scenes, range(len(scenes.views)), settings, run, begun(scenes, begin))
    average, losses, began = copy.deepcopy(training.head), [], time.monotonic()
    while (spent := (time.monotonic() - began) / 60) < minutes:
        rate = settings.rate * 0.5 * (1 + np.cos(np.pi * spent / minutes))
        training.settings = replace(settings, rate=float(rate))
        with torch.autocast("cpu", torch.bfloat16):
            losses.append(training.advance())
        keep = min(MOST, (1 + training.step) / (10 + training.step))
        with torch.no_grad():
            for mean, now in zip(average.parameters(), training.head.parameters(), strict=True):
                mean.lerp_(now, 1 - keep)
        if training.step % 100 == 0:
            print(
                f"{training.step} steps, {spent:.1f} min, loss {np.mean(losses[-100:]):.4f}",
                flush=True,
            )
    return average.state_dict()


def main() -> None:
    """Look at scenes, or train on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of what the encoder sees")
    parser.add_argument("--first", type=int, default=0, help="number of the first scene")
    parser.add_argument("--scenes", type=int, default=0, help="how many to look at")
    parser.add_argument("--compared", action="store_true", help="beside a reference")
    parser.add_argument("--patterned", action="store_true", help="patterned scenes alone")
    parser.add_argument("--minutes", type=float, default=0.0, help="how long to train")
    parser.add_argument("--run", type=int, default=0, help="one of several from the same weights")
    parser.add_argument(
        "--init-from", type=Path, nargs="+", default=[], help="weights to begin from: their mean"
    )
    parser.add_argument("--export", type=Path, help="where the weights are written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.scenes:
        which = {"compared": options.compared, "patterned": options.patterned}
        look(options.folder, options.first, options.scenes, **which)
    if options.export:
        scenes = Scenes(options.folder)
        state = train(scenes, options.minutes, options.init_from, options.run)
        halves = {name: value.half().contiguous() for name, value in state.items()}
        save_file(halves | {"grey": torch.tensor(GREY)}, options.export)


if __name__ == "__main__":
    main()
