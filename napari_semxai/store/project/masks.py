"""Which mask stands for an image when a project is exported or scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.agreement import majority_mask
from napari_semxai.store.project.files import annotator_key
from napari_semxai.types import BoolMask, InputError, ProjectImage, ReviewState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_semxai.store.project.project import Project

CONSENSUS = "consensus"


@dataclass(frozen=True, slots=True, eq=False)
class ChosenMask:
    """An image with the mask that stands for it.

    Attributes
    ----------
    image : ProjectImage
        Which image.
    mask : ndarray of bool, shape (M, N)
        Its mask.
    state : str
        Of the annotator's record; "consensus" for a majority.
    annotators : tuple of str
        Whose masks went in.
    label, label_source : str
        Class: the annotator's, or that of the table; the most frequent one for a majority. Its
        source is then the annotator's name.
    comment : str
        The annotator's.
    """

    image: ProjectImage
    mask: BoolMask
    state: str
    annotators: tuple[str, ...]
    label: str
    label_source: str
    comment: str


def chosen_masks(
    project: Project, annotator: str | None = None, *, every_state: bool = False
) -> Iterator[ChosenMask]:
    """Yield the images that have a mask to stand for them, in the project's order.

    Parameters
    ----------
    project : Project
        Whose masks are read.
    annotator : str, optional
        Whose masks; "consensus" for the majority of everybody's. Needed where there are several
        annotators.
    every_state : bool
        Whether candidates, rejected and unsure masks are yielded too, not only truth.

    Raises
    ------
    InputError
        When nobody has masks, or it is not clear whose are wanted.
    """
    names = project.annotators()
    wanted = None if annotator is None else annotator_key(annotator)
    if not names:
        raise InputError(f"{project.folder}: there are no masks yet")
    if wanted is None and len(names) > 1:
        raise InputError(
            f"{project.folder}: there are masks of {', '.join(names)}; name one, or {CONSENSUS}"
        )
    if wanted not in (None, CONSENSUS, *names):
        raise InputError(f"{project.folder}: {annotator!r} has no masks, but {', '.join(names)}")
    if wanted != CONSENSUS:
        names = [wanted or names[0]]
    for image in project.images:
        chosen = _chosen(project, image, names, every_state)
        if chosen:
            yield chosen[0] if wanted != CONSENSUS else _majority(chosen)


def _chosen(
    project: Project, image: ProjectImage, names: list[str], every_state: bool
) -> list[ChosenMask]:
    found = []
    for name in names:
        record, mask = project.record(image.id, name), project.mask(image.id, name)
        if record is None or mask is None or not (every_state or record.state.is_truth):
            continue
        label = (record.label, name) if record.label else (image.label, image.label_source)
        found.append(ChosenMask(image, mask, record.state, (name,), *label, record.comment))
    return found


def _majority(chosen: list[ChosenMask]) -> ChosenMask:
    labels = [one.label for one in chosen]
    label = max(dict.fromkeys(labels), key=labels.count)
    mask = majority_mask([one.mask for one in chosen])
    return ChosenMask(
        image=chosen[0].image,
        mask=mask,
        state=CONSENSUS if mask.any() else ReviewState.NO_DEFECT,
        annotators=tuple(name for one in chosen for name in one.annotators),
        label=label,
        label_source=chosen[labels.index(label)].label_source,
        comment="",
    )
