"""The shared pipeline gives what the public functions give."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_semxai as sx
from napari_semxai.cli.common.options import add_mask_options, settings_from
from napari_semxai.cli.works.masks import Pipeline
from napari_semxai.store.images.read import image_from_array

if TYPE_CHECKING:
    from napari_semxai.types import GenerateUpdate


@pytest.fixture
def options(quick: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_mask_options(parser)
    # The public function is the paper's Algorithm 1.
    return parser.parse_args([*quick, "--algorithm", "paper"])


def test_equals_the_public_functions(options: argparse.Namespace) -> None:
    image = np.random.default_rng(0).integers(40, 200, (50, 60), dtype=np.uint8)
    image[:, 57:] = 3
    updates: list[GenerateUpdate] = []
    pipeline = Pipeline(settings_from(options))
    result = pipeline.run(image_from_array(image, "a"), updates.append)
    candidates = sx.generate_candidates(
        image,
        model=options.model,
        points_per_side=2,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        device="cpu",
    )
    expected = sx.ground_truth(candidates, ignore_border=sx.edge_strips(image))
    assert result.left_out.border == (0, 3, 0, 0)
    np.testing.assert_array_equal(result.truth.mask, expected.mask)
    np.testing.assert_array_equal(result.truth.scores, expected.scores)
    assert updates[-1].done == updates[-1].total == 4
    assert result.seconds.keys() == {"encoder", "decoder", "filters", "algorithm_1"}


def test_the_network_is_loaded_once(options: argparse.Namespace) -> None:
    pipeline = Pipeline(settings_from(options))
    assert pipeline.load() is pipeline.load()
    assert pipeline.load_seconds > 0
