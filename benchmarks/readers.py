"""Speed of the readers of files, beside the plainest way to read the same bytes.

``python -m benchmarks.readers`` makes ordinary files of every kind and reads each in turns: by the
package, and by tifffile, Pillow, ``csv`` or ``json`` alone. ``--before FOLDER`` names another
checkout that reads the same files in the same turns; it ends with 1 where the package takes
more than 1.1 times its processor time. ``--page`` puts the table into docs/measurements.md.
"""

from __future__ import annotations

import argparse
import csv
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image

from benchmarks.pages import write_table

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path("docs/measurements.md")
MOST = 1.1
TURNS, SECONDS_A_TURN = 60, 0.02
ROWS = 2000
# Where each reader is, the present place first.
READERS = {
    "image": ("images.read:read_image", "images:read_image"),
    "mask": ("images.masks:read_mask", "masks:read_mask"),
    "source": ("sources.find_images:find_images", "find_images:find_images"),
    "coco": ("images.coco:read_coco", "coco:read_coco"),
    "survey": ("datasets.survey:read_survey", "survey:read_survey"),
}


def make_files(folder: Path) -> list[tuple[str, str, Path]]:
    """Return what each file is, its reader and its path."""
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (1024, 1024)).astype(np.uint8)
    deep, rgb = gray.astype(np.uint16) * 200, np.stack([gray] * 3, -1)
    mask = np.zeros(gray.shape, bool)
    mask[300:700, 200:800] = True
    white = mask.astype(np.uint8) * 255
    fei = "[Scan]\r\nPixelWidth=2.5e-09\r\nPixelHeight=2.5e-09\r\n"
    tifffile.imwrite(folder / "gray.tif", gray)
    tifffile.imwrite(folder / "fei.tif", gray, extratags=[(34682, "s", 0, fei, True)])
    tifffile.imwrite(folder / "deep.tif", deep, compression="zlib")
    tifffile.imwrite(folder / "pages.tif", np.stack([gray[:256, :256]] * 50), photometric=1)
    for name, pixels in {"gray": gray, "rgb": rgb, "deep": deep, "white": white}.items():
        Image.fromarray(pixels).save(folder / f"{name}.png", compress_level=3)
    Image.fromarray(gray).save(folder / "gray.jpg")
    Image.fromarray(gray).save(folder / "gray.bmp")
    tifffile.imwrite(folder / "mask.tif", white, compression="zlib")
    return [
        ("TIFF, 8 bit, 1024²", "image", folder / "gray.tif"),
        ("TIFF of FEI, 8 bit, 1024²", "image", folder / "fei.tif"),
        ("TIFF, 16 bit, deflate, 1024²", "image", folder / "deep.tif"),
        ("TIFF, 50 pages, 256²", "image", folder / "pages.tif"),
        ("PNG, 8 bit, 1024²", "image", folder / "gray.png"),
        ("PNG, colours, 1024²", "image", folder / "rgb.png"),
        ("PNG, 16 bit, 1024²", "image", folder / "deep.png"),
        ("JPEG, 1024²", "image", folder / "gray.jpg"),
        ("BMP, 1024²", "image", folder / "gray.bmp"),
        ("mask, PNG, 1024²", "mask", folder / "white.png"),
        ("mask, TIFF, 1024²", "mask", folder / "mask.tif"),
        *_texts(folder, mask),
    ]


def _texts(folder: Path, mask: np.ndarray) -> list[tuple[str, str, Path]]:
    from napari_semxai.store.images.mask_parts import RLE, coco_annotation

    names = [f"image_{number:05d}.png" for number in range(ROWS)]
    pictures = folder / "listed"
    pictures.mkdir()
    for name in names:
        os.link(folder / "gray.png", pictures / name)
    os.link(folder / "gray.tif", pictures / "a.tif")
    table, klarf = pictures / "table.csv", pictures / "lot.klarf"
    table.write_text("image_path,label\n" + "".join(f"{name},3\n" for name in names))
    defects = "".join(f"\n{number} 0.5 3 1 1 1 0" for number in range(1, ROWS + 1))
    klarf.write_text(
        'FileVersion 1 2;\nTiffFileName a.tif;\nLotID "L1";\nWaferID "W7";\n'
        "DefectRecordSpec 5 DEFECTID PIXELSIZE "
        f"CLASSNUMBER IMAGECOUNT IMAGELIST ;\nDefectList{defects};\nEndOfFile;\n"
    )
    head = "participant,image_id,explanation," + ",".join(f"item_{n}" for n in range(1, 9))
    answers = "".join(f"P{n},image_{n},cam{',3' * 8}\n" for n in range(ROWS))
    (folder / "survey.csv").write_text(f"{head}\n{answers}")
    small = mask[::4, ::4]
    annotation = {"category_id": 1} | coco_annotation(small, RLE)
    sides = {"height": small.shape[0], "width": small.shape[1]}
    document: dict[str, Any] = {
        "images": [{"id": n, "file_name": name} | sides for n, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": n} | annotation for n in range(ROWS)],
        "categories": [{"id": 1, "name": "x"}],
    }
    (folder / "coco.json").write_text(json.dumps(document))
    return [
        (f"table, {ROWS} rows", "source", table),
        (f"KLARF, {ROWS} defects", "source", klarf),
        (f"survey, {ROWS} rows", "survey", folder / "survey.csv"),
        (f"COCO, {ROWS} images with their masks", "coco", folder / "coco.json"),
    ]


def _rows(path: Path) -> None:
    with path.open(newline="") as file:
        list(csv.reader(file))


def _plain(path: Path) -> Any:
    """Read a file by the library of its kind alone."""
    if path.suffix == ".tif":
        return tifffile.imread(path, key=0)
    if path.suffix in (".png", ".jpg", ".bmp"):
        return np.asarray(Image.open(path))
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return _rows(path) if path.suffix == ".csv" else path.read_text().split()


def _reader(kind: str) -> Callable[[Path], Any]:
    for place in READERS[kind]:
        module, name = place.split(":")
        try:
            read = getattr(importlib.import_module(f"napari_semxai.store.{module}"), name)
        except ImportError:
            continue
        return _with_masks(read) if kind == "coco" else read  # type: ignore[no-any-return]
    raise LookupError(kind)


def _with_masks(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def read_all(path: Path) -> None:
        # Older readers made every mask at once.
        for image in getattr(read(path), "images", ()):
            image.mask()

    return read_all


def _serve() -> None:
    """Read what the lines of the input name, and answer in processor seconds."""
    for line in sys.stdin:
        kind, path, times = line.rstrip("\n").split("\t")
        read = _plain if kind == "plain" else _reader(kind)
        gc.collect()
        start = time.process_time()
        for _ in range(int(times)):
            read(Path(path))
        print((time.process_time() - start) / int(times), flush=True)


class _Side:
    """A process that imports the package of one checkout."""

    def __init__(self, checkout: Path) -> None:
        # Another checkout lacks this file.
        place = os.pathsep.join([str(checkout), str(Path(__file__).parents[1])])
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from benchmarks.readers import _serve; _serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": place, "PYTHONWARNINGS": "ignore"},
        )

    def seconds(self, kind: str, path: Path, times: int = 1) -> float:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError
        pipe_in.write(f"{kind}\t{path}\t{times}\n")
        pipe_in.flush()
        return float(pipe_out.readline())

    def end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def measure(kind: str, path: Path, now: _Side, before: _Side, turns: int) -> list[np.ndarray]:
    """Return processor seconds of the package, of the other checkout and of the plain library."""
    sides = [(now, kind), (before, kind), (now, "plain")]
    times = []
    for side, what in sides:
        side.seconds(what, path)
        times.append(max(1, int(SECONDS_A_TURN / side.seconds(what, path))))
    seconds = []
    for turn in range(turns):
        order = range(3) if turn % 2 else range(2, -1, -1)
        taken = {n: sides[n][0].seconds(sides[n][1], path, times[n]) for n in order}
        seconds.append([taken[n] for n in range(3)])
    return list(np.array(seconds).T)


def main() -> int:
    """Measure every kind; return 1 where one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, default=Path.cwd())
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    lines = [
        "| file | plain, ms | before, ms | now, ms | now / before |",
        "|---|---|---|---|---|",
    ]
    worst = 0.0
    now, before = _Side(Path.cwd()), _Side(options.before.resolve())
    with tempfile.TemporaryDirectory() as folder:
        for what, kind, path in make_files(Path(folder)):
            # The least of many turns is what a busy machine disturbs least.
            new, old, plain = (
                1e3 * s.min() for s in measure(kind, path, now, before, options.turns)
            )
            worst = max(worst, new / old)
            lines.append(f"| {what} | {plain:.2f} | {old:.2f} | {new:.2f} | {new / old:.2f} |")
            print(lines[-1], flush=True)
    now.end()
    before.end()
    if options.page:
        write_table(PAGE, "readers", "\n".join(lines))
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
