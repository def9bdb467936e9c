"""Agreement of the annotators of a project, and the mask that most of them drew."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from napari_semxai.algorithms.agreement import majority_mask, pair_agreement, pair_scores
from napari_semxai.types import ReviewState

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from napari_semxai.store.project import Project
    from napari_semxai.types import BoolMask, PairAgreement, Scores


def image_agreement(
    project: Project, image_id: str, annotators: Sequence[str]
) -> dict[tuple[str, str], Scores]:
    """Compare every two annotators' masks of one image; who has none is left out."""
    found = {name: project.mask(image_id, name) for name in annotators}
    return pair_scores({name: mask for name, mask in found.items() if mask is not None})


def consensus_mask(project: Project, image_id: str, annotators: Sequence[str]) -> BoolMask | None:
    """Return the pixels that most annotators with a mask hold; None where nobody has one."""
    found = [project.mask(image_id, name) for name in annotators]
    masks = [mask for mask in found if mask is not None]
    return majority_mask(masks) if masks else None


def project_agreement(
    project: Project,
    annotators: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[PairAgreement]:
    """Compare every two annotators over all images.

    States are compared where both reviewed, classes where both gave one.

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
        for pair, result in image_agreement(project, image.id, annotators).items():
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
