"""Loading SAM 2 networks, on a checkpoint of the official tiny configuration made here."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from sam2.build_sam import build_sam2

from napari_semxai.backends.sam2 import checkpoints
from napari_semxai.backends.sam2.checkpoints import build_bundled_architecture, load_network
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights import models
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

TINY = "sam2.1_hiera_tiny"


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
