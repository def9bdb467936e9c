"""How many clicks correct the masks of a lot: today's proposals, and what was learned.

A simulated annotator clicks in the middle of the largest part that is missing or too much, as in
*SAM click*, until the mask is not wrong as *Certified accept* understands it, or ten times. An
object that no defect touches goes with one click. Images and learned network are those of
`benchmarks.learning`:

    python -m benchmarks.annotator --masks 100 --images 300

learns from the first images of the layer, and prints the clicks for others by what they began
with. Today's proposals take most of the time, five to ten seconds an image; `--network FILE`
takes a network that was learned before.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.learning import LAYER, learned_from, make_image, make_layer
from napari_semxai.algorithms.masks.click_edits import object_at, prompted_object, take_answer
from napari_semxai.algorithms.masks.components import components_at, components_meeting
from napari_semxai.algorithms.statistics.acceptance import Promise
from napari_semxai.algorithms.synthetic import PATTERNS
from napari_semxai.backends.learned.learn import todays_mask
from napari_semxai.backends.learned.network import LearnedNetwork
from napari_semxai.backends.sam2.clicks import answer_prompts
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import MaskSettings, Prompts
from napari_semxai.types.learned import LearnSettings
from training.prompting import inner_point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.types import BoolMask

MOST = 10


def clicks_until_right(
    segmenter: Segmenter, image: NDArray[np.uint8], mask: BoolMask, truth: BoolMask
) -> int:
    """Return how many clicks make a mask (M, N) one that is not wrong; at most `MOST`."""
    prompts, last, promise = Prompts(), np.zeros_like(truth), Promise()
    for clicks in range(MOST):
        if not promise.is_wrong(mask, truth):
            return clicks
        missed, spilled = truth & ~mask, mask & ~truth
        foreground = _largest(missed) >= _largest(spilled)
        row, column = inner_point(missed if foreground else spilled)
        if foreground:
            before = components_meeting(mask, components_at(truth, np.array([[row, column]])))
        else:
            before = object_at(mask, row, column)
            if not (before & truth).any():
                mask = mask & ~before
                continue
        if not (before & last).any():
            prompts = Prompts()
        prompts = prompts.clicked(row, column, foreground)
        answer = answer_prompts(segmenter, image, prompts, before if before.any() else None)
        last = prompted_object(answer.mask, before, prompts)
        mask = take_answer(mask, before, last)
    return MOST


def _largest(mask: BoolMask) -> int:
    return int(np.count_nonzero(object_at(mask, *inner_point(mask)))) if mask.any() else 0


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", type=int, default=LAYER)
    parser.add_argument("--pattern", choices=PATTERNS, default="")
    parser.add_argument("--masks", type=int, default=100, help="that are learned")
    parser.add_argument("--network", type=Path, help="that was learned from as many before")
    parser.add_argument("--images", type=int, default=300)
    options = parser.parse_args()
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    torch.set_num_threads(1)
    path = options.network
    if path is None:
        _, path, said = learned_from(
            options.layer, options.pattern, options.masks, LearnSettings()
        )
        print(said)
    network, look = LearnedNetwork.load(path), make_layer(options.layer, options.pattern)
    segmenter = Segmenter("bundled", device="cpu", steady=True)
    found: dict[str, list[int]] = {"today": [], "learned": []}
    for number in range(options.masks, options.masks + options.images):
        pixels, truth, _ = make_image(look, number)
        begun = {
            "today": todays_mask(segmenter, image_from_array(pixels, "image"), MaskSettings()),
            "learned": network.answer(pixels).mask,
        }
        for name, mask in begun.items():
            found[name].append(clicks_until_right(segmenter, pixels, mask, truth))
        if number % 10 == 9:
            print(*(_said(name, counts) for name, counts in found.items()), sep="; ", flush=True)


def _said(name: str, counts: list[int]) -> str:
    given_up = sum(count == MOST for count in counts)
    none = sum(count == 0 for count in counts)
    return (
        f"{name}: {sum(counts)} clicks for {len(counts)} images, {none} without any, "
        f"{given_up} given up"
    )


if __name__ == "__main__":
    main()
