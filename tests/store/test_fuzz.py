"""Small changes of files of every kind: one clear line or an answer, never anything else.

`SEMXAI_FUZZ` says how many changes each reader sees. TIFF is not among the pictures: tifffile can
take longer than the limit over one directory of many damaged tags.
"""

import io
import json
import os
import time
import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_semxai.store.datasets.survey import read_survey
from napari_semxai.store.images.coco import read_coco
from napari_semxai.store.images.masks import mask_reading
from napari_semxai.store.images.read import page_count, read_image
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.types import InputError

EXAMPLES = int(os.environ.get("SEMXAI_FUZZ", "1500"))
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
]


PLAIN = [data for data in PICTURES if data[:2] not in (b"II", b"MM")]
MASK = np.pad(np.ones((8, 12), bool), 8)
MASKS = [
    _picture(Image.fromarray(MASK), "PNG"),
    _picture(Image.fromarray((MASK) * np.uint8(255)), "PNG"),
    _picture(Image.fromarray((MASK) * np.uint8(255)), "BMP"),
    _picture(Image.fromarray((MASK) * np.uint8(3)).convert("P"), "PNG"),
]


def _image(path):
    pages = page_count(path)
    read_image(path, pages - 1)


def _coco(path):
    for image in read_coco(path).images:
        image.mask()


READERS = {
    "image": (_image, ".png", PLAIN),
    "mask": (mask_reading, ".png", MASKS),
    "klarf": (find_images, ".klarf", [KLARF, NESTED]),
    "table": (find_images, ".csv", [TABLE.encode(), TABLE.encode("utf-16")]),
    "survey": (read_survey, ".csv", [SURVEY.encode()]),
    "coco": (_coco, ".json", [json.dumps(COCO).encode()]),
}
_CHANGE = st.tuples(
    st.sampled_from(["set", "flip", "cut", "insert", "repeat", "remove", "number"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=4),
)
_NUMBERS = (b"0", b"-1", b"999999999999", b"1e999", b"nan", b"\xff\xff\xff\x7f", b"\x00" * 4)


def _changed(data: bytes, changes) -> bytes:
    for kind, place, new in changes:
        at, some = int(place * len(data)), new[0]
        if kind == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << some % 8)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + new + data[at:]
        elif kind == "repeat":
            data = data[:at] + data[max(0, at - some) : at] + data[at:]
        elif kind == "remove":
            data = data[:at] + data[at + some :]
        else:
            number = _NUMBERS[some % len(_NUMBERS)]
            data = data[:at] + number + data[at + len(number) :]
    return data


def _peak() -> int:
    """Bytes of memory that this process has had at most since the last call."""
    with open("/proc/self/status") as status:
        high = next(line for line in status if line.startswith("VmHWM"))
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
    return int(high.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="no peak of memory here")
@pytest.mark.parametrize("kind", READERS)
def test_a_changed_file_is_read_or_refused_in_one_line(tmp_path, kind):
    read, suffix, files = READERS[kind]
    (tmp_path / "a.tif").write_bytes(PICTURES[7])
    path = tmp_path / f"changed{suffix}"
    counts = {"read": 0, "refused": 0}

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.sampled_from(files), changes=st.lists(_CHANGE, min_size=1, max_size=4))
    def change(data, changes):
        path.write_bytes(_changed(data, changes))
        before, start = _peak(), time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(path)
                counts["read"] += 1
            except InputError as error:
                counts["refused"] += 1
                assert "\n" not in str(error)  # noqa: PT017
        assert time.perf_counter() - start < SECONDS
        assert _peak() - before < BYTES

    change()
    assert min(counts.values()) > EXAMPLES // 100
    print(kind, counts)  # noqa: T201
