"""Predicted IoUs against the true ones, by the bundled network on a small scene."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.sam2.checkpoints import build_bundled
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS
from training.predicted_iou import CORRECTED, HEAD, Offers, fit, offers, points_of, table

SCENE = make_scene(SceneSpec(shape=(240, 240), defects=1, radius=12.0), 3)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return build_bundled(BUNDLED_WEIGHTS).eval()


@pytest.fixture(scope="module")
def seen(network: torch.nn.Module) -> Offers:
    return offers(network, SCENE, 0)


def test_all_points_of_the_grid_lie_at_small_regions() -> None:
    points = {tuple(point) for point in points_of(SCENE).astype(int).tolist()}
    grid = range(7, 240, 15)
    at_defect = {(x, y) for x in grid for y in grid if SCENE.defect[y, x]}
    assert at_defect
    assert at_defect <= points
    assert len(points) < len(grid) ** 2


def test_every_mask_of_clicks_and_corrections_is_judged(seen: Offers) -> None:
    assert len(seen.predicted) == len(points_of(SCENE)) + 2 * CORRECTED
    assert torch.isnan(seen.true[:-CORRECTED, 0]).all()
    assert not torch.isnan(seen.true[-CORRECTED:]).any()
    # The surface is what most clicks find.
    assert seen.true[:, 1:].amax(1).median() > 0.9


def test_a_fit_brings_predictions_nearer_and_leaves_the_rest(
    network: torch.nn.Module, seen: Offers
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    head = network.get_submodule(HEAD)
    fit(head, seen, steps=60)
    with torch.no_grad():
        after = head(seen.token)
    offered = ~torch.isnan(seen.true)
    error = [(told - seen.true)[offered].abs().mean() for told in (seen.predicted, after)]
    assert error[1] < error[0]
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert changed
    assert all(name.startswith(HEAD) for name in changed)


def test_the_table_counts_offered_masks_by_size(seen: Offers) -> None:
    lines = table(seen).splitlines()
    counts = [int(cell.split("(")[1].rstrip(") ")) for cell in lines[-1].split("|") if "(" in cell]
    large = (seen.areas >= 25_000) & ~torch.isnan(seen.true)
    assert sum(counts) == int(large.sum())
    none = table(replace(seen, areas=torch.zeros_like(seen.areas)))
    assert "(" not in none.splitlines()[2]
