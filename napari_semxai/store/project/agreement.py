"""Agreement of the annotators of a project, and the mask that most of them drew."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.agreement import (
    majority_mask,
    pair_agreement,
    pair_scores,
)
from napari_semxai.types import ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask, PairAgreement, ReviewRecord, Scores


def truth_masks(project: Project, image_id: str, annotators: Sequence[str]) -> dict[str, BoolMask]:
    """Return the masks (M, N) of one image that are truth, by annotator.

    What nobody reviewed, and what was rejected or is unsure, says nothing about an annotator.
    """
    return _truth(project, image_id, {name: project.record(image_id, name) for name in annotators})


def consensus_mask(project: Project, image_id: str, annotators: Sequence[str]) -> BoolMask | None:
    """Return the pixels that most annotators with a true mask hold; None where nobody has one."""
    masks = truth_masks(project, image_id, annotators)
    return majority_mask(list(masks.values())) if masks else None


def project_agreement(
    project: Project,
    annotators: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[PairAgreement]:
    """Compare every two annotators over all images.

    Masks are compared where both are truth, states where both reviewed, classes where both gave
    one.

    Parameters
    ----------
    project : Project
        Whose masks and records are read.
    annotators : sequence of str
        At least two.
    progress : callable, optional
        Called with the number of images done and all of them.
    """
    pairs = list(combinations(annotators, 2))
    compared: dict[tuple[str, str], list[Scores]] = {pair: [] for pair in pairs}
    states: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = {pair: [] for pair in pairs}
    labels: dict[tuple[str, str], list[tuple[Hashable, Hashable]]] = {pair: [] for pair in pairs}
    for number, image in enumerate(project.images, start=1):
        records = {name: project.record(image.id, name) for name in annotators}
        for pair, result in pair_scores(_truth(project, image.id, records)).items():
            compared[pair].append(result)
        for pair in pairs:
            first, second = (records[name] for name in pair)
            if first is None or second is None:
                continue
            if ReviewState.CANDIDATE not in (first.state, second.state):
                states[pair].append((first.state, second.state))
            if first.label and second.label:
                labels[pair].append((first.label, second.label))
        if progress is not None:
            progress(number, len(project.images))
    return [pair_agreement(pair, compared[pair], states[pair], labels[pair]) for pair in pairs]


def _truth(
    project: Project, image_id: str, records: Mapping[str, ReviewRecord | None]
) -> dict[str, BoolMask]:
    names = (name for name, record in records.items() if record and record.state.is_truth)
    found = {name: project.mask(image_id, name) for name in names}
    return {name: mask for name, mask in found.items() if mask is not None}
