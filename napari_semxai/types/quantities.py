"""Numbers and lengths as people type them."""

from __future__ import annotations

import re

from napari_semxai.types.image import InputError

_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_LENGTH = re.compile(r"(?P<number>.*?[0-9.,])\s*(?P<unit>[^0-9.,+\-\s]*)")
UNITS = {"pm": 1e-12, "nm": 1e-9, "µm": 1e-6, "um": 1e-6, "mm": 1e-3}
"""Metres of each unit of length; both micro signs of Unicode mean the same."""


def counted(number: int, name: str) -> str:
    """Return a number with what is counted.

    Examples
    --------
    >>> counted(1, "mask"), counted(2310, "mask")
    ('1 mask', '2,310 masks')
    """
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def parse_number(text: str) -> float:
    """Return the number that a text says; comma and point both are the decimal point.

    Parameters
    ----------
    text : str
        Digits without group separators, perhaps with a sign and an exponent.

    Raises
    ------
    InputError
        For everything else.

    Examples
    --------
    >>> parse_number("2,5"), parse_number("2.5")
    (2.5, 2.5)
    """
    # Spreadsheets and papers write the true minus sign, which `float` does not know.
    digits = text.strip().replace("\N{MINUS SIGN}", "-")
    if not _NUMBER.fullmatch(digits):
        many = sum(map(digits.count, ".,")) > 1
        hint = ": one decimal point or comma, and no separators between thousands" if many else ""
        raise InputError(f"“{text}” is not a number{hint}")
    value = float(digits.replace(",", "."))
    if value in (float("inf"), float("-inf")):
        raise InputError(f"“{text}” is too large")
    return value


def parse_length(text: str) -> float:
    """Return the metres that a text says; a number alone is in nanometres.

    Parameters
    ----------
    text : str
        A number as `parse_number` takes it, and one of `UNITS`.

    Raises
    ------
    InputError
        For another unit, or what is no number.

    Examples
    --------
    >>> parse_length("2,5nm"), parse_length("0.05 um")
    (2.5e-09, 5e-08)
    """
    found = _LENGTH.fullmatch(text.strip().replace("\N{GREEK SMALL LETTER MU}", "µ"))
    if found is None:
        raise InputError(f"“{text}” is not a length, for example 2.5 nm")
    unit = found["unit"] or "nm"
    if unit not in UNITS:
        raise InputError(f"“{text}”: “{unit}” is none of the units {', '.join(UNITS)}")
    # Divided, because 50 / 1e9 is the number closest to 50 nm and 50 * 1e-9 is not.
    return parse_number(found["number"]) / round(1 / UNITS[unit])


def length_text(metres: float) -> str:
    """Return a length in the unit that fits, with three digits.

    Examples
    --------
    >>> length_text(2.5e-9), length_text(0.0000123), length_text(0.0)
    ('2.5 nm', '12.3 µm', '0 nm')
    """
    return _in_unit(metres, 1)


def area_text(square_metres: float) -> str:
    """Return an area in the unit that fits, with three digits.

    Examples
    --------
    >>> area_text(1.097e-17), area_text(4e-12)
    ('11 nm²', '4 µm²')
    """
    return _in_unit(square_metres, 2)


def _in_unit(value: float, power: int) -> str:
    mark = "" if power == 1 else "²"
    # The largest unit of which there is at least one; an area of 0.1 µm² is read more easily
    # than one of 100,000 nm².
    least = 1.0 if power == 1 else 0.1
    for unit in ("mm", "µm", "nm", "pm"):
        number = value / UNITS[unit] ** power
        if abs(number) >= least:
            return (
                f"{number:.3g} {unit}{mark}" if number < 999.5 else f"{number:,.0f} {unit}{mark}"
            )
    return f"{value / UNITS['nm'] ** power:.3g} nm{mark}"
