import numpy as np
import pytest

from napari_semxai.store.datasets.dataset import TruthImage
from napari_semxai.store.datasets.results import read_given_mask, read_map
from napari_semxai.store.images.masks import write_mask
from napari_semxai.types import InputError


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
    (tmp_path / "a/1.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_map(tmp_path, image)
    with pytest.raises(InputError, match=r"has no a/1\.npy"):
        read_given_mask(tmp_path, image)
