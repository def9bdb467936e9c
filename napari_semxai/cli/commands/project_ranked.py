"""``semxai project similar`` and ``next``: images in an order that has to be worked out."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.commands.learn import ask_engine
from napari_semxai.cli.common.options import count
from napari_semxai.cli.common.output import DONE
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
    _add_number(alike)
    ahead = add("next", run_next, "list the unreviewed images with most to gain from a review")
    _add_annotator(ahead)
    _add_number(ahead)


def _add_number(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--number", type=count, default=20, help="images at most (default %(default)s)"
    )


def _add_annotator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--annotator", metavar="NAME", help="whose reviews; needed where there are several"
    )


def run_similar(options: argparse.Namespace, output: Output) -> int:
    """List the images that look most like one."""
    project = open_project(options.project)
    image = project.find(options.image, options.image)
    ranked = _ranked("similar", project, "", image.id, output)
    del ranked[image.id]
    return _say(project, ranked, options.number, output, image=image.id)


def run_next(options: argparse.Namespace, output: Output) -> int:
    """List the images to review next."""
    project = open_project(options.project)
    annotator = annotator_of(project, options.annotator)
    ranked = _ranked("gain", project, annotator, "", output)
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
