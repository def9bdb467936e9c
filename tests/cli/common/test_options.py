"""Arguments become settings."""

from __future__ import annotations

import argparse
import os
import re
from contextlib import suppress
from dataclasses import replace

import pytest

from napari_semxai.cli.common.options import add_mask_options, border, length, settings_from
from napari_semxai.cli.entry import make_parser
from napari_semxai.state.explanation import CraftSettings
from napari_semxai.types import (
    AlgorithmSettings,
    FilterSettings,
    GenerateSettings,
    InputError,
    MaskSettings,
)
from napari_semxai.types.settings import usual_filters


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_mask_options(parser)
    return parser.parse_args(arguments)


def test_defaults_are_those_of_the_docks() -> None:
    # Masks that cannot pass the filters are not made.
    floor = GenerateSettings(pred_iou_floor=MaskSettings().filters.pred_iou_thresh)
    # A window shows what it compares, and does not do so unasked.
    compared = AlgorithmSettings(reference="auto")
    assert settings_from(parse()) == MaskSettings(generate=floor, algorithm=compared)


@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_concepts_are_found_and_drawn_as_in_the_dock(command: str) -> None:
    asked = make_parser().parse_args([command, "folder", "-o", "out"])
    usual = CraftSettings()
    assert (
        (asked.refinement, asked.pieces) == (usual.refinement, usual.pieces) == ("fine", "cells")
    )


def test_official_networks_keep_their_thresholds_unless_told() -> None:
    official = settings_from(parse("--model", "sam2.1_hiera_tiny"))
    assert official.filters == usual_filters("sam2.1_hiera_tiny")
    assert official.generate.pred_iou_floor == 0.8
    told = settings_from(parse("--stability-score-thresh", "0.3"))
    assert told.filters == replace(usual_filters("bundled"), stability_score_thresh=0.3)


def test_every_argument_of_the_settings_is_an_option() -> None:
    settings = MaskSettings(
        "sam2.1_hiera_tiny",
        "cpu",
        GenerateSettings(5, pred_iou_floor=0.6),
        FilterSettings(0.6, 0.7, box_nms_thresh=0.9),
        AlgorithmSettings(3.0, 0.2, 4, 7, "paper", reference="auto"),
    )
    compared = AlgorithmSettings(reference="self")
    usual = GenerateSettings(pred_iou_floor=0.5)
    for one in (settings, MaskSettings(generate=usual, algorithm=compared)):
        arguments = (f"--{name}={value}" for name, value in one.to_arguments().items())
        assert settings_from(parse(*arguments)) == one


def test_masks_that_cannot_pass_are_not_made() -> None:
    assert settings_from(parse("--pred-iou-thresh", "0.9")).generate.pred_iou_floor == 0.9


@pytest.mark.parametrize(("text", "value"), [("auto", None), ("0", 0), ("12", 12)])
def test_border(text: str, value: int | None) -> None:
    assert border(text) == value


@pytest.mark.parametrize("text", ["-1", "2.5", "Auto", ""])
def test_other_borders_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        border(text)


@pytest.mark.parametrize("text", ["0.7", "0,7"])
def test_comma_and_point_are_the_decimal_point(text: str) -> None:
    settings = settings_from(parse("--beta", text, "--alpha", text)).algorithm
    assert (settings.alpha, settings.beta) == (0.7, 0.7)


@pytest.mark.parametrize(
    ("text", "metres"), [("2.5", 2.5e-9), ("2,5nm", 2.5e-9), ("0.05um", 50e-9), ("0.05 µm", 50e-9)]
)
def test_a_length_has_its_unit(text: str, metres: float) -> None:
    assert length(text) == pytest.approx(metres, rel=1e-12)


@pytest.mark.parametrize("text", ["2.5 furlong", "0", "-2", "1.234,5", "nm"])
def test_other_lengths_are_refused_by_name(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"“{text}”"):
        length(text)


def number_options() -> list[tuple[str, argparse.Action]]:
    """Find every option of every command that takes numbers."""
    found, parsers = [], [make_parser()]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            elif any(isinstance(value, int | float) for value in values_of(action)):
                found.append((f"{parser.prog} {action.dest}", action))
    return found


def values_of(action: argparse.Action) -> list[object]:
    """Return what an option makes of whole numbers and of a half."""
    assert action.type not in (int, float), "Python's own take 1_000 and refuse a comma"
    made: list[object] = []
    for text in ("1", "8", "0.5"):
        with suppress(argparse.ArgumentTypeError, ValueError, TypeError, InputError):
            if action.type is not None:
                made.append(action.type(text))
    return made


def answer(action: argparse.Action, text: str) -> object:
    """Return what an option makes of a text; where it refuses that, it names it."""
    try:
        return action.type(text)
    except argparse.ArgumentTypeError as error:
        return "refused" if text in str(error) else f"refused without {text}"


def test_every_number_of_the_command_line_takes_point_and_comma() -> None:
    found = number_options()
    assert len(found) > 30
    for where, action in found:
        for one, other in (("0.5", "0,5"), ("2.5", "2,5"), ("1,5,5", "1.5.5"), ("x", "x")):
            answers = [answer(action, text) for text in (one, other)]
            assert answers[0] == answers[1], where
            assert one[0] in "02" or answers[0] == "refused", where
        for wrong in ("nan", "inf", "1_000", "1e999", "٣"):
            with pytest.raises(argparse.ArgumentTypeError, match=re.escape(wrong)):
                action.type(wrong)


def test_lengths_take_units_everywhere() -> None:
    options = {where.split()[-1]: action for where, action in number_options()}
    assert options["pixel_size"].type("0,05 µm") == pytest.approx(5e-8)
    assert options["pixel_size"].type("800pm") == pytest.approx(8e-10)
    assert options["pixel_size"].type("0.0005mm") == pytest.approx(5e-7)


@pytest.mark.parametrize("word", ["auto", "none", "self"])
def test_words_for_references(word: str) -> None:
    assert settings_from(parse("--reference", word)).algorithm.reference == word


def test_a_reference_is_a_place_for_workers_in_other_folders() -> None:
    assert parse("--reference", "golden").reference == os.path.abspath("golden")


def test_commands_whose_scores_are_compared_look_for_no_reference() -> None:
    parser = argparse.ArgumentParser()
    add_mask_options(parser, methods=True)
    assert settings_from(parser.parse_args([]), "robust").algorithm.reference == "none"
