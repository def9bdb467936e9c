"""Fit the robust variant of Algorithm 1 and compare it with the paper's, by kind of scene.

``python -m training.robust`` makes mask candidates with the bundled SAM 2 (kept in ``--cache``, so
that a stopped run goes on), fits on one stream of scenes, writes the numbers to
``napari_semxai/algorithms/algorithm1/suspects.py``, and reports on another stream: a Markdown
table, and rows of every scene in ``training/results/robust.csv``. ``--report-only`` takes the
numbers as they are. ``--real IMAGE OUTLINE`` adds an image that is not synthetic to the
report alone.
"""

from __future__ import annotations

import argparse
import csv
import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from napari_semxai.algorithms.algorithm1 import suspects
from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.algorithm1.robust import gathered, robust_defect
from napari_semxai.algorithms.algorithm1.suspects import (
    LOWEST_LOGIT,
    Model,
    Suspects,
    judge_suspects,
)
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.evaluation import bootstrap_interval, paired_test
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.types import LeftOut
from training.robust_scenes import FIT_STREAM, REPORT_STREAM, Case, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_semxai.algorithms.synthetic import Scene
    from napari_semxai.types import GroundTruth

CODE = Path(suspects.__file__)
FOLDS = 9
PERCEPTRONS, UNITS, DECAY = 3, 16, 0.03
"""Chosen by cross-validation on the stream to fit on."""
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


def judged(case: Case, paper: GroundTruth, *, seen: bool) -> Suspects:
    """Return what the robust variant sees, with or without the network's map."""
    left_out, pool = LeftOut(edge_strips(case.scene.image)), case.pool
    evidence = gathered(pool, left_out) if seen else None
    return judge_suspects(
        case.scene.image, paper.surface, pool, evidence, connectivity=8, left_out=left_out
    )


def fit(found: Sequence[Case]) -> None:
    """Fit both models to the suspects of all scenes, and put the numbers in place."""
    papers = [(case, paper_answer(case)) for case in found]
    for name, seen in (("PLAIN", False), ("SEEN", True)):
        known = [
            (case.scene, judged(case, paper, seen=seen))
            for case, paper in papers
            if paper.surface.any()
        ]
        put(name, fitted(known))


def fitted(
    known: Sequence[tuple[Scene, Suspects]],
    groups: Sequence[str] = (),
    expected: Callable[..., Model] | None = None,
) -> Model:
    """Fit the IoU to expect first, then the presence of a defect.

    Parameters
    ----------
    known : sequence of tuple
        Scenes with their suspects.
    groups : sequence of str
        Which of them belong together; by default each is one of its own.
    expected : callable, optional
        Fits the IoU to expect to features and IoUs; by default `expected_iou`.
    """
    expected = expected or expected_iou
    rows, wanted = [own.features for _, own in known], [targets(*each) for each in known]
    # From models that did not see the scene they judge.
    strongest = np.full((len(rows), 1), LOWEST_LOGIT)
    together = groups or [str(number) for number in range(len(rows))]
    for train, test in GroupKFold(FOLDS).split(strongest, groups=together):
        model = expected([rows[i] for i in train], [wanted[i] for i in train])
        for index in test:
            logits = model.logits(rows[index])
            strongest[index] = max(logits.max(initial=-np.inf), LOWEST_LOGIT)
    present = LogisticRegression(C=1.0).fit(strongest, [bool(s.defect.any()) for s, _ in known])
    slope, offset = float(present.coef_[0, 0]), float(present.intercept_[0])
    return expected(rows, wanted)._replace(presence=(round(slope, 4), round(offset, 4)))


def put(name: str, model: Model) -> None:
    """Use the numbers of a model of `suspects` from now on, and write them to their place."""
    setattr(suspects, name, model)
    CODE.write_text(with_model(CODE.read_text(), name, model))


def targets(scene: Scene, found: Suspects) -> np.ndarray:
    """Return the best IoU of each suspect with a defect."""
    defects = [region.mask for region in scene.regions if region.kind == "defect"]
    best = np.zeros(len(found.boxes))
    for number, (box, mask) in enumerate(zip(found.boxes, found.masks, strict=True)):
        area = np.count_nonzero(mask)
        for defect in defects:
            common = np.count_nonzero(defect[box] & mask)
            iou = common / (area + np.count_nonzero(defect) - common)
            best[number] = max(best[number], iou)
    return best


def expected_iou(rows: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Model:
    """Return a logistic model whose targets are IoUs."""
    features, shares = np.concatenate(rows), np.concatenate(wanted)
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=1.0, max_iter=4000)
    _fit_shares(model, scaler.transform(features), shares)
    coefficients = model.coef_[0] / scaler.scale_
    intercept = float(model.intercept_[0] - coefficients @ scaler.mean_)
    numbers = tuple(round(float(value), 4) for value in coefficients)
    return Model(numbers, round(intercept, 4), (1.0, 0.0))


def _fit_shares(model: Any, scaled: np.ndarray, shares: np.ndarray) -> None:
    """Fit a classifier: every row counts as a defect by its IoU, and as none by the rest."""
    model.fit(
        np.concatenate([scaled, scaled]),
        np.repeat([1, 0], len(scaled)),
        sample_weight=np.concatenate([shares, 1 - shares]) + 1e-9,
    )


def perceptron(rows: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> Model:
    """Return the mean of some perceptrons whose targets are IoUs, as one."""
    features, shares = np.concatenate(rows), np.concatenate(wanted)
    scaler = StandardScaler().fit(features)
    given = suspects.standardised(features, scaler.mean_, scaler.scale_)
    layers, outputs = [], []
    for seed in range(PERCEPTRONS):
        model = MLPClassifier(
            UNITS, alpha=DECAY, max_iter=200, random_state=seed, learning_rate_init=3e-3
        )
        with warnings.catch_warnings():
            # As many passes as were chosen, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            _fit_shares(model, given, shares)
        layers.append((model.coefs_[0], model.intercepts_[0]))
        outputs.append((model.coefs_[1][:, 0] / PERCEPTRONS, model.intercepts_[1][0]))
    weights, bias = (np.concatenate(parts, axis=-1) for parts in zip(*layers, strict=True))
    coefficients, intercepts = zip(*outputs, strict=True)
    numbers = (scaler.mean_, scaler.scale_, weights, bias, np.concatenate(coefficients))
    *hidden, last = (np.asarray(each, np.float32) for each in numbers)
    outcome = last.tolist(), float(np.mean(intercepts)), (1.0, 0.0)
    return Model(*outcome, suspects.Hidden(*hidden))


def with_model(code: str, name: str, model: Model) -> str:
    """Return a module's text with the numbers of a model."""
    if model.hidden is not None:
        text = suspects.packed(model)
        parts = "\n".join(f'    "{text[i : i + 90]}"' for i in range(0, len(text), 90))
        place = rf'(?<=^{name} = unpacked\(\n)(?:    "[^"]*",?\n)+'
        return re.sub(place, f"{parts},\n", code, flags=re.MULTILINE)
    # One line; the formatter breaks it.
    numbers = f"{model.coefficients}, {model.intercept}, {model.presence}"
    lines = rf"^{name} = Model\((?:.*|\n(?:    .*\n)*)\)$"
    return re.sub(lines, f"{name} = Model({numbers})", code, flags=re.MULTILINE)


def compare(found: Iterable[Case]) -> list[Row]:
    """Return both answers to every scene."""
    rows = []
    for case in found:
        truth, paper = case.scene.defect, paper_answer(case)
        mask, confidence = paper.mask, float("nan")
        if paper.winner is not None:
            answer = robust_defect(
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
    answer = robust_defect(
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
