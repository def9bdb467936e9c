"""Masks accepted by rule: an audit sample is drawn, looked at, and lets others be accepted unseen.

A certificate is a file in its annotator's folder. It is written when the sample is drawn: all
images that may be accepted, with the digests of their masks and how sure these are, the seed, and
the masks of the sample as they were proposed. Layers and sample follow from these, and are worked
out anew at every reading. Certificates are numbered, and none is ever written over but to note
what was decided.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.statistics.acceptance import (
    AUDITED,
    LAYERS,
    Promise,
    Proof,
    can_prove,
    draw_layers,
    prove,
)
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.images.mask_parts import mask_part, part_mask
from napari_semxai.store.project.files import (
    annotator_folder,
    changing,
    is_unchanged,
    read_json,
    with_digest,
)
from napari_semxai.store.project.records import seconds, utc_now
from napari_semxai.types import InputError, MaskPart, ReviewChange, ReviewRecord, ReviewState

if TYPE_CHECKING:
    from napari_semxai.store.project.project import Project

CERTIFICATES_FOLDER = "certificates"
_FORMAT, _VERSION = "napari-semxai certificate", 1


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """An audit that was drawn.

    Attributes
    ----------
    path : Path
        Its file.
    annotator : str
        Who audits, and whose masks are accepted.
    created : str
        UTC, ISO 8601.
    promise : Promise
        What is to hold.
    masks : mapping
        Every image that may be accepted to the digest of its mask.
    layers : tuple of tuple of str
        The surest of these images, in layers, the surest layer first.
    drawn : tuple of frozenset of str
        Those of each layer that are audited.
    sample : tuple of str
        All of these, in the order in which they are handed out.
    proposals : mapping
        Each of these to its mask when it was drawn.
    """

    path: Path
    annotator: str
    created: str
    promise: Promise
    masks: Mapping[str, str]
    layers: tuple[tuple[str, ...], ...]
    drawn: tuple[frozenset[str], ...]
    sample: tuple[str, ...]
    proposals: Mapping[str, MaskPart]

    @property
    def name(self) -> str:
        """Its number, as records name it."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Audit:
    """How far an audit is, and what it lets one accept.

    Attributes
    ----------
    certificate : Certificate
        Of which.
    waiting : tuple of str
        Images of the sample that nobody has reviewed yet.
    wrong : tuple of str
        Those whose mask was wrong.
    proof : Proof or None
        None while some wait: to look earlier, and stop when it suits, would break the promise.
    images : tuple of str
        What can be accepted now, the surest first.
    accepted : int
        Images that are accepted by this rule already.
    """

    certificate: Certificate
    waiting: tuple[str, ...]
    wrong: tuple[str, ...] = ()
    proof: Proof | None = None
    images: tuple[str, ...] = field(default=(), repr=False)
    accepted: int = 0

    def __str__(self) -> str:
        """Say where it stands, in numbers."""
        total = len(self.certificate.sample)
        if self.proof is None:
            return f"{total - len(self.waiting)} of {total} images of the sample are audited"
        share = f"of {len(self.certificate.masks) - total:,} others"
        can = f"{len(self.images):,} {share} can be accepted: {self.certificate.promise}"
        said = can if self.images else "No further mask can be accepted"
        done = f"{self.accepted:,} are accepted by this rule. " if self.accepted else ""
        bound = f"at most {self.proof.bound:.1%} of such masks by Clopper-Pearson"
        return f"{done}{said}. {self.proof.reason} ({bound})"


def draw_certificate(
    project: Project, annotator: str, count: int, promise: Promise, seed: int | None = None
) -> Certificate:
    """Draw an audit sample of the images with an automatic mask that nobody has reviewed.

    Parameters
    ----------
    project : Project
        Gets the file.
    annotator : str
        Who will audit.
    count : int
        Images to draw; rounded up to as many of every layer.
    promise : Promise
        What is to hold of the others.
    seed : int, optional
        By default a random one; it is recorded.

    Raises
    ------
    InputError
        When there are too few such images, when nothing could be accepted whatever the audit
        finds, or when the file cannot be written.
    """
    records = [project.record(image.id, annotator) for image in project.images]
    rows = [[one.image, one.mask_sha256, one.score] for one in records if one and _is_open(one)]
    seed = secrets.randbits(32) if seed is None else seed
    try:
        layers, drawn, sample = _layers(rows, count, seed, AUDITED)
    except ValueError as error:
        raise InputError(
            f"{project.folder}: {error}; only images with an automatic mask that nobody has "
            "reviewed or changed count (Generate all masks makes them)"
        ) from error
    if not can_prove([len(layer) for layer in layers], len(drawn[0]), promise):
        raise InputError(
            f"{project.folder}: even if no mask of {len(sample)} audited ones were wrong, none of "
            f"{len(rows)} images could be accepted; draw more of them, or let more masks be wrong"
        )
    proposals = {}
    for image_id in sample:
        mask = project.mask(image_id, annotator)
        proposals[image_id] = "" if mask is None else mask_part(mask).counts
    folder = annotator_folder(project.folder, annotator) / CERTIFICATES_FOLDER
    with changing(project.folder):
        path = folder / f"{len(list(folder.glob('*.json'))) + 1:04}.json"
        values = {
            "format": _FORMAT,
            "version": _VERSION,
            "annotator": annotator,
            "created": utc_now(),
            "promise": asdict(promise),
            "count": count,
            "audited": AUDITED,
            "seed": seed,
            "images": rows,
            "sample": proposals,
            "decided": None,
        }
        write_json(path, with_digest(values))
    return read_certificate(path)


def latest_certificate(project: Project, annotator: str) -> Certificate | None:
    """Return the certificate that an annotator has drawn last; None where there is none."""
    paths = certificate_files(project, annotator)
    return read_certificate(paths[-1]) if paths else None


def certificate_files(project: Project, annotator: str) -> list[Path]:
    """Return the files of an annotator's certificates, the first one first."""
    folder = annotator_folder(project.folder, annotator) / CERTIFICATES_FOLDER
    return sorted(folder.glob("*.json"))


def promise_text(project: Project, annotator: str, rule: str) -> str:
    """Say what a rule that accepted masks rests on, and what it promises.

    Raises
    ------
    InputError
        When its certificate cannot be read.
    """
    folder = annotator_folder(project.folder, annotator) / CERTIFICATES_FOLDER
    one = read_certificate(folder / f"{rule}.json")
    audited = f"{len(one.sample):,} masks audited, drawn {one.created[:10]}"
    return f"Certificate {one.name} of {annotator}, {audited}: {one.promise}"


def read_certificate(path: Path) -> Certificate:
    """Read a certificate, and draw its sample again.

    Raises
    ------
    InputError
        When it cannot be read, is damaged, or its sample is not the one that its seed draws.
    """
    values = read_json(path, _FORMAT, _VERSION)
    try:
        # Earlier certificates drew from all layers, and every pixel was a part.
        audited = values.get("audited", LAYERS)
        layers, drawn, sample = _layers(values["images"], values["count"], values["seed"], audited)
        stored = {name: MaskPart(counts) for name, counts in values["sample"].items()}
        promise = Promise(**{"part": 1} | values["promise"])
        masks = {name: digest for name, digest, _ in values["images"]}
        annotator, created = str(values["annotator"]), str(values["created"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); draw a new sample") from error
    if list(stored) != list(sample):
        raise InputError(
            f"{path}: its sample is not the random one that its seed draws, so nothing follows "
            "from it; draw a new sample"
        )
    if not is_unchanged(values):
        raise InputError(f"{path}: was changed outside the program; draw a new sample")
    return Certificate(path, annotator, created, promise, masks, layers, drawn, sample, stored)


def read_audit(project: Project, certificate: Certificate) -> Audit:
    """Return how far an audit is, and what may be accepted once it is complete."""
    name, wrong, waiting = certificate.annotator, [], []
    for image_id in certificate.sample:
        record = project.record(image_id, name)
        # A review from before the sample was drawn is none of the audit.
        late = record is not None and seconds(record.time) >= seconds(certificate.created)
        if record is None or not record.state.is_reviewed or not late:
            waiting.append(image_id)
        elif _is_wrong(project, certificate, record):
            wrong.append(image_id)
    if waiting:
        return Audit(certificate, tuple(waiting), tuple(wrong))
    sample = set(certificate.sample)
    left: list[list[str]] = []
    accepted = set()
    for layer in certificate.layers:
        left.append([])
        for image_id in layer:
            record = project.record(image_id, name)
            if record is None or image_id in sample:
                continue
            mine = record.state is ReviewState.BY_RULE and record.rule == certificate.name
            accepted |= {image_id} if mine else set()
            same = record.mask_sha256 == certificate.masks[image_id]
            if same and (mine or _is_open(record)):
                left[-1].append(image_id)
    missed = [len(drawn.intersection(wrong)) for drawn in certificate.drawn]
    proof = prove(
        [*map(len, certificate.layers)],
        len(certificate.drawn[0]),
        missed,
        [*map(len, left)],
        certificate.promise,
    )
    allowed = (image_id for layer in left[: proof.layers] for image_id in layer)
    images = tuple(image_id for image_id in allowed if image_id not in accepted)
    return Audit(certificate, (), tuple(wrong), proof, images, len(accepted))


def note_decision(project: Project, audit: Audit) -> None:
    """Write beside the sample what was decided by it, and when."""
    path = audit.certificate.path
    values = read_json(path, _FORMAT, _VERSION)
    proof = None if audit.proof is None else asdict(audit.proof)
    decided = {"time": utc_now(), "proof": proof, "wrong": audit.wrong, "images": audit.images}
    with changing(project.folder):
        write_json(path, with_digest(values | {"decided": decided}))


def accept_by_rule(
    certificate: Certificate, record: ReviewRecord, _mask: object = None
) -> ReviewChange:
    """Return the change that accepts a mask by a rule.

    Raises
    ------
    InputError
        When the mask is not the one that was drawn from, or somebody has reviewed it.
    """
    same = record.mask_sha256 == certificate.masks.get(record.image)
    if not same or not _is_open(record):
        raise InputError("reviewed or changed since")
    return ReviewChange(state=ReviewState.BY_RULE, rule=certificate.name)


def take_back(project: Project, annotator: str) -> list[ReviewRecord]:
    """Make all masks of an annotator candidates again that a rule has accepted."""
    # Or a write that is refused would be kept elsewhere, and made up for later.
    project.claim(annotator)
    changed = []
    for image in project.images:
        record = project.record(image.id, annotator)
        if record is not None and record.state is ReviewState.BY_RULE:
            back = replace(record, state=ReviewState.CANDIDATE, rule="")
            change = ReviewChange(mask=project.mask(image.id, annotator), back=back)
            changed.append(project.write_review(image.id, annotator, change))
    return changed


def taken_back(count: int) -> str:
    """Say how many masks are candidates again."""
    if not count:
        return "No mask of yours is accepted by rule"
    return f"{count:,} masks that were accepted by rule are candidates again"


def audit_sample(project: Project, annotator: str, _image_id: str = "") -> dict[str, str]:
    """Return the images of the latest sample, in the order in which they are to be audited.

    Raises
    ------
    InputError
        When none was drawn.
    """
    certificate = latest_certificate(project, annotator)
    if certificate is None:
        raise InputError("No audit sample is drawn: Certified accept in Edit & review draws one")
    total = len(certificate.sample)
    return {
        image_id: f"audit {number} of {total}"
        for number, image_id in enumerate(certificate.sample, start=1)
    }


def _is_open(record: ReviewRecord) -> bool:
    """Return whether a mask is an automatic one that nobody has reviewed, changed or chosen."""
    recipe = record.recipe
    automatic = recipe is not None and recipe.base == "automatic" and not recipe.edits
    chosen = recipe is not None and bool(recipe.settings.get("overridden"))
    return (
        record.state is ReviewState.CANDIDATE
        and record.voided is None
        and bool(record.mask_sha256)
        and automatic
        and not chosen
    )


def _is_wrong(project: Project, certificate: Certificate, record: ReviewRecord) -> bool:
    truth = project.mask(record.image, record.annotator)
    # Whoever rejects a mask, or cannot tell, does not say that it is right.
    if truth is None or not record.state.is_truth:
        return True
    proposal = part_mask(certificate.proposals[record.image], truth.shape)
    return certificate.promise.is_wrong(proposal, truth)


def _layers(
    rows: list[list[Any]], count: int, seed: int, audited: int
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return layers and what is drawn of each by id, and all of these in random order."""
    sure = np.array([np.nan if row[2] is None else row[2] for row in rows], float)
    layers, drawn = draw_layers(sure, count, seed, audited)
    sample = [number for part in drawn for number in part]
    order = np.random.default_rng([seed, 1]).permutation(len(sample))
    return (
        tuple(tuple(rows[number][0] for number in layer) for layer in layers),
        tuple(frozenset(rows[number][0] for number in part) for part in drawn),
        tuple(rows[sample[place]][0] for place in order),
    )
