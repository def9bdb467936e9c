"""Small changes of files of every kind: one clear line or an answer, never anything else.

`SEMXAI_FUZZ` says how many changes all readers see together, and `SEMXAI_FUZZ_SEED` which ones:
`SEMXAI_FUZZ=1000000 python -m pytest -s -m slow tests/store/test_fuzz.py` prints the counts.
"""

import io
import json
import logging
import os
import random
import resource
import signal
import time
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.datasets.survey import read_survey
from napari_semxai.store.images.coco import read_coco
from napari_semxai.store.images.masks import mask_reading
from napari_semxai.store.images.microscope import read_sidecar
from napari_semxai.store.images.read import page_count, read_image
from napari_semxai.store.images.tiff import forget_pages
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.types import InputError

CHANGES = int(os.environ.get("SEMXAI_FUZZ", "12000"))
SEED = int(os.environ.get("SEMXAI_FUZZ_SEED", "0"))
SECONDS, BYTES = 5.0, 2**31
GRAY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
RGB = np.stack([GRAY, GRAY[::-1], GRAY[:, ::-1]], -1)
KLARF = b"""FileVersion 1 2;\nLotID "L1";\nWaferID "W7";\nTiffFileName a.tif;\nClassLookup 2
 0 "None"\n 7 "Big one";\nDefectRecordSpec 5 DEFECTID PIXELSIZE CLASSNUMBER IMAGECOUNT IMAGELIST ;
DefectList\n 1 0.5 7 1 1 1 0\n 2 0.5 0 2 2 1 0 1 0;\nEndOfFile;\n"""
NESTED = b"""Record FileRecord "1.8" { Record LotRecord "L" { Record WaferRecord "A" {
 List DefectList { Columns 3 { int32 DEFECTID, int32 CLASSNUMBER, ImageList IMAGEINFO }
 Data 2 { 5 4 Images 1 { "a.tif" "TIF" 1 "x" }; 6 1 N ; } } }
 List ClassLookupList { Columns 2 { int32 CLASSNUMBER, string CLASSNAME } Data 1 { 4 "S"; } } }
 Field FileTimestamp 2 {"2021-01-01", "01:00:00"} }\nEndOfFile;"""
TABLE = 'image_path;label;pixel_size_nm;page\r\na.tif;Größe;2,5;0\r\nC:\\x\\a.tif;"b";1;\r\n'
SURVEY = f"participant;{';'.join(f'item_{n}' for n in range(1, 9))}\nP;1;2;3;4;5;;1;2,0\n"
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 24, "width": 32}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 20, 1, 20, 20]]},
        {"id": 2, "image_id": 1, "segmentation": {"size": [24, 32], "counts": [100, 20, 648]}},
        {"id": 3, "image_id": 1, "segmentation": {"size": [24, 32], "counts": "T3d0\\d"}},
    ],
    "categories": [{"id": 1, "name": "x"}],
}
RESULTS = [one | {"image_id": "a", "score": 0.9} for one in COCO["annotations"][1:]]


def _picture(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


FEI = "[Scan]\r\nPixelWidth=2.5e-09\r\nPixelHeight=2.5e-09\r\nVerFieldsize=5e-08\r\n"
ZEISS = "0\r\n0\r\n0\r\n2.5e-09\r\n0\r\nDP_IMAGE_STORE\r\nStore resolution = 32 * 24\r\n"
TESCAN = (
    b"[MAIN]\r\nDevice=M\r\nImageStripSize=4\r\nPixelSizeX=1e-8\r\nPixelSizeY=1e-8\r\nHV=1e4\r\n"
)
THERMO = (
    "<Metadata><Optics><AccelerationVoltage>2000</AccelerationVoltage></Optics><BinaryResult>"
    "<PixelSize><X>3E-9</X></PixelSize></BinaryResult></Metadata>"
)
HITACHI = b"[SemImageFile]\r\nDataSize=32x20\r\nPixelSize=9.9\r\nWorkingDistance=8100 um\r\n"
JEOL = b"$CM_FULL_SIZE 32 20\n$CM_ACCEL_VOLT 15.0\n$$SM_MICRON_BAR 12\n$$SM_MICRON_MARKER 1um\n"
PICTURES = [
    _picture(Image.fromarray(GRAY), "PNG"),
    _picture(Image.fromarray(RGB), "PNG"),
    _picture(Image.fromarray(RGB).convert("P"), "PNG", transparency=3),
    _picture(Image.fromarray(GRAY.astype(np.uint16) * 200), "PNG"),
    _picture(Image.fromarray(GRAY > 99), "PNG"),
    _picture(Image.fromarray(RGB), "JPEG"),
    _picture(Image.fromarray(RGB), "BMP"),
    _tiff(GRAY, extratags=[(34682, "s", 0, FEI, True)]),
    _tiff(GRAY, extratags=[(34118, "s", 0, ZEISS, True)]),
    _tiff(np.stack([GRAY] * 3), photometric="minisblack", compression="zlib"),
    _tiff(np.stack([GRAY] * 3), imagej=True, truncate=True, resolution=(0.4, 0.4)),
    _tiff(RGB, photometric="rgb", tile=(16, 16), compression="lzw"),
    _tiff(GRAY, photometric="palette", colormap=np.arange(768, dtype=np.uint16).reshape(3, 256)),
    _tiff(GRAY.astype(np.float32), bigtiff=True),
    _tiff(GRAY, extratags=[(34683, 2, len(THERMO) + 1, THERMO, True)]),
    _tiff(GRAY, extratags=[(50431, 7, len(TESCAN) + 9, b"\1\2\0\3" * 2 + TESCAN + b"\0", True)]),
]


TIFFS = [data for data in PICTURES if data[:2] in (b"II", b"MM")]
PLAIN = [data for data in PICTURES if data not in TIFFS]
MASK = np.pad(np.ones((8, 12), bool), 8)
MASKS = [
    _picture(Image.fromarray(MASK), "PNG"),
    _picture(Image.fromarray((MASK) * np.uint8(255)), "PNG"),
    _picture(Image.fromarray((MASK) * np.uint8(255)), "BMP"),
    _picture(Image.fromarray((MASK) * np.uint8(3)).convert("P"), "PNG"),
    _tiff((MASK) * np.uint8(255), compression="zlib"),
]


class _HangError(BaseException):
    """No reader may catch it."""


def _image(path):
    read_image(path, page_count(path) - 1)


def _sidecar(path):
    if read_sidecar(path.with_suffix(".png"), GRAY.shape) is None:
        raise InputError("no microscope's text")


def _coco(path):
    for image in read_coco(path).images:
        # A results list has no sizes.
        image.mask(image.shape or GRAY.shape)


READERS = {
    "survey": (read_survey, ".csv", [SURVEY.encode()]),
    "coco": (_coco, ".json", [json.dumps(COCO).encode(), json.dumps(RESULTS).encode()]),
    "table": (find_images, ".csv", [TABLE.encode(), TABLE.encode("utf-16")]),
    "klarf": (find_images, ".klarf", [KLARF, NESTED]),
    "image": (_image, ".png", PLAIN),
    "mask": (mask_reading, ".png", MASKS),
    "tiff": (_image, ".tif", TIFFS),
    "sidecar": (_sidecar, ".txt", [HITACHI, JEOL, TESCAN]),
}
_NUMBERS = (b"0", b"-1", b"999999999999", b"1e999", b"nan", b"\xff\xff\xff\x7f", b"\x00" * 4)


def _changed(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at, some = chance.randrange(len(data) + 1), chance.randrange(256)
        new = chance.randbytes(chance.randint(1, 4))
        number = _NUMBERS[some % len(_NUMBERS)]
        data = data[:at] + chance.choice(
            (
                new + data[at + len(new) :],
                bytes(byte ^ 1 << some % 8 for byte in data[at : at + 1]) + data[at + 1 :],
                b"",
                new + data[at:],
                data[max(0, at - some) : at] + data[at:],
                data[at + some :],
                number + data[at + len(number) :],
            )
        )
    return data


def _hang(*_):
    raise _HangError


@pytest.fixture
def limits():
    """An alarm for what hangs, and 2 GiB beyond what is in use."""
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    handler = signal.signal(signal.SIGPROF, _hang)
    logging.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
    signal.signal(signal.SIGPROF, handler)
    resource.setrlimit(resource.RLIMIT_AS, before)


def _fault(read, path) -> str | None:
    """Return what went wrong, "" where a file was rightly refused, None where it was read."""
    forget_pages()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read(path)
    except InputError as error:
        cause = error.__cause__
        # Refused only because the memory of this test ended.
        return "memory" if isinstance(cause, MemoryError) else "lines" * ("\n" in str(error))
    except (Exception, _HangError) as error:  # noqa: BLE001
        return repr(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no limit of memory here")
@pytest.mark.parametrize("kind", READERS)
def test_a_changed_file_is_read_or_refused_in_one_line(tmp_path, limits, kind):
    read, suffix, files = READERS[kind]
    (tmp_path / "a.tif").write_bytes(PICTURES[7])
    path = tmp_path / f"changed{suffix}"
    chance = random.Random(f"{kind} {SEED}")
    count, counts = CHANGES // len(READERS), {"read": 0, "refused": 0}
    faults, start = [], time.perf_counter()
    for number in range(count):
        path.write_bytes(_changed(files[number % len(files)], chance))
        fault = _fault(read, path)
        counts["read" if fault is None else "refused"] += 1
        if fault:
            kept = path.with_name(f"fault-{number}{suffix}")
            kept.write_bytes(path.read_bytes())
            faults.append((str(kept), fault))
    print(f"\n{kind}: {counts}, {len(faults)} faults, {time.perf_counter() - start:.0f} s")  # noqa: T201
    assert not faults
    assert min(counts.values()) > count // 200
