"""How long the report of a large lot takes, how big it is, and how fast a browser opens it.

``python scripts/benchmark_report.py [--defects 2000] [--keep FOLDER]`` makes a lot of synthetic
scenes of 480 x 480 pixels with reviews of two annotators and a KLARF file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from napari_semxai.algorithms.synthetic import LABELS, scene_of_class
from napari_semxai.reports.lot_report import write_report
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.types import ReviewChange, ReviewState

_SCENES = 48
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
        Image.fromarray(scenes[number % _SCENES].image).save(folder / f"{number}.jpg", quality=92)
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


def opened(report: Path, folder: Path, picture: Path | None = None) -> float:
    """Return the seconds that Chromium takes to start, show all of a page and take a picture."""
    begin, target = time.perf_counter(), (picture or folder / "page.png").absolute()
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,900",
        f"--user-data-dir={folder / 'profile'}", f"--screenshot={target}",
        report.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


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
            empty = folder / "empty.html"
            empty.write_text("<!DOCTYPE html><title>empty</title>")
            opened(empty, folder)
            alone = opened(empty, folder)
            shown = opened(report, folder, options.picture)
            print(f"opened in {shown - alone:.1f} s more than an empty page")


if __name__ == "__main__":
    main()
