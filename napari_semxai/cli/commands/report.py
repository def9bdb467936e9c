"""``semxai report``: reviewed projects as one HTML file."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from napari_semxai.cli.common.options import place

if TYPE_CHECKING:
    import argparse

    from napari_semxai.cli.common.output import Output


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "report",
        parents=[common],
        help="write a report of reviewed projects as one HTML file",
        description="Write one HTML file that needs no network and prints to PDF: wafer maps, "
        "sizes and classes, lots beside each other, agreement of annotators, networks and "
        "settings, and a table with a picture of every image.",
    )
    parser.add_argument("projects", nargs="+", type=place, metavar="PROJECT")
    parser.add_argument("-o", "--output", type=place, required=True, metavar="FILE.html")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the report; images that cannot be read are named and left out."""
    from napari_semxai.reports.lot_report import write_report
    from napari_semxai.store.project.project import open_project

    failed: dict[str, str] = {}
    with ExitStack() as stack:
        projects = [stack.enter_context(closing(open_project(one))) for one in options.projects]
        count = write_report(
            projects,
            options.output,
            lambda done, total: output.progress(f"{done}/{total}"),
            failed,
        )
    output.say(f"{options.output}: {count} images")
    output.result({"output": options.output, "images": count, "failed": failed})
    return output.conclude(failed)
