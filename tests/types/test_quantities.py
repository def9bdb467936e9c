"""Numbers and lengths as people type them."""

import pytest

from napari_semxai.types import InputError
from napari_semxai.types.quantities import parse_length, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.5", 2.5),
        ("2,5", 2.5),
        (" ,5 ", 0.5),
        ("7.", 7.0),
        ("-3", -3.0),
        ("−3", -3.0),
        ("1e-3", 0.001),
        ("1,5E3", 1500.0),
    ],
)
def test_comma_and_point_are_the_decimal_point(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "2x", "nan", "inf", "1,234.5", "1.234.567", "1 000", "2,,5", "1e999", "٢"],
)
def test_what_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=r"“.*”"):
        parse_number(text)


def test_separators_of_thousands_are_explained() -> None:
    with pytest.raises(InputError, match="no separators between thousands"):
        parse_number("1.234,5")


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("2.5", 2.5e-9),
        ("2,5nm", 2.5e-9),
        ("50", 50e-9),
        ("0.05um", 50e-9),
        ("0,05 µm", 50e-9),
        ("0.05 μm", 50e-9),
        ("800pm", 0.8e-9),
        ("0.001 mm", 1e-6),
    ],
)
def test_a_length_has_its_unit(text: str, metres: float) -> None:
    assert parse_length(text) == pytest.approx(metres, rel=1e-12)


@pytest.mark.parametrize("text", ["", "nm", "2.5 furlong", "2.5 Mm", "2,5,5 nm", "0.05 m", "um 5"])
def test_other_units_are_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=r"“.*”"):
        parse_length(text)
