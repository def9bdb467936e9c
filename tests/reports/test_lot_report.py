"""The report: what it counts, and what a browser makes of it."""

import base64
import io
import json
import re
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.reports.lot_report import _lots, histogram, page, pareto, write_report
from napari_semxai.reports.lot_rows import Row, inspected_area, on_wafer
from napari_semxai.store.project.create import create_project
from napari_semxai.store.sources.klarf import read_klarf
from napari_semxai.types import InputError, MaskRecipe, ReviewChange, ReviewState

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "klarf"
KLARF = """FileVersion 1 2;
LotID "L<1>";
WaferID "W7";
SampleSize 1 200;
DiePitch 1.0e+004 2.0e+004;
OrientationMarkLocation DOWN;
SampleCenterLocation 5.0e+003 0;
TiffFileName lot.tif;
ClassLookup 2
 1 "particle & co"
 2 "scratch";
DefectRecordSpec 8 DEFECTID XREL YREL XINDEX YINDEX CLASSNUMBER IMAGECOUNT IMAGELIST ;
DefectList
 1 5000 0 0 0 1 1 1 1 0
 2 5000 10000 3 -1 2 1 1 2 0
 3 0 0 -4 2 1 1 1 3 0;
EndOfFile;
"""


@pytest.fixture
def project(tmp_path):
    random = np.random.default_rng(0)
    pages = random.integers(60, 200, (3, 48, 64), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "lot.tif", pages, photometric="minisblack")
    (tmp_path / "lot.001").write_text(KLARF)
    with closing(
        create_project(tmp_path / "project", tmp_path / "lot.001", pixel_size=2.5e-9)
    ) as project:
        mask = np.zeros((48, 64), bool)
        mask[10:20, 20:40] = True
        said = ReviewChange(ReviewState.ACCEPTED, mask, comment="<script>alert(1)</script>")
        project.write_review("defect_1", "Anna", said)
        project.write_review("defect_2", "Anna", ReviewChange(mask=mask))
        project.write_review("defect_3", "Bert", ReviewChange(ReviewState.NO_DEFECT))
        yield project


def test_a_place_on_the_wafer_is_counted_from_its_centre(project, tmp_path):
    klarf = read_klarf(tmp_path / "lot.001")
    places = [on_wafer(defect, klarf) for defect in klarf.defects]
    assert places[0] == ((0.0, 0.0), 0.1)
    np.testing.assert_allclose(places[1][0], (0.03, -0.01))
    np.testing.assert_allclose(places[2][0], (-0.045, 0.04))
    # Version 1.8 has nanometres, and the diameter in them.
    fields = {"diepitch": ("1e7", "2e7"), "samplecenterlocation": ("0", "0")}
    fields["samplesize"] = ("300000000", "0")
    defect = replace(klarf.defects[1], wafer_fields=fields)
    place, radius = on_wafer(defect, replace(klarf, unit=1e-9))
    np.testing.assert_allclose((*place, radius), (0.030005, -0.01999, 0.15))
    assert on_wafer(replace(defect, wafer_fields={}), klarf) == (None, None)


def test_all_is_in_one_file_that_asks_for_nothing(project, tmp_path):
    calls, target = [], tmp_path / "lot.html"
    assert write_report([project], target, lambda *call: calls.append(call)) == 3
    assert calls[-1] == (3, 3)
    text = target.read_text("utf-8")
    assert not re.search(r"(src|href)=\"(?!data:|#)|url\(|@import", text)
    assert text.count("data:image/jpeg;base64,") == 3
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for words in (
        "L&lt;1&gt;, wafer W7",
        "particle &amp; co",
        "1,250 nm²",
        "50 nm × 25 nm",
        "accepted",
        "no defect",
        "not seen by a person",
        "Classes by number",
        "<td>Anna<",
        "Pixel size 2.5 nm",
        'class="notch" cx="0" cy="101"',
        'href="#d1"',
    ):
        assert words in text, words
    assert "Accepted by rule" not in text
    assert "Agreement of annotators" in text
    with pytest.raises(InputError, match="choose another place"):
        write_report([project], tmp_path / "lot.001")


def compared(mask, **values):
    """What a mask was made by that was compared with something."""
    settings = {
        "model": {"name": "bundled", "sha256": "ab" * 32}, "algorithm": "robust",
        "alpha": 2.0, "beta": 0.05, "points_per_side": 32, "pred_iou_thresh": 0.5,
        "stability_score_thresh": 0.0, "box_nms_thresh": 0.7, "connectivity": 8,
        "compared": {"correlation": 0.987, "reason": "", **values},
    }  # fmt: skip
    recipe = MaskRecipe("automatic", "", "", settings)
    return ReviewChange(ReviewState.ACCEPTED, mask, recipe=recipe)


def test_settings_are_told_once_and_references_beside_their_images(project, tmp_path):
    mask = np.zeros((48, 64), bool)
    mask[10:20, 20:40] = True
    for number in (1, 2):
        said = compared(mask, reference=f"{number}_reference.png")
        project.write_review(f"defect_{number}", "Anna", said)
    failed = compared(mask, reference="golden.png", reason="the reference does not match: 0.07")
    project.write_review("defect_3", "Anna", failed)
    target = tmp_path / "lot.html"
    write_report([project], target)
    text = re.sub(r"\s+", " ", target.read_text("utf-8"))
    by = (
        "bundled (abababababab); robust; α 2, β 0.05; points per side 32; predicted IoU ≥ 0.5; "
        "stability ≥ 0; box IoU ≤ 0.7; connectivity 8"
    )
    assert f'<td>{by}; compared with a reference</td><td class="n">2</td>' in text
    assert f'<td>{by}</td><td class="n">1</td>' in text
    assert "Reference 1_reference.png (correlation 0.99)" in text
    assert "Reference golden.png (the reference does not match: 0.07)" in text
    assert "Taken with" not in text


def test_it_can_be_stopped_while_annotators_are_compared(project, tmp_path):
    told = []

    def tell(done, total):
        told.append((done, total))
        if len(told) > 3:
            raise InputError("cancelled")

    with pytest.raises(InputError, match="cancelled"):
        write_report([project], tmp_path / "lot.html", tell)
    assert told[:4] == [(1, 3), (2, 3), (3, 3), (1, 3)]
    assert not (tmp_path / "lot.html").exists()


def test_the_command_names_what_it_cannot_read(project, tmp_path, capsys):
    record = project.folder / "reviews/anna/records/defect_1.json"
    record.write_text("damaged")
    target = tmp_path / "lot.html"
    command = ["report", str(project.folder), "-o", str(target), "--json"]
    assert main(command) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["images"] == 2
    assert "damaged" in answer["failed"]["defect_1"]
    assert target.is_file()


def trends(text):
    """The texts above the bars of a page's trends, by what these show."""
    found = re.findall(r'aria-label="trend of lots: ([^"]+)">(.*?)</svg>', text, re.DOTALL)
    return {name: re.findall(r'text-anchor="middle">([^<]+)<', part) for name, part in found}


def row(**values):
    usual = dict.fromkeys(Row.__dataclass_fields__, "") | {
        "state": "accepted", "label": "scratch", "lot": "A", "seen": True, "area": 1e-14,
        "diameter": 1e-7, "place": None, "radius": None, "by": "anna", "defects": 1,
        "inspected": None, "microscope": (), "picture": "data:,",
    }  # fmt: skip
    return Row(**usual | values)


def test_lots_stand_beside_each_other_and_an_unknown_state_is_shown():
    ruled = row(lot="B", state="accepted by rule", rule="Certificate 1: 5 %", diameter=3e-7)
    rows = [row(), replace(ruled, seen=False), row(lot="B")]
    text = page(rows, [], "three")
    assert "trend of lots" in text
    assert "1 of 3 masks were accepted by a rule" in text
    assert "<p>1: Certificate 1: 5 %.</p>" in text
    drawn = {"Images with a defect": ["1", "2"], "Defects per image": ["1", "1"]}
    assert trends(text) == drawn
    assert "trend of lots" not in page(rows[:1], [], "one")
    # Nothing known at all.
    bare = row(area=None, diameter=None, state="candidate", seen=False)
    assert "histogram" not in page([bare], [], "bare")
    assert "0</b>images" in page([], [], "none")
    single = page([row(place=(0, 0), radius=0.1)], [], "single")
    assert "1</b>image<" in single
    assert ">1 place, radius" in single


def test_lots_are_compared_by_rates():
    wafer = {"wafer": "1", "inspected": 2e-2}
    rows = [
        *(row(**wafer, defect=str(number), defects=2) for number in range(3)),
        # Two images of one defect, and what counts for no rate.
        row(**wafer, defect="2", label="pit"),
        row(**wafer, state="no defect", defects=0),
        row(**wafer, state="unsure"),
        row(**wafer, by="", state="candidate", defects=0),
        row(lot="B", wafer="1", inspected=1e-2),
        row(lot="C", wafer="1", state="no defect", defects=0, inspected=1e-2),
        row(lot="D", by="", state="candidate", defects=0),
    ]
    found = {one["name"]: one for one in _lots(rows)}
    first = found["A"]
    assert [first[name] for name in ("images", "judged", "marked", "parts")] == [7, 5, 4, 7]
    assert first["per_image"] == {"scratch": 6 / 5, "pit": 1 / 5}
    assert first["area"] == pytest.approx(200)
    assert sum(first["per_area"].values()) == pytest.approx(3 / 200)
    assert first["shares"] == [("scratch", 3, 0.75), ("pit", 1, 0.25)]
    assert found["C"]["per_area"] == found["C"]["per_image"] == {}
    text = page(rows, [], "rates")
    assert trends(text) == {
        "Images with a defect": ["4", "1", "0", "–"],
        "Defects per image": ["1.4", "1", "0", "–"],
        "Defects per cm² inspected": ["0.015", "0.01", "0", "–"],
    }
    assert "scratch 3 (75 %), pit 1 (25 %)" in text
    assert "4 (80 %)" in text


def test_what_was_inspected_is_told_by_the_file(project, tmp_path):
    source = tmp_path / "lot.001"
    klarf = read_klarf(source)
    assert inspected_area(klarf.defects[0], klarf) is None
    plan = "SampleTestPlan 2\n 0 0\n 1 0;\nDefectRecordSpec 8"
    source.write_text(KLARF.replace("DefectRecordSpec 8", plan))
    klarf = read_klarf(source)
    assert inspected_area(klarf.defects[0], klarf) == pytest.approx(4e-4)
    # Two tests of one wafer, and another wafer.
    tests = "AreaPerTest 1.0e+010;\nInspectionTest 2;\nAreaPerTest 5.0e+009;\nDefectRecordSpec 8"
    more = "WaferID W8;\nAreaPerTest 2.0e+010;\nDefectList\n 4 0 0 0 0 1 1 1 1 0;\nEndOfFile;"
    text = KLARF.replace("DefectRecordSpec 8", tests).replace("EndOfFile;", more)
    source.write_text(text)
    klarf = read_klarf(source)
    areas = [inspected_area(defect, klarf) for defect in klarf.defects]
    assert areas == pytest.approx([1.5e-2, 1.5e-2, 1.5e-2, 2e-2])
    nested = read_klarf(SAMPLES / "simple18.klarf")
    assert inspected_area(nested.defects[0], nested) == pytest.approx((2e15 + 2.1e16) * 1e-18)
    flat = read_klarf(SAMPLES / "simple12.klarf")
    assert inspected_area(flat.defects[0], flat) == pytest.approx(1.11e-2)


def test_a_notch_is_drawn_where_a_word_tells_its_side():
    maps = [row(place=(0, 0), radius=0.1, notch=side, lot=side) for side in ("left", "")]
    text = page([*maps, replace(maps[1], state="no defect")], [], "notches")
    assert "2 places, 1 without a defect (hollow)" in text
    assert text.count('fill="none" stroke="#') == 1
    assert text.count('class="notch"') == 1
    assert 'class="notch" cx="-101" cy="0"' in text


def test_more_classes_than_colors_share_grey_and_no_color():
    rows = [row(label=f"class {number}") for number in range(9)]
    text = page(rows, [], "many")
    assert text.count("Σ 100 %") == 2


def test_bins_hold_everything_and_shares_end_at_one():
    bins = histogram([1e-9, 2e-9, 1e-6])
    assert sum(one["count"] for one in bins) == 3
    assert histogram([2e-9, 2e-9])[0]["count"] == 2
    assert histogram([]) == []
    found = pareto({"a": 1, "b": 3})
    assert [(one["name"], one["share"]) for one in found] == [("b", 0.75), ("a", 1.0)]


def grey(level):
    """The data of a picture of one grey."""
    with io.BytesIO() as file:
        Image.new("L", (30, 20), level).save(file, "PNG")
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_pictures_out_of_sight_are_printed_and_can_be_jumped_to(tmp_path):
    rows = [row(name=f"image {number}", picture=grey(number)) for number in range(120)]
    text = page([*rows, row(place=(0, 0), radius=0.1)], [], "many")
    blocks = re.findall(r'<div class="part" style="contain-intrinsic-size: auto (\d+)px">', text)
    assert blocks == ["8230", "8230", "3474"]
    assert re.findall(r'<tr id="d(\d+)"', text) == [str(number) for number in range(121)]
    assert '<a href="#d120">' in text
    (tmp_path / "many.html").write_text(text)
    printed = tmp_path / "many.pdf"
    options = [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={printed}"]
    command = [*BROWSER, *options, (tmp_path / "many.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert len(re.findall(rb"/Subtype /Image\b", printed.read_bytes())) == 120


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_a_browser_has_nothing_to_say_and_asks_for_nothing(project, tmp_path):
    target, printed = tmp_path / "lot.html", tmp_path / "lot.pdf"
    write_report([project], target)
    command = [
        *BROWSER, "--enable-logging=stderr",
        f"--log-net-log={tmp_path / 'net.json'}", f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={printed}", target.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    assert printed.read_bytes().startswith(b"%PDF")
    # The browser's own services are not the page's.
    asked = re.findall(r'"url":"(https?://[^"]+)"', (tmp_path / "net.json").read_text())
    assert not [url for url in asked if "google" not in url and "gvt1" not in url], asked
