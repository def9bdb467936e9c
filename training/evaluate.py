"""One table for a SAM 2 network on the held-out synthetic scenes.

Run ``python -m training.evaluate`` for the bundled weights, with ``--model NAME`` for any other
checkpoint, with ``--validation --limit 8`` for a quick look at other scenes.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.filters import threshold_otsu

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth, rank
from napari_semxai.algorithms.algorithm1.winner_map import winner_envelope
from napari_semxai.algorithms.masks.components import largest_component
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.backends.sam2.checkpoints import build_bundled
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.store.images.read import image_from_array
from napari_semxai.types import (
    AlgorithmSettings,
    BoolMask,
    CandidatePool,
    GenerateSettings,
    LeftOut,
    ModelInfo,
)
from napari_semxai.types.settings import BUNDLED_FILTERS, DEFAULT_ALPHA, DEFAULT_BETA
from training.prompting import click_ious, defects_to_click, iou
from training.scenes import held_out, validation

if TYPE_CHECKING:
    from napari_semxai.algorithms.synthetic import Scene


SMALL = 1000
"""Pixels below which a mask counts as small."""
FOUND = 0.75
"""IoU from which a candidate counts as the defect."""
ALPHAS, BETAS = np.linspace(0, 10, 41), np.linspace(0, 0.9, 46)


@dataclass(frozen=True, slots=True)
class Row:
    """Results on one scene; NaN where a figure does not apply."""

    kind: str
    one_click: float
    three_corrections: float
    five_corrections: float
    dice: float
    true_regions_dice: float
    otsu_dice: float
    empty_or_flagged: float
    seconds: float
    worse: float = float("nan")
    much_worse: float = float("nan")
    candidates: float = float("nan")
    defect_found: float = float("nan")
    several_winners: float = float("nan")
    small_iou_error: float = float("nan")
    default_dice: float = float("nan")
    default_none: float = float("nan")
    several_possible: float = float("nan")


def load_segmenter(model: str, weights: Path | None, device: str = "cpu") -> Segmenter:
    """Load a network by name, or the bundled one with other `weights`."""
    if weights is None:
        return Segmenter(model, device=device)
    network = build_bundled(weights).to(device)
    return Segmenter.from_network(network, ModelInfo(weights.name, "", device))


def candidates(segmenter: Segmenter, image: np.ndarray, side: int = 32) -> CandidatePool:
    """Candidates of the whole grid that pass the default filters."""
    floor = BUNDLED_FILTERS.pred_iou_thresh
    settings = GenerateSettings(points_per_side=side, pred_iou_floor=floor)
    pool = None
    for update in segmenter.generate(image, settings):
        pool = update.pool if update.pool is not None else pool
    return pool.take(filter_candidates(pool, BUNDLED_FILTERS))


@dataclass(frozen=True, slots=True)
class Offer:
    """What the candidates of a scene are worth; NaN where a figure does not apply."""

    candidates: float = float("nan")
    defect_found: float = float("nan")
    several_winners: float = float("nan")
    small_iou_error: float = float("nan")


def offer(pool: CandidatePool, scene: Scene, truth: BoolMask) -> Offer:
    """Count the candidates; tell whether they hold the defect and leave α and β a choice.

    The error of predicted IoUs is that of candidates of fewer than `SMALL` pixels, each against
    the region of the scene that it is most like.
    """
    masks = [pool.mask(index) for index in range(len(pool))]
    found = max((iou(mask, truth) for mask in masks), default=0.0)
    small = [
        abs(float(pool.predicted_iou[index]) - max(iou(mask, r.mask) for r in scene.regions))
        for index, mask in enumerate(masks)
        if pool.areas[index] < SMALL
    ]
    return Offer(
        candidates=len(pool),
        defect_found=float(found >= FOUND) if truth.any() else float("nan"),
        several_winners=float(winners(pool.areas, pool.centroids, pool.shape) >= 2),
        small_iou_error=float(np.mean(small)) if small else float("nan"),
    )


def winners(areas: np.ndarray, centroids: np.ndarray, shape: tuple[int, int]) -> int:
    """Count the masks that win somewhere on the plane of α and β."""
    ranking = rank(areas, centroids, shape, alpha=0.0, beta=0.0)
    found = winner_envelope(areas, ranking.distances, shape).winners(ALPHAS, BETAS)
    return int(np.count_nonzero(np.unique(found) >= 0))


def otsu_mask(scene: Scene, border: tuple[int, int, int, int]) -> BoolMask:
    """Largest component of the minority side of Otsu's threshold, strips left out."""
    top, right, bottom, left = border
    rows, columns = scene.image.shape
    inner = scene.image[top : rows - bottom, left : columns - right]
    bright = inner > threshold_otsu(inner)
    minority = bright if 2 * np.count_nonzero(bright) < bright.size else ~bright
    mask = np.zeros(scene.image.shape, bool)
    mask[top : rows - bottom, left : columns - right] = largest_component(minority, 8)
    return mask


def largest_defect(scene: Scene) -> BoolMask:
    """Return the defect region that Algorithm 1 can answer: the largest of all."""
    if not scene.defect.any():
        return scene.defect
    return largest_component(scene.defect, 8)


def evaluate_scene(kind: str, scene: Scene, segmenter: Segmenter, side: int) -> Row:
    """Click, correct, run the grid and Algorithm 1, and threshold the same scene.

    With a `side` of 0 there is no grid.
    """
    border = edge_strips(scene.image)
    truth, clicks, nothing = largest_defect(scene), [float("nan")] * 6, not scene.defect.any()
    dice = flagged = seconds = default_dice = default_none = float("nan")
    offered = Offer()
    if side:
        start = time.perf_counter()
        pool = candidates(segmenter, scene.image, side)
        answer = ground_truth(pool, ignore_border=border)
        seconds = time.perf_counter() - start
        dice = scores(answer.mask, truth).dice
        flagged = float(answer.touches_edge or not answer.mask.any())
        offered = offer(pool, scene, truth)
        picture = image_from_array(scene.image, "scene")
        default = automatic_mask(pool, picture, AlgorithmSettings(), LeftOut(border)).mask
        default_dice = float("nan") if nothing else scores(default, scene.defect).dice
        default_none = float(not default.any()) if nothing else float("nan")
    regions = np.stack([region.mask for region in scene.regions])
    possible = ground_truth(regions, ignore_border=border)
    targets = defects_to_click(scene)
    if targets:
        values = [click_ious(segmenter, scene.image, target) for target in targets]
        clicks = np.mean(values, axis=0).tolist()
    lost = clicks[0] - clicks[5]
    places = [np.argwhere(mask) for mask in regions if mask.any()]
    areas, centroids = np.array([*map(len, places)]), np.array([p.mean(axis=0) for p in places])
    return Row(
        kind=kind,
        one_click=clicks[0],
        three_corrections=clicks[3],
        five_corrections=clicks[5],
        dice=float("nan") if nothing else dice,
        true_regions_dice=float("nan") if nothing else scores(possible.mask, truth).dice,
        otsu_dice=float("nan") if nothing else scores(otsu_mask(scene, border), truth).dice,
        empty_or_flagged=flagged if nothing else float("nan"),
        seconds=seconds,
        worse=float(lost > 0) if targets else float("nan"),
        much_worse=float(lost > 0.05) if targets else float("nan"),
        **asdict(offered),
        default_dice=default_dice,
        default_none=default_none,
        several_possible=float(winners(areas, centroids, truth.shape) >= 2),
    )


COLUMNS = (
    ("scenes", "scenes"),
    ("one_click", "1 click, best of 3, IoU"),
    ("three_corrections", "IoU after 3 corrections"),
    ("five_corrections", "IoU after 5 corrections"),
    ("worse", "worse than after 1 click"),
    ("much_worse", "by more than 0.05"),
    ("grid_scenes", "scenes with the grid"),
    ("dice", "grid + Algorithm 1, Dice"),
    ("solvable", "share solvable with true regions"),
    ("solvable_dice", "Dice on those"),
    ("otsu_dice", "Otsu, Dice"),
    ("empty_or_flagged", "empty or flagged"),
    ("candidates", "candidates, median"),
    ("defect_found", "defect among them"),
    ("several_winners", "several winners"),
    ("small_iou_error", "error of predicted IoU, small"),
    ("default_dice", "default variant, Dice"),
    ("default_none", "default variant, no defect right"),
    ("several_possible", "several winners with true regions"),
    ("seconds", "seconds an image"),
)


def summary(rows: list[Row]) -> dict[str, float]:
    """Means over the scenes where a figure applies."""
    result: dict[str, float] = {"scenes": len(rows)}
    for name in (*Row.__slots__[1:],):
        values = np.array([getattr(row, name) for row in rows])
        values = values[np.isfinite(values)]
        mean = np.median if name == "candidates" else np.mean
        result[name] = float(mean(values)) if len(values) else float("nan")
    defects = [row for row in rows if np.isfinite(row.dice)]
    result["grid_scenes"] = sum(bool(np.isfinite(row.seconds)) for row in rows)
    solvable = [row.dice for row in defects if row.true_regions_dice >= 0.95]
    result["solvable"] = len(solvable) / len(defects) if defects else float("nan")
    result["solvable_dice"] = float(np.mean(solvable)) if solvable else float("nan")
    return result


def table(rows: list[Row]) -> str:
    """Markdown table, a line a kind and one for all."""
    kinds = [*dict.fromkeys(row.kind for row in rows)]
    lines = ["| kind | " + " | ".join(title for _, title in COLUMNS) + " |"]
    lines.append("|---" * (len(COLUMNS) + 1) + "|")
    for kind in [*kinds, "all"]:
        values = summary([row for row in rows if kind in (row.kind, "all")])
        cells = [_cell(values[name], name) for name, _ in COLUMNS]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def first_of_each(rows: list[Row], limit: int | None) -> list[Row]:
    """Return the first rows of every kind, all without a limit."""
    kinds = dict.fromkeys(row.kind for row in rows)
    return [row for kind in kinds for row in [r for r in rows if r.kind == kind][:limit]]


def _cell(value: float, name: str) -> str:
    if not np.isfinite(value):
        return "–"
    return str(int(value)) if name.endswith("scenes") else f"{value:.3f}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bundled", help="a name or a checkpoint")
    parser.add_argument("--weights", type=Path, help="other weights of the bundled network")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--validation", action="store_true", help="not the held-out scenes")
    parser.add_argument("--wide", action="store_true", help="scenes of the wide kinds")
    parser.add_argument("--limit", type=int, help="scenes of each kind at most")
    parser.add_argument("--as-answered", action="store_true", help="do not redraw answers")
    parser.add_argument("--side", type=int, default=32, help="grid points a side")
    parser.add_argument("--grids", type=int, help="scenes of each kind with the grid at most")
    parser.add_argument("--part", default="0/1", help="i/n: every n-th scene from the i-th")
    parser.add_argument("--merge", type=Path, nargs="+", help="only print the table of these CSVs")
    parser.add_argument("--output", type=Path, help="CSV of all rows, and the table beside it")
    return parser.parse_args()


def main() -> None:
    """Evaluate and print the table."""
    options = parse()
    if options.merge:
        merged = [row for path in options.merge for row in read(path)]
        print(table(first_of_each(merged, options.limit)))
        return
    torch.set_num_threads(1)
    segmenter = load_segmenter(options.model, options.weights, options.device)
    segmenter.redraws &= not options.as_answered
    part, parts = (int(number) for number in options.part.split("/"))
    scenes = (validation if options.validation else held_out)(options.limit, options.wide)
    rows, seen = [], Counter[str]()
    for number, (kind, scene) in enumerate(scenes):
        seen[kind] += 1
        if number % parts == part:
            side = options.side if options.grids is None or seen[kind] <= options.grids else 0
            rows.append(evaluate_scene(kind, scene, segmenter, side))
            if options.output:
                write(rows, options.output)
    print(f"α = {DEFAULT_ALPHA}, β = {DEFAULT_BETA}, {segmenter.info.name}")
    print(table(rows))


def write(rows: list[Row], path: Path) -> None:
    """Write all rows as CSV and their means as JSON."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__slots__)
        writer.writerows([getattr(row, name) for name in Row.__slots__] for row in rows)
    path.with_suffix(".json").write_text(json.dumps(summary(rows), indent=1))


def read(path: Path) -> list[Row]:
    """Read the rows that `write` wrote."""
    with path.open(newline="") as file:
        names = Row.__slots__[1:]
        return [
            Row(row["kind"], *(float(row.get(name, "nan")) for name in names))
            for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    main()
