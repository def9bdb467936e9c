"""Tables of benchmarks in pages of the documentation, with the classifier of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def footer(sha256: str) -> str:
    """Return what tells a table of another classifier."""
    return f"Bundled classifier with sha256 `{sha256[:12]}`."


def write_table(page: Path, name: str, text: str) -> None:
    """Put a table between the two comments of a page that bear its name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, rest = page.read_text().split(begin)
    page.write_text(f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}")
