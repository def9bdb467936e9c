import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.project.create import create_project
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
