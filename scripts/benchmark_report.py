"""How long the report of a large lot takes, how big it is, and how fast a browser opens it.

``python scripts/benchmark_report.py [--defects 2000] [--keep FOLDER]`` makes a lot of synthetic
scenes of 480 x 480 pixels with reviews of two annotators and a KLARF file.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.reports.lot_report import write_report
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.types import ReviewChange, ReviewState

_SCENES = 48
_RUNS = 5
_PRINTED = (rb"/Type /Page\b", rb"/Subtype /Image\b")
_HEAD = """FileVersion 1 2;
LotID "{lot}";
WaferID "W{wafer}";
SampleSize 1 300;
OrientationMarkLocation DOWN;
DiePitch 2.0e+004 2.0e+004;
SampleCenterLocation 1.0e+004 1.0e+004;
ClassLookup {classes}
{names};
DefectRecordSpec 8 DEFECTID XREL YREL XINDEX YINDEX CLASSNUMBER IMAGECOUNT IMAGELIST ;
"""


def make_lot(folder: Path, defects: int, lot: str = "LOT-A") -> Path:
    """Write a KLARF file of three wafers with its images and a reviewed project; return that."""
    random = np.random.default_rng(0)
    scenes = [scene_of_class(number % len(LABELS) + 1, number) for number in range(_SCENES)]
    names = "\n".join(f' {label} "{name}"' for label, name in LABELS.items())
    lines = [_HEAD.format(lot=lot, wafer=1, classes=len(LABELS), names=names)]
    for number in range(defects):
        # No two pictures are the same: a browser keeps and prints such ones once.
        brighter = scenes[number % _SCENES].image + float(number // _SCENES)
        shown = np.minimum(brighter, 255).astype(np.uint8)
        Image.fromarray(shown).save(folder / f"{number}.jpg", quality=92)
        column, row = random.integers(-5, 6, 2)
        x, y = random.integers(0, 20_000, 2)
        label = number % len(LABELS) + 1
        place = f"{x} {y} {column} {row}"
        lines.append(
            f"TiffFileName {number}.jpg;\nDefectList\n {number + 1} {place} {label} 1 1 1 0;\n"
        )
    (folder / "lot.001").write_text("".join([*lines, "EndOfFile;\n"]))
    project = folder / lot
    with closing(create_project(project, folder / "lot.001", pixel_size=2e-9)) as made:
        for number, image in enumerate(made.images):
            mask = scenes[number % _SCENES].defect
            state = ReviewState.ACCEPTED if mask.any() else ReviewState.NO_DEFECT
            made.write_review(image.id, "Anna", ReviewChange(state, mask))
            if number % 20 == 0:
                made.write_review(image.id, "Bert", ReviewChange(state, np.roll(mask, 1, axis=1)))
    return project


def browser(page: str, folder: Path, task: str) -> float:
    """Return the seconds that Chromium takes to start, show a page and do something with it."""
    begin = time.perf_counter()
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900",
        f"--user-data-dir={(folder / 'profile').absolute()}", task, page,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def show(report: Path, folder: Path, picture: Path) -> None:
    """Tell how long a browser takes to open a report, and what it prints."""
    empty, printed = folder / "empty.html", (folder / "lot.pdf").absolute()
    empty.write_text("<!DOCTYPE html><title>empty</title>")
    pages = [(empty, folder / "empty.png"), (report, picture)]
    # In turns, so that whatever else the machine does meets both.
    times = [
        [
            browser(page.absolute().as_uri(), folder, f"--screenshot={image.absolute()}")
            for page, image in pages
        ]
        for _ in range(_RUNS + 1)
    ][1:]
    for name, found in zip(("an empty page", "the report"), zip(*times, strict=True), strict=True):
        print(f"{name}: {median(found):.2f} s ({min(found):.2f} to {max(found):.2f})")
    more = median(full - alone for alone, full in times)
    print(f"opened in {more:.2f} s more than an empty page, the median of {_RUNS} runs")
    took = browser(report.absolute().as_uri(), folder, f"--print-to-pdf={printed}")
    data = printed.read_bytes()
    pages, pictures = (len(re.findall(what, data)) for what in _PRINTED)
    size = len(data) / 1e6
    print(f"printed in {took:.1f} s: {size:.1f} MB, {pages} pages, {pictures} pictures")


def main() -> None:
    """Make the lot, write its report, open it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--defects", type=int, default=2000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--picture", type=Path, help="save the top of the page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with closing(open_project(make_lot(folder, options.defects))) as project:
            report = folder / "lot.html"
            begin, used = time.perf_counter(), time.process_time()
            count = write_report([project], report)
            print(
                f"{count} images: {time.perf_counter() - begin:.1f} s "
                f"({time.process_time() - used:.1f} s of processor), "
                f"{report.stat().st_size / 1e6:.1f} MB"
            )
        if shutil.which("chromium"):
            show(report, folder, options.picture or folder / "page.png")


if __name__ == "__main__":
    main()
