"""IoU of the answer that the tool takes to one click, and to a box, on validation scenes.

``python -m training.first_answers --limit 20``, and the same with ``--without-map``.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.backends.sam2.clicks import answer_prompts
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import Prompts
from training.prompting import defects_to_click, inner_point, iou
from training.scenes import validation

if TYPE_CHECKING:
    from napari_semxai.types import BoolMask

SPREAD = 0.06
"""Standard deviation of a box's sides, as a share of the defect's extent."""


def box_around(mask: BoolMask, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw the box that a person would drag around a mask (M, N)."""
    rows, columns = bounding_box(mask) or np.s_[0:0, 0:0]
    ends = np.array([rows.start, columns.start, rows.stop, columns.stop])
    extent = np.tile(ends[2:] - ends[:2], 2)
    ends = ends + rng.normal(0, SPREAD, 4) * extent
    top, left, bottom, right = np.clip(ends, 0, np.tile(mask.shape, 2)).tolist()
    return top, left, bottom, right


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, help="scenes of each kind at most")
    parser.add_argument("--without-map", action="store_true", help="the network's answers alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenter, rng = Segmenter("bundled", device="cpu"), np.random.default_rng(0)
    if options.without_map:
        segmenter.defects.meant = lambda *_: None
    found = []
    for _, scene in validation(options.limit):
        ious = [
            [
                iou(answer_prompts(segmenter, scene.image, prompts).mask, defect)
                for prompts in (
                    Prompts((inner_point(defect),), (True,)),
                    Prompts(box=box_around(defect, rng)),
                )
            ]
            for defect in defects_to_click(scene)
        ]
        if ious:
            found.append(np.mean(ious, axis=0))
    click, box = np.mean(found, axis=0)
    print(f"{len(found)} scenes: the answer taken to one click {click:.3f}, to a box {box:.3f}")


if __name__ == "__main__":
    main()
