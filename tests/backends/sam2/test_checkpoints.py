"""Loading SAM 2 networks, on a checkpoint of the official tiny configuration made here."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.build_sam import build_sam2
from skimage.io import imread

from napari_semxai.algorithms.algorithm1.edge_strips import edge_strips
from napari_semxai.algorithms.algorithm1.ground_truth import ground_truth
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.algorithms.synthetic import SceneSpec, make_scene
from napari_semxai.backends.sam2 import checkpoints
from napari_semxai.backends.sam2.checkpoints import (
    BUNDLED_WEIGHTS,
    build_bundled,
    build_bundled_architecture,
    fit_feature_sizes,
    image_predictor,
    load_network,
)
from napari_semxai.backends.sam2.segmenter import generate_candidates
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights import models
from napari_semxai.types import InputError

TINY = "sam2.1_hiera_tiny"
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*is deprecated")


@pytest.fixture(scope="module")
def tiny_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", None, device="cpu")
    return network.state_dict()


@pytest.fixture(scope="module")
def tiny_file(
    tiny_state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("models") / f"{TINY}.pt"
    torch.save({"model": tiny_state}, path)
    return path


def same_weights(network: Any, state: dict[str, torch.Tensor]) -> bool:
    loaded = network.state_dict()
    return loaded.keys() == state.keys() and all(
        torch.equal(loaded[key], value) for key, value in state.items()
    )


def test_official_configuration_by_path(
    tiny_state: dict[str, torch.Tensor], tiny_file: Path
) -> None:
    network, info = load_network(str(tiny_file))
    assert same_weights(network, tiny_state)
    assert not network.training
    assert network.image_size == 1024
    assert info.name == f"{TINY}.pt"
    assert info.sha256 == file_sha256(tiny_file)
    assert info.device == "cpu"


def test_official_name_in_the_environments_folder(
    tiny_state: dict[str, torch.Tensor], tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tiny_file.parent))
    entry = replace(models.official_model(TINY), size=tiny_file.stat().st_size, sha256=None)
    monkeypatch.setattr(models, "OFFICIAL_MODELS", (entry,))
    network, info = load_network(TINY)
    assert info.name == TINY
    assert same_weights(network, tiny_state)


def test_official_name_with_other_contents(
    tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tiny_file.parent))
    entry = replace(models.official_model(TINY), size=tiny_file.stat().st_size)
    monkeypatch.setattr(models, "OFFICIAL_MODELS", (entry,))
    with pytest.raises(InputError, match=rf"{TINY}\.pt: not the official {TINY}"):
        load_network(TINY)


def test_official_name_of_the_wrong_size(tiny_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tiny_file.parent))
    with pytest.raises(InputError, match=r"tiny\.pt: [\d,]+ bytes instead of 156,008,466"):
        load_network(TINY)


def test_plain_state_dict_under_any_name(
    tiny_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(tiny_state, tmp_path / "mine.pth")
    network, info = load_network(str(tmp_path / "mine.pth"))
    assert same_weights(network, tiny_state)
    assert info.name == "mine.pth"


def test_bundled_architecture_as_safetensors(tmp_path: Path) -> None:
    state = build_bundled_architecture().state_dict()
    save_file(state, tmp_path / "tuned.safetensors")
    network, _ = load_network(str(tmp_path / "tuned.safetensors"))
    assert same_weights(network, state)


def test_bundled() -> None:
    if not models.BUNDLED_WEIGHTS.exists():
        pytest.skip("the bundled weights are not in this tree")
    network, info = load_network("bundled")
    assert info.name == "bundled"
    assert info.sha256 == file_sha256(models.BUNDLED_WEIGHTS)
    assert not network.training


@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
@pytest.mark.parametrize("size", ["t", "s", "b+", "l"])
def test_every_configuration_is_recognised(version: str, size: str) -> None:
    width, blocks = {"t": (96, 12), "s": (96, 16), "b+": (112, 24), "l": (144, 48)}[size]
    trunk = "image_encoder.trunk"
    names = [f"{trunk}.blocks.{block}.norm1.weight" for block in range(blocks)]
    state = {name: torch.zeros(width) for name in names}
    state[f"{trunk}.patch_embed.proj.weight"] = torch.zeros(width, 3, 7, 7)
    if version == "sam2.1":
        state["no_obj_embed_spatial"] = torch.zeros(1, 64)
    assert checkpoints._config_of(state) == f"configs/{version}/{version}_hiera_{size}.yaml"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_cut_off(tiny_file: Path, tmp_path: Path, share: float) -> None:
    whole = tiny_file.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"cut\.pt: cut off, or not a checkpoint"):
        load_network(str(path))


def test_cut_off_official_file_says_how_long_it_should_be(tiny_file: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{TINY}.pt"
    path.write_bytes(tiny_file.read_bytes()[:1_000_000])
    with pytest.raises(InputError, match=r"1,000,000 bytes instead of 156,008,466, so it is cut"):
        load_network(str(path))


@pytest.mark.parametrize("content", [b"<html>proxy</html>", b"\x89PNG\r\n", b"hello", b"12345678"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_something_else(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"page{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"page.*: cut off, or not a checkpoint"):
        load_network(str(path))


class Hostile:
    """A pickle that leaves a mark when it is read carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def save_archive(content: object, path: Path) -> None:
    torch.save(content, path)


def save_old_archive(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_bare_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def read_carelessly(path: Path) -> None:
    with suppress(RuntimeError):  # raised after a bare pickle has run
        torch.load(path, weights_only=False)


@pytest.mark.parametrize("save", [save_archive, save_old_archive, save_bare_pickle])
@pytest.mark.parametrize("deep", [False, True])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, save: Any, deep: bool) -> None:
    hostile = Hostile(tmp_path / "mark")
    save({"model": {"image_encoder": hostile}} if deep else hostile, tmp_path / "evil.pt")
    with pytest.raises(InputError, match=r"evil\.pt: .*could run code.*nothing in it ran"):
        load_network(str(tmp_path / "evil.pt"))
    assert not (tmp_path / "mark").exists()
    read_carelessly(tmp_path / "evil.pt")  # it is a real one
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        torch.zeros(3),
        {},
        {"model": 3},
        {"epoch": 3, "loss": 0.1},
        {
            "image_encoder.pos_embed": torch.zeros(3),
            "mask_decoder.iou_token.weight": torch.ones(2),
        },
    ],
)
def test_not_a_sam2(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"other\.pt: not a SAM 2 checkpoint"):
        load_network(str(tmp_path / "other.pt"))


def test_half_a_sam2(tiny_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    part = {key: value for key, value in tiny_state.items() if "mask_decoder" not in key}
    torch.save({"model": part}, tmp_path / "part.pt")
    with pytest.raises(InputError, match=r"part\.pt: not a SAM 2 checkpoint \(\d+ of 471 weights"):
        load_network(str(tmp_path / "part.pt"))


def test_missing_file() -> None:
    with pytest.raises(InputError, match=r"none\.pt: no such file"):
        load_network("none.pt")


@pytest.fixture(scope="module")
def network():
    return build_bundled()


@pytest.fixture(scope="module")
def scene():
    return make_scene(SceneSpec(radius=50, contrast=1.2, noise=2.0, strip=(0, 3, 0, 0)), 11)


@pytest.fixture(scope="module")
def predictor(network, scene):
    predictor = image_predictor(network)
    predictor.set_image(np.repeat(scene.image[:, :, None], 3, axis=2))
    return predictor


def inner(mask):
    rows, columns = np.nonzero(mask)
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return np.array([[columns[middle], rows[middle]]], np.float32)


def best_iou(masks, truth):
    masks = masks > 0
    return max((mask & truth).sum() / (mask | truth).sum() for mask in masks)


def test_weights_are_small_and_match_the_architecture():
    assert BUNDLED_WEIGHTS.stat().st_size <= 20e6
    state = load_file(BUNDLED_WEIGHTS)
    assert state.keys() == build_bundled_architecture().state_dict().keys()
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_one_click_finds_the_defect(predictor, scene):
    masks, scores, logits = predictor.predict(inner(scene.defect), np.array([1]))
    assert masks.shape == (3, *scene.image.shape)
    assert logits.shape == (3, 128, 128)
    assert np.all((scores >= 0) & (scores <= 1))
    assert best_iou(masks, scene.defect) > 0.7


def test_box_and_mask_prompt_find_the_defect(predictor, scene):
    rows, columns = np.nonzero(scene.defect)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32)
    masks, _, logits = predictor.predict(box=box, multimask_output=False)
    assert best_iou(masks, scene.defect) > 0.6
    again, _, _ = predictor.predict(
        inner(scene.defect), np.array([1]), mask_input=logits, multimask_output=False
    )
    assert best_iou(again, scene.defect) > 0.7


@pytest.mark.slow
def test_reference_generator_runs_and_finds_the_surface(network, scene):
    generator = SAM2AutomaticMaskGenerator(
        network, points_per_side=6, pred_iou_thresh=0.3, stability_score_thresh=0.8
    )
    fit_feature_sizes(generator.predictor)
    found = generator.generate(np.repeat(scene.image[:, :, None], 3, axis=2))
    (surface,) = [region.mask for region in scene.regions if region.kind == "surface"]
    masks = np.stack([item["segmentation"] for item in found]).astype(bool)
    assert best_iou(masks, surface) > 0.85


@pytest.mark.slow
def test_real_particle_is_outlined_with_default_settings():
    folder = Path(__file__).parents[4] / "shared" / "data" / "real"
    if not folder.is_dir():
        pytest.skip("the real images are not here")
    image = imread(folder / "carinthia_a.png")
    truth = imread(folder / "carinthia_a_outline.png") > 127
    pool = generate_candidates(image)
    answer = ground_truth(pool, ignore_border=edge_strips(image))
    assert scores(answer.mask, truth).dice >= 0.88


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors: no such file"):
        build_bundled(tmp_path / "none.safetensors")


def test_damaged_weights_are_named(tmp_path):
    path = tmp_path / "half.safetensors"
    path.write_bytes(BUNDLED_WEIGHTS.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        build_bundled(path)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="not weights of the bundled network"):
        build_bundled(path)
