from dataclasses import fields

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, sweep_set
from napari_semxai.store.datasets.results import read_sweep, write_sweep
from napari_semxai.types import InputError

ALPHAS, BETAS = np.linspace(0, 8, 5), np.linspace(0, 1, 6)


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
