"""The explanation service with the bundled classifier in a real process."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.algorithms.synthetic.wide.scene import draw_bar
from napari_semxai.engine.client import EngineClient
from napari_semxai.engine.host import Scheduler
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
from napari_semxai.types import (
    Checks,
    ChecksRequest,
    Classification,
    ClassifyRequest,
    CraftFitRequest,
    CraftOpenRequest,
    GradcamRequest,
    LayersRequest,
    NetworkLayers,
    WarmRequest,
)
from tests.engine.local import LocalEngine
from tests.networks import random_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engine.conftest import Inbox

IMAGE = random_image(0, (96, 128))


@pytest.fixture(scope="module")
def client() -> Iterator[EngineClient]:
    client = EngineClient("explain")
    client.start()
    yield client
    client.close()


def test_two_layers_at_once_are_both_right(client: EngineClient, inbox: Inbox) -> None:
    layers = ("features.expand4", "features.head")
    for layer in layers:
        request = GradcamRequest(IMAGE, "bundled", 2, (layer,), "layercam")
        client.submit(request, destination=layer, **inbox.of(layer))
    events = inbox.until(layers[0], "done")
    if (layers[1], "done", None) not in events:
        events += inbox.until(layers[1], "done")
    classifier = sx.load_classifier()
    expected = [
        sx.gradcam(IMAGE, classifier, target=2, layer=layer, method="layercam").values
        for layer in layers
    ]
    for number, layer in enumerate(layers):
        [found] = [value for name, kind, value in events if (name, kind) == (layer, "update")]
        assert found.layers == (layer,)
        # Another number of threads rounds differently, and a rectifier may open or close by it;
        # the other layer's map is far away.
        own, other = (
            np.abs(found.values - expected[which]).max() for which in (number, 1 - number)
        )
        assert own < 0.02 < 0.2 < other


def test_a_slow_method_lets_another_map_in_between() -> None:
    classifier = sx.load_classifier()
    answers: list[tuple[str, int, object]] = []
    scheduler = Scheduler(lambda *answer: answers.append(answer))
    from napari_semxai.engine.explain import build

    handlers = build()
    slow = GradcamRequest(IMAGE, "bundled", 1, ("features.expand4",), "scorecam")
    scheduler.take(1, slow, True)
    scheduler.step(handlers)
    scheduler.step(handlers)
    scheduler.take(2, GradcamRequest(IMAGE, "bundled", 1), False)
    scheduler.step(handlers)
    kind, number, heatmap = answers[-1]
    assert (kind, number) == ("update", 2)
    expected = sx.gradcam(IMAGE, classifier, target=1)
    np.testing.assert_allclose(heatmap.values, expected.values, atol=1e-5)
    scheduler.cancel(1)
    scheduler.step(handlers)
    assert answers[-1] == ("cancelled", 1, None)


def test_an_edited_description_counts_at_once(tmp_path: Path, inbox: Inbox) -> None:
    weights, beside = tmp_path / "own.safetensors", tmp_path / "own.json"
    shutil.copy(BUNDLED_CLASSIFIER, weights)
    description = json.loads(BUNDLED_CLASSIFIER.with_suffix(".json").read_text("utf-8"))
    del description["familiarity"]
    engine = LocalEngine("explain")
    for changed, name in enumerate(("particle", "dust")):
        beside.write_text(json.dumps(description).replace("particle", name), "utf-8")
        os.utime(beside, ns=(changed, changed))
        engine.submit(ClassifyRequest(IMAGE, str(weights)), destination="a", **inbox.of("a"))
    first, second = [value for _, kind, value in inbox.rest() if kind == "update"]
    assert (first.class_names[0], second.class_names[0]) == ("particle", "dust")


def test_another_file_of_what_is_familiar_counts_at_once(tmp_path: Path, inbox: Inbox) -> None:
    description = json.loads(BUNDLED_CLASSIFIER.with_suffix(".json").read_text("utf-8"))
    familiar = tmp_path / description["familiarity"]["file"]
    for path in (BUNDLED_CLASSIFIER, BUNDLED_CLASSIFIER.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    shutil.copy(BUNDLED_CLASSIFIER.with_name(familiar.name), familiar)
    weights, scene = tmp_path / BUNDLED_CLASSIFIER.name, scene_of_class(1, 0).image
    engine = LocalEngine("explain")
    numbers = load_file(familiar)
    for _ in range(2):
        engine.submit(ClassifyRequest(scene, str(weights)), destination="a", **inbox.of("a"))
        # From now on everything is far from the middle of what is known.
        save_file({name: value + 9 for name, value in numbers.items()}, familiar)
    first, second = [value for _, kind, value in inbox.rest() if kind == "update"]
    assert not first.strange
    assert second.strange
    familiar.unlink()
    engine.submit(ClassifyRequest(scene, str(weights)), destination="a", **inbox.of("a"))
    assert familiar.name in next(v for _, kind, v in inbox.rest() if kind == "failed")


def test_warm_classify_and_layers(inbox: Inbox) -> None:
    engine = LocalEngine("explain")
    for request in (
        WarmRequest("bundled", "auto"),
        ClassifyRequest(IMAGE, "bundled"),
        LayersRequest("bundled"),
    ):
        engine.submit(request, destination="a", **inbox.of("a"))
    info, classification, layers = [value for _, kind, value in inbox.rest() if kind == "update"]
    assert info.sha256 == sx.load_classifier().info.sha256
    assert isinstance(classification, Classification)
    assert classification.probabilities.sum() == pytest.approx(1)
    assert classification.info.synthetic
    assert isinstance(layers, NetworkLayers)
    assert layers.concepts_default


def test_known_and_drawn_info_bars_are_left_out(inbox: Inbox) -> None:
    gray = scene_of_class(1, 0).image.astype(np.float32)
    bar = draw_bar(np.random.default_rng(0), gray)[0].mask
    image = np.rint(gray.clip(0, 255)).astype(np.uint8)
    rows = int((~bar).all(axis=1).sum())
    engine = LocalEngine("explain")
    for asked in ({}, {"picture_rows": 400}, {"picture_rows": 400, "as_drawn": True}):
        # "None" is everywhere where no defect is.
        request = GradcamRequest(image, "bundled", 5, **asked)
        engine.submit(request, destination="a", **inbox.of("a"))
    drawn, known, whole = [value for _, kind, value in inbox.rest() if kind == "update"]
    for found, end in ((drawn, rows), (known, 400)):
        assert found.border[2] == 480 - end
        assert found.values[:end].any()
        assert not found.values[end:].any()
    assert whole.border == (0, 0, 0, 0)
    assert whole.values[rows:].any()


def test_a_heat_map_is_checked(inbox: Inbox) -> None:
    engine = LocalEngine("explain")
    asked = GradcamRequest(IMAGE, "bundled", 0)
    shown = sx.gradcam(IMAGE, sx.load_classifier(), target=0)
    engine.submit(ChecksRequest(asked, shown), destination="a", **inbox.of("a"))
    *progress, checks = [value for _, kind, value in inbox.rest() if kind == "update"]
    assert {update.total for update in progress} == {9}
    assert isinstance(checks, Checks)
    assert set(checks.areas) == {"grey", "blurred"}
    assert checks.sanity.noise > checks.sanity.randomised


@pytest.mark.parametrize(
    "request_",
    [
        GradcamRequest(IMAGE, "/nowhere/a.safetensors"),
        GradcamRequest(IMAGE, "bundled", 99),
        GradcamRequest(IMAGE, "bundled", device="cuda"),
        CraftFitRequest((), "bundled", 0),
        CraftOpenRequest(Path("/nowhere/a.safetensors"), "bundled"),
    ],
)
def test_what_cannot_be_done_is_one_line(inbox: Inbox, request_: object) -> None:
    LocalEngine("explain").submit(request_, destination="a", **inbox.of("a"))
    [(_, kind, message)] = inbox.rest()
    assert kind == "failed"
    assert "\n" not in message
    assert not message.startswith("RuntimeError")
