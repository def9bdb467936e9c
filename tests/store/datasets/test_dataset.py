import numpy as np
import pytest
from PIL import Image

from napari_semxai.store.datasets.dataset import open_dataset
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.types import InputError, ReviewChange, ReviewState

MASK = np.eye(8, dtype=bool)


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(path)


def test_folders_of_pairs(tmp_path):
    save(tmp_path / "images/a/1.png")
    save(tmp_path / "images/2.jpg")
    save(tmp_path / "images/lonely.png")
    write_mask(tmp_path / "masks/a/1.png", MASK)
    write_mask(tmp_path / "masks/2.png", MASK)
    failed = {}
    found = open_dataset(tmp_path, failed)
    assert {image.name for image in found} == {"a/1", "2"}
    assert "has no mask" in failed["lonely"]


def test_masks_beside_images(tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "2.png")
    write_mask(tmp_path / "1_mask.png", MASK)
    (found,) = open_dataset(tmp_path, {})
    assert (found.name, found.truth.path.name) == ("1", "1_mask.png")


def test_carinthia_s(tmp_path):
    save(tmp_path / "data/images/ab.jpg")
    write_mask(tmp_path / "data/masks/ab.png", MASK)
    (tmp_path / "data/carinthia-s.csv").write_text(
        "image_path;mask_path;filename;label\ndata/images/ab.jpg;data/masks/ab.png;ab;3\n"
    )
    (found,) = open_dataset(tmp_path, {})
    assert (found.name, found.label) == ("ab", "3")
    np.testing.assert_array_equal(found.truth.read(), MASK)


def test_truths_of_a_project(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"in/{name}.png")
    project = create_project(tmp_path / "project", tmp_path / "in")
    a, b, c = (image.id for image in project.images)
    accept = ReviewChange(state=ReviewState.ACCEPTED, mask=MASK)
    project.write_review(a, "ann", accept)
    project.write_review(b, "ann", ReviewChange(state=ReviewState.NO_DEFECT))
    project.write_review(c, "ann", ReviewChange(state=ReviewState.UNSURE, mask=MASK))
    project.close()
    found = open_dataset(tmp_path / "project", {})
    assert [image.name for image in found] == [a, b]
    np.testing.assert_array_equal(found[0].truth.read(), MASK)
    assert not found[1].truth.read().any()


def test_without_masks_it_is_bad_input(tmp_path):
    save(tmp_path / "1.png")
    with pytest.raises(InputError, match="no image with a true mask"):
        open_dataset(tmp_path, {})
    with pytest.raises(InputError, match="no such file"):
        open_dataset(tmp_path / "nowhere", {})
