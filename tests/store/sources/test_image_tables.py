import shutil

import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.project import open_project
from napari_semxai.store.sources.image_tables import find_table, table_images
from napari_semxai.types import InputError, ReviewState

NAMES = ["0a" * 16, "1b" * 16, "2c" * 16]


@pytest.fixture
def download(tmp_path):
    """A download as published: both sets in one folder."""
    data = tmp_path / "download" / "data"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    random = np.random.default_rng(0)
    for name in NAMES:
        image = random.integers(0, 255, (16, 20), dtype=np.uint8)
        Image.fromarray(image).save(data / "images" / f"{name}.jpg")
    soft = np.zeros((16, 20), dtype=np.uint8)
    soft[4, 4:8] = (127, 128, 200, 255)
    Image.fromarray(soft).save(data / "masks" / f"{NAMES[0]}.png")
    rgb = np.repeat(soft[..., None], 3, axis=2)
    Image.fromarray(rgb).save(data / "masks" / f"{NAMES[1]}.png")
    Image.fromarray(np.zeros((16, 20), dtype=np.uint8)).save(data / "masks" / f"{NAMES[2]}.png")
    rows = [f"data/images/{name}.jpg;{name}.jpg;3" for name in NAMES]
    (data / "carinthia.csv").write_text("\n".join(["image_path;file_name;label", *rows]))
    rows = [
        f"images/{name}.jpg;masks/{name}.png;{name};{label}"
        for name, label in zip(NAMES, "136", strict=True)
    ]
    (data / "carinthia-s.csv").write_text(
        "\n".join(["image_path;mask_path;filename;label", *rows])
    )
    return tmp_path / "download"


def test_carinthia_s(download, tmp_path):
    project = create_project(tmp_path / "project", download)
    assert [image.id for image in project.images] == NAMES
    assert [image.label for image in project.images] == ["1", "3", "6"]
    assert project.images[0].label_source == "carinthia-s.csv:label"
    assert project.images[0].pixel_size is None
    assert project.info.class_names["6"] == "Class 6"
    assert project.annotators() == ["carinthia-s"]
    records = [project.record(name, "carinthia-s") for name in NAMES]
    assert [record.state for record in records] == [
        ReviewState.ACCEPTED, ReviewState.ACCEPTED, ReviewState.NO_DEFECT,
    ]  # fmt: skip
    assert [record.area for record in records] == [3, 3, 0]


@pytest.mark.parametrize("place", ["", "data", "data/carinthia.csv"])
def test_carinthia(download, tmp_path, place):
    (download / "data" / "carinthia-s.csv").unlink()
    project = create_project(tmp_path / "project", download / place)
    assert [image.id for image in project.images] == NAMES
    assert project.annotators() == []
    assert project.read_image(NAMES[1]).gray.shape == (16, 20)


def test_set_with_masks_is_preferred(download):
    assert find_table(download).name == "carinthia-s.csv"
    assert find_table(download / "data" / "images") is None


def test_broken_rows_are_named(download, tmp_path):
    table = download / "data" / "carinthia-s.csv"
    table.write_text(table.read_text() + f"\nimages/gone.jpg;masks/{NAMES[0]}.png;gone;3\n")
    small = np.zeros((3, 3), dtype=np.uint8)
    Image.fromarray(small).save(download / "data" / "masks" / f"{NAMES[1]}.png")
    with pytest.raises(InputError, match=r"line 5: images/gone\.jpg: no such file"):
        create_project(tmp_path / "project", download)
    failed = {}
    project = create_project(tmp_path / "project", download, failed=failed)
    assert list(failed) == ["carinthia-s.csv line 5", f"{NAMES[1]} mask"]
    assert "3x3 pixels, the image 20x16" in failed[f"{NAMES[1]} mask"]
    assert [image.id for image in project.images] == NAMES
    assert project.record(NAMES[1], "carinthia-s") is None


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_own_table(download, delimiter):
    table = download / "mine.csv"
    header = ["Lot", "IMAGE", "Wafer", "Defect", "Class", "pixel_size_nm"]
    row = ["L1", f"data\\images\\{NAMES[0]}", "W2", "17", "scratch, long", "2.5"]
    quoted = [f'"{cell}"' if delimiter in cell else cell for cell in row]
    table.write_text("\n".join([delimiter.join(header), delimiter.join(quoted)]), "utf-8-sig")
    (image,) = table_images(table).images
    assert (image.lot, image.wafer, image.defect) == ("L1", "W2", "17")
    assert (image.label, image.label_source) == ("scratch, long", "mine.csv:class")
    assert image.pixel_size == pytest.approx(2.5e-9)
    assert image.path.name == f"{NAMES[0]}.jpg"


def test_absolute_paths(download, tmp_path):
    """A table that lies somewhere else than its images."""
    images, masks = download / "data" / "images", download / "data" / "masks"
    table = tmp_path / "elsewhere" / "deep" / "mine.csv"
    table.parent.mkdir(parents=True)
    rows = [f"{images / NAMES[0]}.jpg,{masks / NAMES[0]}.png", f"{images / NAMES[1]},"]
    table.write_text("\n".join(["image_path,mask_path", *rows]))
    first, second = table_images(table).images
    assert first.path == images / f"{NAMES[0]}.jpg"
    assert second.path == images / f"{NAMES[1]}.jpg"
    table.write_text(f"image_path\n{images}/gone.jpg\n")
    with pytest.raises(InputError, match=r"gone\.jpg: no such file"):
        table_images(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is empty"), ("a,b\n1,2\n", "no column image_path"), ("path\n", "has no rows")],
)
def test_table_without_images(tmp_path, text, message):
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        table_images(table)


def test_an_image_is_taken_once_however_often_a_table_names_it(download, tmp_path):
    table = tmp_path / "mine.csv"
    images = download / "data" / "images"
    again = f"{images}/../images/{NAMES[0]}"
    rows = [f"{images / NAMES[0]}.jpg,0,1", f"{images / NAMES[1]}.jpg,,2", f"{again},,3"]
    table.write_text("\n".join(["path,page,class", *rows]))
    found = table_images(table)
    assert [image.label for image in found.images] == ["1", "2"]
    assert list(found.failed) == ["mine.csv line 4"]
    assert "is listed on line 2 already; left out" in found.failed["mine.csv line 4"]
    failed = {}
    assert len(create_project(tmp_path / "project", table, failed=failed).images) == 2
    assert failed == found.failed


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "Größe"):
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(
            tmp_path / "images" / f"{name}.png"
        )
    return tmp_path


def _table(folder, text, encoding="utf-8"):
    (folder / "mine.csv").write_bytes(text.encode(encoding))
    return table_images(folder / "mine.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("start", ["", "sep=;\r\n"])
def test_a_table_saved_by_excel(pictures, encoding, start):
    text = f"{start}Image Path ; Label;Pixel size nm\r\nimages\\a.png;Kratzer;2,5\r\n;;\r\n"
    found = _table(pictures, text + "C:\\lot\\Größe.png;ß;\r\n", encoding)
    assert [image.path.name for image in found.images] == ["a.png", "Größe.png"]
    assert [image.label for image in found.images] == ["Kratzer", "ß"]
    assert [image.pixel_size for image in found.images] == [2.5e-9, None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("images/a.png,-2.5,", r"line 4: pixel_size_nm: “-2.5” is not more than 0"),
        ("images/a.png,nan,", "line 4: pixel_size_nm: “nan” is not a number"),
        ("images/a.png,0,", "line 4: pixel_size_nm: “0” is not more than 0"),
        ("images/a.png,2,5,0", "line 4: 4 values for 3 columns"),
        ("images/a.png,,1.5", "line 4: page: “1.5” is no whole number"),
        ("images/a.png,,-1", "line 4: page: “-1” is no whole number"),
        ("images/gone.png,,", "line 4: images/gone.png: no such file"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(pictures, row, message):
    found = _table(pictures, f"image_path,pixel_size_nm,page\n\nimages/b.png,2.5,0.0\n{row}\n")
    assert [image.path.name for image in found.images] == ["b.png"]
    assert list(found.failed) == ["mine.csv line 4"]
    with pytest.raises(InputError, match=message):
        raise InputError(found.failed["mine.csv line 4"])


@pytest.mark.parametrize(
    ("column", "text"),
    [("pixel_size_m", "2.5e-9"), ("Pixel size (nm)", "2,5"), ("pixel_size_um", "0.0025"),
     ("pixel size [µm]", "0,0025"), ("PIXEL_SIZE_PM", "2500"), ("pixel_size_mm", "2.5e-6")],
)  # fmt: skip
def test_a_column_of_sizes_may_have_any_unit(pictures, column, text):
    (image,) = _table(pictures, f"image_path;{column}\nimages/a.png;{text}\n").images
    assert image.pixel_size == 2.5e-9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,pixel_size\nimages/a.png,2\n", "column pixel_size does not say its unit"),
        ("path,pixelsize (furlong)\nimages/a.png,2\n", "does not say its unit"),
        ("path,label,Label\nimages/a.png,1,2\n", "has two columns label; rename one"),
        ("path,pixel_size_m\nimages/a.png,2.5\n", "line 2: pixel_size_m: “2.5” is more than 1 mm"),
        ("path,mask,state\nimages/a.png,images/b.png,good\n", "line 2: state: “good” is none of "),
        ("# of mine\npath\nimages/a.png\n", "no column image_path or file_name; there are # of"),
        ("path|label\nimages/a.png|1\n", r"there are path\|label"),
        ('path,label\n"images/a.png,1\n', "line 2: is no row of a table"),
        ("path,page\nimages/a.png,1e400\n", "line 2: page: “1e400” is too large"),
    ],
)
def test_what_could_mean_two_things_is_refused(pictures, text, message):
    with pytest.raises(InputError, match=message):
        _table(pictures, text)


@pytest.mark.parametrize(
    "text",
    ["path,label\rimages/a.png,1\r", "path,label\r\nimages/a.png,1\r\r\n",
     "path;label;;\nimages/a.png;1;;\n;;;\n", '"path","label"\n"images/a.png","1"\n',
     "\xa0path\xa0,label\nimages/a.png,1\n", " PATH , LABEL \n IMAGES/A.PNG , 1 \n",
     "path,label\nfile:///x/images/a.png,1\n", "path\tlabel\nimages/a.png\t1",
     "path,label\nimages/a.png,1\n\0\0", "sep=|\npath|label\nimages/a.png|1\n"],
)  # fmt: skip
def test_tables_of_many_programs(pictures, text):
    (image,) = _table(pictures, text).images
    assert (image.path.name, image.label) == ("a.png", "1")


@pytest.mark.parametrize(
    ("labels", "read"),
    [(["3.0", "", "12.00"], ["3", "", "12"]), (["3.0", "3.1", "4"], ["3.0", "3.1", "4"])],
)
def test_classes_that_pandas_wrote_as_decimals_are_whole(pictures, labels, read):
    for name in "xyz":
        shutil.copy(pictures / "images" / "a.png", pictures / "images" / f"{name}.png")
    rows = "".join(
        f"images/{name}.png,{label}\n" for name, label in zip("xyz", labels, strict=True)
    )
    assert [image.label for image in _table(pictures, f"path,label\n{rows}").images] == read


def test_all_reasons_are_told_when_nothing_is_left(pictures):
    with pytest.raises(InputError, match=r"line 2: nope.*; .*line 3: nada"):
        _table(pictures, "image_path\nnope.png\nnada.png\n")


def test_an_image_is_not_its_own_mask(pictures):
    with pytest.raises(InputError, match=r"masks/a\.png: no such mask"):
        _table(pictures, "image_path,mask_path\nimages/a.png,masks/a.png\n")


def test_the_table_of_a_project_saved_by_excel(pictures):
    project = create_project(pictures / "p", pictures / "images", pixel_size=2.5e-9)
    table = pictures / "p" / "images.csv"
    lines = table.read_text("utf-8").replace(",", ";").replace("2.5e-09", "2,5E-09")
    table.write_bytes(lines.encode("utf-8-sig"))
    again = open_project(pictures / "p")
    assert again.images == project.images
    table.write_bytes(table.read_bytes().replace(b"2,5E-09", b"-1"))
    with pytest.raises(InputError, match=r"images\.csv line 2: is damaged \(pixel_size_m: “-1”"):
        open_project(pictures / "p")


def test_a_cell_of_several_lines_is_named_in_one(tmp_path):
    (tmp_path / "t.csv").write_text('image_path;label\n"a\nb.png";1\n')
    with pytest.raises(InputError, match=r"line 2: a b\.png: no such file"):
        table_images(tmp_path / "t.csv")


def test_a_table_names_references(download, tmp_path):
    table = download / "mine.csv"
    images = [f"data/images/{name}.jpg" for name in NAMES]
    rows = [f"{images[0]},{images[2]}", f"{images[1]},", f"{images[2]},data/images/none.jpg"]
    table.write_text("\n".join(["path,reference_path", *rows]))
    failed = {}
    project = create_project(tmp_path / "project", table, failed=failed)
    assert [image.reference for image in project.images] == [download / images[2], None]
    assert "none.jpg" in failed["mine.csv line 4"]
    # The table of a project without any stays as it was.
    assert open_project(tmp_path / "project").images == project.images
    table.write_text(f"path\n{images[0]}\n")
    create_project(tmp_path / "plain", table)
    assert "reference" not in (tmp_path / "plain/images.csv").read_text()
    assert str((download / images[2]).resolve()) in project.originals
