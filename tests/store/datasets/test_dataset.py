import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, sweep_set
from napari_semxai.store.datasets.dataset import (
    TruthImage,
    copy_bank,
    name_concepts,
    open_dataset,
    read_given_mask,
    read_map,
    read_pool,
    read_sweep,
    write_pool,
    write_sweep,
)
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.types import CandidatePool, InputError, ReviewChange, ReviewState
from tests.pools import pool_of, scene_masks

MASK = np.eye(8, dtype=bool)
ALPHAS, BETAS = np.linspace(0, 8, 5), np.linspace(0, 1, 6)


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


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    planes = [
        ImagePlane(np.zeros((6, 5), int), rng.random((6, 5)), rng.random((6, 5))) for _ in range(3)
    ]
    result = sweep_set(planes, ALPHAS, BETAS)
    read = read_sweep(write_sweep(tmp_path / "sweep.npz", result))
    for field in fields(result):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(result, field.name))
    assert read.nearest(8, 1) == (8.0, 1.0)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_sweep_is_named(tmp_path, content):
    path = tmp_path / "sweep.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"sweep\.npz: cannot be read as a sweep"):
        read_sweep(path)


def test_what_was_written_is_read(tmp_path):
    pool = pool_of(scene_masks())
    write_pool(tmp_path / "a.npz", pool, "key")
    read = read_pool(tmp_path / "a.npz", "key")
    for field in fields(CandidatePool):
        np.testing.assert_array_equal(getattr(read, field.name), getattr(pool, field.name))
    np.testing.assert_array_equal(read.mask(1), pool.mask(1))


def test_another_key_or_a_damaged_file_is_made_again(tmp_path):
    path = tmp_path / "a.npz"
    assert read_pool(path, "key") is None
    write_pool(path, pool_of(scene_masks()), "key")
    assert read_pool(path, "other") is None
    path.write_bytes(path.read_bytes()[:-100])
    assert read_pool(path, "key") is None
    with pytest.raises(InputError, match=r"a\.npz"):
        read_pool(path)


@pytest.fixture
def image(tmp_path):
    return TruthImage("a/1", tmp_path / "1.png", 0, tmp_path / "mask.png")


def test_maps_and_masks_are_found_by_name(tmp_path, image):
    values, mask = np.eye(4, dtype=np.float32), np.eye(4, dtype=bool)
    assert read_map(tmp_path, image) is None
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a/1.npy", values)
    np.testing.assert_array_equal(read_map(tmp_path, image), values)
    write_mask(tmp_path / "a/1.tif", ~mask)
    np.testing.assert_array_equal(read_given_mask(tmp_path, image), ~mask)
    write_mask(tmp_path / "a/1_mask.png", mask)
    np.testing.assert_array_equal(read_given_mask(tmp_path, image), mask)


def test_what_is_no_map_is_named(tmp_path, image):
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a/1.npy", np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match=r"1\.npy: a map holds floats"):
        read_map(tmp_path, image)
    # A score of 0, or of everything, would be the map's, and nobody would know why.
    for value in (np.nan, np.inf):
        np.save(tmp_path / "a/1.npy", np.array([[0.5, value]]))
        with pytest.raises(InputError, match=r"1\.npy: the map holds NaN or infinite values"):
            read_map(tmp_path, image)
    for content in (b"nothing", b""):
        (tmp_path / "a/1.npy").write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            read_map(tmp_path, image)
    with pytest.raises(InputError, match=r"has no a/1\.npy"):
        read_given_mask(tmp_path, image)


def test_concepts_are_named_in_the_description_of_their_bank(tmp_path):
    bank = tmp_path / "bank.safetensors"
    bank.write_bytes(b"vectors")
    with pytest.raises(InputError, match=r"bank\.json"):
        name_concepts(bank, ["rim"])
    bank.with_suffix(".json").write_text('{"r2": 0.5}', "utf-8")
    name_concepts(bank, ["rim", ""])
    copy_bank(bank, tmp_path / "copy")
    copied = json.loads((tmp_path / "copy.json").read_text("utf-8"))
    assert copied == {"r2": 0.5, "names": ["rim", ""]}
    assert (tmp_path / "copy.safetensors").read_bytes() == b"vectors"
