"""``semxai project``: many images, several annotators, plain files."""

from __future__ import annotations

import argparse
import re
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.commands import project_ranked, project_replay
from napari_semxai.cli.common.options import add_foreground_option, fraction, length
from napari_semxai.cli.common.output import BAD_INPUT, DONE
from napari_semxai.store.project.exports import EXPORT_FORMATS, export
from napari_semxai.store.project.klarf_export import SIZE_COLUMNS, KlarfChoices
from napari_semxai.types import InputError, ReviewState
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.cli.common.output import Output


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command and its own commands."""
    project = commands.add_parser("project", help="create, review, export and replay projects")
    actions = project.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # A parent parser, so that every action takes its options behind its own name.
    folder = argparse.ArgumentParser(add_help=False, parents=[common])
    folder.add_argument("project", type=Path, metavar="DIR", help="folder of the project")

    def add(name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, parents=[folder], help=text)
        parser.set_defaults(run=run)
        return parser

    for name, run, text in (
        ("init", run_init, "create a project; images stay where they are"),
        ("add", run_add, "add images at the end of a project"),
    ):
        _add_source(add(name, run, text))
    classes = add("classes", run_classes, "print or set the names of classes")
    classes.add_argument("names", nargs="*", metavar="LABEL=NAME", help="for example 3=scratch")
    add("status", run_status, "count reviews and report the agreement of annotators")
    add("verify", run_verify, "say what was changed outside this program")
    _add_import(add("import", run_import, "import existing masks as reviews"))
    _add_restore(add("restore", run_restore, "restore reviews that an import replaced"))
    _add_export(add("export", run_export, "export masks, COCO JSON, a data set or measurements"))
    project_ranked.add_actions(add)
    _add_replay(add("replay", project_replay.run, "recompute masks from their recipes"))


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FOLDER|CSV|KLARF",
        help="images, a Carinthia or Carinthia-S download, a table, or a KLARF 1.1, 1.2 or 1.8",
    )
    parser.add_argument(
        "--pixel-size",
        type=length,
        metavar="LENGTH",
        help="pixel size where neither image nor source has one: 2.5nm, 0.05um; a plain number "
        "is in nm",
    )
    add_foreground_option(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="FOLDER|CSV|JSON")
    parser.add_argument(
        "--annotator", required=True, metavar="NAME", help="annotator who gets the reviews"
    )
    parser.add_argument(
        "--state",
        type=ReviewState,
        choices=[state for state in ReviewState if state is not ReviewState.BY_RULE],
        help="of masks with foreground (default: as exported, else accepted)",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace reviews of NAME; semxai project restore brings the old ones back",
    )
    parser.add_argument(
        "--unannotated",
        action="store_true",
        help='images of a COCO file without annotation are "no defect" (default: left out)',
    )
    add_foreground_option(parser)


def _add_restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--annotator", required=True, metavar="NAME", help="whose reviews")
    parser.add_argument("--image", action="append", metavar="NAME", help="default: all images")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR|FILE")
    parser.add_argument(
        "--format", choices=list(EXPORT_FORMATS), default="png", help="default %(default)s"
    )
    parser.add_argument(
        "--annotator", metavar="NAME", help='whose masks; "consensus" for the majority'
    )
    parser.add_argument(
        "--every-state",
        action="store_true",
        help="export candidates, rejected and unsure masks too",
    )
    parser.add_argument(
        "--by-rule",
        action="store_true",
        help="export masks accepted by rule too, as candidates whose comment names the rule",
    )
    klarf = parser.add_argument_group("a copy of a KLARF file (--format klarf)")
    klarf.add_argument(
        "--klarf", type=Path, metavar="FILE", help="default: the one the project was made from"
    )
    klarf.add_argument("--sizes", action="store_true", help="write size and area, too")
    klarf.add_argument(
        "--size-column",
        action="append",
        type=str.upper,
        choices=list(SIZE_COLUMNS),
        help="write this one of them alone; may be given several times",
    )
    klarf.add_argument(
        "--class-column",
        metavar="NAME",
        help="default: MANSEMCLASS where there is one, else CLASSNUMBER",
    )
    klarf.add_argument(
        "--class-map",
        action="append",
        metavar="CLASS=NUMBER",
        help='number of a class, of a class name or of "no defect" (default: as in the file\'s '
        "class lookup)",
    )
    klarf.add_argument(
        "--unknown-classes",
        action="store_true",
        help="write numbers that the file's class lookup lacks, too",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--annotator", metavar="NAME", help="default: all annotators")
    parser.add_argument("--image", action="append", metavar="NAME", help="default: all images")
    parser.add_argument(
        "--no-network", action="store_true", help="check the stored edits only, in seconds"
    )
    parser.add_argument(
        "--tolerance",
        type=fraction,
        default=project_replay.TOLERANCE,
        metavar="X",
        help="share of pixels in which a network's step may differ (default %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def run_init(options: argparse.Namespace, output: Output) -> int:
    """Make a project; images that cannot be read are named and left out."""
    from napari_semxai.store.images.masks import MaskReader
    from napari_semxai.store.project.create import create_project

    failed: dict[str, str] = {}
    masks = MaskReader(options.foreground)
    project = create_project(
        options.project, options.source, failed=failed, masks=masks, **_reading(options, output)
    )
    names = project.annotators()
    output.say(
        f"{options.project}: {len(project.images)} images"
        + (f"; {', '.join(names)}: {masks}" if names else "")
    )
    output.result(
        {
            "project": options.project,
            "images": len(project.images),
            "annotators": names,
            **masks.values,
            "failed": failed,
        }
    )
    return output.conclude(failed)


def run_add(options: argparse.Namespace, output: Output) -> int:
    """Put more images into a project; those it has already are left alone."""
    from napari_semxai.store.images.masks import MaskReader
    from napari_semxai.store.project.create import add_images

    failed: dict[str, str] = {}
    masks = MaskReader(options.foreground)
    added = add_images(
        options.project, options.source, failed=failed, masks=masks, **_reading(options, output)
    )
    brought = f"; {masks}" if masks.brought else ""
    output.say(f"{options.project}: {len(added)} more images{brought}")
    ids = [image.id for image in added]
    output.result({"project": options.project, "added": ids, **masks.values, "failed": failed})
    return output.conclude(failed)


def run_classes(options: argparse.Namespace, output: Output) -> int:
    """Set the names that are given, and print all."""
    from napari_semxai.store.project.create import name_classes

    wrong = next((text for text in options.names if "=" not in text), None)
    if wrong is not None:
        raise InputError(f"{wrong!r}: write LABEL=NAME, for example 3=scratch")
    names = dict(text.split("=", 1) for text in options.names)
    info = name_classes(options.project, names)
    for label, name in info.class_names.items():
        output.say(f"{label}: {name}")
    output.result({"project": options.project, "class_names": info.class_names})
    return DONE


def _reading(options: argparse.Namespace, output: Output) -> dict[str, Any]:
    return {
        "progress": lambda done, total: output.progress(f"{done}/{total}"),
        "pixel_size": options.pixel_size,
    }


def run_status(options: argparse.Namespace, output: Output) -> int:
    """Print how far the project is."""
    from napari_semxai.store.project.index.index import ProjectIndex
    from napari_semxai.store.project.masks import project_agreement
    from napari_semxai.store.project.project import open_project

    project = open_project(options.project)
    with closing(ProjectIndex(project)) as index:
        status = index.status()
    output.say(f"{project.info.name}: {status.reviewed} of {status.images} images reviewed")
    for name, counts in status.states.items():
        states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        void = f"; {status.voided[name]} void after a later edit" if status.voided[name] else ""
        output.say(f"  {name}: {states}{void}")
    pairs = []
    # With a record that cannot be read it would be the agreement on some other set of images.
    if len(status.states) > 1 and not status.damaged:
        pairs = project_agreement(
            project,
            sorted(status.states),
            lambda done, total: output.progress(f"agreement {done}/{total}"),
        )
    for pair in pairs:
        output.say(
            f"  {pair.first} and {pair.second}: Dice {pair.dice_mean:.3f} ± {pair.dice_std:.3f}, "
            f"IoU {pair.iou_mean:.3f} ± {pair.iou_std:.3f} ({pair.masks} images, {pair.empty} of "
            f"them empty for both), kappa of states {pair.state_kappa:.3f} ({pair.states}), "
            f"of classes {pair.label_kappa:.3f} ({pair.labels})"
        )
    output.result(asdict(status) | {"agreement": [asdict(pair) for pair in pairs]})
    return output.conclude({name: name for name in status.damaged})


def run_verify(options: argparse.Namespace, output: Output) -> int:
    """Compare all files with their digests; exit code 2 where something was changed."""
    from napari_semxai.store.project.project import open_project
    from napari_semxai.store.project.verify import verify_project

    project = open_project(options.project)
    found = verify_project(project, lambda done, total: output.progress(f"{done}/{total}"))
    counts = f"{found.images} images, {found.records} records, {found.exports} exports"
    if found.unchained:
        counts += f"; {found.unchained} histories began before there were digests in them"
    output.say(f"{options.project}: {counts}; {len(found.changed)} changed outside the program")
    for name, said in found.changed:
        output.say(f"  {name}: {said}")
    output.result(asdict(found))
    return BAD_INPUT if found.changed else DONE


def run_import(options: argparse.Namespace, output: Output) -> int:
    """Bring masks in; those that fit no image are named."""
    from napari_semxai.store.project.imports import ImportChoices, import_masks
    from napari_semxai.store.project.project import open_project

    failed: dict[str, str] = {}
    choices = ImportChoices(
        options.state, options.foreground, options.replace, options.unannotated
    )
    with closing(open_project(options.project)) as project:
        masks = import_masks(project, options.source, options.annotator, choices, failed)
    output.say(f"{options.project}, {options.annotator}: {masks}")
    counted = {"imported": masks.brought, **masks.values}
    output.result({**counted, "annotator": options.annotator, "failed": failed})
    return output.conclude(failed)


def run_restore(options: argparse.Namespace, output: Output) -> int:
    """Bring back the reviews that an import replaced."""
    from napari_semxai.store.project.project import open_project

    failed: dict[str, str] = {}
    restored = []
    with closing(open_project(options.project)) as project:
        named = options.image or project.replaced_images(options.annotator)
        if not named:
            raise InputError(f"{options.project}: nothing of {options.annotator} was replaced")
        project.claim(options.annotator)
        for name in named:
            try:
                image_id = project.find(name, name).id
                project.restore_replaced(image_id, options.annotator)
                restored.append(image_id)
            except InputError as error:
                failed[name] = str(error)
    # Nothing succeeded: bad input, not "some failed".
    if not restored:
        raise InputError(next(iter(failed.values())))
    output.say(f"{options.project}: {len(restored)} reviews of {options.annotator} are back")
    output.result({"restored": restored, "annotator": options.annotator, "failed": failed})
    return output.conclude(failed)


def run_export(options: argparse.Namespace, output: Output) -> int:
    """Write masks in the wanted form; those that cannot be read are named."""
    from napari_semxai.store.project.masks import chosen_masks
    from napari_semxai.store.project.project import open_project

    target, form = options.output, options.format
    more = _klarf_choices(options)
    project = open_project(options.project)
    failed: dict[str, str] = {}
    chosen = chosen_masks(
        project,
        options.annotator,
        every_state=options.every_state,
        by_rule=options.by_rule,
        failed=failed,
    )
    count = export(project, chosen, target, form, failed, **more)
    result = {"output": target, "format": form, "masks": count, "failed": failed}
    changed = ""
    if form == "klarf":
        edits = more["edits"]
        changed = f"; {len(edits)} values differ from the original"
        result["changes"] = [asdict(edit) for edit in edits]
        for edit in edits:
            output.say(str(edit))
    output.say(f"{target}: {counted(count, 'mask')}{changed}")
    output.result(result)
    return output.conclude(failed)


def _klarf_choices(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a KLARF copy alone takes; nothing for another format."""
    numbers = options.class_map or []
    choices = KlarfChoices(
        source=options.klarf,
        column=options.class_column or "",
        numbers=dict(text.rsplit("=", 1) for text in numbers if "=" in text),
        sizes=tuple(SIZE_COLUMNS) if options.sizes else tuple(options.size_column or ()),
        unknown=options.unknown_classes,
    )
    if options.format != "klarf" and choices != KlarfChoices():
        raise InputError(f"--format {options.format}: options of a KLARF copy need --format klarf")
    wrong = [text for text in numbers if not re.fullmatch(r".+=[+-]?\d+", text)]
    if wrong:
        raise InputError(f"{wrong[0]!r}: write CLASS=NUMBER, for example scratch=3")
    return {"choices": choices, "edits": []} if options.format == "klarf" else {}
