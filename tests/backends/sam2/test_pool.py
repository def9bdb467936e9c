import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_semxai.backends.sam2.pool import (
    Cells,
    measure_masks,
    place_runs,
    prompted_pool,
    run_geometry,
    runs_of,
)
from napari_semxai.types import CURVE_LEVELS


def smooth_logits(side, seed, detail=6):
    noise = torch.randn(1, 1, detail, detail, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (side, side), mode="bicubic")[0, 0] * 6


def enlarged(logits, shape):
    return functional.interpolate(logits[None, None], shape, mode="bilinear")[0, 0].numpy()


def painted(runs, shape):
    flat = np.zeros(shape[0] * shape[1], bool)
    for start, stop in runs:
        flat[start:stop] = True
    return flat.reshape(shape)


def test_without_prompts_nobody_is_asked():
    pool = prompted_pool((20, 30), (), lambda _: pytest.fail("the network was asked nothing"))
    assert len(pool) == 0


@pytest.mark.parametrize("shape", [(480, 480), (100, 61), (20, 30)])
def test_measured_mask_is_the_enlarged_mask(shape):
    logits = smooth_logits(32, 1)
    full = enlarged(logits, shape)
    (measured,) = measure_masks(logits[None], shape)
    np.testing.assert_array_equal(painted(measured.runs, shape), full > 0)
    expected = [(full > level).sum() for level in CURVE_LEVELS]
    np.testing.assert_array_equal(measured.curve, expected)


@pytest.mark.parametrize("shape", [(512, 512), (333, 700), (129, 65)])
@pytest.mark.parametrize("seed", range(3))
def test_cells_give_what_enlarging_gives(shape, seed):
    logits = smooth_logits(32, seed)
    full = enlarged(logits, shape)
    measured = Cells((32, 32), shape).measure(logits)
    different = painted(measured.runs, shape) != (full > 0)
    assert (np.abs(full[different]) < 1e-4).all()
    for level, area in zip(CURVE_LEVELS, measured.curve, strict=True):
        uncertain = (np.abs(full - level) < 1e-4).sum()
        assert abs(int(area) - int((full > level).sum())) <= uncertain


@pytest.mark.parametrize("value", [-3.0, 3.0])
def test_cells_of_one_value(value):
    measured = Cells((8, 8), (80, 100)).measure(torch.full((8, 8), value))
    assert painted(measured.runs, (80, 100)).sum() == (8000 if value > 0 else 0)


@pytest.mark.parametrize("seed", range(5))
def test_geometry_of_runs_is_exact(seed):
    mask = np.random.default_rng(seed).random((17, 23)) < 0.4
    area, centroid, box = run_geometry(runs_of(mask), 23)
    rows, columns = mask.nonzero()
    assert area == mask.sum()
    assert centroid == pytest.approx((rows.mean(), columns.mean()), abs=1e-12)
    assert box == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


@pytest.mark.parametrize("crop", [(3, 5, 20, 28), (2, 0, 19, 40), (0, 0, 30, 40)])
def test_runs_of_a_crop_land_in_the_image(crop):
    row0, col0, row1, col1 = crop
    mask = np.random.default_rng(0).random((row1 - row0, col1 - col0)) < 0.5
    image = np.zeros((30, 40), bool)
    image[row0:row1, col0:col1] = mask
    np.testing.assert_array_equal(painted(place_runs(runs_of(mask), crop, 40), (30, 40)), image)
