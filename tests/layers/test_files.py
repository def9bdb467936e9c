import csv
import json
from types import SimpleNamespace

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.plugins.io import save_layers
from npe2 import PluginManager, read
from PIL import Image
from pycocotools.coco import COCO

from napari_semxai.layers import files
from napari_semxai.layers.files import (
    get_reader,
    write_carinthia_layers,
    write_coco_layer,
    write_mask_layer,
    write_measurements_layer,
)
from napari_semxai.types import InputError

PLUGIN = "napari-semxai"


@pytest.fixture(autouse=True)
def _manifest():
    PluginManager.instance().discover()


@pytest.fixture
def layer():
    return Labels(np.random.default_rng(0).integers(0, 3, (12, 15)), name="mine")


@pytest.mark.parametrize("name", ["a_mask.png", "a_mask.tif"])
def test_mask_picture_through_npe2(layer, tmp_path, name):
    path = str(tmp_path / name)
    assert save_layers(path, [layer], plugin=PLUGIN) == [path]
    ((data, meta, kind),) = read([path], stack=False, plugin_name=PLUGIN)
    np.testing.assert_array_equal(data, layer.data != 0)
    assert (meta["name"], kind) == ("a_mask", "labels")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), 255 * (layer.data != 0))


def test_a_mask_of_another_program(tmp_path):
    mask = np.zeros((12, 15), np.uint8)
    mask[2:6, 3:9] = 3
    path = str(tmp_path / "a_mask.png")
    Image.fromarray(mask).save(path)
    ((data, _, _),) = read([path], stack=False, plugin_name=PLUGIN)
    np.testing.assert_array_equal(data, mask > 0)
    Image.fromarray(255 - 85 * mask).save(path)
    with pytest.raises(InputError, match="black may be the defect; save it as 0 and 255"):
        read([path], stack=False, plugin_name=PLUGIN)


def test_coco_through_npe2(layer, tmp_path, capsys):
    path = str(tmp_path / "a.json")
    assert save_layers(path, [layer], plugin=PLUGIN) == [path]
    coco = COCO(path)
    np.testing.assert_array_equal(coco.annToMask(coco.anns[1]), layer.data != 0)
    ((data, meta, _),) = read([path], stack=False, plugin_name=PLUGIN)
    np.testing.assert_array_equal(data, layer.data != 0)
    assert meta["name"] == "mine"


@pytest.mark.parametrize("scale", [None, 0.02])
def test_measurements_through_npe2(tmp_path, scale):
    mask = np.zeros((12, 15), int)
    mask[2:6, 3:9] = 2
    size = {} if scale is None else {"scale": (scale, scale), "units": ("um", "um")}
    path = tmp_path / "sizes.csv"
    save_layers(str(path), [Labels(mask, name="mine", **size)], plugin=PLUGIN)
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert (row["name"], row["area_px"], row["column1"]) == ("mine", "24", "9")
    assert row["area_um2"] == ("" if scale is None else "0.0096")


def test_a_carinthia_s_table_through_npe2(tmp_path):
    rng = np.random.default_rng(0)
    truth = {}
    lines = ["image_path;mask_path;filename;label"]
    for name in ("a", "b"):
        pixels = rng.integers(0, 250, (12, 15)).astype(np.uint8)
        truth[name] = pixels, pixels > 99
        for kind, values in (("images", pixels), ("masks", 255 * (pixels > 99))):
            (tmp_path / kind).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(tmp_path / kind / f"{name}.png")
        lines.append(f"images/{name}.png;masks/{name}.png;{name};3")
    table = tmp_path / "carinthia-s.csv"
    table.write_text("\n".join(lines))
    layers = read([str(table)], stack=False, plugin_name=PLUGIN)
    assert [kind for *_, kind in layers] == ["image", "labels"] * 2
    for (pixels, mask), read_image, read_labels in zip(
        truth.values(), layers[::2], layers[1::2], strict=True
    ):
        np.testing.assert_array_equal(read_image[0], pixels)
        np.testing.assert_array_equal(read_labels[0], mask)
    table.write_text("image_path;mask_path\nimages/gone.png;masks/gone.png")
    assert get_reader(str(table)) is None


def test_an_image_and_its_labels_become_a_carinthia_s_set(layer, tmp_path):
    image = ImageLayer(
        np.random.default_rng(1).integers(0, 60_000, (12, 15)).astype(np.uint16), name="a b"
    )
    table = tmp_path / "carinthia-s.csv"
    for layers in ([layer, image], [image, layer]):
        folder = tmp_path / layers[0].name
        path = str(folder / table.name)
        saved = save_layers(path, layers, plugin=PLUGIN)
        assert [file.rsplit("/", 2)[1] for file in saved[1:]] == ["images", "masks"]
        (pixels, _, _), (labels, _, kind) = read([path], stack=False, plugin_name=PLUGIN)
        np.testing.assert_array_equal(pixels, image.data)
        np.testing.assert_array_equal(labels, layer.data != 0)
        assert kind == "labels"
        given = [layer.as_layer_data_tuple() for layer in layers]
        with pytest.raises(InputError, match="there already"):
            write_carinthia_layers(path, given)
    given = [(image.data[1:], {}, "image"), (layer.data, {}, "labels")]
    with pytest.raises(InputError, match="shape"):
        write_carinthia_layers(str(table), given)
    assert not table.exists()


def test_other_files_are_left_to_others(tmp_path):
    broken = tmp_path / "a_mask.png"
    broken.write_bytes(b"no picture")
    settings = tmp_path / "settings.json"
    settings.write_text("{}")
    images = [{"id": number, "height": 2, "width": 2} for number in range(17)]
    many = tmp_path / "many.json"
    many.write_text(json.dumps({"images": images, "annotations": []}))
    for path in (broken, settings, many, tmp_path / "gone.json"):
        assert get_reader(str(path)) is None
    assert get_reader([str(settings)]) is None


def test_volume_is_refused(tmp_path):
    """Called as npe2 does; napari turns the error into its own words."""
    volume = np.ones((2, 3, 4), dtype=int)
    for write, name in (
        (write_coco_layer, "a.json"),
        (write_mask_layer, "a.png"),
        (write_measurements_layer, "a.csv"),
    ):
        with pytest.raises(InputError, match="shape"):
            write(str(tmp_path / name), volume, {})


def test_no_mask_replaces_an_image_or_a_file_of_a_project(tmp_path):
    image = tmp_path / "wafer.png"
    Image.fromarray(np.arange(180, dtype=np.uint8).reshape(12, 15)).save(image)
    (tmp_path / "project.json").write_text("{}")
    masks = tmp_path / "reviews" / "anna" / "masks"
    masks.mkdir(parents=True)
    mask = np.ones((12, 15), dtype=int)
    for path in (image, masks / "a.png"):
        with pytest.raises(InputError, match=path.name):
            write_mask_layer(str(path), mask, {})
    with pytest.raises(InputError, match=r"project\.json"):
        write_coco_layer(str(tmp_path / "project.json"), mask, {})
    assert np.asarray(Image.open(image)).max() == 179
    assert list(masks.iterdir()) == []


def test_no_mask_replaces_a_data_set_or_another_table(tmp_path):
    mask = np.ones((12, 15), dtype=int)
    writers = ((write_coco_layer, "a.json"), (write_measurements_layer, "a.csv"))
    for write, name in writers:
        for _ in range(2):
            write(str(tmp_path / name), mask, {"name": "mine"})
    images = [{"id": number, "height": 2, "width": 2} for number in range(2)]
    for name, text in (
        ("set.json", json.dumps({"images": images, "annotations": []})),
        ("settings.json", "{}"),
        ("list.csv", "name,label\na,3\n"),
        ("semicolons.csv", "name;row0;column0;row1\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        write = write_coco_layer if path.suffix == ".json" else write_measurements_layer
        with pytest.raises(InputError, match=f"{name}: holds"):
            write(str(path), mask, {})
        assert path.read_text() == text
    (tmp_path / "project.json").write_text("{}")
    with pytest.raises(InputError, match="belongs to the project"):
        write_measurements_layer(str(tmp_path / "images.csv"), mask, {})


def test_what_could_not_be_read_is_said_beside_the_docks(viewer, session, layers, monkeypatch):
    mask = SimpleNamespace(mask=np.ones((3, 4), bool), problems=[])
    stored = SimpleNamespace(
        problems=("b.png: no such image",), images=[SimpleNamespace(name="a", mask=lambda: mask)]
    )
    toasts: list[str] = []
    monkeypatch.setattr(files, "read_coco", lambda path: stored)
    monkeypatch.setattr(files, "show_warning", toasts.append)
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    assert len(files.read_coco_layers("masks.json")) == 1
    assert session.message == "masks.json: b.png: no such image"
    assert toasts == []
    # Another viewer, without docks, has napari's own messages only; so has none at all.
    for other in (ViewerModel(), None):
        monkeypatch.setattr(napari, "current_viewer", lambda other=other: other)
        files.read_coco_layers("masks.json")
    assert toasts == [session.message] * 2
