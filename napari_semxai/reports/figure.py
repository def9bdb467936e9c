"""Figures on paper: vector text, 300 dpi, colours that colour-blind people can tell apart.

Matplotlib is slow to import, so the first figure does it: the window opens without.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.store.atomic import atomic_write
from napari_semxai.types import InputError
from napari_semxai.types.colors import BLACK, SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.figure import Figure

COLORS = (*SERIES, BLACK)
FIGURE_SUFFIXES = (".svg", ".png", ".pdf")
_DPI = 300
# Text stays text, and the same figure gives the same bytes.
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "semxai"}
_METADATA = {
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which no window ever shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as SVG, PDF (text as text) or PNG (300 dpi), atomically.

    Raises
    ------
    InputError
        For another suffix, or when the file cannot be written.
    """
    import matplotlib as mpl

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FIGURE_SUFFIXES:
        raise InputError(f"{path}: figures are saved as {', '.join(FIGURE_SUFFIXES)}")
    with mpl.rc_context(_STYLE), atomic_write(path) as file:
        figure.savefig(file, format=suffix[1:], dpi=_DPI, metadata=_METADATA[suffix])
    return path


def save_figures(
    figure: Figure, stem: Path, suffixes: Iterable[str] = (".svg", ".png")
) -> list[Path]:
    """Write a figure once for each suffix."""
    return [save_figure(figure, stem.with_name(stem.name + suffix)) for suffix in suffixes]


def panel_place(figure: Figure, x: float, y: float) -> tuple[str, float, float] | None:
    """Return which panel of a drawn figure holds a point, and its data coordinates.

    Parameters
    ----------
    figure : Figure
        Drawn before.
    x, y : float
        Fractions of its width, from the left, and height, from below.

    Returns
    -------
    tuple of str, float and float, or None
        Label of the panel, and x and y there; None outside all panels. Colour bars are none.
    """
    point = figure.bbox.width * x, figure.bbox.height * y
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>" and axes.bbox.contains(*point):
            column, row = axes.transData.inverted().transform(point)
            return str(axes.get_label()), float(column), float(row)
    return None


def png_bytes(figure: Figure, dpi: float = 96) -> bytes:
    """Return a figure as PNG for a screen."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()
