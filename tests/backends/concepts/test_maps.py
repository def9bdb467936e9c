"""Concept maps that an earlier layer and the image sharpen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from napari_semxai.backends.concepts.craft import Concepts
from napari_semxai.backends.concepts.maps import activity, cell_offset, sharpened, shifted
from tests.backends.concepts.banks import make_bank
from tests.networks import small_classifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_where_strided_cells_look(padding: int) -> None:
    g = nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding), nn.Conv2d(4, 8, 3, 2, padding)).eval()
    for values in g.parameters():
        nn.init.constant_(values, 0.1)
    inputs = torch.zeros(1, 3, 64, 64)
    latent = g(inputs)
    # By hand: cell i looks at 4 i + 3 (1 - padding); it is drawn at (i + 0.5) 64 / cells - 0.5.
    cell, cells = latent.shape[2] / 2, latent.shape[2]
    by_hand = 4 * cell + 3 * (1 - padding) - ((cell + 0.5) * 64 / cells - 0.5)
    assert cell_offset(g, inputs) == pytest.approx((by_hand, by_hand), abs=0.3)


class Mirrored(nn.Module):
    """A map of 8 x 8 cells whose columns are exchanged."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images, 8).flip(-1)


@pytest.mark.parametrize("g", [Mirrored(), nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())])
def test_what_cannot_be_measured_moves_nothing(g: nn.Module) -> None:
    for values in g.parameters():
        nn.init.constant_(values, -1.0)
    assert cell_offset(g.requires_grad_(False), torch.zeros(1, 3, 64, 64)) == (0, 0)


def test_a_defect_is_found_where_it_is() -> None:
    """A bright spot excites cells whose plain map lies beside it; placed, it lies on it."""
    g = nn.Sequential(*(nn.Conv2d(1, 1, 3, 2, 1, bias=False) for _ in range(4))).eval()
    for weight in g.parameters():
        nn.init.constant_(weight, 1 / 9)
    spot = torch.zeros(1, 1, 128, 128)
    spot[..., 60:68, 60:68] = 1
    with torch.no_grad():
        low = g(spot)[0].numpy()
    offset = cell_offset(g.requires_grad_(False), spot)
    large = np.kron(low, np.ones((1, 16, 16), np.float32))
    centre = [_centroid(maps[0]) for maps in (large, shifted(large, offset, (128, 128)))]
    assert min(centre[0]) > 68
    assert centre[1] == pytest.approx((63.5, 63.5), abs=1.0)


def test_activity_is_what_differs_from_most_of_the_image() -> None:
    latents = np.full((8, 8, 4), 3.0, np.float32)
    latents[2, 5] = (3, 0, 6, 3)
    found = activity(latents)
    assert found[2, 5] == pytest.approx(np.sqrt(18))
    assert np.count_nonzero(found) == 1


def test_detail_shapes_and_adds_nothing() -> None:
    image = np.zeros((32, 32), np.uint8)
    image[8:16, 8:16] = 200
    maps = np.zeros((2, 32, 32), np.float32)
    maps[0, 4:20, 4:20] = 5
    detail = np.zeros((32, 32), np.float32)
    detail[8:16, 8:16] = 2
    detail[24:, 24:] = 7
    sharp = sharpened(maps, detail, image, (8, 8))
    assert sharp.min() >= 0
    assert not sharp[1].any()
    inside = image > 0
    assert sharp[0][inside].mean() > 4 * sharp[0][~inside].mean()
    assert not sharp[0][26:, 26:].any()
    np.testing.assert_array_equal(
        sharpened(maps, np.zeros_like(detail), image, (8, 8)),
        sharpened(maps, None, image, (8, 8)),
    )


def test_fine_maps_of_a_bank(tmp_path: Path) -> None:
    classifier = small_classifier()
    image = np.random.default_rng(0).integers(0, 60, (80, 112)).astype(np.uint8)
    image[20:36, 60:84] += 150
    concepts = Concepts(make_bank(tmp_path / "b.safetensors", "last", 16), classifier)
    plain, fine = (concepts.explain(image, refinement=name) for name in ("none", "fine"))
    assert fine.refinement == "fine"
    assert fine.maps.shape == (3, 80, 112)
    assert fine.maps.dtype == np.float32
    assert fine.maps.min() >= 0
    np.testing.assert_array_equal(fine.low_maps, plain.low_maps)
    inside = np.zeros(image.shape, bool)
    inside[20:36, 60:84] = True
    share = [maps.maps[0][inside].sum() / maps.maps[0].sum() for maps in (plain, fine)]
    assert share[1] > 1.5 * share[0]
    # Where no layer is finer, the maps are only placed and guided.
    early = Concepts(make_bank(tmp_path / "e.safetensors", "early", 8), classifier)
    assert early.explain(image, refinement="fine").maps.any()


def _centroid(values: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(values.shape)
    return tuple(float((values * axis).sum() / values.sum()) for axis in (rows, columns))
