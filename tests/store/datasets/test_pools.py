from dataclasses import fields

import numpy as np
import pytest

from napari_semxai.store.datasets.results import read_pool, write_pool
from napari_semxai.types import CandidatePool, InputError
from tests.pools import pool_of, scene_masks


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
