"""Figures that a script puts into a page, between two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def put_figures(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    head, rest = page.read_text("utf-8").split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{text.strip()}\n\n{END}{rest.split(END)[1]}", "utf-8")
