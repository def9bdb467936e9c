"""Arguments become settings."""

from __future__ import annotations

import argparse

import pytest

from napari_semxai.algorithms.algorithm1.ground_truth import DEFAULT_ALPHA, DEFAULT_BETA
from napari_semxai.cli.common.options import add_mask_options, border, length, settings_from
from napari_semxai.state.session import AlgorithmSettings
from napari_semxai.types import FilterSettings, GenerateSettings


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_mask_options(parser)
    return parser.parse_args(arguments)


def test_defaults_are_those_of_the_docks() -> None:
    settings = settings_from(parse())
    assert (settings.model, settings.device) == ("bundled", "auto")
    assert (settings.alpha, settings.beta) == (DEFAULT_ALPHA, DEFAULT_BETA)
    assert settings.connectivity == 8
    assert settings.algorithm == AlgorithmSettings().algorithm == "robust"
    assert settings.ignore_border is None
    assert settings.filters == FilterSettings()
    assert settings.generate.points_per_side == GenerateSettings().points_per_side


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
    settings = settings_from(parse("--beta", text, "--alpha", text))
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
