"""``semxai survey``: what a survey's answers come to."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.survey import survey_report
from napari_semxai.cli.common.output import DONE
from napari_semxai.store.datasets.survey import read_survey
from napari_semxai.types.quantities import counted
from napari_semxai.types.survey import ITEMS

if TYPE_CHECKING:
    import argparse

    from napari_semxai.algorithms.statistics.survey import MethodComparison, MethodSummary
    from napari_semxai.cli.common.output import Output


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    survey = commands.add_parser("survey", help="summarise answers of the explanation survey")
    actions = survey.add_subparsers(title="commands", metavar="COMMAND", required=True)
    summary = actions.add_parser(
        "summary",
        parents=[common],
        help="mean, standard deviation and agreement for each item",
        description="Print mean, standard deviation, n and n agree for each item and method, "
        "Cronbach's alpha where it is defined, and a paired comparison between the methods. "
        "With -o the same as CSV tables, and the answers as stacked bars.",
    )
    summary.add_argument("file", type=Path, metavar="FILE", help="CSV as the Survey dock writes")
    summary.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="also write tables and figures there"
    )
    summary.set_defaults(run=run_summary)


def run_summary(options: argparse.Namespace, output: Output) -> int:
    """Print the summary and, where asked for, write it."""
    report = survey_report(read_survey(options.file))
    for entry in report.methods:
        _say_method(entry, output)
    for comparison in report.comparisons:
        output.say(_comparison_text(comparison))
    if not report.methods:
        output.say("No answers yet.")
    files: list[Path] = []
    if options.output is not None:
        # matplotlib takes half a second.
        from napari_semxai.reports.survey import write_survey_report

        files = write_survey_report(options.output, report)
        names = ", ".join(file.name for file in files)
        output.say(f"Tables and figures in {options.output}: {names}")
    output.result({**asdict(report), "files": files})
    return DONE


def _say_method(entry: MethodSummary, output: Output) -> None:
    method = entry.method or "explanations"
    participants = counted(entry.n_participants, "participant")
    output.say(f"{method}, {participants}, scale {entry.scale}")
    output.say("  item  mean   std   agree")
    for number, (item, text) in enumerate(zip(entry.summary, ITEMS, strict=True), start=1):
        numbers = f"{item.mean:5.2f} {item.std:5.2f}   {item.n_experts_agree} of {item.n_experts}"
        output.say(f"  {number:4}  {numbers}  {text}")
    summary = entry.summary
    known = summary.cronbach_alpha == summary.cronbach_alpha
    alpha = f"{summary.cronbach_alpha:.3f}" if known else "undefined"
    complete = counted(summary.n_complete, "complete answer set")
    output.say(f"  Cronbach's alpha {alpha}, over {complete}")


def _comparison_text(comparison: MethodComparison) -> str:
    test = comparison.test
    return (
        f"{comparison.first} against {comparison.second}, scale {comparison.scale}: {test.n} "
        f"participants saw both, median difference {test.median_difference:+.2f}, Wilcoxon "
        f"p = {test.p_value:.4f} (Holm {comparison.p_holm:.4f}), rank-biserial "
        f"{test.rank_biserial:+.2f}"
    )
