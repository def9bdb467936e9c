"""What microscopes write, on files written with the same grammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.images.microscope import describe, jeol_microscope, thermo_microscope
from napari_semxai.store.images.read import microscope_columns, read_image, read_microscope
from napari_semxai.types import InputError
from tests.store.images.microscopes import FEI_HELIOS, ZEISS_SEM, write

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (100, 120)
HITACHI = """[SemImageFile]
InstructName=SU8220
ImageName=a.png
Date=03/21/2024
Time=10:11:12
DataSize={width}x90
PixelSize=9.921875
SignalName=SE(UL)
AcceleratingVoltage=5000 Volt
EmissionCurrent=9600 nA
WorkingDistance=8100 um
Magnification=10000
StagePositionX=52500000
StagePositionY=-1000
StagePositionZ=8000000
"""
JEOL = """$CM_FORMAT
$CM_VERSION 0.1
$CM_DATE 2024/03/21
$CM_TIME 10:11:12
$CM_INSTRUMENT JSM-7800F
$CM_FULL_SIZE {width} 90
$CM_ACCEL_VOLT 15.00
$CM_MAG 2500
$CM_SIGNAL LED
$CM_STAGE_POS 1.5 -2.25 10.0 0 0 0
$$SM_WD 10.1
$$SM_MICRON_BAR 120
$$SM_MICRON_MARKER 10um
"""
TESCAN = """[MAIN]
Date=2024-03-21
Time=10:11:12
Device=MAIA3
ImageStripSize=10
Magnification=20000
PixelSizeX=1.2e-008
PixelSizeY=1.2e-008

[SEM]
Detector=In-Beam SE
HV=10000
StageX=0.0015
StageY=-0.002
StageZ=0.005
WD=0.0051
"""
THERMO = """<?xml version="1.0" encoding="utf-8"?>
<Metadata>
  <Instrument><InstrumentClass>Apreo 2</InstrumentClass></Instrument>
  <Acquisition><AcquisitionDatetime>2024-03-21T10:11:12</AcquisitionDatetime></Acquisition>
  <Optics>
    <AccelerationVoltage>2000</AccelerationVoltage>
    <WorkingDistance>0.004</WorkingDistance>
  </Optics>
  <StageSettings><StagePosition><X>0.01</X><Y>-0.02</Y><Z>0.005</Z></StagePosition></StageSettings>
  <ScanSettings><ScanSize><Width>120</Width><Height>90</Height></ScanSize></ScanSettings>
  <Detectors><ScanningDetector><DetectorName>T1</DetectorName></ScanningDetector></Detectors>
  <BinaryResult>
    <PixelSize><X unit="m">3.5E-09</X><Y unit="m">3.5E-09</Y></PixelSize>
  </BinaryResult>
</Metadata>
"""


def picture(folder: Path, name: str = "a.png") -> Path:
    path = folder / name
    Image.fromarray(np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(np.uint8)).save(path)
    return path


def texts(image: Any) -> dict[str, str]:
    return dict(describe(image.microscope))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ending", ["txt", "TXT"])
def test_hitachi(tmp_path: Path, encoding: str, ending: str) -> None:
    path = picture(tmp_path)
    text = HITACHI.format(width=120).replace("\n", "\r\n")
    path.with_suffix(f".{ending}").write_bytes(text.encode(encoding))
    image = read_image(path)
    assert image.pixel_size == pytest.approx(9.921875e-9)
    assert image.picture_rows == 90
    assert texts(image) == {
        "Microscope": "Hitachi SU8220",
        "Voltage": "5 kV",
        "Magnification": "10,000×",
        "Working distance": "8.1 mm",
        "Detector": "SE(UL)",
        "Stage": "52.5, -0.001, 8 mm",
        "Taken": "03/21/2024 10:11:12",
    }


def test_jeol(tmp_path: Path) -> None:
    path = picture(tmp_path, "b.jpg")
    path.with_suffix(".txt").write_text(JEOL.format(width=120))
    image = read_image(path)
    assert image.pixel_size == pytest.approx(10e-6 / 120)
    assert image.picture_rows == 90
    assert texts(image) == {
        "Microscope": "JEOL JSM-7800F",
        "Voltage": "15 kV",
        "Magnification": "2,500×",
        "Working distance": "10.1 mm",
        "Detector": "LED",
        "Stage": "1.5, -2.25, 10 mm",
        "Taken": "2024/03/21 10:11:12",
    }


@pytest.mark.parametrize("name", ["a.hdr", "a-png.hdr", "a.png.hdr", None])
def test_tescan(tmp_path: Path, name: str | None) -> None:
    if name is None:
        path = tmp_path / "a.tif"
        header = bytes(range(40)) + TESCAN.encode() + b"\0" * 8
        tags = [(50431, 7, len(header), header, True)]
        tifffile.imwrite(path, np.zeros(SHAPE, np.uint8), extratags=tags)
    else:
        path = picture(tmp_path)
        (tmp_path / name).write_text(TESCAN)
    image = read_image(path)
    assert (image.pixel_size, image.picture_rows) == (1.2e-8, 90)
    assert texts(image) == {
        "Microscope": "TESCAN MAIA3",
        "Voltage": "10 kV",
        "Magnification": "20,000×",
        "Working distance": "5.1 mm",
        "Detector": "In-Beam SE",
        "Stage": "1.5, -2, 5 mm",
        "Taken": "2024-03-21 10:11:12",
    }


@pytest.mark.parametrize("kind", [1, 2])
def test_new_thermo(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "a.tif"
    # As bytes and as letters.
    value = THERMO.encode() + b"\0" if kind == 1 else THERMO
    tags = [(34683, kind, len(THERMO) + 1, value, True)]
    tifffile.imwrite(path, np.zeros(SHAPE, np.uint8), extratags=tags)
    image = read_image(path)
    assert (image.pixel_size, image.picture_rows) == (3.5e-9, 90)
    assert texts(image) == {
        "Microscope": "FEI/Thermo Apreo 2",
        "Voltage": "2 kV",
        "Working distance": "4 mm",
        "Detector": "T1",
        "Stage": "10, -20, 5 mm",
        "Taken": "2024-03-21T10:11:12",
    }


@pytest.mark.parametrize("text", ['<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "<x>", ""])
def test_xml_that_is_none_or_defines_entities_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"definitions|column"):
        thermo_microscope(text, 100)


def test_jeol_names_its_detector_in_several_ways() -> None:
    for name in ("CM_DETECTOR", "CM_SIGNAL_NAME", "CM_DETECTOR_NAME"):
        text = JEOL.format(width=120).replace("CM_SIGNAL", name)
        assert jeol_microscope(text, SHAPE).detector == "LED"


def test_old_fei(tmp_path: Path) -> None:
    header = (
        "[User]\nDate=03/21/2024\nTime=10:11:12\n[System]\nSystemType=Helios\n"
        "[Beam]\nBeam=EBeam\n[EBeam]\nHV=5000\nWD=0.0042\n"
        "[Scan]\nPixelWidth=2.5e-09\nPixelHeight=2.5e-09\nHorFieldsize=3e-07\nVerFieldsize=2.25e-07\n"
        "[Stage]\nStageX=0.001\nStageY=0.002\nStageZ=0.004\n[Detectors]\nName=TLD\n"
        "[Image]\nMagCanvasRealWidth=0.3\n"
    )
    path = tmp_path / "a.tif"
    write(path, np.zeros(SHAPE, np.uint8), FEI_HELIOS, header.replace("\n", "\r\n"))
    image = read_image(path)
    assert (image.pixel_size, image.picture_rows) == (2.5e-9, 90)
    assert texts(image) == {
        "Microscope": "FEI/Thermo Helios",
        "Voltage": "5 kV",
        "Magnification": "1,000,000×",
        "Working distance": "4.2 mm",
        "Detector": "TLD",
        "Stage": "1, 2, 4 mm",
        "Taken": "03/21/2024 10:11:12",
    }


def test_zeiss(tmp_path: Path) -> None:
    lines = [*["0"] * 3, "6e-09", *["0"] * 40]
    named = {
        "AP_ACTUALKV": "EHT = 3.00 kV",
        "AP_MAG": "Mag = 50.00 K X",
        "AP_WD": "WD = 2.1 mm",
        "DP_DETECTOR_CHANNEL": "Signal A = InLens",
        "AP_STAGE_AT_X": "Stage at X = 61.5 mm",
        "AP_STAGE_AT_Y": "Stage at Y = 50.0 mm",
        "AP_STAGE_AT_Z": "Stage at Z = 40.0 mm",
    }
    lines += [text for pair in named.items() for text in pair]
    path = tmp_path / "a.tif"
    write(path, np.zeros((100, 1024), np.uint8), ZEISS_SEM, "\r\n".join(lines))
    image = read_image(path)
    assert image.pixel_size == pytest.approx(6e-9)
    assert texts(image) == {
        "Microscope": "Zeiss",
        "Voltage": "3 kV",
        "Magnification": "50,000×",
        "Working distance": "2.1 mm",
        "Detector": "InLens",
        "Stage": "61.5, 50, 40 mm",
    }


@pytest.mark.parametrize(
    "text",
    ["a note about [SemImageFile]", "", "\0" * 50, HITACHI.format(width=120)[:20], "x" * 2**19],
)
def test_another_text_beside_an_image_is_none_of_its(tmp_path: Path, text: str) -> None:
    path = picture(tmp_path)
    path.with_suffix(".txt").write_text(text)
    image = read_image(path)
    assert image.pixel_size is None
    assert image.picture_rows is None


@pytest.mark.parametrize("text", [HITACHI, JEOL])
def test_an_image_that_was_made_smaller_has_no_known_size(tmp_path: Path, text: str) -> None:
    path = picture(tmp_path)
    path.with_suffix(".txt").write_text(text.format(width=1280))
    image = read_image(path)
    assert image.pixel_size is None
    assert image.microscope.voltage in (5e3, 15e3)


@pytest.mark.parametrize("value", ["nan", "-3", "1e9", "abc", ""])
def test_values_that_cannot_be_are_left_out(tmp_path: Path, value: str) -> None:
    path = picture(tmp_path)
    text = HITACHI.format(width=120)
    for name in ("PixelSize", "AcceleratingVoltage", "Magnification", "StagePositionX"):
        text = text.replace(f"{name}=", f"{name}={value}\nOld{name}=", 1)
    path.with_suffix(".txt").write_text(text)
    microscope = read_image(path).microscope
    assert microscope.pixel_size is None
    assert microscope.voltage is None or value == "1e9"
    assert microscope.detector == "SE(UL)"


def test_it_is_read_without_the_pixels(tmp_path: Path) -> None:
    path = picture(tmp_path)
    assert read_microscope(path) is None
    path.with_suffix(".txt").write_text(JEOL.format(width=120))
    assert read_microscope(path).detector == "LED"
    header = TESCAN.encode()
    tags = [(50431, 7, len(header), header, True)]
    tifffile.imwrite(tmp_path / "b.tif", np.zeros(SHAPE, np.uint8), extratags=tags)
    assert read_microscope(tmp_path / "b.tif").voltage == 10_000
    assert microscope_columns(tmp_path / "b.tif") == {
        "microscope": "TESCAN MAIA3",
        "voltage_kv": 10.0,
        "magnification": 20_000.0,
        "working_distance_mm": pytest.approx(5.1),
        "detector": "In-Beam SE",
        "stage_x_mm": pytest.approx(1.5),
        "stage_y_mm": pytest.approx(-2),
        "stage_z_mm": pytest.approx(5),
        "taken": "2024-03-21 10:11:12",
    }
    assert set(microscope_columns(tmp_path / "c.tif").values()) == {"", None}
    with pytest.raises(InputError, match="no such file"):
        read_microscope(tmp_path / "c.tif")


def test_a_pixel_of_no_height_has_no_size(tmp_path: Path) -> None:
    path = picture(tmp_path)
    text = TESCAN.replace("PixelSizeY=1.2e-008", "PixelSizeY=0")
    path.with_suffix(".hdr").write_text(text)
    image = read_image(path)
    assert image.pixel_size is None
    assert image.microscope.voltage == 10_000
