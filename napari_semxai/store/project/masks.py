"""Which mask stands for an image, how far annotators agree, and how it was made and edited."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.edits import apply_patch, apply_patches
from napari_semxai.algorithms.masks.metrics import either
from napari_semxai.algorithms.statistics.agreement import (
    majority_mask,
    pair_agreement,
    pair_scores,
)
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.files import annotator_key
from napari_semxai.types import (
    BoolMask,
    ChosenMask,
    InputError,
    LeftOut,
    MaskRecipe,
    MaskSettings,
    ReviewState,
)
from napari_semxai.types.settings import LEARNED

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import PairAgreement, ProjectImage, ReviewRecord, Scores

CONSENSUS = "consensus"
_MASK_ENDING = "_mask.png"
# What holds numbers, and what texts: a report writes them out.
_NUMBERS = (
    "alpha", "beta", "connectivity", "points_per_side", "pred_iou_thresh",
    "stability_score_thresh", "box_nms_thresh",
)  # fmt: skip
_COPIED = (*_NUMBERS, "algorithm", "reference", "ignore_border", "network")


def chosen_masks(
    project: Project,
    annotator: str | None = None,
    *,
    every_state: bool = False,
    by_rule: bool = False,
    failed: dict[str, str] | None = None,
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
    by_rule : bool
        Whether masks that were accepted by rule are yielded too, as candidates whose comment names
        the rule; for one annotator only, because nobody's vote is behind them.
    failed : dict, optional
        Gets the message of each image whose mask or record cannot be read; without it the first
        one raises.

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
    elif by_rule:
        raise InputError(f"masks accepted by rule have no part in the {CONSENSUS}; name one")
    for image in project.images:
        try:
            chosen = _chosen(project, image, names, every_state, by_rule)
        except InputError as error:
            if failed is None:
                raise
            failed[image.name] = str(error)
            continue
        if chosen:
            yield chosen[0] if wanted != CONSENSUS else _majority(chosen)


def _chosen(
    project: Project, image: ProjectImage, names: list[str], every_state: bool, by_rule: bool
) -> list[ChosenMask]:
    found = []
    for name in names:
        record, mask = project.record(image.id, name), project.mask(image.id, name)
        if record is None or mask is None:
            continue
        ruled = record.state is ReviewState.BY_RULE
        if not (every_state or record.state.is_truth or (by_rule and ruled)):
            continue
        label = (record.label, name) if record.label else (image.label, image.label_source)
        # Another program would take a word that it does not know for a person's "accepted".
        state = ReviewState.CANDIDATE if ruled else record.state
        rule = f"{ReviewState.BY_RULE} {record.rule}" if ruled else ""
        comment = "; ".join(filter(None, (rule, record.comment)))
        ignored = region_mask(record.ignored, image.shape)
        found.append(
            ChosenMask(image, mask, state, (name,), *label, comment, record.parts, ignored)
        )
    return found


def _majority(chosen: list[ChosenMask]) -> ChosenMask:
    labels = [one.label for one in chosen]
    # In the order of the annotators: of labels as frequent the first, the same on every run.
    label = max(dict.fromkeys(labels), key=labels.count)
    # What one of them says cannot be judged nobody's vote decides.
    ignored = reduce(either, (one.ignored for one in chosen))
    mask = LeftOut(region=ignored).seen(majority_mask([one.mask for one in chosen]))
    return ChosenMask(
        image=chosen[0].image,
        mask=mask,
        state=CONSENSUS if mask.any() else ReviewState.NO_DEFECT,
        annotators=tuple(name for one in chosen for name in one.annotators),
        label=label,
        label_source=chosen[labels.index(label)].label_source,
        comment="",
        ignored=ignored,
    )


def given_classes(
    project: Project, annotator: str | None, progress: Callable[[int, int], None] | None
) -> Counter[str]:
    """Return how many reviews gave each class, and how many "no defect" without one.

    `annotator` is as of `chosen_masks`; None for everybody.
    """
    every, counts = annotator in (None, CONSENSUS), Counter[str]()
    names = project.annotators() if every else [str(annotator)]
    for done, image in enumerate(project.images, start=1):
        for record in filter(None, (project.record(image.id, name) for name in names)):
            none = record.state is ReviewState.NO_DEFECT
            counts[record.label or (str(record.state) if none else "")] += 1
        if progress is not None:
            progress(done, len(project.images))
    del counts[""]
    return counts


def truth_masks(project: Project, image_id: str, annotators: Sequence[str]) -> dict[str, BoolMask]:
    """Return the masks (M, N) of one image that are truth, by annotator.

    What nobody reviewed, and what was rejected or is unsure, says nothing about an annotator.
    """
    return _truth(project, image_id, {name: project.record(image_id, name) for name in annotators})


def ignored_regions(
    project: Project, image_id: str, annotators: Iterable[str]
) -> dict[str, BoolMask]:
    """Return what annotators ignore of an image, by annotator; without those who do not."""
    return _ignored(
        project, image_id, {name: project.record(image_id, name) for name in annotators}
    )


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
        # Most images have one annotator, and reading a mask takes longer than all else.
        if sum(bool(one and one.state.is_truth) for one in records.values()) > 1:
            masks, ignored = (find(project, image.id, records) for find in (_truth, _ignored))
            for pair, result in pair_scores(masks, ignored).items():
                compared[pair].append(result)
        for pair in pairs:
            first, second = (records[name] for name in pair)
            if first is None or second is None:
                continue
            if first.state.is_reviewed and second.state.is_reviewed:
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


def _ignored(
    project: Project, image_id: str, records: Mapping[str, ReviewRecord | None]
) -> dict[str, BoolMask]:
    shape = project.image(image_id).shape
    found = {
        name: region_mask(record.ignored, shape) for name, record in records.items() if record
    }
    return {name: region for name, region in found.items() if region is not None}


@dataclass(frozen=True, slots=True, eq=False)
class EditReplay:
    """A mask made again from its recipe.

    Attributes
    ----------
    recipe : MaskRecipe
        How it was made.
    steps : tuple of ndarray of bool, shape (M, N)
        The mask before the first edit, and after each one.
    """

    recipe: MaskRecipe
    steps: tuple[BoolMask, ...]


def replay_edits(project: Project, image_id: str, annotator: str) -> EditReplay:
    """Repeat the stored edits of a mask, and check that they lead to it.

    Edits are flips, so the mask before the first one follows from the saved mask; its digest in
    the recipe proves that it is that mask, and with it that every edit is as it was.

    Raises
    ------
    InputError
        When there is no recipe, the image is another one, or the edits do not lead to the mask.
    """
    image = project.image(image_id)
    record, mask = project.record(image_id, annotator), project.mask(image_id, annotator)
    if record is None or mask is None or record.recipe is None:
        raise InputError(f"{image.name}: {annotator} has no mask with a recipe")
    recipe = record.recipe
    if recipe.image_sha256 != image.sha256:
        raise InputError(f"{image.name}: the recipe is of another image")
    try:
        # Edits are flips and undo themselves: from the last mask they lead back to the first.
        base = apply_patches(mask, recipe.edits)
        steps = [base]
        for edit in recipe.edits:
            steps.append(apply_patch(steps[-1], edit))
    except ValueError as error:
        raise InputError(f"{image.name}: {error}") from error
    same = array_digest(base) == recipe.base_sha256
    if not same or (recipe.base == "empty" and base.any()):
        raise InputError(f"{image.name}: the stored edits do not lead to the mask of {annotator}")
    return EditReplay(recipe, tuple(steps))


def difference(found: BoolMask, stored: BoolMask) -> float:
    """Return the share of pixels in which two masks (M, N) differ."""
    return float(np.count_nonzero(found != stored) / stored.size)


def recipe_beside(path: Path, mask: BoolMask, image: ProjectImage) -> MaskRecipe | None:
    """Return how a mask was made, where a record beside its file tells that.

    Parameters
    ----------
    path : Path
        The mask's file.
    mask : ndarray of bool, shape (M, N)
        As it was read.
    image : ProjectImage
        Whose mask it is.

    Returns
    -------
    MaskRecipe or None
        None without a record, and for a mask that was changed since.

    Raises
    ------
    InputError
        When the record is damaged, or is of other pixels than the image has.
    """
    record = path.with_name(f"{path.name.removesuffix(_MASK_ENDING)}.json")
    if not path.name.endswith(_MASK_ENDING) or not record.is_file():
        return None
    try:
        values = json.loads(record.read_bytes())
        # Other programs write such files, too.
        if not isinstance(values, dict) or values.get("command") != "mask":
            return None
        made, digest = values["mask"], array_digest(mask)
        # Records from before there was a digest in them have the area only.
        if made["area_px"] != np.count_nonzero(mask) or made.get("sha256", digest) != digest:
            return None
        pixels = values["image"]["sha256"]
        settings = _settings(values)
        versions = {str(name): str(one) for name, one in values["versions"].items()}
        turned = int(values["image"].get("turned_from_orientation", 1))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{record}: is damaged ({error}); the mask came in without its settings"
        ) from error
    if pixels != image.sha256:
        raise InputError(
            f"{record}: is of other pixels than {image.path} has; the mask came in without its "
            "settings"
        )
    versions.pop("python", None)
    return MaskRecipe("automatic", digest, pixels, settings, (), versions, turned)


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a record as recipes hold them."""
    settings = {name: values[name] for name in _COPIED if name in values}
    for name in _NUMBERS:
        float(settings[name])
    model = values["model"]
    # Of a learned network the digest stands beside its path.
    digest = "" if settings["algorithm"] == LEARNED else str(model["sha256"])
    settings["model"] = {"name": str(model.get("requested", model["name"])), "sha256": digest}
    settings |= {"winner": values["winner"], "overridden": False}
    if values.get("ignored"):
        settings["ignored"] = str(values["ignored"])
    compared = values.get("compared")
    if compared is not None:
        fits = compared["correlation"]
        settings["compared"] = {**compared, "correlation": None if fits is None else float(fits)}
    MaskSettings.from_json(settings, "auto")
    return settings
