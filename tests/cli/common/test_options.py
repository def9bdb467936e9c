"""Arguments become settings."""

from __future__ import annotations

import argparse

import pytest

from napari_semxai.cli.common.options import add_mask_options, border, length, settings_from
from napari_semxai.types import AlgorithmSettings, FilterSettings, GenerateSettings, MaskSettings


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_mask_options(parser)
    return parser.parse_args(arguments)


def test_defaults_are_those_of_the_docks() -> None:
    # Masks that cannot pass the filters are not made.
    floor = GenerateSettings(pred_iou_floor=FilterSettings().pred_iou_thresh)
    assert settings_from(parse()) == MaskSettings(generate=floor)


def test_every_argument_of_the_settings_is_an_option() -> None:
    settings = MaskSettings(
        "sam2.1_hiera_tiny",
        "cpu",
        GenerateSettings(5, pred_iou_floor=0.6),
        FilterSettings(0.6, 0.7, box_nms_thresh=0.9),
        AlgorithmSettings(3.0, 0.2, 4, 7, "paper"),
    )
    for one in (settings, MaskSettings(generate=GenerateSettings(pred_iou_floor=0.8))):
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
