"""The real network in a real process; random weights, so that nothing else is needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.algorithms.synthetic import SceneSpec, make_reference, make_scene
from napari_semxai.engine import segment
from napari_semxai.engine.client import EngineClient
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.types import (
    Encoding,
    GenerateRequest,
    GenerateSettings,
    GenerateUpdate,
    ModelInfo,
    PredictedMask,
    PredictRequest,
    Prompts,
    WarmRequest,
)
from napari_semxai.types.image import CompareRequest
from tests.engine.local import LocalEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_semxai.types import CandidatePool
    from tests.engine.conftest import Inbox

SETTINGS = GenerateSettings(points_per_side=2, pred_iou_floor=0.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    from napari_semxai.backends.sam2.checkpoints import build_bundled_architecture

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "random.pt"
    torch.save({"model": build_bundled_architecture().state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def client() -> Iterator[EngineClient]:
    client = EngineClient()
    client.start()
    yield client
    client.close()


def request_of(seed: int, weights: Path) -> GenerateRequest:
    image = np.random.default_rng(seed).integers(0, 256, (96, 128), dtype=np.uint8)
    return GenerateRequest(image, str(weights), "cpu", SETTINGS)


def last_pool(events: list[tuple[str, str, object]], name: str) -> CandidatePool:
    updates = [value for who, kind, value in events if (who, kind) == (name, "update")]
    assert isinstance(updates[0], ModelInfo)
    assert isinstance(updates[-1], GenerateUpdate)
    assert updates[-1].done == updates[-1].total == 4
    assert updates[-1].pool is not None
    return updates[-1].pool


def assert_equal(one: CandidatePool, other: CandidatePool) -> None:
    np.testing.assert_array_equal(one.runs, other.runs)
    np.testing.assert_array_equal(one.run_offsets, other.run_offsets)
    np.testing.assert_array_equal(one.points, other.points)


def test_warm_answers_with_the_model(client: EngineClient, inbox: Inbox, weights: Path) -> None:
    client.submit(WarmRequest(str(weights), "cpu"), destination="warm", **inbox.of("warm"))
    info = ModelInfo("random.pt", file_sha256(weights), "cpu")
    assert inbox.until("warm", "done") == [("warm", "update", info), ("warm", "done", None)]


def test_jobs_that_alternate_answer_as_they_would_alone(
    client: EngineClient, inbox: Inbox, weights: Path
) -> None:
    queued, current = request_of(1, weights), request_of(2, weights)
    client.submit(queued, destination="queue", background=True, **inbox.of("queue"))
    events = inbox.until("queue", "update")
    client.submit(current, destination="image", **inbox.of("image"))
    events += inbox.until("queue", "done")
    assert ("image", "done", None) in events
    local = LocalEngine()
    for request, name in ((queued, "queue"), (current, "image")):
        local.submit(request, destination="alone", **inbox.of("alone"))
        assert_equal(last_pool(inbox.rest(), "alone"), last_pool(events, name))


def test_a_click_encodes_once_and_answers_as_in_this_process(
    client: EngineClient, inbox: Inbox, weights: Path
) -> None:
    image = np.random.default_rng(3).integers(0, 256, (96, 128), dtype=np.uint8)
    prompts = Prompts(((40.0, 50.0),), (True,))
    request = PredictRequest(image, str(weights), "cpu", prompts)
    client.submit(request, destination="click", **inbox.of("click"))
    first = [value for _, _, value in inbox.until("click", "done")][:-1]
    client.submit(request, destination="click", **inbox.of("click"))
    second = [value for _, _, value in inbox.until("click", "done")][:-1]
    assert [type(value) for value in first] == [ModelInfo, Encoding, PredictedMask]
    assert [type(value) for value in second] == [ModelInfo, PredictedMask]
    LocalEngine().submit(request, destination="alone", **inbox.of("alone"))
    alone = next(v for _, _, v in inbox.rest() if isinstance(v, PredictedMask))
    for found in (first[-1], second[-1]):
        assert isinstance(found, PredictedMask)
        np.testing.assert_array_equal(found.mask, alone.mask)


def test_with_the_encoding_the_map_is_made_that_the_first_click_asks_for(weights: Path) -> None:
    image = np.random.default_rng(5).integers(0, 256, (96, 128), dtype=np.uint8)
    request = PredictRequest(image, str(weights), "cpu", Prompts())
    said = list(segment.build()[PredictRequest](request))
    assert [type(value) for value in said] == [ModelInfo, Encoding]
    assert segment._segmenter(str(weights), "cpu").defects.known(image) is not None


def test_a_missing_checkpoint_is_told_in_one_line(
    client: EngineClient, inbox: Inbox, weights: Path
) -> None:
    client.submit(WarmRequest("/nowhere/a.pt", "cpu"), destination="warm", **inbox.of("warm"))
    [(_, kind, message)] = inbox.until("warm", "failed")
    assert kind == "failed"
    assert message.startswith("/nowhere/a.pt: ")
    assert "\n" not in message


def test_a_program_that_uses_the_engine_never_imports_a_network_library(weights: Path) -> None:
    script = (
        "import sys, threading, numpy as np\n"
        "from napari_semxai.engine.client import EngineClient\n"
        "from napari_semxai.types import GenerateRequest, GenerateSettings\n"
        "client, over, said = EngineClient(), threading.Event(), []\n"
        "request = GenerateRequest(np.zeros((32, 32), np.uint8), sys.argv[1], 'cpu',\n"
        "                          GenerateSettings(1, 0.0))\n"
        "client.submit(request, destination='a', on_update=said.append, on_done=over.set,\n"
        "              on_failed=lambda message: (said.append(message), over.set()))\n"
        "over.wait(120)\n"
        "client.close()\n"
        "heavy = 'torch torchvision sam2 cv2 tensorflow pytorch_grad_cam xplique'.split()\n"
        "print(type(said[-1]).__name__, *(name for name in heavy if name in sys.modules))\n"
    )
    command = [sys.executable, "-c", script, str(weights)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "GenerateUpdate\n"


def test_a_replaced_checkpoint_is_loaded_anew(weights: Path, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "mine.pt"
    path.write_bytes(weights.read_bytes())
    first = segment._segmenter(str(path), "cpu")
    assert segment._segmenter(str(path), "cpu") is first
    state = torch.load(path, weights_only=True)["model"]
    torch.save({"model": {name: 2 * tensor for name, tensor in state.items()}}, path)
    second = segment._segmenter(str(path), "cpu")
    assert second.info.sha256 == file_sha256(path) != first.info.sha256


def test_what_differs_is_asked_about_in_the_engine(
    client: EngineClient, inbox: Inbox, weights: Path, tmp_path: Path
) -> None:
    spec = SceneSpec(shape=(160, 160), pattern="holes", radius=14, noise=4, contrast=1.2)
    Image.fromarray(make_reference(spec, 5)).save(tmp_path / "golden.png")
    image = make_scene(spec, 5).image
    compare = CompareRequest(str(tmp_path / "golden.png"), (7, 7, 7, 7))
    request = GenerateRequest(image, str(weights), "cpu", SETTINGS, compare)
    client.submit(request, destination="compared", **inbox.of("compared"))
    events = inbox.until("compared", "done")
    updates = [value for _, kind, value in events if kind == "update"]
    found = updates[1]
    assert isinstance(found, Difference)
    assert (found.name, found.reason) == ("golden.png", "")
    assert found.picture is not None
    last = updates[-1]
    assert isinstance(last, GenerateUpdate)
    assert last.pool is not None
    assert last.pool.proposed is not None
    assert last.pool.proposed.sum() >= 1
    # Alone for an image that one comes back to.
    alone = replace(compare, image=image)
    client.submit(alone, destination="alone", **inbox.of("alone"))
    ((_, _, again), _) = inbox.until("alone", "done")
    assert isinstance(again, Difference)
    np.testing.assert_array_equal(again.parts, found.parts)
