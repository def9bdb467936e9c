"""Large projects: what is alike, what comes next, what may be accepted unseen."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from napari_semxai.algorithms.statistics.acceptance import Promise
from napari_semxai.cli.batch.workers import ask_engine
from napari_semxai.cli.common.options import count, fraction, whole
from napari_semxai.cli.common.output import DONE
from napari_semxai.store.project.certificates import (
    Audit,
    accept_by_rule,
    draw_certificate,
    latest_certificate,
    note_decision,
    read_audit,
    take_back,
    taken_back,
)
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.ranked import RANKINGS, without_features
from napari_semxai.types import InputError
from napari_semxai.types.learned import FeaturesRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.project.project import Project

    _Add = Callable[[str, Callable[..., int], str], argparse.ArgumentParser]


def add_actions(add: _Add) -> None:
    """Register the actions; `add` makes the parser of one."""
    alike = add("similar", run_similar, "list the images that look most like one of them")
    alike.add_argument("image", metavar="IMAGE", help="name of an image, or a part of it")
    _add_annotator(alike)
    _add_number(alike)
    ahead = add("next", run_next, "list the unreviewed images with most to gain from a review")
    _add_annotator(ahead)
    _add_number(ahead)
    check = add("check", run_check, "list the reviewed masks that look wrong, with a reason each")
    _add_annotator(check)
    _add_number(check)
    _add_certify(add("certify", run_certify, "accept masks unseen after an audit of a sample"))


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--number", type=count, default=20, help="images at most (default %(default)s)"
    )


def _add_annotator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotator", metavar="NAME", help="whose reviews; needed where there are several"
    )


def _add_certify(parser: argparse.ArgumentParser) -> None:
    usual = Promise()
    parser.description = (
        "Draw a random audit sample (--draw), review it, and accept (--accept) as many of the "
        "other automatic masks as can be wrong no more often than promised. Without these, say "
        "where it stands."
    )
    _add_annotator(parser)
    parser.add_argument("--draw", type=count, metavar="N", help="draw N images, for example 120")
    for name, text in (
        ("--most-wrong", "share of accepted masks that may be wrong"),
        ("--confidence", "that the promise holds"),
        ("--iou", "overlap with the expert's mask below which a mask is wrong"),
    ):
        value = getattr(usual, name[2:].replace("-", "_"))
        help_text = f"with --draw: {text} (default %(default)s)"
        parser.add_argument(name, type=fraction, default=value, metavar="X", help=help_text)
    parser.add_argument(
        "--whole-defects-only",
        action="store_true",
        help="with --draw: a part missed or invented beside others does not make a mask wrong",
    )
    parser.add_argument("--seed", type=whole, help="with --draw: of the draw (default: random)")
    parser.add_argument("--accept", action="store_true", help="accept what may be accepted")
    parser.add_argument(
        "--take-back",
        action="store_true",
        help="make candidates again of all that was accepted this way",
    )


def run_certify(options: argparse.Namespace, output: Output) -> int:
    """Draw an audit sample, accept by it, take that back, or say where it stands."""
    with closing(open_project(options.project)) as project:
        name = annotator_of(project, options.annotator)
        if not name:
            raise InputError(f"{project.folder}: nobody has masks in it yet")
        result: dict[str, Any] = {"project": project.folder, "annotator": name}
        if options.take_back:
            count = len(take_back(project, name))
            output.say(taken_back(count))
            output.result(result | {"taken_back": count})
            return DONE
        if options.draw is not None:
            promise = Promise(
                options.most_wrong, options.confidence, options.iou, not options.whole_defects_only
            )
            certificate = draw_certificate(project, name, options.draw, promise, options.seed)
        else:
            known = latest_certificate(project, name)
            if known is None:
                raise InputError(f"{project.folder}: {name} has no audit sample; --draw makes one")
            certificate = known
        audit = read_audit(project, certificate)
        accepted = _accept(project, audit) if options.accept else audit.accepted
    output.say(f"certificate {certificate.name}: {audit}")
    for image_id in audit.waiting:
        output.say(f"to audit: {project.image(image_id).name}")
    output.result(
        result
        | {
            "certificate": certificate.path,
            "promise": asdict(certificate.promise),
            "waiting": audit.waiting,
            "wrong": audit.wrong,
            "proof": None if audit.proof is None else asdict(audit.proof),
            "can_be_accepted": len(audit.images),
            "accepted": accepted,
        }
    )
    return DONE


def _accept(project: Project, audit: Audit) -> int:
    """Accept what an audit allows, and return how many masks its rule has accepted then."""
    certificate, accepted = audit.certificate, audit.accepted
    if audit.waiting:
        raise InputError(f"{certificate.path}: {audit}; nothing is accepted before all are")
    project.claim(certificate.annotator)
    note_decision(project, audit)
    for image_id in audit.images:
        record = project.record(image_id, certificate.annotator)
        if record is not None:
            change = accept_by_rule(certificate, record)
            project.write_review(image_id, certificate.annotator, change)
            accepted += 1
    return accepted


def run_similar(options: argparse.Namespace, output: Output) -> int:
    """List the images that look most like one."""
    project = open_project(options.project)
    image = project.find(options.image, options.image)
    annotator = annotator_of(project, options.annotator)
    ranked = _ranked("similar", project, annotator, image.id, output)
    del ranked[image.id]
    about = {"annotator": annotator, "image": image.id}
    return _say(project, ranked, options.number, output, **about)


def run_next(options: argparse.Namespace, output: Output) -> int:
    """List the images to review next."""
    project = open_project(options.project)
    annotator = annotator_of(project, options.annotator)
    ranked = _ranked("gain", project, annotator, "", output)
    return _say(project, ranked, options.number, output, annotator=annotator)


def run_check(options: argparse.Namespace, output: Output) -> int:
    """List the reviewed masks that look wrong."""
    project = open_project(options.project)
    annotator = annotator_of(project, options.annotator)
    ranked = _ranked("wrong", project, annotator, "", output)
    return _say(project, ranked, options.number, output, annotator=annotator)


def annotator_of(project: Project, wanted: str | None) -> str:
    """Return whose reviews are meant.

    Raises
    ------
    InputError
        When there are several annotators and none was named.
    """
    names = project.annotators()
    if wanted is None and len(names) > 1:
        raise InputError(f"{project.folder}: there are reviews of {', '.join(names)}; name one")
    return wanted or next(iter(names), "")


def _ranked(
    name: str, project: Project, annotator: str, image: str, output: Output
) -> dict[str, str]:
    ranking = RANKINGS[name]
    if ranking.by_features and without_features(project):
        ask_engine(FeaturesRequest(project.folder), output)
    return ranking.rank(project, annotator, image)


def _say(
    project: Project, ranked: dict[str, str], number: int, output: Output, **about: Any
) -> int:
    rows = [
        {"id": image, "name": project.image(image).name, "reason": why}
        for image, why in islice(ranked.items(), number)
    ]
    for row in rows:
        output.say(f"{row['name']}: {row['reason']}")
    output.result({"project": project.folder, **about, "images": rows})
    return DONE
