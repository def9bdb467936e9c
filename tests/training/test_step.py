from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_semxai.backends.sam2.checkpoints import build_bundled_architecture
from training.losses import (
    DENSE_CHANNELS,
    DISTANCES,
    NEAR,
    NEAR_WEIGHT,
    click_loss,
    dense_loss,
    pair_ious,
    pair_losses,
    pixel_weights,
)
from training.samples import collate, make_sample
from training.step import (
    TRUTH_SAMPLED,
    boxes_of,
    correction,
    decode,
    encode,
    training_loss,
    unpack,
)


@pytest.fixture(scope="module")
def samples():
    return [make_sample(seed, 128, 6) for seed in range(2)]


def test_samples_repeat_and_clicks_lie_in_their_targets(samples):
    again = make_sample(0, 128, 6)
    assert np.array_equal(again.image, samples[0].image)
    batch = collate(samples)
    points, targets, valid = batch.points, unpack(batch.targets), batch.valid
    assert targets.shape == (2, 6, 3, 64, 64)
    for image in range(2):
        for click in range(6):
            column, row = points[image, click].long().tolist()
            area = (
                slice(max(0, row // 2 - 1), row // 2 + 2),
                slice(max(0, column // 2 - 1), column // 2 + 2),
            )
            for target, there in zip(targets[image, click], valid[image, click], strict=True):
                assert not there or target[area].any()
    areas = targets.flatten(3).sum(3)
    both = valid[:, :, 1]
    assert torch.all(areas[:, :, 0][both] <= areas[:, :, 1][both])


def test_perfect_masks_cost_nothing_and_have_iou_one():
    target = torch.zeros(1, 1, 8, 8)
    target[:, :, 2:5, 3:6] = 1
    right, wrong = 40 * (target - 0.5), 40 * (0.5 - target)
    losses = pair_losses(torch.cat([right, wrong], 1), target, torch.ones(1, 8, 8))
    assert losses[0, 0, 0] < 1e-3 < losses[0, 1, 0]
    ious = pair_ious(torch.cat([right, wrong], 1), target)
    assert ious.flatten().tolist() == [1.0, 0.0]


def test_pixels_near_a_defect_count_more():
    defects = torch.zeros(1, 32, 32, dtype=torch.bool)
    defects[0, 16, 16] = True
    weights = pixel_weights(defects)
    assert weights.shape == (1, 64, 64)
    assert weights[0, 33 + 2 * (NEAR // 2), 33] == 1 + NEAR_WEIGHT
    assert weights[0, 34 + 2 * (NEAR // 2), 33] == 1
    target = torch.ones(1, 1, 64, 64)
    hole, elsewhere = (torch.full_like(target, 40.0) for _ in range(2))
    hole[0, 0, 30:36, 30:36] = elsewhere[0, 0, :6, :6] = -40
    near, far = pair_losses(torch.cat([hole, elsewhere], 1), target, weights)[0, :, 0]
    assert near > 3 * far > 0


def test_loss_takes_the_best_offer_for_each_target_and_leaves_missing_ones_out():
    target = torch.zeros(1, 2, 8, 8)
    target[0, 0, 2:5, 3:6] = 1
    logits = torch.cat([40 * (target[:, :1] - 0.5), torch.zeros(1, 2, 8, 8)], 1)
    # The two other offers are empty masks, whose true IoU is 0.
    predicted = torch.tensor([[1.0, 0.0, 0.0]])
    valid = torch.tensor([[True, False]])
    loss, ious = click_loss(logits, predicted, target, valid, torch.ones(1, 8, 8))
    assert ious[0, 0, 0] == 1
    assert ious[0, :, 1].sum() == 0
    assert loss < 0.1


def test_boxes_and_corrections_fit_the_masks():
    generator = torch.Generator().manual_seed(0)
    target = torch.zeros(4, 32, 32, dtype=torch.uint8)
    target[:, 8:16, 4:24] = 1
    low, high = boxes_of(target, generator).mean(0)
    assert abs(low[0] - 8) < 4
    assert abs(high[1] - 32) < 4
    mask = target.clone()
    mask[:, 8:12] = 0
    points, labels = correction(mask, target, generator)
    assert labels.flatten().tolist() == [1] * 4
    assert torch.all((points[:, 0, 1] >= 16) & (points[:, 0, 1] < 24))
    target = target[:1].expand(400, -1, -1)
    mask = target.clone()
    mask[:, 20:24, 20:24] = 1
    points, labels = correction(mask, target, generator)
    # Nearly all are in the surplus; the rest are drawn from the target.
    surplus = labels[:, 0] == 0
    assert 0.8 < surplus.float().mean() < 1 - TRUTH_SAMPLED / 4
    assert torch.all((points[surplus] >= 40) & (points[surplus] < 48))
    columns, rows = points[~surplus][:, 0].T
    assert torch.all((columns >= 8) & (columns < 48) & (rows >= 16) & (rows < 32))


def test_a_window_of_the_frame_is_decoded_as_the_same_place_of_the_whole_frame(samples):
    torch.manual_seed(0)
    network = build_bundled_architecture()
    image = torch.randn(1, 3, 512, 512)
    with torch.no_grad():
        encoded = encode(network, image, (0, 0))
        prompts = (torch.tensor([[[200.0, 300.0]]]), torch.ones(1, 1, dtype=torch.int))
        owner = torch.zeros(1, dtype=torch.long)
        logits, predicted = decode(network, encoded, owner, prompts)
        part = encode(network, image[:, :, 256:384, 128:256], (16, 8))
        shifted = (prompts[0] - torch.tensor([128.0, 256.0]), prompts[1])
        window, _ = decode(network, part, owner, shifted)
    assert logits.shape == (1, 4, 128, 128)
    assert predicted.shape == (1, 4)
    assert window.shape == (1, 4, 32, 32)


def test_what_is_where_is_known_at_every_fourth_pixel():
    scene_kinds = np.zeros(3, bool)
    for seed in range(8):
        sample = make_sample(seed, 128, 2)
        assert sample.places.shape == (32, 32)
        assert sample.kinds.shape == (3, 32, 32)
        inside = sample.places[sample.kinds[0]]
        around = sample.places[~sample.kinds[0]]
        assert not set(inside.tolist()) & set(around.tolist())
        scene_kinds |= sample.kinds.any((1, 2))
    assert scene_kinds.all()


def test_perfect_dense_answers_cost_little_and_wrong_ones_much():
    places = torch.zeros(1, 32, 32, dtype=torch.uint8)
    places[:, 8:20, 10:26] = 1
    kinds = torch.stack([places > 0, places > 1, places > 1], 1)
    logits = torch.full((1, DENSE_CHANNELS, 32, 32), 0.0)
    logits[:, :3] = 40 * (kinds.float() - 0.5)
    for number, step in enumerate(DISTANCES):
        below = (places[:, step:] == places[:, :-step]).float()
        right = (places[:, :, step:] == places[:, :, :-step]).float()
        logits[:, 3 + 2 * number, :-step] = 40 * (below - 0.5)
        logits[:, 4 + 2 * number, :, :-step] = 40 * (right - 0.5)
    assert dense_loss(logits, places, kinds) < 0.01
    assert dense_loss(-logits, places, kinds) > 5


@pytest.mark.slow
def test_training_steps_lower_the_loss_and_repeat(samples):
    def run():
        torch.manual_seed(0)
        network = build_bundled_architecture()
        head = nn.Conv2d(network.image_encoder.trunk.refinement.channels[0], DENSE_CHANNELS, 1)
        optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=1e-3)
        losses = []
        for _ in range(4):
            generator = torch.Generator().manual_seed(0)
            loss, figures = training_loss(network, head, collate(samples), generator)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert {"dense", "one_click", "smallest", "round_1", "round_2"} <= set(figures)
        return losses

    first = run()
    assert first[-1] < first[0]
    assert run() == pytest.approx(first, rel=1e-3)
