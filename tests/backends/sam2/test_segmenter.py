"""The fast generator against the sam2 package's own, with the same weights."""

import warnings
from collections import defaultdict
from itertools import product

import numpy as np
import pytest
import torch
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.build_sam import build_sam2

from napari_semxai.algorithms.algorithm1 import candidates
from napari_semxai.algorithms.algorithm1.candidates import filter_candidates
from napari_semxai.algorithms.algorithm1.reference import Difference, prompts_at
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.sam2 import pool as sam2_pool
from napari_semxai.backends.sam2 import segmenter as sam2
from napari_semxai.backends.sam2.checkpoints import (
    BUNDLED_WEIGHTS,
    build_bundled,
    build_bundled_architecture,
    fit_feature_sizes,
    image_predictor,
)
from napari_semxai.backends.sam2.decoder.decoder import SharedImageDecoder
from napari_semxai.backends.sam2.segmenter import Segmenter, generate_candidates
from napari_semxai.types import (
    FilterSettings,
    GenerateSettings,
    InputError,
    ModelInfo,
)

OFFSET = 0.125
ROUNDING = 1e-4


def varied(network):
    """Random weights whose masks differ from point to point, as those of trained ones do."""
    with torch.no_grad():
        for part in (network.sam_prompt_encoder.point_embeddings, network.sam_mask_decoder):
            for parameter in part.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(2.5)
    return network.eval()


def official(size):
    torch.manual_seed(0)
    return varied(build_sam2(f"configs/sam2.1/sam2.1_hiera_{size}.yaml", device="cpu"))


@pytest.fixture(scope="module")
def small_network():
    torch.manual_seed(0)
    return varied(build_bundled_architecture())


@pytest.fixture
def segmenter(small_network):
    return Segmenter.from_network(small_network, ModelInfo("random", "", "cpu"))


def scene(shape=(200, 260)):
    return scene_of_class(1, 0, shape=shape).image


def reference_generator(network, settings, filters):
    with warnings.catch_warnings():
        # sam2 scripts its transforms, which torch deprecates.
        warnings.simplefilter("ignore")
        generator = SAM2AutomaticMaskGenerator(
            network,
            points_per_side=settings.points_per_side,
            pred_iou_thresh=filters.pred_iou_thresh,
            stability_score_thresh=filters.stability_score_thresh,
            stability_score_offset=filters.stability_score_offset,
            box_nms_thresh=filters.box_nms_thresh,
            crop_nms_thresh=candidates.CROP_NMS_THRESH,
            crop_n_layers=settings.crop_n_layers,
        )
    fit_feature_sizes(generator.predictor)
    return generator


def reference_candidates(network, image, settings, filters):
    """The reference's masks, each with the logits it comes from."""
    generator = reference_generator(network, settings, filters)
    predict, logits = generator.predictor._predict, defaultdict(list)

    def recorded(*args, **kwargs):
        masks, iou, low = predict(*args, **kwargs)
        for value, mask in zip(iou.flatten().tolist(), masks.flatten(0, 1).numpy(), strict=True):
            logits[value].append(mask)
        return masks, iou, low

    generator.predictor._predict = recorded
    found = generator.generate(np.repeat(image[..., None], 3, axis=2))
    return [mask | {"logits": logits[mask["predicted_iou"]]} for mask in found]


def middling(pool, nms, offset):
    """Thresholds that about half of the candidates pass, away from every candidate's value."""

    def gap(values, share):
        ordered = np.sort(np.unique(values))
        if len(ordered) < 3:
            return float(ordered[0]) / 2
        near = ordered[int(len(ordered) * (share - 0.15)) :][: max(3, int(len(ordered) * 0.3))]
        widest = int(np.diff(near).argmax())
        return float(near[widest] + near[widest + 1]) / 2

    stability = gap(pool.stability(offset), 0.3)
    return FilterSettings(gap(pool.predicted_iou, 0.4), stability, offset, nms)


def is_near(iou, stability, filters):
    """Whether rounding may decide on a candidate."""
    return (
        abs(iou - filters.pred_iou_thresh) < 1e-5
        or abs(stability - filters.stability_score_thresh) < 1e-5
    )


def assert_same_mask(mask, stability, offset, reference):
    """Only pixels whose logit is at a level up to rounding may differ."""
    column, row, width, height = map(int, reference["crop_box"])
    crop = (slice(row, row + height), slice(column, column + width))
    expected = reference["segmentation"][crop]
    # Masks of different crops may have the same predicted IoU.
    logits = next(each for each in reference["logits"] if np.array_equal(each > 0, expected))
    assert np.abs(logits[mask[crop] != expected]).max(initial=0) < ROUNDING
    least, most = (
        np.count_nonzero(logits > offset + sign * ROUNDING)
        / np.count_nonzero(logits > -offset - sign * ROUNDING)
        for sign in (1, -1)
    )
    assert least - 1e-6 <= stability <= most + 1e-6
    inside = np.zeros_like(mask)
    inside[crop] = True
    assert not mask[~inside].any()


def assert_equal_to_reference(network, image, settings, nms=0.98, least=2, offset=OFFSET):
    """Equal as docs/performance.md defines it."""
    segmenter = Segmenter.from_network(network, ModelInfo("random", "", "cpu"))
    *_, last = segmenter.generate(image, settings)
    pool, filters = last.pool, middling(last.pool, nms, offset)
    stability = pool.stability(offset)
    kept = filter_candidates(pool, filters).tolist()
    ours = [i for i in kept if not is_near(pool.predicted_iou[i], stability[i], filters)]
    found = reference_candidates(network, image, settings, filters)
    theirs = [
        mask
        for mask in found
        if not is_near(mask["predicted_iou"], mask["stability_score"], filters)
    ]
    exempt = len(kept) - len(ours) + len(found) - len(theirs)
    assert exempt <= 0.05 * len(found)
    assert len(ours) == len(theirs) >= least
    values = [mask["predicted_iou"] for mask in theirs]
    np.testing.assert_allclose(pool.predicted_iou[ours], values, atol=1e-5)
    for reference in theirs:
        x, y = reference["point_coords"][0]
        apart = np.abs(pool.points[ours] - (y, x)).max(axis=1)
        apart += np.abs(pool.predicted_iou[ours] - reference["predicted_iou"])
        index = ours.pop(int(apart.argmin()))
        assert apart.min() < 2e-3
        mask = pool.mask(index)
        assert_same_mask(mask, stability[index], offset, reference)
        assert pool.areas[index] == np.count_nonzero(mask)
        if np.array_equal(mask, reference["segmentation"]):
            # The reference's box is (x, y, width - 1, height - 1).
            row0, col0, row1, col1 = pool.boxes[index]
            assert reference["bbox"] == [col0, row0, col1 - 1 - col0, row1 - 1 - row0]
            assert reference["area"] == pool.areas[index]


@pytest.mark.parametrize("shape", [(200, 200), (150, 260)])
def test_candidates_are_the_references(small_network, shape):
    assert_equal_to_reference(small_network, scene(shape), GenerateSettings(6, 0.0), nms=1.0)


def test_candidates_with_crops_are_the_references(small_network):
    assert_equal_to_reference(small_network, scene(), GenerateSettings(4, 0.0, 1), least=1)


@pytest.mark.skipif(not BUNDLED_WEIGHTS.is_file(), reason="no bundled weights yet")
@pytest.mark.parametrize("crops", [0, 1])
def test_candidates_of_the_bundled_network_are_the_references(crops):
    settings = GenerateSettings(8 if crops == 0 else 4, 0.0, crops)
    image = scene((240, 240))
    assert_equal_to_reference(build_bundled(), image, settings, nms=0.7, offset=1.0)


def test_candidates_of_a_large_image_are_the_references(small_network):
    """More than 1.5 million pixels: masks are measured from their low-resolution cells."""
    image = scene((1300, 1240))
    assert_equal_to_reference(small_network, image, GenerateSettings(3, 0.0), nms=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["t", "s", "b+"])
@pytest.mark.parametrize(("shape", "crops"), [((480, 480), 0), ((300, 500), 0), ((300, 500), 1)])
def test_official_candidates_are_the_references(size, shape, crops, monkeypatch):
    # Random masks have similar boxes and reach every edge: keep them, to compare many.
    monkeypatch.setattr(candidates, "CROP_NMS_THRESH", 1.0)
    monkeypatch.setattr(sam2_pool, "EDGE_DISTANCE", -1)
    monkeypatch.setattr(
        "sam2.automatic_mask_generator.is_box_near_crop_edge",
        lambda boxes, *_: torch.zeros(len(boxes), dtype=torch.bool),
    )
    settings = GenerateSettings(4 if crops else 8, 0.0, crops)
    assert_equal_to_reference(official(size), scene(shape), settings, nms=1.0, least=30)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "points", "crops"), [((480, 480), 16, 0), ((300, 500), 6, 1)])
def test_official_candidates_with_the_generators_own_filters(shape, points, crops):
    """Overlaps and crop edges are filtered as they are by default."""
    settings = GenerateSettings(points, 0.0, crops)
    assert_equal_to_reference(official("t"), scene(shape), settings, nms=0.7, least=1)


def test_levels_go_from_coarse_to_fine(segmenter):
    updates = list(segmenter.generate(scene(), GenerateSettings(16, 0.0)))
    pools = [update.done for update in updates if update.pool is not None]
    assert {4, 16, 64, 256} <= set(pools)
    assert np.diff(pools).max() < 128 + 16
    assert updates[0].stage == "encode"
    assert updates[-1].seconds_left == 0
    assert len(updates[-1].pool) == 3 * 256


def test_a_cancelled_generation_goes_on_where_it_stopped(segmenter):
    image, settings = scene(), GenerateSettings(8, 0.0)
    first = segmenter.generate(image, settings)
    for update in first:
        if update.done >= 5:
            break
    first.close()
    rest = list(segmenter.generate(image, settings))
    assert rest[-1].total == 64 - update.done
    assert len(rest[-1].pool) == 3 * 64


def test_what_was_decoded_before_a_cancel_is_kept(segmenter, monkeypatch):
    monkeypatch.setattr(sam2, "Segmenter", lambda *_, **__: segmenter)
    seen = []
    pool = generate_candidates(
        scene(),
        points_per_side=12,
        pred_iou_thresh=0.0,
        stability_score_thresh=0.0,
        box_nms_thresh=1.0,
        progress=seen.append,
        cancel=lambda: seen[-1].done >= 70,
    )
    assert 70 <= seen[-1].done < 12 * 12
    assert len(pool) == 3 * seen[-1].done


def difference(image):
    """Two things that differ from a reference, on a picture of their own."""
    parts = np.zeros(image.shape, np.int32)
    parts[30:81, 40:91] = 1
    parts[100:141, 180:221] = 2
    values = np.where(parts, 9, 1).astype(np.float32)
    signed = np.where(parts, 180, 128).astype(np.uint8)
    return Difference(values, parts, 0.95, signed=signed)


@pytest.mark.parametrize("crops", [0, 1])
def test_what_a_comparison_proposes_comes_last_and_passes_every_filter(segmenter, crops):
    image, settings = scene(), GenerateSettings(3, 0.0, crops)
    shown = difference(image)
    grid = list(segmenter.generate(image, settings))[-1].pool
    updates = list(segmenter.generate(image, settings, shown))
    pool = updates[-1].pool
    assert updates[-1].done == updates[-1].total
    assert grid.proposed is None
    np.testing.assert_array_equal(np.flatnonzero(~pool.proposed), np.arange(len(grid)))
    prompts = prompts_at(shown)
    points = [prompt.points[0] for prompt in prompts]
    np.testing.assert_array_equal(pool.points[len(grid) :], points)
    for number, prompt in enumerate(prompts):
        # Asked on the picture of the difference, where there is nothing else to outline.
        said = segmenter.predict(
            shown.signed, np.array(prompt.points), [1], prompt.box, multimask=False
        )
        # Decoded together: the last bit may differ.
        assert pool.predicted_iou[len(grid) + number] == pytest.approx(said.predicted_iou[0])
        assert (pool.mask(len(grid) + number) == said.masks[0]).mean() > 0.99
    # Even at thresholds that nothing of the grid passes.
    passed = filter_candidates(pool, FilterSettings(2.0, 0.0))
    np.testing.assert_array_equal(passed, [len(grid), len(grid) + 1])
    usual = FilterSettings(0.0, 0.0)
    np.testing.assert_array_equal(
        filter_candidates(pool, usual)[:-2], filter_candidates(grid, usual)
    )
    assert pool.take(passed).proposed.all()
    # The memory of what was decoded is that of the grid alone.
    assert segmenter.found(image, settings).proposed is None


def test_a_second_generation_decodes_nothing(segmenter):
    image, settings = scene(), GenerateSettings(4, 0.0)
    *_, first = segmenter.generate(image, settings)
    (again,) = segmenter.generate(image.copy(), settings)
    assert again.total == 0
    np.testing.assert_array_equal(again.pool.runs, first.pool.runs)


def test_a_lower_floor_decodes_only_what_is_below_the_old_one(small_network, segmenter):
    image = scene()
    *_, everything = segmenter.generate(image, GenerateSettings(5, 0.0))
    floor = float(np.quantile(everything.pool.predicted_iou, 0.6))
    other = Segmenter.from_network(small_network, ModelInfo("random", "", "cpu"))
    *_, above = other.generate(image, GenerateSettings(5, floor))
    assert (above.pool.predicted_iou > floor).all()
    assert len(above.pool) < len(everything.pool)
    *_, all_again = other.generate(image, GenerateSettings(5, 0.0))
    assert len(all_again.pool) == len(everything.pool)
    np.testing.assert_allclose(
        all_again.pool.predicted_iou, everything.pool.predicted_iou, atol=1e-5
    )


def test_out_of_memory_halves_the_batch(segmenter, monkeypatch):
    sizes, decode = [], SharedImageDecoder.decode

    def short_of_memory(self, shared, prompts):
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return decode(self, shared, prompts)

    monkeypatch.setattr(SharedImageDecoder, "decode", short_of_memory)
    monkeypatch.setattr("napari_semxai.backends.sam2.batches.LONGEST_BATCH", 1e9)
    *_, last = segmenter.generate(scene(), GenerateSettings(4, 0.0))
    assert max(sizes) == 2
    assert sizes[-1] == 1
    assert len(last.pool) == 3 * 16


PROMPTS = {
    "click": ([[60, 70]], [1], None),
    "clicks": ([[60, 70], [20, 200]], [1, 0], None),
    "box": ([], [], (40, 50, 120, 160)),
    "box and click": ([[60, 70]], [1], (40, 50, 120, 160)),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_predictions_are_the_references(small_network, segmenter, prompt):
    points, labels, box = PROMPTS[prompt]
    image = scene()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predictor = image_predictor(small_network)
        predictor.set_image(np.repeat(image[..., None], 3, axis=2))
    for multimask, with_mask in product((True, False), repeat=2):
        earlier = segmenter.predict(image, points, labels, box).logits[0] if with_mask else None
        answer = segmenter.predict(image, points, labels, box, earlier, multimask)
        masks, iou, logits = predictor.predict(
            np.array(points, float)[:, ::-1].copy() if points else None,
            np.array(labels) if labels else None,
            np.array([box[1], box[0], box[3], box[2]]) if box else None,
            None if earlier is None else earlier[None],
            multimask_output=multimask,
        )
        np.testing.assert_allclose(answer.predicted_iou, iou, atol=1e-4)
        np.testing.assert_allclose(answer.logits, logits, atol=1e-4)
        full = torch.nn.functional.interpolate(
            torch.from_numpy(logits)[None], image.shape, mode="bilinear"
        )[0].numpy()
        assert np.abs(full[answer.masks != masks.astype(bool)]).max(initial=0) < 1e-4


def test_a_second_click_does_not_encode_again(segmenter, small_network, monkeypatch):
    image = scene()
    segmenter.predict(image, [[10, 10]], [1])
    monkeypatch.setattr(small_network, "forward_image", None)
    assert segmenter.predict(image.copy(), [[90, 90]], [1]).masks.shape == (3, *image.shape)


@pytest.mark.parametrize(("points", "labels"), [([], []), ([[1, 2]], [])])
def test_prompts_that_say_nothing_are_refused(segmenter, points, labels):
    with pytest.raises(InputError, match="point"):
        segmenter.predict(scene(), points, labels)


def test_images_of_other_depth_are_refused(segmenter):
    with pytest.raises(InputError, match="8-bit"):
        next(segmenter.generate(np.zeros((9, 9), np.uint16), GenerateSettings(2)))
