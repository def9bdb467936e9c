"""Copies of KLARF files: only the asked cells differ, byte for byte."""

import json
import os
import random
import re
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_semxai.cli import main
from napari_semxai.store.project.create import create_project, keep_export, name_classes
from napari_semxai.store.project.klarf_export import (
    SIZE_COLUMNS,
    KlarfChoices,
    export_klarf,
    offer_klarf,
)
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.verify import verify_project
from napari_semxai.store.sources.klarf import read_klarf
from napari_semxai.types import ChosenMask, InputError, ProjectImage, ReviewChange, ReviewState

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "klarf"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252")
PIXEL = 2.5e-9


def mask(rows=4, columns=6):
    found = np.zeros((20, 20), dtype=bool)
    found[2 : 2 + rows, 3 : 3 + columns] = True
    return found


def chosen(defect, label, *, of=("L1", "W7"), state="accepted", shape=None, size=PIXEL):
    found = mask() if shape is None else shape
    image = ProjectImage(
        f"d{defect}", Path("x.tif"), 0, found.shape, "", lot=of[0], wafer=of[1],
        defect=str(defect), pixel_size=size, name=f"d{defect}",
    )  # fmt: skip
    return ChosenMask(
        image, found, state, ("anna",), label, "anna" if label else "CLASSNUMBER", ""
    )


@pytest.fixture
def copy(tmp_path):
    """Copy a file of these bytes; return the copy's bytes, the edits and what was left."""

    def copy(data, reviews, names=None, **choices):
        source, target = tmp_path / "lot.001", tmp_path / "copy.001"
        source.write_bytes(data)
        target.unlink(missing_ok=True)
        info = SimpleNamespace(source=str(source), class_names=names or {})
        project = SimpleNamespace(info=info, originals=frozenset([os.path.realpath(source)]))
        failed, edits = {}, []
        export_klarf(project, reviews, target, failed, KlarfChoices(**choices), edits)
        assert source.read_bytes() == data
        return target.read_bytes() if target.exists() else None, edits, failed

    return copy


def other_reader(text):
    """The rows of a defect list by column: what the grammar says in the fewest words.

    Of the readers on PyPI, klarf-reader has no 1.8 and brings numba, which holds NumPy back, and
    klarfio (GPL) has no 1.1, takes no tabs between cells and evaluates text of the file as code.
    """
    flat = re.search(r"(?i)DefectRecordSpec\s+\d+\s+([^;]*);", text)
    if flat:
        columns = flat[1].upper().split()
        body = re.search(r"(?is)\bDefectList\b(.*?);", text)[1]
        lines = [line.split() for line in re.split(r"\r\n|\r|\n", body) if line.strip()]
        return [dict(zip(columns, line, strict=False)) for line in lines]
    found = []
    lists = re.finditer(
        r"(?s)List\s+DefectList\s*{\s*Columns\s+\d+\s*{(.*?)}\s*Data\s+\d+\s*{(.*?)}", text
    )
    for one in lists:
        columns = [pair.split()[1].upper() for pair in one[1].split(",")]
        rows = [row.split() for row in one[2].split(";") if row.strip()]
        found += [dict(zip(columns, row, strict=False)) for row in rows]
    return found


STYLES = {
    "whole": lambda value: str(round(value)),
    "fixed": lambda value: f"{value:.3f}",
    "power": lambda value: re.sub(r"e([+-])(\d\d)$", r"e\g<1>0\2", f"{value:.10e}"),
    "Power": lambda value: f"{value:.4E}",
}


def generated(seed):
    """A file of one of many looks: what makes it of rows, the rows, and which columns it has."""
    rng = random.Random(seed)
    nested, end = rng.random() < 0.4, rng.choice(["\n", "\r\n", "\r"])
    columns = ["DEFECTID", "XREL", "XSIZE", "YSIZE", "DEFECTAREA", "DSIZE", "CLASSNUMBER", "TEST"]
    columns += ["MANSEMCLASS"] * (rng.random() < 0.5)
    head, rest = columns[:1], columns[1:]
    rng.shuffle(rest)
    columns = head + [name for name in rest if rng.random() < 0.9 or name == "CLASSNUMBER"]
    style = {name: rng.choice(list(STYLES)) for name in columns}
    style |= dict.fromkeys(("DEFECTID", "CLASSNUMBER", "MANSEMCLASS", "TEST"), "whole")
    if nested:
        style = {
            name: rng.choice(["whole", "fixed"]) if how != "whole" else how
            for name, how in style.items()
        }
    rows = [
        {name: STYLES[style[name]](rng.uniform(10, 400)) for name in columns}
        | {"DEFECTID": str(number), "CLASSNUMBER": rng.choice(["0", "10"])}
        | ({"MANSEMCLASS": "0"} if "MANSEMCLASS" in columns else {})
        for number in range(1, rng.randint(2, 9))
    ]
    gap, note = (
        rng.choice([" ", "  ", "\t"]),
        rng.choice(["", f"# Größe{end}", f"// a ; b {{{end}"]),
    )
    keys = [name.lower() if rng.random() < 0.2 else name for name in columns]

    def flat(rows):
        lines = [f" {gap.join(row[name] for name in columns)}" for row in rows]
        return end.join([
            f"{note}FileVersion 1 {rng_version};", 'LotID "L1";', 'WaferID "W7";', "ClassLookup 3",
            ' 0 "None"', ' 10 "Fleck ß"', ' 7 "Scratch";',
            f"DefectRecordSpec {len(keys)} {' '.join(keys)} ;", "DefectList", *lines, ";",
            "SummarySpec 1 TESTNO ;", "SummaryList", " 1 ;", "EndOfFile;", "",
        ])  # fmt: skip

    def deep(rows):
        lines = [f"   {gap.join(row[name] for name in columns)};" for row in rows]
        kinds = ", ".join(f"float {name}" for name in keys)
        return end.join([
            f'{note}Record FileRecord "1.8" {{ Record LotRecord "L1" {{',
            'Record WaferRecord "W7" {',
            f"List DefectList {{ Columns {len(keys)} {{ {kinds} }} Data {len(rows)} {{", *lines,
            "} } }", "List ClassLookupList { Columns 2 { int32 CLASSNUMBER, string CLASSNAME }",
            'Data 3 { 0 "None"; 10 "Fleck ß"; 7 "Scratch"; } } }', "}", "EndOfFile;",
        ])  # fmt: skip

    rng_version = rng.choice("12")
    return (deep if nested else flat), rows, style, 1e-9 if nested else 1e-6


@pytest.mark.parametrize("part", range(10))
def test_of_200_generated_files_only_the_asked_fields_differ(copy, tmp_path, part):
    changed = 0
    for seed in range(20 * part, 20 * part + 20):
        rng = random.Random(-seed - 1)
        make, rows, style, unit = generated(seed)
        encoding, sizes = ENCODINGS[seed % len(ENCODINGS)], rng.random() < 0.5
        wanted, reviews = [dict(row) for row in rows], []
        for row in wanted:
            label = rng.choice(["", "7", "10", "scratch", "99"])
            shape = mask(rng.randint(3, 9), rng.randint(3, 9))
            reviews.append(chosen(row["DEFECTID"], label, shape=shape, size=40 * unit))
            column = "MANSEMCLASS" if "MANSEMCLASS" in row else "CLASSNUMBER"
            if label in ("7", "10", "scratch"):
                row[column] = {"scratch": "7"}.get(label, label)
            height, width = (int(np.ptp(at)) + 1 for at in np.nonzero(shape))
            values = {"XSIZE": 40 * width, "YSIZE": 40 * height, "DEFECTAREA": 1600 * shape.sum()}
            # From edge to edge of pixels, between the middles of their sides.
            values["DSIZE"] = 40 * max(np.hypot(height, width - 1), np.hypot(height - 1, width))
            if sizes:
                row |= {
                    name: STYLES[style[name]](value)
                    for name, value in values.items()
                    if name in row
                }
        data = make(rows).encode(encoding)
        written, edits, failed = copy(data, reviews, sizes=SIZE_COLUMNS if sizes else ())
        assert written == make(wanted).encode(encoding), seed
        assert len(failed) == sum(one.label == "99" for one in reviews)
        # A second reader, and this one, find what was asked for and nothing else.
        text = written.decode("utf-8-sig" if encoding == "utf-8" else encoding)
        assert other_reader(text) == [{k.upper(): v for k, v in row.items()} for row in wanted]
        again = read_klarf(tmp_path / "copy.001")
        assert [d.cells["CLASSNUMBER"].text for d in again.defects] == [
            row["CLASSNUMBER"] for row in wanted
        ]
        changed += len(edits)
    assert changed > 20


@pytest.mark.parametrize("name", ["simple12.klarf", "simple18.klarf", "klarfWithImagelist.klarf"])
def test_published_samples(copy, name):
    if not SAMPLES.exists():
        pytest.skip("shared data is not here")
    data = (SAMPLES / name).read_bytes()
    klarf = read_klarf(SAMPLES / name)
    reviews = [chosen(one.defect, "5", of=(one.lot, one.wafer)) for one in klarf.defects]
    written, edits, failed = copy(data, reviews, unknown=True)
    assert not failed
    assert len(edits) == len(klarf.defects)
    expected = data.decode()
    for edit in reversed(edits):
        expected = expected[: edit.start] + "5" + expected[edit.start + len(edit.old) :]
    assert written == expected.encode()
    before, after = other_reader(data.decode()), other_reader(written.decode())
    assert len(before) == len(after)
    # Nothing is known of class 5 there: without being asked nothing is written.
    same, edits, failed = copy(data, reviews)
    assert same == data
    assert not edits
    assert all("is not in the file's class lookup" in why for why in failed.values())


FLAT = (
    b'FileVersion 1 2;\nLotID "L1";\nWaferID "W7";\nClassLookup 2\n 0 "None"\n 7 "Big";\n'
    b"DefectRecordSpec 5 DEFECTID XSIZE DEFECTAREA CLASSNUMBER TEST ;\nDefectList\n"
    b" 1 0 1.50 007 1\n 2 3 1.50 0 1\n 3 3 1.50 0 1\n 3 3 1.50 0 1;\nEndOfFile;\n"
)


def test_a_class_is_found_by_map_number_or_name(copy):
    def number(label, names=None, **choices):
        _, edits, failed = copy(FLAT, [chosen(2, label)], names, **choices)
        return (edits[0].new if edits else None), list(failed.values())

    assert number("7") == ("7", [])
    assert number("BIG") == ("7", [])
    assert number("12", {"12": "big"}) == ("7", [])
    assert number("big", numbers={"big": "0"}) == (None, [])
    assert number("12", {"12": "odd"}, numbers={"odd": "7"}) == ("7", [])
    new, (why,) = number("12", {"12": "odd"})
    assert new is None
    assert "class 12 (odd) is not in the file's class lookup, so it is not written" in why
    assert number("12", unknown=True) == ("12", [])
    assert number("odd", unknown=True)[0] is None
    # Zeros in front stay, as they stand in the cell.
    assert copy(FLAT, [chosen(1, "0")])[1][0].new == "000"


def test_numbers_without_a_zero_stay_so(copy):
    data = FLAT.replace(b"2 3 1.50", b"2 .5000 +.5e-003")
    _, edits, failed = copy(data, [chosen(2, "")], sizes=SIZE_COLUMNS)
    assert not failed
    assert [edit.new for edit in edits] == [".0150", "1.5e-004"]
    data = FLAT.replace(b"2 3 1.50", b"2 . 1.50")
    assert "XSIZE “.” is no number" in copy(data, [chosen(2, "")], sizes=SIZE_COLUMNS)[2]["d2"]


def test_what_is_left_as_it_is(copy):
    # Nobody gave a class: what the file says stays, also where there is no defect.
    assert copy(FLAT, [chosen(2, "")])[1] == []
    empty = chosen(2, "", state=ReviewState.NO_DEFECT, shape=np.zeros((20, 20), bool))
    assert copy(FLAT, [empty], sizes=SIZE_COLUMNS)[1] == []
    (edit,) = copy(FLAT, [empty], numbers={"no defect": "7"})[1]
    assert str(edit) == "line 10, defect 2: CLASSNUMBER 0 → 7"
    # Candidates are nobody's word, and what was rejected has no size.
    candidate = chosen(2, "7", state=ReviewState.CANDIDATE)
    assert copy(FLAT, [candidate])[0] is None
    (edit,) = copy(FLAT, [chosen(2, "7", state=ReviewState.REJECTED)], sizes=SIZE_COLUMNS)[1]
    assert edit.column == "CLASSNUMBER"
    failures = [
        ([chosen(2, "7"), chosen(2, "0")], {}, "its images have the classes 7 and 0"),
        ([chosen(3, "7")], {}, "has several rows of defect 3"),
        ([chosen(9, "7")], {}, "has no defect 9"),
        ([chosen(2, "", size=None)], {"sizes": SIZE_COLUMNS}, "the pixel size is not known"),
        ([chosen(2, "")], {"sizes": SIZE_COLUMNS}, "XSIZE “3” has no digits for 0.015"),
    ]
    for reviews, choices, why in failures:
        _, edits, failed = copy(FLAT, reviews, **choices)
        assert why in "".join(failed.values())
        assert "CLASSNUMBER" not in {edit.column for edit in edits}
    with pytest.raises(InputError, match="has no column FINECLASS for a class"):
        copy(FLAT, [], column="FineClass")


@pytest.fixture
def klarf_project(tmp_path):
    pages = np.zeros((2, 20, 20), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "Lot.tif", pages, photometric="minisblack")
    source = tmp_path / "lot.klarf"
    source.write_bytes(
        b'FileVersion 1 1;\r\nLotID "L1";\r\nWaferID "W7";\r\nClassLookup 1\r\n 7 "Big";\r\n'
        b"TiffFileName Lot.tif;\r\n"
        b"DefectRecordSpec 5 DEFECTID XSIZE CLASSNUMBER IMAGECOUNT IMAGELIST ;\r\nDefectList\r\n"
        b" 1 9.000 0 1 1 1 0\r\n 2 9.000 0 1 1 2 0;\r\nEndOfFile;\r\n"
    )
    project = create_project(tmp_path / "project", source, pixel_size=1e-7)
    project.write_review("defect_1", "anna", ReviewChange(ReviewState.ACCEPTED, mask(), label="7"))
    project.write_review("defect_2", "anna", ReviewChange(ReviewState.ACCEPTED, mask(), label="8"))
    project.close()
    return source


def test_what_can_be_chosen_and_is_kept_in_the_project(klarf_project, tmp_path):
    with closing(open_project(tmp_path / "project")) as project:
        name_classes(project.folder, {"3": "small", "8": "BIG"})
        project.write_review("defect_1", "bert", ReviewChange(ReviewState.NO_DEFECT))
    with closing(open_project(tmp_path / "project")) as project:
        told = []
        offer = offer_klarf(project, progress=lambda *call: told.append(call))
        assert told[-1] == (2, 2)
        assert (offer.source, offer.columns, offer.sizes, offer.lookup) == (
            klarf_project, ("CLASSNUMBER",), ("XSIZE",), {"7": "Big"},
        )  # fmt: skip
        # What reviews gave comes first; a class that is called as one of the file is that one.
        assert offer.classes == (
            ("7", "Big", 1, "7"), ("8", "BIG", 1, "7"), ("3", "small", 0, "3"),
            ("no defect", "", 1, ""),
        )  # fmt: skip
        assert [one[2] for one in offer_klarf(project, "anna").classes] == [1, 1, 0, 0]
        chosen = asdict(KlarfChoices(numbers={"8": ""}, sizes=("XSIZE",)))
        keep_export(project.folder, "klarf", chosen)
        klarf_project.unlink()
        assert offer_klarf(project) is None
        with pytest.raises(InputError):
            offer_klarf(project, source=klarf_project)
    with closing(open_project(tmp_path / "project")) as project:
        assert project.info.exports == {"klarf": {**chosen, "sizes": ["XSIZE"]}}
        assert verify_project(project).changed == ()


def test_what_somebody_wants_as_it_is_is_left_and_not_told(copy):
    _, edits, failed = copy(FLAT, [chosen(2, "99")], numbers={"99": ""})
    assert (edits, failed) == ([], {})
    _, edits, _ = copy(FLAT, [chosen(2, "7", size=1e-6)], sizes=("DEFECTAREA",))
    assert {edit.column for edit in edits} == {"CLASSNUMBER", "DEFECTAREA"}


def test_from_klarf_to_klarf_by_command(klarf_project, tmp_path, capsys):
    source, target = klarf_project, tmp_path / "back.klarf"
    before = source.read_bytes()
    command = ["project", "export", str(tmp_path / "project"), "--format", "klarf", "-o"]
    assert main([*command, str(target), "--sizes"]) == 3
    said = capsys.readouterr()
    assert "line 9, defect 1: CLASSNUMBER 0 → 7" in said.out
    assert "3 values differ from the original" in said.out
    assert "defect_2: class 8 is not in the file's class lookup" in said.err
    wanted = before.replace(b" 1 9.000 0", b" 1 0.600 7").replace(b" 2 9.000", b" 2 0.600")
    assert target.read_bytes() == wanted
    assert main([*command, str(target), "--size-column", "DSize"]) == 3
    assert "; 1 values differ" in capsys.readouterr().out
    more = ["--class-map", "8=7", "--json"]
    assert main([*command, str(target), *more]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [(one["defect"], one["new"]) for one in result["changes"]] == [("1", "7"), ("2", "7")]
    # The original, by whatever name, and files of another kind are never written over.
    (tmp_path / "link.klarf").hardlink_to(source)
    (tmp_path / "notes.txt").write_text("mine")
    for name, why in [("lot.klarf", "made of this file"), ("link.klarf", "is the original"),
                      ("notes.txt", "no KLARF file")]:  # fmt: skip
        assert main([*command, str(tmp_path / name)]) == 2
        assert why in capsys.readouterr().err
    assert source.read_bytes() == before
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert main([*command[:3], "-o", str(tmp_path / "m"), "--sizes"]) == 2
    assert "need --format klarf" in capsys.readouterr().err
    assert main([*command, str(target), "--class-map", "big"]) == 2
    assert "write CLASS=NUMBER" in capsys.readouterr().err
    source.unlink()
    assert main([*command, str(target)]) == 2
    assert "lot.klarf: is not there; name the file to copy" in capsys.readouterr().err
