"""Our CRAFT against xplique called directly. Slow: xplique takes 10 s to import."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.algorithms.synthetic.wide.scene import draw_bar
from napari_semxai.backends.classifier.classifier import load_classifier
from napari_semxai.backends.concepts import bank as concept_bank
from napari_semxai.backends.concepts import factorize
from napari_semxai.backends.concepts.bank import new_split, read_bank
from napari_semxai.backends.concepts.craft import craft, fit_steps
from napari_semxai.backends.concepts.factorize import CraftSettings
from napari_semxai.backends.concepts.tuning import sweep_steps
from napari_semxai.backends.runtime.libraries import craft_missing, craft_torch, cv2
from napari_semxai.types import CraftSweepRequest, Progress, SweepRow
from tests.networks import convnext_classifier, random_image, small_classifier

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.types import ConceptBank

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.skipif(bool(craft_missing()), reason="the craft extra is not installed"),
    pytest.mark.filterwarnings("default"),
]
IMAGES = [random_image(seed) for seed in range(4)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(concept_bank, "concepts_folder", lambda: tmp_path)
    # What one test has looked at is not known to the next.
    monkeypatch.setattr(factorize, "_known", {})
    return tmp_path


@pytest.mark.parametrize("layer", ["last", "middle"])
def test_equal_to_xplique_called_directly(cache: Path, layer: str) -> None:
    classifier = small_classifier()
    ours = craft(IMAGES, classifier, target=1, layer=layer, n_concepts=4, patch_size=16, seed=3)
    split = new_split(classifier, layer)
    inputs = torch.cat([classifier.to_input(image) for image in IMAGES])
    theirs = craft_torch()(split.g, split.h, 4, batch_size=16, patch_size=16, device="cpu")
    np.random.seed(3)  # noqa: NPY002 - xplique knows no other
    _, values, vectors = theirs.fit(inputs, class_id=1)
    importances = theirs.estimate_importance()
    order = np.argsort(-importances, kind="stable")
    np.testing.assert_allclose(read_bank(ours.bank.path)[1].vectors, vectors, atol=1e-5)
    np.testing.assert_allclose(ours.importances, importances[order], atol=1e-5)
    maps = ours.explain(IMAGES[0])
    expected = theirs.transform(inputs[:1])[0].transpose(2, 0, 1)[order]
    np.testing.assert_allclose(maps.low_maps, expected, rtol=1e-5, atol=1e-5)
    local = theirs.estimate_importance(inputs[:1])[order]
    np.testing.assert_allclose(maps.local_importances, local, atol=1e-5)
    best = np.argsort(-values[:, order[0]], kind="stable")[0]
    # 5 x 5 crops an image.
    assert ours.bank.crop_images[0, 0] == best // 25


def test_no_concept_is_of_an_info_bar(cache: Path) -> None:
    classifier = load_classifier()
    images, bars = [], []
    for seed in range(4):
        gray = scene_of_class(1, seed).image.astype(np.float32)
        bars.append(draw_bar(np.random.default_rng(seed), gray)[0].mask)
        images.append(np.rint(gray.clip(0, 255)).astype(np.uint8))

    def in_bars(bank: ConceptBank) -> int:
        places = zip(
            bank.crop_images.ravel(), bank.crop_boxes.reshape(-1, 4).tolist(), strict=True
        )
        return sum(bool(bars[n][a:c, b:d].any()) for n, (a, b, c, d) in places)

    asked = {"target": 0, "n_concepts": 3, "patch_size": 64}
    whole = craft(images, classifier, as_drawn=True, **asked)
    without = craft(images, classifier, **asked)
    assert in_bars(whole.bank) > 0
    assert in_bars(without.bank) == 0
    assert without.bank.key != whole.bank.key
    # Boxes are of the whole images, and the crops are what lies there.
    number, box = without.bank.crop_images[0, 0], without.bank.crop_boxes[0, 0]
    piece = images[number][box[0] : box[2], box[1] : box[3]]
    crop = cv2.resize(piece, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(without.bank.crops[0, 0], crop)
    found = without.explain(images[0])
    assert found.maps.any()
    assert not found.maps[:, bars[0]].any()


def test_another_k_needs_no_network_and_is_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = small_classifier()
    list(fit_steps(IMAGES, classifier, CraftSettings(1, "last", 3, 16)))
    slid = list(fit_steps(IMAGES, classifier, CraftSettings(1, "last", 5, 16)))
    assert {update.stage for update in slid} == {"factorize"}
    (path,) = (one for one in cache.glob("*.json") if '"n_concepts": 5' in one.read_text("utf-8"))
    vectors = read_bank(path.with_suffix(".safetensors"))[1].vectors
    # Other images are looked at, and so are these after them.
    assert "crops" in {
        u.stage for u in fit_steps(IMAGES[:3], classifier, CraftSettings(1, "last", 5, 16))
    }
    path.unlink()
    anew = craft(IMAGES, classifier, target=1, layer="last", n_concepts=5, patch_size=16)
    np.testing.assert_array_equal(read_bank(anew.bank.path)[1].vectors, vectors)


def test_more_concepts_than_xplique_has_colours_for(cache: Path) -> None:
    concepts = craft(
        IMAGES, small_classifier(), target=1, layer="early", n_concepts=20, patch_size=16
    )
    assert concepts.explain(IMAGES[0]).maps.shape == (20, 64, 64)


def test_clamped_concepts_tell_how_much_that_changes(cache: Path) -> None:
    classifier = convnext_classifier()
    concepts = craft(IMAGES, classifier, target=1, n_concepts=3, patch_size=32)
    assert 0 <= concepts.bank.clamp_agreement <= 1
    assert read_bank(concepts.bank.path)[0].clamp_agreement == concepts.bank.clamp_agreement
    assert concepts.explain(IMAGES[0]).maps.min() >= 0


def test_progress_cancel_and_cache(cache: Path) -> None:
    classifier = small_classifier()
    settings = CraftSettings(1, "last", 3, 16)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    steps = fit_steps(IMAGES, classifier, settings)
    stages = [next(steps).stage for _ in range(3)]
    assert stages == ["import", "crops", "crops"]
    steps.close()
    assert not list(cache.iterdir())
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    updates = list(fit_steps(IMAGES, classifier, settings))
    assert all(isinstance(update, Progress) for update in updates)
    assert "factorize" in {update.stage for update in updates}
    assert list(fit_steps(IMAGES, classifier, settings)) == []
    # Another seed is another bank.
    assert list(fit_steps(IMAGES, classifier, CraftSettings(1, "last", 3, 16, seed=1)))


def test_sweep_tries_everything_and_advises() -> None:
    masks = (np.tril(np.ones((64, 64), bool)), None, None, None)
    request = CraftSweepRequest(
        tuple(IMAGES), "small", 1, ("last", "middle", "conv"), (2, 4), (16,), masks
    )
    steps = sweep_steps(IMAGES, small_classifier(), request)
    rows = []
    try:
        while True:
            update = next(steps)
            rows += [update] if isinstance(update, SweepRow) else []
    except StopIteration as end:
        advice = end.value
    assert [(row.layer, row.n_concepts) for row in rows] == [
        *(("last", 2), ("last", 4)),
        *(("middle", 2), ("middle", 4)),
    ]
    assert advice.rows == tuple(rows)
    assert len(advice.skipped) == 2
    assert "passes it by" in advice.skipped[0]
    assert all(0 < row.iou < 1 and 0 <= row.stability <= 1.001 for row in rows)
    assert rows[1].r2 >= rows[0].r2
    assert advice.reasons


ORDERS = {
    "xplique first": "craft_torch(); import torchvision, pytorch_grad_cam",
    "xplique last": "import torchvision, pytorch_grad_cam; craft_torch()",
    "after a network ran": "sx.load_classifier().predict(image); craft_torch()",
}


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_of_imports_survives(order: str) -> None:
    script = (
        "import numpy as np, napari_semxai as sx\n"
        "from napari_semxai.backends.runtime.libraries import craft_torch\n"
        "image = np.zeros((64, 64), np.uint8)\n"
        f"{ORDERS[order]}\n"
        "import torch\n"
        "torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])\n"
        "sx.gradcam(image, sx.load_classifier())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
