"""``semxai learn``: a network that learns a project's masks, and whether it is better."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.batch.workers import ask_engine
from napari_semxai.cli.common.options import count, number, whole
from napari_semxai.cli.common.output import BAD_INPUT, DONE
from napari_semxai.store.project.learned import learned_versions, use_version, version_in_use
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError
from napari_semxai.types.learned import (
    LearnedVersion,
    LearnRequest,
    LearnSettings,
)
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.common.output import Output

_USUAL = LearnSettings()


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "learn",
        parents=[common],
        help="learn the masks of a project, and use what was learned where it is better",
        description="Learn from the masks of a project that are accepted, corrected or "
        '"no defect", in a process of its own at low priority. The new version is compared with '
        "today's proposal by cross-validation, and comes into use only where it is better. When "
        "interrupted, the same command resumes.",
    )
    parser.add_argument("project", type=Path, metavar="PROJECT")
    parser.add_argument(
        "--annotator",
        default=_USUAL.annotator,
        metavar="A",
        help="whose masks (default consensus: the majority)",
    )
    parser.add_argument(
        "--folds", type=count, default=_USUAL.folds, help="of the cross-validation, 2 or more"
    )
    parser.add_argument(
        "--steps", type=count, default=_USUAL.steps, help="steps of each fold's training"
    )
    parser.add_argument(
        "--minutes",
        type=number,
        default=0.0,
        metavar="M",
        help="stop the training after M minutes",
    )
    parser.add_argument("--seed", type=whole, default=_USUAL.seed)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="copy the version here")
    parser.add_argument(
        "--use",
        metavar="VERSION",
        help='learn nothing; put a version into use, or "none"; "list" shows all',
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Learn, or choose a version."""
    folder = open_project(options.project).folder
    if options.use == "list":
        return _list(folder, output)
    if options.use is not None:
        version = use_version(folder, options.use)
        output.say(
            f"{folder}: no learned network is in use now"
            if version is None
            else f"{folder}: version {version.name} is in use now; its verdict was: "
            f"{version.verdict.reason}"
        )
        output.result({"project": folder, "in_use": "" if version is None else version.name})
        return DONE
    if options.folds < 2:
        raise InputError(f"--folds {options.folds}: must be 2 or more")
    settings = replace(
        _USUAL,
        annotator=options.annotator,
        folds=options.folds,
        steps=options.steps,
        minutes=options.minutes,
        seed=options.seed,
    )
    version = learn(LearnRequest(folder, settings), output)
    if options.output is not None:
        shutil.copyfile(version.path, options.output)
    _say(version, output)
    output.result(_values(version) | {"project": folder})
    return DONE


def learn(request: LearnRequest, output: Output) -> LearnedVersion:
    """Learn in a process of its own, and return the new version.

    Raises
    ------
    InputError
        With what the process said went wrong.
    """
    made = ask_engine(request, output)
    if not isinstance(made, LearnedVersion):
        raise InputError(f"{request.project}: learning ended without a version")
    return made


def _list(folder: Path, output: Output) -> int:
    versions, used = learned_versions(folder), version_in_use(folder)
    if not versions:
        output.error(f"{folder}: nothing has been learned yet")
        return BAD_INPUT
    for version in versions:
        mark = "*" if used is not None and used.path == version.path else " "
        output.say(
            f"{mark} {version.name} {version.created}, {counted(version.images, 'mask')}: "
            f"{version.verdict.reason}"
        )
    output.result({"project": folder, "versions": [_values(version) for version in versions]})
    return DONE


def _say(version: LearnedVersion, output: Output) -> None:
    output.say(f"{'':20}{'images':>7}{'today':>7}{'learned':>9}{'difference, 95 %':>26}")
    for row in version.verdict.rows:
        interval = f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})"
        output.say(f"{row.name:20}{row.images:7}{row.today:7.3f}{row.learned:9.3f}{interval:>26}")
    decided = "in use from now on" if version.verdict.better else "NOT in use"
    output.say(f"version {version.name}: {decided}; {version.verdict.reason}")
    output.say(f"{version.path}: written, sha256 {version.sha256}")


def _values(version: LearnedVersion) -> dict[str, Any]:
    return {
        "version": version.name,
        "file": version.path,
        "sha256": version.sha256,
        "created": version.created,
        "images": version.images,
        "better": version.verdict.better,
        "reason": version.verdict.reason,
        "rows": [asdict(row) | {"difference": row.difference} for row in version.verdict.rows],
        "seconds": version.card.get("seconds"),
    }
