"""What microscopes write about an image: in TIFF tags, or in a text file beside it.

Each maker has a function that turns its own names and units into a `Microscope`. A value that
cannot be read is left out; none of them costs the picture.

References
----------
.. [1] Bio-Formats, "Supported formats": Hitachi, JEOL, FEI, Zeiss (``[SemImageFile]`` and others).
.. [2] Gwyddion user guide, "TESCAN": the ``.hdr`` file, and the same text in TIFF tag 50431.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from napari_semxai.types import Microscope
from napari_semxai.types.quantities import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    _Reader = Callable[[str, tuple[int, ...]], Microscope]

METRES = UNITS | {
    "micron": 1e-6,
    "microns": 1e-6,
    "micrometer": 1e-6,
    "nanometer": 1e-9,
    "Å": 1e-10,
    "cm": 1e-2,
    "m": 1.0,
    "inch": 2.54e-2,
}
_LARGEST_PIXEL = 1e-3
_SAME_SHAPE = 0.01
_ZEISS_REFERENCE_WIDTH = 1024
_MOST_TEXT = 2**18
"""Bytes of a text file beside an image; a longer one is something else."""
_QUANTITY = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(k\b|K\b)?\s*([^\W\d]*)")
_VOLTS = {"V": 1.0, "Volt": 1.0, "kV": 1e3, "KV": 1e3}


def number(value: object) -> float | None:
    """Return a finite number, of text, too; None where it is none."""
    with suppress(TypeError, ValueError):
        found = float(value)  # type: ignore[arg-type]
        return found if math.isfinite(found) else None
    return None


def plausible_size(value: object) -> float | None:
    """Return a pixel size in metres; None where it can be none."""
    size = number(value)
    # Above a millimetre it is another unit or a placeholder; no size is better than a wrong one.
    return size if size is not None and 0 < size < _LARGEST_PIXEL else None


def square_size(across: float | None, down: float | None) -> float | None:
    """Return the edge of a pixel; None where it is not square."""
    if not across or not down or abs(across / down - 1) > _SAME_SHAPE:
        return None
    return plausible_size(across)


def _quantity(text: object, units: Mapping[str, float], usual: float = 1.0) -> float | None:
    """Return what "8.2 mm" or "50.00 K X" says, in SI units; `usual` is for a bare number."""
    found = _QUANTITY.match(str(text))
    value = None if found is None else number(found[1])
    if found is None or value is None:
        return None
    thousands = 1e3 if found[2] else 1.0
    return value * thousands * units.get(found[3], usual)


def _positive(value: float | None) -> float | None:
    return value if value is not None and 0 < value < math.inf else None


def fei_pixel_size(metadata: Mapping[str, Any]) -> float | None:
    """Return metres per pixel from an FEI/Thermo header (``Scan.PixelWidth``)."""
    return plausible_size(metadata.get("Scan", {}).get("PixelWidth"))


def fei_picture_rows(metadata: Mapping[str, Any], height: int) -> int | None:
    """Return the rows above the info bar, or None where the picture fills the image."""
    scan = metadata.get("Scan", {})
    pixel = plausible_size(scan.get("PixelHeight"))
    field = number(scan.get("VerFieldsize"))
    if pixel is None or field is None:
        return None
    return _rows(round(field / pixel), height)


def zeiss_pixel_size(
    metadata: Mapping[str, Any], width: int, height: int | None = None
) -> float | None:
    """Return metres per pixel from a Zeiss header.

    The unnamed value 3 holds the pixel size of a display 1024 pixels wide; the image may be
    stored wider or narrower than that. One that was made smaller or larger since it was stored
    has no known size, and one that was cropped keeps its own.
    """
    values = metadata.get("", ())
    reference = plausible_size(values[3]) if len(values) > 3 else None
    if reference is None:
        return None
    stored = re.findall(r"\d+", str(metadata.get("dp_image_store", ("", ""))[1]))
    if len(stored) == 2 and height is not None and int(stored[0]) != width:
        across, down = int(stored[0]) / width, int(stored[1]) / height
        if min(across, down) < 1 or abs(across / down - 1) < _SAME_SHAPE:
            return None
        width = int(stored[0])
    # The header tells it for a width of 1024, whatever the image has.
    return reference * _ZEISS_REFERENCE_WIDTH / width


def fei_microscope(metadata: Mapping[str, Any], height: int) -> Microscope:
    """Return what an FEI/Thermo header (tags 34680 and 34682) says of an image."""
    part = {name: values for name, values in metadata.items() if isinstance(values, dict)}
    beam = part.get(str(part.get("Beam", {}).get("Beam", "")), {}) or part.get("EBeam", {})
    scan, stage = part.get("Scan", {}), part.get("Stage", {})
    shown = number(part.get("Image", {}).get("MagCanvasRealWidth"))
    field = _positive(number(scan.get("HorFieldsize")))
    user, system = part.get("User", {}), part.get("System", {})
    return Microscope(
        maker="FEI/Thermo",
        instrument=str(system.get("SystemType", system.get("Type", ""))),
        pixel_size=fei_pixel_size(metadata),
        picture_rows=fei_picture_rows(metadata, height),
        voltage=_positive(number(beam.get("HV"))),
        magnification=shown / field if shown and field else None,
        working_distance=_positive(number(beam.get("WD"))),
        detector=str(part.get("Detectors", {}).get("Name", "")),
        stage=_stage(stage.get("StageX"), stage.get("StageY"), stage.get("StageZ")),
        date=" ".join(str(user[key]) for key in ("Date", "Time") if user.get(key)),
    )


def zeiss_microscope(metadata: Mapping[str, Any], shape: tuple[int, ...]) -> Microscope:
    """Return what a Zeiss header (tag 34118) says of an image of a shape (M, N)."""

    def value(key: str) -> tuple[Any, Any]:
        # Name, value and mostly unit.
        entry = (*metadata.get(key, ("", "")), "", "")
        return entry[1], entry[2]

    def length(key: str) -> float | None:
        found, unit = value(key)
        metres = METRES.get(str(unit))
        size = number(found)
        return size * metres if size is not None and metres else None

    volts, unit = value("ap_manualkv" if "ap_actualkv" not in metadata else "ap_actualkv")
    volts = number(volts)
    detector, _ = value("dp_detector_channel")
    dates = (str(value(key)[0]) for key in ("ap_date", "ap_time"))
    return Microscope(
        maker="Zeiss",
        instrument=str(value("sv_instrument_id")[0] or value("sv_serial_number")[0]),
        pixel_size=zeiss_pixel_size(metadata, shape[1], shape[0]),
        voltage=None if volts is None else _positive(volts * _VOLTS.get(str(unit), 1e3)),
        magnification=_positive(_quantity(" ".join(map(str, value("ap_mag"))), {})),
        working_distance=_positive(length("ap_wd")),
        detector=str(detector or value("dp_detector_type")[0]),
        stage=_stage(*(length(f"ap_stage_at_{axis}") for axis in "xyz")),
        date=" ".join(date for date in dates if date),
    )


def thermo_microscope(xml: str, height: int) -> Microscope:
    """Return what the XML of newer FEI/Thermo microscopes (tag 34683) says of an image.

    Raises
    ------
    ValueError
        When it is no XML, or defines entities.
    """
    if "<!" in xml.replace("<![CDATA[", ""):
        raise ValueError("definitions in the metadata")
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise ValueError(str(error)) from error

    def text(*path: str) -> str | None:
        return root.findtext("/".join(path))

    size = plausible_size(text("BinaryResult", "PixelSize", "X"))
    detector = text("Detectors", "ScanningDetector", "DetectorName")
    stage = (text("StageSettings", "StagePosition", axis) for axis in "XYZ")
    rows = number(text("ScanSettings", "ScanSize", "Height"))
    display = _positive(number(text("CustomPropertyGroup", "MagCanvasRealWidth")))
    field = _positive(number(text("Optics", "ScanFieldOfView", "X")))
    return Microscope(
        maker="FEI/Thermo",
        instrument=text("Instrument", "InstrumentClass") or "",
        pixel_size=size,
        picture_rows=None if rows is None else _rows(round(rows), height),
        voltage=_positive(number(text("Optics", "AccelerationVoltage"))),
        magnification=display / field if display and field else None,
        working_distance=_positive(number(text("Optics", "WorkingDistance"))),
        detector=detector or text("BinaryResult", "Detector") or "",
        stage=_stage(*stage),
        date=text("Acquisition", "AcquisitionDatetime") or "",
    )


def tescan_microscope(text: str, shape: tuple[int, ...]) -> Microscope:
    """Return what TESCAN's text (tag 50431, or a ``.hdr`` file) says of an image (M, N)."""
    values = _pairs(text)
    strip = number(values.get("ImageStripSize"))
    size = square_size(number(values.get("PixelSizeX")), number(values.get("PixelSizeY")))
    names = ("Detector", "Detector0")
    return Microscope(
        maker="TESCAN",
        instrument=values.get("DeviceModel") or values.get("Device", ""),
        pixel_size=size,
        picture_rows=None if strip is None else _rows(shape[0] - round(strip), shape[0]),
        voltage=_positive(number(values.get("HV"))),
        magnification=_positive(number(values.get("Magnification"))),
        working_distance=_positive(number(values.get("WD"))),
        detector=next((values[name] for name in names if values.get(name)), ""),
        stage=_stage(*(values.get(f"Stage{axis}") for axis in "XYZ")),
        date=" ".join(values[key] for key in ("Date", "Time") if values.get(key)),
    )


def hitachi_microscope(text: str, shape: tuple[int, ...]) -> Microscope:
    """Return what Hitachi's text (``[SemImageFile]``) says of an image (M, N)."""
    values = _pairs(text)
    stored = re.findall(r"\d+", values.get("DataSize", ""))
    # The size is that of a pixel as it was stored; the bar, where there is one, lies below.
    same = len(stored) == 2 and int(stored[0]) == shape[1]
    size = plausible_size((number(values.get("PixelSize")) or 0) * 1e-9) if same else None
    stage = (number(values.get(f"StagePosition{axis}")) for axis in "XYZ")
    return Microscope(
        maker="Hitachi",
        instrument=values.get("InstructName", ""),
        pixel_size=size,
        picture_rows=_rows(int(stored[1]), shape[0]) if same else None,
        voltage=_positive(_quantity(values.get("AcceleratingVoltage"), _VOLTS)),
        magnification=_positive(_quantity(values.get("Magnification"), {})),
        working_distance=_positive(_quantity(values.get("WorkingDistance"), METRES, 1e-6)),
        detector=values.get("SignalName", ""),
        # In nanometres.
        stage=_stage(*(None if place is None else place * 1e-9 for place in stage)),
        date=" ".join(values[key] for key in ("Date", "Time") if values.get(key)),
    )


def jeol_microscope(text: str, shape: tuple[int, ...]) -> Microscope:
    """Return what JEOL's text (``$CM_…``) says of an image (M, N)."""
    found = re.findall(r"^\${1,2}([A-Z]\w*)[ \t]*(.*?)\s*$", text, re.MULTILINE)
    values = dict(found)
    full = re.findall(r"\d+", values.get("CM_FULL_SIZE", ""))
    same = len(full) != 2 or int(full[0]) == shape[1]
    bar = _positive(number(values.get("SM_MICRON_BAR")))
    marker = _quantity(values.get("SM_MICRON_MARKER"), METRES, math.nan)
    stage = (number(place) for place in values.get("CM_STAGE_POS", "").split()[:3])
    names = ("CM_SIGNAL", "CM_DETECTOR", "CM_SIGNAL_NAME", "CM_DETECTOR_NAME")
    return Microscope(
        maker="JEOL",
        instrument=values.get("CM_INSTRUMENT", ""),
        pixel_size=plausible_size(marker / bar) if same and bar and marker else None,
        picture_rows=_rows(int(full[1]), shape[0]) if same and len(full) == 2 else None,
        # In kilovolts, millimetres and millimetres.
        voltage=_positive(_scaled(values.get("CM_ACCEL_VOLT"), 1e3)),
        magnification=_positive(number(values.get("CM_MAG"))),
        working_distance=_positive(_scaled(values.get("SM_WD"), 1e-3)),
        detector=next((values[name] for name in names if values.get(name)), ""),
        stage=_stage(*(None if place is None else place * 1e-3 for place in stage)),
        date=" ".join(values[key] for key in ("CM_DATE", "CM_TIME") if values.get(key)),
    )


_SIDECARS: tuple[tuple[re.Pattern[str], _Reader], ...] = (
    (re.compile(r"^\ufeff?\s*\[SemImageFile\]", re.MULTILINE), hitachi_microscope),
    (re.compile(r"^\ufeff?\$CM_\w+", re.MULTILINE), jeol_microscope),
    (re.compile(r"^\ufeff?\s*\[MAIN\]", re.MULTILINE), tescan_microscope),
)
"""How a text beside an image begins, and who wrote it."""


def read_sidecar(path: Path, shape: tuple[int, ...]) -> Microscope | None:
    """Return what a text file of the microscope beside an image says; None without one.

    It is called as the image is, with ``.txt`` (Hitachi, JEOL) or ``.hdr`` (TESCAN, also with the
    image's ending before it: ``a-png.hdr``).

    Parameters
    ----------
    path : Path
        The image's file.
    shape : tuple of int
        (M, N) of the image.
    """
    kind = path.suffix.lstrip(".")
    names = (f"{path.stem}.txt", f"{path.stem}.hdr", f"{path.stem}-{kind}.hdr", f"{path.name}.hdr")
    for name in (*names, f"{path.stem}.TXT", f"{path.stem}.Txt"):
        # A damaged text must not cost the picture.
        with suppress(OSError, ValueError, ArithmeticError):
            file = path.with_name(name)
            if not file.is_file() or file.stat().st_size > _MOST_TEXT:
                continue
            text = _decoded(file.read_bytes())
            for begins, read in _SIDECARS:
                if begins.search(text):
                    return read(text, shape)
    return None


def tag_text(value: object, begins: str) -> str:
    """Return the text of a TIFF tag of letters or bytes from where it begins to the first NUL.

    Raises
    ------
    ValueError
        When it does not hold `begins`.
    """
    raw = bytes(value) if isinstance(value, bytes | tuple | list) else str(value).encode()
    start = raw.find(begins.encode())
    if start < 0:
        raise ValueError(f"no {begins} in the tag")
    return _decoded(raw[start:].partition(b"\0")[0])


def _decoded(raw: bytes) -> str:
    for encoding in ("utf-16",) if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")


def _pairs(text: str) -> dict[str, str]:
    """Return what "name=value" lines say; of several the first."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and value.strip():
            values.setdefault(name.strip(), value.strip())
    return values


def _scaled(value: object, unit: float) -> float | None:
    found = number(value)
    return None if found is None else found * unit


def _rows(rows: int, height: int) -> int | None:
    return rows if 0 < rows < height else None


def _stage(*places: object) -> tuple[float, ...]:
    """Return the stage's place in metres; () where any axis is unknown."""
    found = [number(place) for place in places]
    known = [place for place in found if place is not None]
    return tuple(known) if len(known) == len(found) else ()


def describe(microscope: Microscope) -> Iterable[tuple[str, str]]:
    """Yield name and text of everything that is known."""
    one = microscope
    yield from (
        (name, text)
        for name, text in (
            ("Microscope", " ".join(part for part in (one.maker, one.instrument) if part)),
            ("Voltage", "" if one.voltage is None else f"{one.voltage / 1e3:g} kV"),
            ("Magnification", "" if one.magnification is None else f"{one.magnification:,.0f}×"),
            (
                "Working distance",
                "" if one.working_distance is None else f"{one.working_distance * 1e3:.3g} mm",
            ),
            ("Detector", one.detector),
            ("Stage", ", ".join(f"{place * 1e3:.4g}" for place in one.stage) + " mm"),
            ("Taken", one.date),
        )
        if text and text != " mm"
    )
