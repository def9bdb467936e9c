"""Fit the robust variant of Algorithm 1 and compare it with the paper's, by kind of scene.

``python -m training.robust`` makes mask candidates with the bundled SAM 2 (kept in ``--cache``, so
that a stopped run goes on), fits on one stream of scenes, writes the numbers to
``napari_semxai/algorithms/algorithm1/robust.py``, and reports on another stream: a Markdown
table, and rows of every scene in ``training/results/robust.csv``. ``--report-only`` takes the
numbers as they are. ``--real IMAGE OUTLINE`` adds an image that is not synthetic to the
report alone.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from napari_semxai.algorithms.algorithm1 import robust
from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.evaluation import bootstrap_interval, paired_test
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import LeftOut
from training.robust_scenes import FIT_STREAM, REPORT_STREAM, Case, cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

    from napari_semxai.types import GroundTruth

CODE = Path(robust.__file__)
RESULTS = Path("training/results/robust.csv")


@dataclass(frozen=True, slots=True)
class Row:
    """Both answers to one scene; Dice is 1 where truth and answer are empty."""

    name: str
    kind: str
    defect: bool
    paper: float
    robust: float
    paper_finds: bool
    robust_finds: bool
    confidence: float


def paper_answer(case: Case) -> GroundTruth:
    """Return the answer of the paper's version with the defaults."""
    return ground_truth(case.pool, ignore_border=edge_strips(case.scene.image))


def judge(case: Case, paper: GroundTruth) -> robust.Components:
    """Return what the robust variant sees."""
    strips = edge_strips(case.scene.image)
    return robust.judge_components(
        case.scene.image, paper.surface, case.pool, connectivity=8, left_out=LeftOut(strips)
    )


def fit(found: Sequence[Case]) -> None:
    """Fit components first, then the presence of a defect; put the numbers in place."""
    papers = [(case, paper_answer(case)) for case in found]
    seen = [(case, judge(case, paper)) for case, paper in papers if paper.surface.any()]
    rows = np.concatenate([components.features for _, components in seen])
    wanted = np.array(
        [
            case.scene.defect[components.labels == number].mean() >= 0.5
            for case, components in seen
            for number in components.numbers
        ]
    )
    scenes = np.repeat(np.arange(len(seen)), [len(own.numbers) for _, own in seen])
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(C=1.0, max_iter=2000).fit(scaler.transform(rows), wanted)
    coefficients = model.coef_[0] / scaler.scale_
    robust.COEFFICIENTS = tuple(round(float(value), 4) for value in coefficients)
    intercept = float(model.intercept_[0] - coefficients @ scaler.mean_)
    robust.INTERCEPT = round(intercept, 4)
    robust.PRESENCE = calibrate(scaler.transform(rows), wanted, scenes, [c for c, _ in seen])
    names = dict(zip(robust.FEATURES, robust.COEFFICIENTS, strict=True))
    print(f"{len(seen)} scenes, {len(rows)} components, {sum(wanted)} of them defects: {names}")
    CODE.write_text(with_numbers(CODE.read_text()))


def with_numbers(code: str, module: ModuleType = robust) -> str:
    """Return a module's text with the numbers that it has now."""
    for name in ("COEFFICIENTS", "INTERCEPT", "PRESENCE"):
        line = f"{name} = {getattr(module, name)}"
        code = re.sub(rf"^{name} = (\([^)]*\)|.*)$", line, code, flags=re.MULTILINE)
    return code


def calibrate(
    rows: np.ndarray, wanted: np.ndarray, scenes: np.ndarray, found: Sequence[Case]
) -> tuple[float, float]:
    """Return slope and offset of `PRESENCE`, from models that did not see the scene they judge."""
    logits = cross_val_predict(
        LogisticRegression(C=1.0, max_iter=2000),
        rows,
        wanted,
        groups=scenes,
        cv=GroupKFold(10),
        method="decision_function",
    )
    strongest = [
        [max(float(logits[scenes == number].max(initial=-np.inf)), robust.LOWEST_LOGIT)]
        for number in range(len(found))
    ]
    present = [case.scene.defect.any() for case in found]
    model = LogisticRegression(C=1.0).fit(strongest, present)
    return round(float(model.coef_[0, 0]), 4), round(float(model.intercept_[0]), 4)


def compare(found: Iterable[Case]) -> list[Row]:
    """Return both answers to every scene."""
    rows = []
    for case in found:
        truth, paper = case.scene.defect, paper_answer(case)
        mask, confidence = paper.mask, float("nan")
        if paper.winner is not None:
            answer = robust.robust_defect(
                case.scene.image,
                paper.surface,
                case.pool,
                connectivity=8,
                left_out=LeftOut(edge_strips(case.scene.image)),
            )
            mask, confidence = answer.mask, float(answer.confidence)
        rows.append(
            Row(
                case.name,
                case.kind,
                bool(truth.any()),
                scores(paper.mask, truth).dice,
                scores(mask, truth).dice,
                bool(paper.mask.any()),
                bool(mask.any()),
                confidence,
            )
        )
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the comparison as Markdown."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        kinds[row.kind].append(row)
    lines = [
        "| scenes | n | paper, Dice | robust, Dice | paper, defect or none right "
        "| robust, defect or none right |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, own in [*kinds.items(), ("all", list(rows))]:
        cells = [_mean([getattr(row, name) for row in own]) for name in ("paper", "robust")]
        for name in ("paper_finds", "robust_finds"):
            right = [getattr(row, name) == row.defect for row in own]
            cells.append(f"{sum(right)} of {len(own)}")
        lines.append(f"| {kind} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def in_words(rows: Sequence[Row]) -> str:
    """Say how sure the difference is, and how far the stated confidence can be trusted."""
    test = paired_test([row.robust for row in rows], [row.paper for row in rows])
    stated = [row for row in rows if not np.isnan(row.confidence)]
    right = np.array([row.robust_finds == row.defect for row in stated])
    confidence = np.array([row.confidence for row in stated])
    parts = [
        f"robust - paper: mean difference {np.mean([r.robust - r.paper for r in rows]):+.3f}, "
        f"Wilcoxon p = {test.p_value:.2g}, rank-biserial {test.rank_biserial:+.2f}, n = {test.n}",
        f"stated confidence {confidence.mean():.3f} on average, right in {right.mean():.3f}; "
        f"Brier score {np.mean((confidence - right) ** 2):.3f}",
    ]
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            parts.append(
                f"confidence from {low:.1f} to {min(high, 1):.1f}: right in "
                f"{right[inside].mean():.2f} of {int(inside.sum())}"
            )
    return "\n".join(parts)


def real(segmenter: Segmenter, image: Path, outline: Path) -> str:
    """Compare both on one real image."""
    from napari_semxai.store.images.masks import read_mask
    from napari_semxai.store.images.read import auto_border, read_image
    from training.evaluate import candidates

    picture = read_image(image)
    truth, border = read_mask(outline, picture.gray.shape), auto_border(picture)
    pool = candidates(segmenter, picture.gray)
    paper = ground_truth(pool, ignore_border=border)
    answer = robust.robust_defect(
        picture.gray, paper.surface, pool, connectivity=8, left_out=LeftOut(border)
    )
    return (
        f"{image.stem}: paper Dice {scores(paper.mask, truth).dice:.3f}, robust Dice "
        f"{scores(answer.mask, truth).dice:.3f}, components in the mask "
        f"{ndimage.label(answer.mask)[1]}, confidence {answer.confidence:.2f}"
    )


def main() -> None:
    """Make candidates, fit, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=36, help="of each kind and stream")
    parser.add_argument("--cache", type=Path, default=Path("build/robust"))
    parser.add_argument("--report-only", action="store_true", help="fit nothing")
    parser.add_argument("--real", type=Path, nargs=2, metavar=("IMAGE", "OUTLINE"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = Segmenter("bundled", device="cpu")
    options.cache.mkdir(parents=True, exist_ok=True)
    if not options.report_only:
        fit(list(cases(segmenter, options.cache, FIT_STREAM, options.scenes)))
    rows = compare(cases(segmenter, options.cache, REPORT_STREAM, options.scenes))
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__slots__)
        writer.writerows([getattr(row, name) for name in Row.__slots__] for row in rows)
    print(table(rows), in_words(rows), sep="\n\n")
    if options.real:
        print(real(segmenter, *options.real))


def _mean(values: Sequence[float]) -> str:
    low, high = bootstrap_interval(values)
    return f"{np.mean(values):.3f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
