import csv
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from matplotlib.path import Path as MatplotlibPath
from PIL import Image
from pycocotools.coco import COCO

from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.project.create import add_images, create_project, name_classes
from napari_semxai.store.project.exports import (
    EXPORT_FORMATS,
    export,
    export_carinthia,
    export_coco,
    export_defects,
    export_masks,
    export_measurements,
)
from napari_semxai.store.project.imports import ImportChoices, import_masks
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, ReviewChange, ReviewState
from tests.store.project.projects import MIXED, blob, mixed_project


@pytest.fixture
def project(tmp_path):
    with mixed_project(tmp_path) as project:
        yield project


TRUTH = {"a": blob(1), "stack_p0001": blob(2), "stack_p0002": np.zeros(MIXED, dtype=bool)}


def check_masks(project, annotator):
    assert {one.image.id for one in chosen_masks(project, annotator)} == set(TRUTH)
    for name, mask in TRUTH.items():
        np.testing.assert_array_equal(project.mask(name, annotator), mask)
    assert project.record("stack_p0002", annotator).state is ReviewState.NO_DEFECT


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_mask_files(project, tmp_path, suffix):
    assert export_masks(project, chosen_masks(project), tmp_path / "out", suffix) == 3
    read = tifffile.imread if suffix == ".tif" else lambda path: np.asarray(Image.open(path))
    for name, mask in TRUTH.items():
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{name}{suffix}"), 255 * mask)
    assert import_masks(project, tmp_path / "out", "ben").brought == 3
    check_masks(project, "ben")


@pytest.mark.parametrize("form", ["rle", "polygons"])
def test_coco(project, tmp_path, capsys, form):
    path = tmp_path / "coco.json"
    assert export_coco(project, chosen_masks(project), path, form) == 3
    coco = COCO(path)
    for image in coco.loadImgs(coco.getImgIds()):
        wanted = TRUTH[image["semxai_id"]]
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert len(annotations) == wanted.any()
        for annotation in annotations:
            np.testing.assert_array_equal(coco.annToMask(annotation), wanted)
            assert annotation["area"] == wanted.sum()
    first = coco.loadImgs(1)[0]
    assert (first["lot"], first["wafer"], first["defect"]) == ("L1", "W1", "11")
    assert (first["label"], first["class_source"]) == ("9", "anna")
    assert first["pixel_size_m"] == pytest.approx(2e-9)
    assert import_masks(project, path, "ben").brought == 3
    check_masks(project, "ben")
    record = project.record("a", "ben")
    assert (record.label, record.state, record.comment) == ("9", ReviewState.CORRECTED, "x;y")
    # Every state comes back, unless one is asked for.
    every = chosen_masks(project, "anna", every_state=True)
    assert export_coco(project, every, tmp_path / "every.json", form) == 4
    assert import_masks(project, tmp_path / "every.json", "cy").brought == 4
    unsure = ImportChoices(ReviewState.UNSURE)
    assert import_masks(project, tmp_path / "every.json", "dan", unsure).brought == 4
    for image in project.images:
        old, new = (project.record(image.id, name) for name in ("anna", "cy"))
        assert (new.state, new.comment) == (old.state, old.comment)
        assert project.record(image.id, "dan").state is ReviewState.UNSURE


def test_carinthia_layout(project, tmp_path):
    assert export_carinthia(project, chosen_masks(project), tmp_path / "out") == 3
    data = tmp_path / "out" / "data"
    with (data / "carinthia-s.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert [row["label"] for row in rows] == ["9", "8", "8"]
    assert list(rows[0])[:4] == ["image_path", "mask_path", "filename", "label"]
    assert (data / rows[0]["image_path"]).read_bytes() == project.image("a").path.read_bytes()
    page = tifffile.imread(data / rows[1]["image_path"])
    np.testing.assert_array_equal(page, project.read_image("stack_p0001").pixels)
    with closing(create_project(tmp_path / "again", tmp_path / "out")) as again:
        check_masks(again, "carinthia-s")
        for image in again.images:
            old = project.image(image.id)
            assert image.sha256 == old.sha256
            own = image.id == "a"
            assert image.label == ("9" if own else old.label)
            assert image.label_source == ("anna" if own else "list.csv:class")
            known = ("lot", "wafer", "defect", "pixel_size")
            assert [getattr(image, name) for name in known] == [
                getattr(old, name) for name in known
            ]


def independent_measures(mask):
    """Size and shape from their definitions, without the library that the export uses."""
    rows, columns = np.nonzero(mask)
    area, center = rows.size, (rows.mean(), columns.mean())
    # Of the pixels' centres; the axis of an ellipse is four times the root of its moment.
    moments = np.cov(rows, columns, bias=True)
    minor, major = 4 * np.sqrt(np.linalg.eigvalsh(moments))
    along = np.linalg.eigh(moments)[1][:, 1]
    angle = np.degrees(np.arctan2(along[1], along[0]))
    return {
        "row0": rows.min(),
        "column0": columns.min(),
        "row1": rows.max() + 1,
        "column1": columns.max() + 1,
        "centroid_row": center[0],
        "centroid_column": center[1],
        "orientation_deg": (angle + 90) % 180 - 90,
        "eccentricity": np.sqrt(1 - (minor / major) ** 2),
        "area_px": area,
        "height_px": np.ptp(rows) + 1,
        "width_px": np.ptp(columns) + 1,
        "equivalent_diameter_px": 2 * np.sqrt(area / np.pi),
        "major_axis_px": major,
        "minor_axis_px": minor,
    }


def slanted():
    """A slanted bar: no two of its measures are alike."""
    rows, columns = np.indices(MIXED)
    along, across = rows - 11 + 0.5 * (columns - 14), columns - 14 - 0.5 * (rows - 11)
    return (np.abs(along) < 3) & (np.abs(across) < 12)


def test_measurements(project, tmp_path):
    project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, slanted()))
    path = tmp_path / "sizes.csv"
    assert export_measurements(project, chosen_masks(project), path) == 3
    with path.open(newline="") as file:
        first, _, empty = csv.DictReader(file)
    wanted = independent_measures(slanted())
    for name, value in wanted.items():
        assert float(first[name]) == pytest.approx(value, rel=1e-6), name
    assert -80 < wanted["orientation_deg"] < -10 or 10 < wanted["orientation_deg"] < 80
    lengths = [
        name for name in first if name.endswith("_px") and name not in ("area_px", "ignored_px")
    ]
    assert len(lengths) == 6
    for name in lengths:
        micrometres = float(first[name.replace("_px", "_um")])
        assert micrometres == pytest.approx(float(first[name]) * 2e-3), name
    assert float(first["area_um2"]) == pytest.approx(slanted().sum() * 4e-6)
    assert (first["components"], first["id"], first["file"]) == ("1", "a", "a.jpg")
    assert (first["page"], first["class_name"], first["comment"]) == ("0", "", "x;y")
    assert (first["lot"], first["class"], first["state"]) == ("L1", "9", "corrected")
    assert (first["wafer"], first["defect"], first["annotators"]) == ("W1", "11", "anna")
    assert (first["class_source"], float(first["pixel_size_m"])) == ("anna", pytest.approx(2e-9))
    checked = {*wanted, *lengths, *(name.replace("_px", "_um") for name in lengths)}
    checked |= {"area_um2", "components", "id", "file", "page", "class", "class_name", "lot"}
    checked |= {"wafer", "defect", "class_source", "pixel_size_m", "state", "annotators"}
    microscope = {"microscope", "voltage_kv", "magnification", "working_distance_mm"}
    microscope |= {"stage_x_mm", "stage_y_mm", "stage_z_mm"}
    assert set(first) == checked | microscope | {
        "detector",
        "taken",
        "name",
        "comment",
        "ignored_px",
    }
    assert (empty["area_px"], empty["perimeter_px"], empty["state"]) == ("0", "", "no defect")


def test_every_defect_has_a_row_with_its_own_measurements(project, tmp_path):
    mask = slanted()
    mask[0, :5] = True
    project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, mask))
    path = tmp_path / "defects.csv"
    assert export_defects(project, chosen_masks(project), path) == 3
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] == "a"]
    assert [(row["number"], row["area_px"]) for row in rows] == [
        ("1", "5"),
        ("2", str(slanted().sum())),
    ]
    for name, value in independent_measures(slanted()).items():
        assert float(rows[1][name]) == pytest.approx(value, rel=1e-6), name
    assert (rows[0]["row1"], rows[0]["column1"], rows[0]["state"]) == ("1", "5", "corrected")
    assert float(rows[0]["area_um2"]) == pytest.approx(5 * 4e-6)


def test_masks_without_any_defect_have_no_rows_to_write(project, tmp_path):
    nothing = [one for one in chosen_masks(project) if not one.mask.any()]
    with pytest.raises(InputError, match="no mask with a defect"):
        export_defects(project, nothing, tmp_path / "defects.csv")
    assert not (tmp_path / "defects.csv").exists()


def test_the_perimeter_is_that_of_the_shape(project, tmp_path):
    """A rectangle's through the centres of its outer pixels, exactly; a disc's within 5 %."""
    rows, columns = np.indices(MIXED)
    rectangle = (abs(rows - 11) <= 4) & (abs(columns - 14) <= 8)
    disc = np.hypot(rows - 11.5, columns - 14.5) < 10
    cases = ((rectangle, 2 * (8 + 16), 1e-9), (disc, 2 * np.pi * 10, 0.05))
    for mask, wanted, tolerance in cases:
        project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, mask))
        export_measurements(project, chosen_masks(project), tmp_path / "sizes.csv")
        with (tmp_path / "sizes.csv").open(newline="") as file:
            first = next(csv.DictReader(file))
        assert float(first["perimeter_px"]) == pytest.approx(wanted, rel=tolerance)
        assert float(first["perimeter_um"]) == pytest.approx(wanted * 2e-3, rel=tolerance)


def test_which_masks_are_chosen(project):
    assert sum(1 for _ in chosen_masks(project, every_state=True)) == 4
    project.write_review("a", "ben", ReviewChange(ReviewState.ACCEPTED, blob(5)))
    project.write_review("a", "cy", ReviewChange(ReviewState.ACCEPTED, blob(6)))
    with pytest.raises(InputError, match="masks of anna, ben, cy; name one, or consensus"):
        list(chosen_masks(project))
    with pytest.raises(InputError, match="'zoe' has no masks"):
        list(chosen_masks(project, "zoe"))
    (mine,) = chosen_masks(project, "Ben")
    np.testing.assert_array_equal(mine.mask, blob(5))
    first, *others = chosen_masks(project, "consensus")
    votes = blob(1).astype(int) + blob(5) + blob(6)
    np.testing.assert_array_equal(first.mask, votes >= 2)
    assert first.annotators == ("anna", "ben", "cy")
    assert first.label == "7"
    assert len(others) == 2


def test_originals_are_not_overwritten(project, tmp_path):
    images = tmp_path / "images"
    before = {path: path.read_bytes() for path in images.iterdir()}
    (images / "a.png").symlink_to("a.jpg")
    with pytest.raises(InputError, match=r"a\.png: the project was made of this file"):
        export_masks(project, chosen_masks(project), images)
    assert {path: path.read_bytes() for path in before} == before


def test_imports_that_do_not_fit(project, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    with pytest.raises(InputError, match="holds no mask"):
        import_masks(project, masks, "ben")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(masks / "a_mask.png")
    Image.fromarray(255 * blob(1).astype(np.uint8)).save(masks / "stack_p0001.png")
    Image.fromarray(np.zeros(MIXED, np.uint8)).save(masks / "stack.png")
    with pytest.raises(InputError, match="3x3 pixels"):
        import_masks(project, masks, "ben")
    failed = {}
    candidate = ImportChoices(ReviewState.CANDIDATE)
    assert import_masks(project, masks, "ben", candidate, failed).brought == 1
    assert set(failed) == {"a", "stack"}
    assert "has no image of this name" in failed["stack"]
    assert project.record("stack_p0001", "ben").state is ReviewState.CANDIDATE
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"images": [{"id": 1}]}))
    with pytest.raises(InputError, match="no COCO data set"):
        import_masks(project, other, "ben")
    with pytest.raises(InputError, match="no such file"):
        import_masks(project, tmp_path / "nothing", "ben")


@pytest.fixture
def carinthia(tmp_path):
    """A project of a small Carinthia-S download."""
    data = tmp_path / "set" / "data"
    for name in ("images", "masks"):
        (data / name).mkdir(parents=True)
    Image.fromarray(np.arange(720, dtype=np.uint8).reshape(MIXED)).save(data / "images" / "a.jpg")
    Image.fromarray(255 * blob(1).astype(np.uint8)).save(data / "masks" / "a.png")
    (data / "carinthia-s.csv").write_text(
        "image_path;mask_path;filename;label\nimages/a.jpg;masks/a.png;a;3\n"
    )
    with closing(create_project(tmp_path / "own", tmp_path / "set")) as project:
        yield project


@pytest.mark.parametrize(
    ("form", "place", "file"),
    [
        ("png", "set/data/masks", "set/data/masks/a.png"),
        ("measurements", "set/data/carinthia-s.csv", "set/data/carinthia-s.csv"),
        ("carinthia-s", "set", "set/data/images/a.jpg"),
        ("measurements", "own/images.csv", "own/images.csv"),
        ("coco-rle", "own/project.json", "own/project.json"),
        (
            "png",
            "own/reviews/carinthia-s/masks",
            "own/reviews/carinthia-s/masks/a.png",
        ),
    ],
)
def test_no_export_replaces_what_a_project_was_made_of(carinthia, tmp_path, form, place, file):
    before = (tmp_path / file).read_bytes()
    carinthia.write_review("a", "ben", ReviewChange(ReviewState.CORRECTED, blob(2)))
    for _ in range(2):
        names = rf"({Path(file).name}|masks\.csv)"
        with pytest.raises(InputError, match=f"{names}: (the project was|belongs to)"):
            export(carinthia, chosen_masks(carinthia, "ben"), tmp_path / place, form)
    assert (tmp_path / file).read_bytes() == before


def test_sources_that_came_later_are_not_overwritten(carinthia, tmp_path, project):
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(np.full(MIXED, 9, np.uint8)).save(other / "b.tif")
    Image.fromarray(np.eye(*MIXED, dtype=np.uint8)).save(other / "b_m.png")
    (other / "mine.csv").write_text("path,mask,class\nb.tif,b_m.png,2\n")
    add_images(carinthia.folder, other / "mine.csv")
    again = open_project(carinthia.folder)
    for path in (other / "mine.csv", other / "b_m.png"):
        with pytest.raises(InputError, match="was made of this file"):
            export_measurements(again, chosen_masks(again, "carinthia-s"), path)
    # The list that a project was made of, wherever it lies.
    with pytest.raises(InputError, match="was made of this file"):
        export_measurements(project, chosen_masks(project), tmp_path / "images" / "list.csv")


def test_masks_replace_masks_but_no_pictures(project, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for _ in range(2):
        assert export_masks(project, chosen_masks(project), out) == 3
    picture = out / "a.png"
    Image.fromarray(np.arange(720, dtype=np.uint16).reshape(MIXED).astype(np.uint8)).save(picture)
    with pytest.raises(InputError, match="holds no plain mask but a picture"):
        export_masks(project, chosen_masks(project), out)


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_every_format_of_the_table_writes_every_mask(project, tmp_path, form):
    target = tmp_path / ("masks.out" if EXPORT_FORMATS[form].file_filter else "masks")
    chosen = list(chosen_masks(project, "anna", every_state=True))
    if form == "klarf":
        # Of a project that was made from one: see test_klarf_export.
        with pytest.raises(InputError, match="is no KLARF file; name the file to copy"):
            export(project, chosen, target, form)
        return
    assert export(project, chosen, target, form) == len(chosen) > 0
    assert target.is_file() == bool(EXPORT_FORMATS[form].file_filter)


def _drawn(polygons):
    """What another program fills: the pixels whose middles lie in one of the polygons."""
    filled = np.zeros(MIXED, dtype=bool)
    rows, columns = np.mgrid[: MIXED[0], : MIXED[1]] + 0.5
    for corners in polygons:
        path = MatplotlibPath([*corners, corners[0]], closed=True)
        inside = path.contains_points(np.stack([columns.ravel(), rows.ravel()], axis=1))
        filled |= inside.reshape(MIXED)
    return filled


def test_yolo(project, tmp_path):
    assert export(project, chosen_masks(project, "anna"), tmp_path / "set", "yolo") == 3
    names = yaml.safe_load((tmp_path / "set/data.yaml").read_text())["names"]
    labels = {path.stem: path.read_text() for path in (tmp_path / "set/labels").iterdir()}
    images = {path.stem for path in (tmp_path / "set/images").iterdir()}
    assert set(labels) == images == set(TRUTH)
    for name, mask in TRUTH.items():
        lines = [line.split() for line in labels[name].splitlines()]
        assert {names[int(number)] for number, *_ in lines} <= {"9", "8"}
        corners = [np.reshape(places, (-1, 2)).astype(float) for _, *places in lines]
        assert all(each.min() >= 0 and each.max() <= 1 for each in corners)
        drawn = _drawn([each * MIXED[::-1] for each in corners])
        np.testing.assert_array_equal(drawn, mask)
    # Without a defect: an empty file.
    assert labels["stack_p0002"] == ""


def test_labelme(project, tmp_path):
    name_classes(project.folder, {"9": "scratch"})
    with closing(open_project(project.folder)) as named:
        assert export(named, chosen_masks(named, "anna"), tmp_path / "set", "labelme") == 3
    for name, mask in TRUTH.items():
        document = json.loads((tmp_path / f"set/{name}.json").read_text())
        with Image.open(tmp_path / "set" / document["imagePath"]) as picture:
            assert picture.size == (document["imageWidth"], document["imageHeight"])
        np.testing.assert_array_equal(_drawn([one["points"] for one in document["shapes"]]), mask)
        assert {one["shape_type"] for one in document["shapes"]} <= {"polygon"}
        assert {one["label"] for one in document["shapes"]} <= {"scratch", "8"}


def test_numbers_of_classes(project, tmp_path):
    folder = tmp_path / "numbers"
    assert export(project, chosen_masks(project, "anna"), folder, "class-png") == 3
    with (folder / "classes.csv").open(newline="") as file:
        named = {row["class"]: int(row["value"]) for row in csv.DictReader(file)}
    assert named == {"7": 7, "8": 8, "9": 9, "": 255}
    for name, value in (("a", 9), ("stack_p0001", 8), ("stack_p0002", 0)):
        stored = np.asarray(Image.open(folder / f"{name}.png"))
        np.testing.assert_array_equal(stored, value * TRUTH[name].astype(np.uint8))
    assert import_masks(project, folder, "ben").brought == 3
    check_masks(project, "ben")
    name_classes(project.folder, {"300": "rare"})
    project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, blob(1), label="300"))
    with pytest.raises(InputError, match="class 300 would be 300; a PNG of 8 bits holds"):
        export(project, chosen_masks(project, "anna"), tmp_path / "more", "class-png")


def test_an_unknown_format_is_refused(project, tmp_path):
    with pytest.raises(InputError, match=r"gif: no such format; choose one of png, tif"):
        export(project, chosen_masks(project, "anna"), tmp_path / "masks", "gif")


IGNORED = np.zeros(MIXED, dtype=bool)
IGNORED[:6, 4:20] = True


@pytest.fixture
def marked(project):
    """The project, with a region that counts for nothing on its first image."""
    project.write_review(
        "a", "anna", ReviewChange(ReviewState.CORRECTED, blob(1), ignored=IGNORED)
    )
    return project


@pytest.mark.parametrize(
    "form", ["png", "tif", "coco-rle", "coco-polygons", "carinthia-s", "class-png"]
)
def test_what_is_ignored_comes_back_from_an_export(marked, tmp_path, form):
    coco = form.startswith("coco")
    target = tmp_path / ("out.json" if coco else "out")
    export(marked, chosen_masks(marked), target, form)
    source = target / "data" / "carinthia-s.csv" if form == "carinthia-s" else target
    assert import_masks(marked, source, "ben").brought == 3
    for name, mask in TRUTH.items():
        ignored = IGNORED if name == "a" else np.zeros(MIXED, bool)
        record = marked.record(name, "ben")
        found = region_mask(record.ignored, MIXED)
        np.testing.assert_array_equal(np.zeros(MIXED, bool) if found is None else found, ignored)
        np.testing.assert_array_equal(marked.mask(name, "ben"), mask & ~ignored)
    # The same once more is nothing.
    history = marked.record("a", "ben").history
    import_masks(marked, source, "ben")
    assert marked.record("a", "ben").history == history


def test_other_programs_are_told_what_is_ignored(marked, tmp_path):
    export(marked, chosen_masks(marked), tmp_path / "coco.json", "coco-polygons")
    coco = COCO(tmp_path / "coco.json")
    image = next(one for one in coco.loadImgs(coco.getImgIds()) if one["semxai_id"] == "a")
    crowds = [one for one in coco.loadAnns(coco.getAnnIds(image["id"])) if one["iscrowd"]]
    assert [one["semxai_ignored"] for one in crowds] == [True]
    np.testing.assert_array_equal(coco.annToMask(crowds[0]), IGNORED)
    export(marked, chosen_masks(marked), tmp_path / "numbers", "class-png")
    values = np.asarray(Image.open(tmp_path / "numbers" / "a.png"))
    np.testing.assert_array_equal(values == 255, IGNORED)
    np.testing.assert_array_equal((values > 0) & (values < 255), blob(1) & ~IGNORED)
    assert "255,,ignored" in (tmp_path / "numbers" / "classes.csv").read_text()
    export(marked, chosen_masks(marked), tmp_path / "labelme", "labelme")
    shapes = json.loads((tmp_path / "labelme" / "a.json").read_text())["shapes"]
    outline = [one["points"] for one in shapes if one["label"] == "__ignore__"]
    assert sorted(outline[0]) == [[4, 0], [4, 6], [20, 0], [20, 6]]
    export(marked, chosen_masks(marked), tmp_path / "sizes.csv", "measurements")
    with (tmp_path / "sizes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["ignored_px"] for row in rows] == ["96", "0", "0"]


def test_a_majority_leaves_out_what_anybody_ignores(marked):
    region = np.zeros(MIXED, bool)
    region[20:] = True
    for name in ("ben", "cleo"):
        marked.write_review("a", name, ReviewChange(ReviewState.ACCEPTED, blob(1), ignored=region))
    chosen = next(iter(chosen_masks(marked, "consensus")))
    np.testing.assert_array_equal(chosen.ignored, region | IGNORED)
    np.testing.assert_array_equal(chosen.mask, blob(1) & ~(region | IGNORED))
