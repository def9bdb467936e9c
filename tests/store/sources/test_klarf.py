from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.project.create import create_project
from napari_semxai.store.sources import find_images
from napari_semxai.store.sources.klarf import is_klarf, read_klarf
from napari_semxai.types import InputError

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "klarf"
HEAD = 'FileVersion 1 2;\nLotID "L1";\nWaferID "W7";\nClassLookup 2\n 0 "None"\n 7 "Big one";\n'
SPEC = "DefectRecordSpec 6 DEFECTID XREL CLASSNUMBER PixelSize IMAGECOUNT IMAGELIST ;\n"


FLAT = pytest.mark.parametrize("version", ["1 1", "1 2"])


def head(version):
    return HEAD.replace("1 2", version, 1)


@pytest.fixture
def write(tmp_path):
    def write(text, name="list.001"):
        path = tmp_path / name
        path.write_text(text, encoding="latin-1")
        return path

    return write


@pytest.fixture
def stack(tmp_path):
    pages = np.arange(4, dtype=np.uint8)[:, None, None] + np.zeros((4, 6, 8), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "Lot.tif", pages, photometric="minisblack")
    return pages


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("shared data is not here")
    return read_klarf(path)


def test_sample_1_2():
    klarf = sample("simple12.klarf")
    (defect,) = klarf.defects
    assert klarf.version == "1.2"
    assert (defect.lot, defect.wafer, defect.defect) == ("aLot", "aWafer", "1")
    assert (defect.label, defect.label_source, defect.images) == ("10", "CLASSNUMBER", ())
    assert klarf.class_names == {"-1": "Unclassified", "10": "Blork"}


def test_sample_1_8():
    klarf = sample("simple18.klarf")
    assert klarf.version == "1.8"
    assert [(d.wafer, d.defect, d.label) for d in klarf.defects] == [
        ("FirstWaferId", "2", "91"),
        ("FirstWaferId", "3", "180"),
        ("FirstWaferId", "128", "0"),
        ("SecondWaferId", "2", "1"),
    ]
    assert klarf.class_names["3"] == "Blobby"


def test_sample_1_8_with_images():
    klarf = sample("klarfWithImagelist.klarf")
    images = [defect.images for defect in klarf.defects]
    assert images[0] == (("a/path/here", 1), ("a/path/there", 1), ("a/path/anywhere", 1))
    assert images[1] == ()
    assert [len(entry) for entry in images] == [3, 0, 0, 3, 0, 0]


@FLAT
@pytest.mark.parametrize(
    "rows",
    [
        # Counted image list on the row, one ; at the end.
        " 1 0.5 7 0.002 1 1 3 0\n 2 0.5 0 0.002 2 2 1 0 4 0;\n",
        # Continued on the next lines, a ; after each row.
        " 1 0.5 7 0.002 1 1\n  3 0;\n 2 0.5 0 0.002 2 2\n  1 0\n  4 0 ;\n",
        # Without a count of its own.
        " 1 0.5 7 0.002 1 3 0\n 2 0.5 0 0.002 2 1 0 4 0;\n",
    ],
)
def test_multi_page_tiff(write, stack, tmp_path, rows, version):
    path = write(
        head(version) + "TiffFileName lot.TIF;\n" + SPEC + "DefectList\n" + rows + "EndOfFile;\n"
    )
    assert read_klarf(path).version == version.replace(" ", ".")
    project = create_project(tmp_path / "project", path)
    assert [image.id for image in project.images] == ["defect_1", "defect_2_1", "defect_2_2"]
    assert [image.page for image in project.images] == [2, 0, 3]
    assert [project.read_image(image.id).gray[0, 0] for image in project.images] == [2, 0, 3]
    first = project.images[0]
    assert (first.lot, first.wafer, first.defect) == ("L1", "W7", "1")
    assert (first.label, first.label_source) == ("7", "CLASSNUMBER")
    assert first.pixel_size == pytest.approx(2e-9)
    assert project.read_image("defect_1").pixel_size == pytest.approx(2e-9)
    assert project.info.class_names == {"0": "None", "7": "Big one"}


@FLAT
def test_images_counted_from_zero(write, stack, tmp_path, version):
    rows = " 1 0 7 0 1 1 0 0\n 2 0 7 0 1 1 3 0;\n"
    body = "TiffFileName Lot.tif;\n" + SPEC + "DefectList\n" + rows + "EndOfFile;\n"
    path = write(head(version) + body)
    project = create_project(tmp_path / "project", path)
    assert [image.page for image in project.images] == [0, 3]
    assert project.images[0].pixel_size is None


@FLAT
@pytest.mark.parametrize("behind", [False, True])
def test_one_jpeg_per_row(write, tmp_path, behind, version):
    body = ""
    for number in (1, 2, 3):
        Image.fromarray(np.full((6, 8), 40 * number, np.uint8)).save(tmp_path / f"D_{number}.JPG")
        row = f"DefectList\n {number} 0.1 7 0 1 1 1 0;\n"
        name = f"TiffFileName D_{number}.jpg;\n"
        body += row + name if behind else name + row
    text = f"fileversion {version};\nlotid L9;\nWAFERID 3;\n{SPEC.lower()}" + body + "EndOfFile;\n"
    project = create_project(tmp_path / "project", write(text))
    assert [(image.defect, image.path.name) for image in project.images] == [
        ("1", "D_1.JPG"), ("2", "D_2.JPG"), ("3", "D_3.JPG"),
    ]  # fmt: skip
    assert {(image.lot, image.wafer) for image in project.images} == {("L9", "3")}


@FLAT
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("columns", "ends"),
    [("IMAGECOUNT IMAGELIST", ("1 1 1 0", "0 0")), ("IMAGECOUNT IMAGELIST", ("1 1 0", "0")),
     ("TEST IMAGELIST", ("1 1 1 0", "1 0")), ("TEST IMAGECOUNT", ("1 1", "1 0"))],
)  # fmt: skip
def test_a_row_that_counts_no_image_has_none(write, tmp_path, columns, ends, behind, version):
    body = ""
    for number in (1, 2, 3):
        end = ends[number == 2]
        row = f"DefectList\n {number} 7 {end};\n"
        name = f"TiffFileName D_{number}.jpg;\n" if number != 2 else ""
        if name:
            Image.fromarray(np.full((6, 8), number, np.uint8)).save(tmp_path / f"D_{number}.jpg")
        body += row + name if behind else name + row
    spec = f"DefectRecordSpec 4 DEFECTID CLASSNUMBER {columns};\n"
    klarf = read_klarf(write(head(version) + spec + body + "EndOfFile;\n"))
    images = {defect.defect: [name for name, _ in defect.images] for defect in klarf.defects}
    given = {"1": ["D_1.jpg"], "2": [], "3": ["D_3.jpg"]}
    # Where the list has no column of its own, one file is one image.
    assert images == given


def test_rows_without_a_word_of_images_have_a_file_each(write):
    body = "".join(
        f"TiffFileName D_{number}.jpg;\nDefectList\n {number} 7;\n" for number in (1, 2)
    )
    klarf = read_klarf(write(HEAD + "DefectRecordSpec 2 DEFECTID CLASSNUMBER;\n" + body))
    assert [defect.images for defect in klarf.defects] == [(("D_1.jpg", 1),), (("D_2.jpg", 1),)]


def test_a_row_of_1_8_that_counts_no_image_has_none(write):
    text = """Record FileRecord "1.8" { Record LotRecord "L" { Record WaferRecord "A" {
    List DefectList { Columns 3 { int32 DEFECTID, int32 IMAGECOUNT, ImageList IMAGEINFO }
    Data 3 { 1 1 Images 1 {"a" "TIF" 1 "x"}; 2 0 Images 0 {}; 3 0 Images 1 {"a" "TIF" 1 "x"}; }
    } } } }"""
    assert [len(defect.images) for defect in read_klarf(write(text)).defects] == [1, 0, 0]


def test_images_of_1_8_are_found_by_name(write, stack, tmp_path):
    text = """Record FileRecord "1.8"
{
 Record LotRecord "L" { Record SummaryRecord { Field A 1 {1} }
  Record WaferRecord "A" { List DefectList {
   Columns 4 { int32 DEFECTID, int32 CLASSNUMBER, int32 MANSEMCLASS, ImageList IMAGEINFO }
   Data 2 {
    5 1 4 Images 1 { "C:\\tool\\Lot.tif" "TIF" 3 "SEM; {1}" };
    6 1 0 Images 2 { "Lot" "TIF" 1 "a", "gone" "JPG" 1 "b" };
   } } }
  Record WaferRecord "B" { List DefectList {
   Columns 1 { int32 DEFECTID } Data 1 { 5 ; } } }
  List ClassLookupList { Columns 2 { int32 CLASSNUMBER, string CLASSNAME }
   Data 1 { 4 "Scratch, \xe4"; } }
 }
 Field FileTimestamp 2 {"2021-01-01", "01:00:00"}
}
EndOfFile;"""
    path = write(text)
    with pytest.raises(InputError, match="gone: no such file"):
        create_project(tmp_path / "project", path)
    failed = {}
    project = create_project(tmp_path / "project", path, failed=failed)
    assert list(failed) == ["defect_A/6_2"]
    assert [(image.id, image.page) for image in project.images] == [
        ("defect_A__5", 2), ("defect_A__6_1", 0),
    ]  # fmt: skip
    labels = [(image.label, image.label_source) for image in project.images]
    assert labels == [("4", "MANSEMCLASS"), ("1", "CLASSNUMBER")]
    assert project.info.class_names == {"4": "Scratch, ä"}


def test_the_klarf_is_not_written(write, stack, tmp_path):
    rows = "DefectList\n 1 0 7 0 1 1 1 0;\nEndOfFile;\n"
    path = write(HEAD + "TiffFileName Lot.tif;\n" + SPEC + rows)
    before = path.read_bytes()
    create_project(tmp_path / "project", path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + SPEC + "DefectList\n 1 2 3;\n", "do not fit the 6 columns"),
        (HEAD + SPEC + "DefectList\n 1 0 7 0 2 2 1 0;\n", "do not fit"),
        ("FileVersion 1 2;\nDefectList\n 1 2;\n", "without DefectRecordSpec"),
        ('Record FileRecord "1.8" {\n Record LotRecord "a" {', "cut off"),
        ('Record FileRecord "1.8" {\n Thing x {} }', "line 2, column 10: 'thing' is not Record"),
        (
            'Record FileRecord "1.8" { Record LotRecord "a" { Record WaferRecord "b" '
            "{ List DefectList { Columns 2 { int32 DEFECTID, int32 TEST } Data 1 { 1 ; } } } } }",
            "fewer values",
        ),
    ],
)
def test_damage_is_one_clear_line(write, text, message):
    path = write(text)
    assert is_klarf(path)
    with pytest.raises(InputError, match=message):
        read_klarf(path)


def test_other_files_are_no_klarf(write, tmp_path):
    assert not is_klarf(write("DefectList of mine"))
    assert not is_klarf(tmp_path / "nothing")
    with pytest.raises(InputError, match="nor a KLARF file"):
        create_project(tmp_path / "project", write("something", "list.txt"))
    path = write(HEAD + SPEC + "DefectList\n 1 0 7 0 0 0;\nEndOfFile;\n")
    with pytest.raises(InputError, match="names no image"):
        create_project(tmp_path / "project", path)


FILE = "TiffFileName Lot.tif;\n"
ROWS = "DefectList\n 1 0 7 0 1 1 1 0\n 2 0 7 0 1 1 2 0\n 3 0 7 0 1 1 3 0;\n"
WHOLE = HEAD + FILE + SPEC + ROWS + "EndOfFile;\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("start", ["", "# made by YMS\n\n", "  // µ FileVersion\n"])
def test_any_encoding_and_comments_before_the_first_word(tmp_path, stack, encoding, start):
    path = tmp_path / "lot.txt"
    path.write_bytes((start + WHOLE.replace("Big one", "Größe")).encode(encoding))
    assert is_klarf(path)
    project = create_project(tmp_path / "project", path)
    assert [image.page for image in project.images] == [0, 1, 2]
    assert project.info.class_names["7"] == "Größe"


@pytest.mark.parametrize("length", range(WHOLE.index(" 2 0 7"), len(WHOLE) - 2, 2))
def test_a_file_that_is_cut_off_says_so(write, length):
    path = write(WHOLE[:length])
    whole_rows = sum(f" {n} 0 7 0 1 1 {n} 0" in WHOLE[:length] for n in (1, 2, 3))
    klarf = read_klarf(path)
    assert "cut off" in klarf.problems[-1]
    assert len(klarf.defects) == whole_rows


def test_a_file_that_is_cut_off_before_its_first_row_is_refused_by_place(write):
    for length in range(len(HEAD), WHOLE.index(" 1 0 7") + 8):
        with pytest.raises(InputError, match=r"line \d+, column \d+: .*cut off"):
            read_klarf(write(WHOLE[:length]))


def test_whole_rows_of_a_cut_file_come_in(write, stack, tmp_path):
    path = write(WHOLE[: WHOLE.index(" 3 0 7")] + " 3 0 7 0")
    failed = {}
    project = create_project(tmp_path / "project", path, failed=failed)
    assert [image.defect for image in project.images] == ["1", "2"]
    assert list(failed) == ["list.001 1", "list.001 2"]
    assert "line 12, column 8: the row is cut off before its IMAGECOUNT" in failed["list.001 1"]


def test_whole_rows_of_a_cut_file_of_1_8_come_in(write):
    text = """Record FileRecord "1.8" { Record LotRecord "L" { Record WaferRecord "A" {
    List DefectList { Columns 2 { int32 DEFECTID, ImageList IMAGEINFO }
    Data 2 { 1 Images 1 {"a" "TIF" 1 "x"}; 2 Images 1 {"a" """
    klarf = read_klarf(write(text))
    assert [defect.defect for defect in klarf.defects] == ["1"]
    assert klarf.problems == ("line 3, column 56: the file is cut off",)


def test_an_odd_class_lookup_costs_its_odd_words(write):
    lookup = 'ClassLookup 3\n 0 Unclassified defect\n 5\n 3 "Kratzer u";\n'
    klarf = read_klarf(write(WHOLE.replace("LotID", lookup + "LotID", 1)))
    assert klarf.class_names == {"0": "None", "3": "Kratzer u", "7": "Big one"}
    (problem,) = klarf.problems
    assert "line 3, column 17: “defect” instead of a class number in ClassLookup" in problem
    assert len(klarf.defects) == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2 0 7 -1 1 1 2 0", "PixelSize: “-1” is not more than 0"),
        ("2 0 7 nan 1 1 2 0", "PixelSize: “nan” is not a number"),
        ("2 0 7 x 1 1 2 0", "PixelSize: “x” is not a number"),
        ("2 0 7 0 1 1 b 0", "IMAGELIST: “b” is no image number"),
    ],
)
def test_a_wrong_value_costs_its_row(write, row, message):
    klarf = read_klarf(write(WHOLE.replace("2 0 7 0 1 1 2 0", row)))
    assert [defect.defect for defect in klarf.defects] == ["1", "3"]
    assert [problem.casefold() for problem in klarf.problems] == [f"line 11: {message}".casefold()]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\r\n") + "\x1a",
        lambda text: text.lower().replace("lot.tif", "Lot.tif"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace("Spec 6 ", "Spec "),
        lambda text: text.replace("Spec 6 ", "Spec 17 "),
        lambda text: text.replace("Lot.tif", '"Lot.tif"'),
        lambda text: text.replace("Lot.tif", "D:\\fab\\LOT.TIFF"),
        lambda text: text.replace("EndOfFile;", "EndOfFile"),
        lambda text: text + "\0" * 99,
        lambda text: text + "what another program adds\n",
        lambda text: text.replace(" 3 0;", " 3 0\n;"),
        lambda text: text.replace(" 2 0 7", "# 9 0 7\n 2 0 7"),
    ],
)
def test_what_inspection_tools_write(write, stack, tmp_path, change):
    path = write(change(WHOLE))
    project = create_project(tmp_path / "project", path)
    assert [(image.defect, image.page) for image in project.images] == [
        ("1", 0), ("2", 1), ("3", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            " 2 0 7 0 1 1 2 0",
            " 2 0 7 0 1 1 2 0 77",
            "line 11, column 18: “77” begins a row within",
        ),
        ("1 2 0\n 3", "1 2 0 3", "line 11, column 18: “3” begins a row within a line"),
        ("7 0 1 1 2", "7 0,5 1 1 2", "line 11, column 9: “,” where IMAGECOUNT belongs"),
        ("7 0 1 1 2", "7 0 -1 -1 2", "line 11, column .*: “-1” is no number of images"),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_place(write, old, new, message):
    with pytest.raises(InputError, match=message):
        read_klarf(write(WHOLE.replace(old, new)))


def test_one_picture_is_not_every_image_of_a_file(write, tmp_path):
    tifffile.imwrite(tmp_path / "Lot.tif", np.zeros((9, 9), np.uint8))
    failed = {}
    project = create_project(tmp_path / "project", write(WHOLE), failed=failed)
    assert [image.defect for image in project.images] == ["1"]
    assert "Lot.tif: has 1 image, so there is no image 2" in failed["defect_2"]


def test_fields_that_are_filled_up_with_nul(write, stack, tmp_path):
    rows = "DefectList\n 1 0.5 7 0.1 1 1 1 0;\nEndOfFile;\n\0\0\0"
    path = write(HEAD.replace("L1", "L1\0\0") + "TiffFileName Lot.tif;\n" + SPEC + rows)
    project = create_project(tmp_path / "project", path)
    assert [image.lot.strip() for image in project.images] == ["L1"]
    project.close()


def test_rows_without_images_may_leave_the_list_away(write):
    rows = "DefectList\n 1 0 7 0 1 1 1 0\n 2 0 7 0 0\n 3 0 7 0 1 1 3 0\n 4 0 7 0 0 0;\n"
    klarf = read_klarf(write(HEAD + FILE + SPEC + rows + "EndOfFile;\n"))
    assert [[number for _, number in defect.images] for defect in klarf.defects] == [
        [1], [], [3], [],
    ]  # fmt: skip


def test_rows_without_a_word_are_refused(write):
    text = head("1 2") + "DefectRecordSpec 1 IMAGELIST ;\nDefectList\n 1 2 ;\nEndOfFile;\n"
    with pytest.raises(InputError, match=r"line .*: the columns leave no word to a row"):
        read_klarf(write(text))


def test_a_file_of_many_defects_is_opened_once(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8))
    path, opened = tmp_path / "lot.klarf", []
    rows = "".join(f"\n{number} 1 1 1 0" for number in range(1, 30))
    path.write_text(
        "FileVersion 1 2;\nTiffFileName a.tif;\nDefectRecordSpec 3 DEFECTID IMAGECOUNT IMAGELIST ;"
        f"\nDefectList{rows};\nEndOfFile;\n"
    )
    count = find_images.page_count
    monkeypatch.setattr(
        find_images, "page_count", lambda file: (opened.append(file), count(file))[1]
    )
    assert len(find_images.find_images(path).images) == 29
    assert opened == [tmp_path / "a.tif"]


@FLAT
def test_a_column_names_the_reference_of_a_defect(write, stack, tmp_path, version):
    Image.fromarray(stack[0]).save(tmp_path / "golden.png")
    spec = SPEC.replace("6 DEFECTID", "7 DEFECTID").replace(
        "IMAGECOUNT", "REFERENCEIMAGE IMAGECOUNT"
    )
    rows = ' 1 0 7 0 "GOLDEN.png" 1 1 1 0\n 2 0 7 0 - 1 1 2 0;\n'
    body = "TiffFileName Lot.tif;\n" + spec + "DefectList\n" + rows + "EndOfFile;\n"
    project = create_project(tmp_path / "project", write(head(version) + body))
    assert [image.reference for image in project.images] == [tmp_path / "golden.png", None]
    assert project.read_image("defect_1").reference == tmp_path / "golden.png"


REFERENCES_1_8 = """Record FileRecord "1.8" {{ Record LotRecord "L" {{ Record WaferRecord "A" {{
 List DefectList {{ Columns 2 {{ int32 DEFECTID, ImageList IMAGEINFO }} Data 4 {{
  1 Images 2 {{ "a.png" "PNG" 1 "{0}", "golden.png" "PNG" 1 "{1}" }};
  2 Image 1 {{ "b.png" "PNG" 1 "24" }};
  3 Images 2 {{ "c.png" "PNG" 1 "{0}", "Lot.tif" "TIF" 2 "{1}" }};
  4 Images 1 {{ "golden.png" "PNG" 1 "{1}" }};
 }} }} }} }} }}
EndOfFile;"""


@pytest.mark.parametrize("kind", ["Reference", "REF", "SEM reference 1"])
def test_the_list_of_images_calls_a_picture_a_reference(write, stack, tmp_path, kind):
    """It is no image of its own, unless it is all there is; of a page nobody says which."""
    for name in ("a", "b", "c", "golden"):
        Image.fromarray(stack[0]).save(tmp_path / f"{name}.png")
    path = write(REFERENCES_1_8.format("Patch", kind))
    project = create_project(tmp_path / "project", path)
    assert [(image.path.name, image.reference) for image in project.images] == [
        ("a.png", tmp_path / "golden.png"),
        ("b.png", None),
        ("c.png", None),
        ("golden.png", None),
    ]
    assert project.read_image("defect_1").reference == tmp_path / "golden.png"


@pytest.mark.parametrize("kind", ["24", "Refined", "dummy", ""])
def test_a_number_or_another_word_makes_no_reference(write, stack, tmp_path, kind):
    for name in ("a", "b", "c", "golden"):
        Image.fromarray(stack[0]).save(tmp_path / f"{name}.png")
    images = find_images.find_images(write(REFERENCES_1_8.format("23", kind))).images
    assert [image.reference for image in images] == [None] * 6
