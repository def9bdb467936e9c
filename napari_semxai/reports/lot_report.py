"""A report of reviewed projects: one HTML file that needs no network and prints to PDF.

`lot_rows` reads the projects into plain values; `lot_report.html` draws them. Only that page knows
HTML, and jinja2 escapes all that it puts in.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from importlib import resources
from importlib.metadata import version
from itertools import accumulate
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.reports.lot_rows import Row, is_judged, rows_of
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.project.images import free_place
from napari_semxai.store.project.masks import project_agreement
from napari_semxai.store.project.records import utc_now
from napari_semxai.types import InputError, ReviewState, colors
from napari_semxai.types.quantities import counted, length_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from napari_semxai.store.project.project import Project

    Tell = Callable[[int, int], None]

_BINS = 12
_MOST_CLASSES = len(colors.SERIES)
_MOST_WAFERS = 24
# Where they lie on a map of radius 101.
_NOTCHES = {"up": (0, -101), "down": (0, 101), "left": (-101, 0), "right": (101, 0)}
_TRENDS = (
    ("count", "Images with a defect", "{:.0f}"),
    ("per_image", "Defects per image", "{:.3g}"),
    ("per_area", "Defects per cm² inspected", "{:.3g}"),
)
OF_EACH = ("Pixel size", "Stage", "Taken", "Reference")
"""What is known of an image that stands beside its picture."""


def write_report(
    projects: Sequence[Project],
    target: Path,
    progress: Tell | None = None,
    failed: dict[str, str] | None = None,
) -> int:
    """Write the report of some projects and return how many images it shows.

    Parameters
    ----------
    projects : sequence of Project
        One, or several lots.
    target : Path
        The HTML file.
    progress : callable, optional
        Called with the number of images done and all of them; may raise to stop.
    failed : dict, optional
        Gets the message of each image that cannot be read; without it the first one raises.

    Raises
    ------
    InputError
        When the file cannot be written, or is one of a project's own.
    """
    for project in projects:
        free_place(project.originals, target)
    total, rows = sum(len(project.images) for project in projects), []
    for project in projects:
        for row in rows_of(project, failed):
            rows.append(row)
            if progress is not None:
                progress(len(rows), total)
    agreement = list(_agreement(projects, progress))
    # Where that was stopped, so is the report.
    if progress is not None:
        progress(total, total)
    text = page(rows, agreement, ", ".join(project.info.name for project in projects))
    try:
        with atomic_write(target) as file:
            file.write(text.encode())
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error})") from error
    return len(rows)


def page(rows: Sequence[Row], agreement: Sequence[Mapping[str, Any]], title: str) -> str:
    """Return the page that shows some rows."""
    # Only who writes a report waits for it.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["in_unit"] = length_text
    environment.globals["counted"] = counted
    environment.globals["number"] = lambda value: "–" if math.isnan(value) else f"{value:.3f}"
    environment.globals["square"] = lambda area: f"{area * 1e12:,.3g}"
    template = (
        resources.files("napari_semxai.reports").joinpath("lot_report.html").read_text("utf-8")
    )
    labels = [label for label, _ in Counter(row.label for row in rows).most_common()]
    # Beyond the palette all are one colour: no two classes may share one.
    palette = {
        label: colors.SERIES[place] if place < _MOST_CLASSES else colors.GREY
        for place, label in enumerate(labels)
    }
    lots = _lots(rows)
    values = {
        "title": title,
        "version": version("napari-semxai"),
        "made": utc_now()[:16].replace("T", " "),
        "rows": rows,
        "palette": palette,
        "colors": colors,
        "wafers": _wafers(rows),
        "most_wafers": _MOST_WAFERS,
        "of_each": OF_EACH,
        "sizes": histogram([row.diameter for row in rows if row.diameter]),
        "by_count": pareto(Counter(row.label for row in rows if row.state != "no defect")),
        "by_area": pareto(_areas(rows)),
        "classes": _classes(rows),
        "lots": lots,
        "trends": [one for one in _TRENDS if any(lot[one[0]] for lot in lots)],
        "states": Counter(row.state for row in rows).most_common(),
        "agreement": agreement,
        "settings": Counter(row.settings for row in rows if row.settings).most_common(),
        "microscopes": _microscopes(rows),
        "seen": sum(row.seen for row in rows),
        "by_rule": sum(row.state == ReviewState.BY_RULE for row in rows),
        "promises": Counter(row.rule for row in rows if row.rule).most_common(),
    }
    return environment.from_string(template).render(**values)


def _wafers(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a map for each wafer whose defects have a place, in the order of the rows."""
    found: dict[tuple[str, str], list[tuple[int, Row]]] = {}
    for number, row in enumerate(rows):
        if row.place is not None:
            found.setdefault((row.lot, row.wafer), []).append((number, row))
    maps = []
    for (lot, wafer), members in found.items():
        far = max(math.hypot(*(row.place or (0, 0))) for _, row in members)
        radius = max(far * 1.02, next((row.radius for _, row in members if row.radius), far), 1e-9)
        points = [
            {
                "x": 100 * row.place[0] / radius,
                "y": -100 * row.place[1] / radius,
                "row": row,
                "number": number,
            }
            for number, row in members
            if row.place is not None
        ]
        notch = _NOTCHES.get(members[0][1].notch)
        one = {"lot": lot, "wafer": wafer, "radius": radius, "points": points, "notch": notch}
        maps.append(one)
    return maps


def histogram(values: Sequence[float]) -> list[dict[str, Any]]:
    """Return bins of equal ratio with their counts; the last one has its end."""
    if not values:
        return []
    low, high = min(values), max(values)
    edges = (
        np.geomspace(low, high * (1 + 1e-9), _BINS + 1)
        if high > low
        else np.array([low, low * 1.1])
    )
    counts, edges = np.histogram(values, edges)
    return [
        {"from": float(low), "to": float(high), "count": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def pareto(weights: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return names by falling weight, each with the share of all up to it."""
    ordered = sorted(weights.items(), key=lambda item: -item[1])
    total = sum(weights.values()) or 1
    sums = accumulate(weight for _, weight in ordered)
    return [
        {"name": name, "weight": weight, "share": so_far / total}
        for (name, weight), so_far in zip(ordered, sums, strict=True)
    ]


def _areas(rows: Sequence[Row]) -> dict[str, float]:
    areas: dict[str, float] = {}
    for row in rows:
        if row.area:
            areas[row.label] = areas.get(row.label, 0.0) + row.area
    return areas


def _classes(rows: Sequence[Row]) -> list[dict[str, Any]]:
    table = []
    for label, count in Counter(row.label for row in rows).most_common():
        sizes = [row.diameter for row in rows if row.label == label and row.diameter]
        texts = ("", "") if not sizes else (length_text(median(sizes)), length_text(max(sizes)))
        table.append({"name": label, "count": count, "median": texts[0], "largest": texts[1]})
    return table


def _lots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what is counted of each lot, in the order of the rows; see `_TRENDS`."""
    lots = []
    for lot in dict.fromkeys(row.lot for row in rows):
        members = [row for row in rows if row.lot == lot]
        judged = [row for row in members if is_judged(row)]
        marked = [row for row in judged if row.defects]
        parts = Counter[str]()
        for row in marked:
            parts[row.label] += row.defects
        # A defect may have several images.
        listed = {(row.wafer, row.defect or row.name): row.label for row in marked}
        area = _inspected(judged)
        counts = Counter(row.label for row in marked)
        lots.append(
            {
                "name": lot,
                "images": len(members),
                "judged": len(judged),
                "marked": len(marked),
                "parts": parts.total(),
                "area": area,
                "count": counts,
                "per_image": _each(parts, len(judged)),
                "per_area": _each(Counter(listed.values()), area),
                "shares": [(*one, one[1] / len(marked)) for one in counts.most_common()],
            }
        )
    return lots


def _inspected(rows: Sequence[Row]) -> float:
    """Return how many cm² were inspected of the wafers of some rows; 0 where one is not known."""
    wafers = {row.wafer: row.inspected for row in rows}
    known = [area for area in wafers.values() if area is not None]
    return sum(known) * 1e4 if len(known) == len(wafers) else 0.0


def _each(counts: Mapping[str, int], number: float) -> dict[str, float]:
    return {name: count / number for name, count in counts.items()} if number else {}


def _microscopes(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Return what images have in common, each with their number; not what is of each alone."""
    said = (
        "; ".join(f"{name} {text}" for name, text in row.microscope if name not in OF_EACH)
        for row in rows
    )
    return Counter(text for text in said if text).most_common()


def _agreement(projects: Sequence[Project], tell: Tell | None) -> Iterator[dict[str, Any]]:
    for project in projects:
        names = project.annotators()
        if len(names) > 1:
            with suppress(InputError):
                for pair in project_agreement(project, names, tell):
                    yield {"project": project.info.name, "pair": pair}
