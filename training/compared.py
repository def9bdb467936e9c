"""Fit the robust variant's stage 2 with a reference and compare it with the one without.

``python -m training.compared`` takes the patterned scenes of `training.robust`, with and without
defects, and compares each with its own repetitions and with a made reference: the same place
without the defects, shifted, in other light and noise. The bundled SAM 2 answers for what
differs. It fits on one stream of scenes, which it also answers by cross-validation, because they
are many, writes the numbers to ``napari_semxai/algorithms/algorithm1/suspects.py``, and reports
on the other stream: Markdown tables, and rows of every scene in ``training/results/compared.csv``.
``--report-only`` takes the numbers as they are. Candidates and answers are kept in ``--cache``,
which `training.robust` shares.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from napari_semxai.algorithms.algorithm1 import suspects
from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.evidence import Evidence
from napari_semxai.algorithms.algorithm1.reference import Difference, compare, prompts_at
from napari_semxai.algorithms.algorithm1.robust import defect_of, gathered, robust_defect
from napari_semxai.algorithms.algorithm1.suspects import Model, Suspects, judge_suspects
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.statistics.classification import calibration_error
from napari_semxai.algorithms.synthetic import make_reference
from napari_semxai.backends.sam2.pool import prompted_pool
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.store.datasets.dataset import read_pool, write_pool
from napari_semxai.store.disk.digests import array_digest, text_digest
from napari_semxai.types import BoolMask, LeftOut
from training.robust import _mean, fitted, paper_answer, perceptron, put
from training.robust_scenes import FIT_STREAM, REPORT_STREAM, Case, cases, descriptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_semxai.types import CandidatePool

KINDS = ("patterned surface", "no defect, patterned")
REFERENCES = ("itself", "made reference")
PARTS = 3
"""In which the scenes to fit on are answered, each by the model of the others."""
RESULTS = Path("training/results/compared.csv")


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A scene beside a reference, and what may be a defect in it; None without a comparison."""

    case: Case
    pattern: str
    reference: str
    difference: Difference
    evidence: Evidence | None
    suspects: Suspects | None
    before: BoolMask
    confidence: float


@dataclass(frozen=True, slots=True)
class Row:
    """Answers to one scene; Dice is 1 where truth and answer are empty."""

    name: str
    kind: str
    pattern: str
    reference: str
    correlation: float
    defect: bool
    alone: float
    without: float
    compared: float
    finds: bool
    confidence: float


def compared_cases(
    segmenter: Segmenter, cache: Path, stream: int, count: int
) -> Iterator[Compared]:
    """Yield every scene with each of its references."""
    named = descriptions(stream, count, KINDS)
    for (_, _, spec, seed), case in zip(
        named, cases(segmenter, cache, stream, count, KINDS), strict=True
    ):
        image, strips = case.scene.image, edge_strips(case.scene.image)
        made = make_reference(spec, seed)
        paper = paper_answer(case)
        settings = {"connectivity": 8, "left_out": LeftOut(strips)}
        before, confidence = paper.mask, float("nan")
        if paper.winner is not None:
            plain = robust_defect(image, paper.surface, case.pool, **settings)
            before, confidence = plain.mask, float(plain.confidence)
        for name, found in zip(
            REFERENCES,
            (compare(image, strips), compare(image, strips, made, edge_strips(made))),
            strict=True,
        ):
            seen = evidence = None
            if not found.reason and paper.winner is not None:
                pool = asked(segmenter, cache, case, found)
                logits = segmenter.defects.of(image, found)
                pool = replace(pool, compared_logits=logits)
                evidence = gathered(pool, settings["left_out"], found)
                seen = judge_suspects(image, paper.surface, pool, evidence, **settings)
            yield Compared(case, spec.pattern, name, found, evidence, seen, before, confidence)


def asked(segmenter: Segmenter, cache: Path, case: Case, difference: Difference) -> CandidatePool:
    """Return the candidates with the network's answers for what differs, kept in `cache`."""
    prompts = prompts_at(difference)
    key = f"{segmenter.info.sha256} {prompts} {array_digest(difference.signed)}"
    path = cache / f"{case.name}_{text_digest(key)[:8]}.npz"
    answers = read_pool(path, key)
    if answers is None:
        ask = partial(segmenter.answer_all, difference.signed)
        answers = prompted_pool(case.pool.shape, prompts, ask)
        write_pool(path, answers, key)
    return case.pool.with_proposed(answers)


def model_of(items: Sequence[Compared]) -> Model:
    """Return the model that the suspects of all that could be compared make."""
    seen = [item for item in items if item.suspects is not None]
    known = [(item.case.scene, item.suspects) for item in seen]
    return fitted(known, [item.case.name for item in seen], perceptron)


def cross_validated(items: Sequence[Compared]) -> list[Row]:
    """Answer every scene by a model that did not see it."""
    rows = []
    names = [item.case.name for item in items]
    for train, test in GroupKFold(PARTS).split(names, groups=names):
        suspects.COMPARED = model_of([items[index] for index in train])
        rows += [answer(items[index]) for index in test]
    return rows


def answer(item: Compared) -> Row:
    """Return what is found with and without the reference, and by the difference alone."""
    truth = item.case.scene.defect
    mask, confidence = item.before, item.confidence
    alone = item.difference.parts > 0 if item.difference.parts.size else np.zeros_like(truth)
    if item.suspects is not None:
        left_out = LeftOut(edge_strips(item.case.scene.image))
        found = defect_of(item.suspects, item.evidence, left_out, truth.shape)
        mask, confidence = found.mask, float(found.confidence)
    return Row(
        item.case.name,
        item.case.kind,
        item.pattern,
        item.reference,
        round(item.difference.correlation, 3),
        bool(truth.any()),
        scores(alone, truth).dice,
        scores(item.before, truth).dice,
        scores(mask, truth).dice,
        bool(mask.any()),
        confidence,
    )


def table(rows: Sequence[Row]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| scenes | compared with | n | no reference, Dice | difference alone, Dice "
        "| with it, Dice | defect or none right | calibration error |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for reference in REFERENCES:
        for kinds, title in ((KINDS[:1], KINDS[0]), (KINDS[1:], KINDS[1]), (KINDS, "both")):
            own = [row for row in rows if row.kind in kinds and row.reference == reference]
            dice = [
                _mean([getattr(row, name) for row in own])
                for name in ("without", "alone", "compared")
            ]
            right = sum(row.finds == row.defect for row in own)
            # The confidence is that of the answer, a defect or none.
            chances = np.array(
                [row.confidence if row.finds else 1 - row.confidence for row in own]
            )
            error = calibration_error(
                np.column_stack([1 - chances, chances]), np.array([row.defect for row in own])
            )
            lines.append(
                f"| {title} | {reference} | {len(own)} | {' | '.join(dice)} "
                f"| {right} of {len(own)} | {error:.3f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Compare, fit, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=36, help="to report on, of each kind")
    parser.add_argument("--fitted", type=int, default=216, help="to fit on, of each kind")
    parser.add_argument("--cache", type=Path, default=Path("build/robust"))
    parser.add_argument("--report-only", action="store_true", help="fit nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    segmenter = Segmenter("bundled", device="cpu")
    options.cache.mkdir(parents=True, exist_ok=True)
    if not options.report_only:
        items = list(compared_cases(segmenter, options.cache, FIT_STREAM, options.fitted))
        print("By cross-validation", table(cross_validated(items)), sep="\n\n", end="\n\n")
        put("COMPARED", model_of(items))
    found = compared_cases(segmenter, options.cache, REPORT_STREAM, options.scenes)
    rows = [answer(item) for item in found]
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__slots__)
        writer.writerows([getattr(row, name) for name in Row.__slots__] for row in rows)
    print(table(rows))


if __name__ == "__main__":
    main()
