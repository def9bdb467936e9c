"""Registry and folders of network weights."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_semxai.store.weights import models
from napari_semxai.store.weights.models import (
    BUNDLED_WEIGHTS,
    OFFICIAL_MODELS,
    find_model,
    import_model,
    installed_path,
    official_model,
    verify_model,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"weights of a very small network" * 100


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only folder of models there is, still empty."""
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(models, "model_folders", lambda: (tmp_path / "models",))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def small_official(monkeypatch: pytest.MonkeyPatch) -> models.OfficialModel:
    """The official tiny entry, shrunk to `CONTENT`."""
    entry = replace(
        official_model("sam2.1_hiera_tiny"),
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    monkeypatch.setattr(models, "OFFICIAL_MODELS", (entry, *OFFICIAL_MODELS[1:]))
    return entry


def test_the_four_official_networks() -> None:
    assert [model.name for model in OFFICIAL_MODELS] == [
        "sam2.1_hiera_tiny",
        "sam2.1_hiera_small",
        "sam2.1_hiera_base_plus",
        "sam2.1_hiera_large",
    ]
    for model in OFFICIAL_MODELS:
        assert model.address.startswith("https://")
        assert model.address.endswith(model.file_name)
        assert model.sha256 is not None
        assert len(bytes.fromhex(model.sha256)) == 32


def test_needs_no_torch() -> None:
    code = (
        "import sys, napari_semxai.store.weights.models, napari_semxai.store.weights.downloads;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bundled_needs_no_search() -> None:
    assert find_model("bundled") == BUNDLED_WEIGHTS


def test_a_path_comes_first(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.pt"
    own.write_bytes(b"x")
    assert find_model(str(own)) == own


def test_a_missing_official_model_says_where_and_how(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_model("sam2.1_hiera_small")
    message = str(caught.value)
    assert str(folder) in message
    assert "semxai models download sam2.1_hiera_small" in message
    assert "184 MB" in message
    assert OFFICIAL_MODELS[1].address in message


def test_an_unknown_name_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(InputError, match=r"sam3: no such file.*sam2\.1_hiera_large"):
        find_model("sam3")
    with pytest.raises(InputError, match=r"sam3: not an official model"):
        official_model("sam3")


def test_found_in_the_environments_folder(
    folder: Path, small_official: models.OfficialModel
) -> None:
    (folder / small_official.file_name).write_bytes(CONTENT)
    assert find_model(small_official.name) == folder / small_official.file_name
    assert installed_path(small_official) == folder / small_official.file_name


@pytest.mark.parametrize(("content", "fault"), [(b"short", "cut off"), (CONTENT * 2, "official")])
def test_wrong_size(
    folder: Path, small_official: models.OfficialModel, content: bytes, fault: str
) -> None:
    (folder / small_official.file_name).write_bytes(content)
    for call in (find_model, verify_model):
        with pytest.raises(InputError, match=rf"tiny\.pt: [\d,]+ bytes instead of 3,100.*{fault}"):
            call(small_official.name)


def test_verify(folder: Path, small_official: models.OfficialModel, tmp_path: Path) -> None:
    path = folder / small_official.file_name
    path.write_bytes(CONTENT)
    assert verify_model(small_official.name).status == "verified"
    path.write_bytes(CONTENT[::-1])
    assert verify_model(small_official.name).status == "different"
    own = tmp_path / "own.pt"
    own.write_bytes(b"x")
    unknown = verify_model(str(own))
    assert unknown.status == "unknown"
    assert unknown.sha256 == hashlib.sha256(b"x").hexdigest()


def test_import_recognises_a_file_of_any_name(
    folder: Path, small_official: models.OfficialModel, tmp_path: Path
) -> None:
    source = tmp_path / "from usb stick.bin"
    source.write_bytes(CONTENT)
    steps: list[tuple[int, int]] = []
    path = import_model(source, progress=lambda done, total: steps.append((done, total)))
    assert path == folder / small_official.file_name
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert source.exists()


def test_import_refuses_what_is_not_official(
    folder: Path, small_official: models.OfficialModel, tmp_path: Path
) -> None:
    source = tmp_path / "x.pt"
    with pytest.raises(InputError, match=r"x\.pt: no such file"):
        import_model(source)
    source.write_bytes(b"other length")
    with pytest.raises(InputError, match=r"x\.pt: 12 bytes is no official SAM 2\.1 checkpoint"):
        import_model(source)
    source.write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match=r"x\.pt: as long as sam2\.1_hiera_tiny but"):
        import_model(source)
    assert list(folder.iterdir()) == []
