"""What a report says of one image: its latest review, size, place on the wafer and picture."""

from __future__ import annotations

import base64
import io
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy
from PIL import Image

from napari_semxai.algorithms.masks.components import find_defects
from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.store.images.microscope import describe
from napari_semxai.store.project.certificates import promise_text
from napari_semxai.store.sources.klarf import AREA, is_klarf, read_klarf
from napari_semxai.types import InputError, ReviewState, colors
from napari_semxai.types.quantities import area_text, length_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from napari_semxai.store.project.project import Project
    from napari_semxai.store.sources.klarf import Klarf, KlarfDefect
    from napari_semxai.types import BoolMask, ProjectImage, ReviewRecord, SemImage

    Tell = Callable[[int, int], None]

BY_RULE = str(ReviewState.BY_RULE)
SIDE = 150
"""Longer edge of a picture: 2,000 of them have about 11 MB."""
_AROUND = 1.6
_NAMED = (
    ("points_per_side", "points per side"),
    ("pred_iou_thresh", "predicted IoU ≥"),
    ("stability_score_thresh", "stability ≥"),
    ("box_nms_thresh", "box IoU ≤"),
    ("connectivity", "connectivity"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a report; what is not known is "" or None.

    Attributes
    ----------
    project, name, lot, wafer, defect, label : str
        Where it comes from, and its class by name.
    state, by, when, comment : str
        The latest word of an annotator.
    seen : bool
        Whether a person has reviewed it.
    area, diameter : float or None
        Of the mask, in m² and m (of a circle of that area); None without a mask or a pixel size.
    defects : int
        Connected parts of the mask.
    size : str
        Area and extents in the unit that fits, else in pixels.
    place : tuple of float or None
        x and y on the wafer in metres, from its centre.
    radius, inspected : float or None
        Of that wafer in metres, and what was inspected of it in m².
    rule : str
        What accepted the mask where no person did, and what that promises.
    notch : str
        Side of the wafer's notch or flat: "up", "down", "left" or "right".
    microscope : tuple of (str, str)
        Name and text of what is known of the image.
    settings : str
        What made the mask.
    picture : str
        Data of a picture, with the mask's outline.
    """

    project: str
    name: str
    lot: str
    wafer: str
    defect: str
    label: str
    state: str
    by: str
    when: str
    comment: str
    seen: bool
    area: float | None
    diameter: float | None
    defects: int
    size: str
    place: tuple[float, float] | None
    radius: float | None
    inspected: float | None
    notch: str
    rule: str
    microscope: tuple[tuple[str, str], ...]
    settings: str
    picture: str


def is_judged(row: Row) -> bool:
    """Whether there is a mask of an image, be it an empty one, that nobody rejected or doubts."""
    return bool(row.by) and row.state not in (ReviewState.REJECTED, ReviewState.UNSURE)


def rows_of(project: Project, failed: dict[str, str] | None) -> Iterator[Row]:
    """Yield what is known of each image; what cannot be read goes to `failed`, or raises."""
    defects, klarf = _defects(project)
    names = project.annotators()
    promises: dict[tuple[str, str], str] = {}
    for image in project.images:
        defect = defects.get((image.lot, image.wafer, image.defect))
        try:
            row = _row(project, image, names, defect, klarf)
            rule = row.by, row.rule
            if row.rule and rule not in promises:
                promises[rule] = _promise(project, *rule)
            yield replace(row, rule=promises.get(rule, ""))
        except InputError as error:
            if failed is None:
                raise
            failed[image.name] = str(error)


def _row(
    project: Project,
    image: ProjectImage,
    names: Sequence[str],
    defect: KlarfDefect | None,
    klarf: Klarf | None,
) -> Row:
    record = _latest(record for name in names if (record := project.record(image.id, name)))
    mask = None if record is None else project.mask(image.id, record.annotator)
    shown = project.read_image(image.id, check=False)
    label = (record.label if record else "") or image.label
    area, diameter, size = _size(mask, shown.pixel_size)
    place = radius = inspected = None
    if defect is not None and klarf is not None:
        place, radius = on_wafer(defect, klarf)
        inspected = inspected_area(defect, klarf)
    state = "" if record is None else str(record.state)
    seen = record is not None and record.state.is_reviewed
    return Row(
        project.info.name,
        image.name,
        image.lot or project.info.name,
        image.wafer,
        image.defect,
        project.info.class_names.get(label, label) or "no class",
        state or str(ReviewState.CANDIDATE),
        "" if record is None else record.annotator,
        "" if record is None else record.time[:16].replace("T", " "),
        "" if record is None else record.comment,
        seen,
        area,
        diameter,
        0 if mask is None else len(find_defects(mask)),
        size,
        place,
        radius,
        inspected,
        _notch(defect),
        "" if record is None else record.rule,
        (*_metadata(shown), *_reference(record)),
        _settings(record),
        picture(shown, mask),
    )


def _promise(project: Project, annotator: str, rule: str) -> str:
    try:
        return promise_text(project, annotator, rule)
    except InputError as error:
        return str(error)


def _latest(records: Iterable[ReviewRecord]) -> ReviewRecord | None:
    """Return the latest review, else the latest mask."""
    found = sorted(records, key=lambda record: (record.state.is_reviewed, record.time))
    return found[-1] if found else None


def _metadata(shown: SemImage) -> Iterator[tuple[str, str]]:
    """Yield name and text of what is known of an image."""
    if shown.pixel_size is not None:
        yield "Pixel size", length_text(shown.pixel_size)
    if shown.microscope is not None:
        yield from describe(shown.microscope)


def _reference(record: ReviewRecord | None) -> Iterator[tuple[str, str]]:
    """Yield the picture that the image of a mask was compared with, or why it was not."""
    recipe = None if record is None else record.recipe
    compared = None if recipe is None else recipe.settings.get("compared")
    if compared:
        name, fits = compared.get("reference", ""), compared.get("correlation")
        why = compared.get("reason") or ("" if fits is None else f"correlation {fits:.2f}")
        yield "Reference", f"{name} ({why})" if why else name


def _size(mask: BoolMask | None, pixel: float | None) -> tuple[float | None, float | None, str]:
    box = None if mask is None else bounding_box(mask)
    if mask is None or box is None:
        return None, None, ""
    area = int(np.count_nonzero(mask))
    height, width = (side.stop - side.start for side in box)
    if pixel is None:
        return None, None, f"{area:,} px, {width} × {height} px"
    square = area * pixel**2
    extents = f"{length_text(width * pixel)} × {length_text(height * pixel)}"
    return square, 2 * math.sqrt(square / math.pi), f"{area_text(square)}, {extents}"


def picture(image: SemImage, mask: BoolMask | None) -> str:
    """Return an image around its mask, outlined, as the data of a JPEG picture."""
    gray, box = image.gray, None if mask is None else bounding_box(mask)
    window = (slice(None), slice(None))
    if box is not None:
        sides = [side.stop - side.start for side in box]
        half = round(max(SIDE / 2, _AROUND * max(sides) / 2))
        middles = [(side.start + side.stop) // 2 for side in box]
        rows, columns = (slice(max(0, at - half), at + half) for at in middles)
        window = rows, columns
    part = Image.fromarray(np.ascontiguousarray(gray[window])).convert("RGB")
    scale = min(1.0, SIDE / max(part.size))
    size = max(1, round(part.width * scale)), max(1, round(part.height * scale))
    small = np.array(part.resize(size, Image.Resampling.BOX))
    if mask is not None and box is not None:
        held = (
            Image.fromarray(np.ascontiguousarray(mask[window]))
            .convert("L")
            .resize(size, Image.Resampling.BOX)
        )
        inside = np.asarray(held) > 0
        edge = inside & ~scipy.ndimage.binary_erosion(inside, border_value=1)
        color = [int(colors.DEFECT[place : place + 2], 16) for place in (1, 3, 5)]
        small[edge if edge.any() else inside] = color
    with io.BytesIO() as file:
        Image.fromarray(small).save(file, "JPEG", quality=75, optimize=True)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _settings(record: ReviewRecord | None) -> str:
    """Say in one line what made a mask."""
    recipe = None if record is None else record.recipe
    if recipe is None or recipe.base != "automatic":
        return ""
    made = recipe.settings
    network = made.get("network") or made.get("model") or {}
    name = network.get("name") or Path(str(network.get("path", ""))).stem
    compared = made.get("compared") or {}
    used = "" if compared.get("reason") else compared.get("reference", "")
    words = (
        f"{name} ({str(network.get('sha256', ''))[:12]})",
        made.get("algorithm", "paper"),
        f"α {made.get('alpha', 0):g}, β {made.get('beta', 0):g}",
        *(f"{text} {made[key]:g}" for key, text in _NAMED if made.get(key) is not None),
        # Many images, many references: which one it was stands beside each picture.
        f"compared with {'its own pattern' if used == 'self' else 'a reference'}" if used else "",
        *(f"{package} {version}" for package, version in recipe.versions.items()),
    )
    return "; ".join(word for word in words if word)


def _defects(
    project: Project,
) -> tuple[dict[tuple[str, str, str], KlarfDefect], Klarf | None]:
    """Return the defects of the KLARF file that a project was made from, where it is there."""
    source = Path(project.info.source)
    with suppress(InputError, OSError):
        if source.is_file() and is_klarf(source):
            klarf = read_klarf(source)
            return {(one.lot, one.wafer, one.defect): one for one in klarf.defects}, klarf
    return {}, None


def on_wafer(defect: KlarfDefect, klarf: Klarf) -> tuple[tuple[float, float] | None, float | None]:
    """Return where a defect lies on its wafer and the wafer's radius, in metres.

    Lengths are in the file's unit from the corner of the die; dies are counted from the one in
    whose coordinates the wafer's centre is given. Version 1.8 gives the diameter in that unit,
    too, the flat versions a shape and millimetres.
    """
    fields = _wafer_numbers(defect)
    pitch, centre = fields.get("diepitch", []), fields.get("samplecenterlocation", [])
    sample = fields.get("samplesize", [])
    cells = [defect.cells.get(name) for name in ("XREL", "YREL", "XINDEX", "YINDEX")]
    words = [cell.text if cell is not None else "" for cell in cells]
    if len(pitch) != 2 or len(centre) != 2 or not all(map(_is_number, words)):
        return None, None
    x, y, column, row = map(float, words)
    place = (
        (column * pitch[0] + x - centre[0]) * klarf.unit,
        (row * pitch[1] + y - centre[1]) * klarf.unit,
    )
    if not sample:
        return place, None
    diameter = sample[0] * klarf.unit if sample[0] > 1000 else sample[-1] * 1e-3
    return place, diameter / 2 if diameter > 0 else None


def inspected_area(defect: KlarfDefect, klarf: Klarf) -> float | None:
    """Return the area in m² that was inspected of a defect's wafer; None where nothing tells.

    Of several tests it is the sum; where the file says none, that of the dies of its sample plan.
    """
    fields = _wafer_numbers(defect)
    area, pitch = sum(fields.get(AREA, ())), fields.get("diepitch", [])
    if area <= 0 and len(pitch) == 2:
        area = fields.get("sampletestplan", [0.0])[0] * pitch[0] * pitch[1]
    return area * klarf.unit**2 if area > 0 else None


def _wafer_numbers(defect: KlarfDefect) -> dict[str, list[float]]:
    return {
        name: [float(word) for word in words]
        for name, words in defect.wafer_fields.items()
        if words and all(map(_is_number, words))
    }


def _notch(defect: KlarfDefect | None) -> str:
    words = () if defect is None else defect.wafer_fields.get("orientationmarklocation", ())
    side = " ".join(words).casefold()
    # From where degrees are counted differs from site to site.
    return side if side in ("up", "down", "left", "right") else ""


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        return math.isfinite(float(text))
    return False
