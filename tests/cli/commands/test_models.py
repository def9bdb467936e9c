"""``semxai models``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_semxai.cli import main
from napari_semxai.cli.commands import models as command
from napari_semxai.store.weights import downloads, models

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"small weights" * 50


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of models of its own, and a tiny network of 650 bytes."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(folder))
    monkeypatch.setattr(models, "model_folders", lambda: (folder,))
    entry = replace(
        models.OFFICIAL_MODELS[0], size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()
    )
    registry = (entry, *models.OFFICIAL_MODELS[1:])
    monkeypatch.setattr(models, "OFFICIAL_MODELS", registry)
    monkeypatch.setattr(command, "OFFICIAL_MODELS", registry)
    return folder


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert text.count("missing") >= 4
    assert "https://" in text
    assert str(folder) in text
    folder.mkdir()
    (folder / "sam2.1_hiera_tiny.pt").write_bytes(CONTENT)
    (folder / "sam2.1_hiera_small.pt").write_bytes(CONTENT)
    assert main(["models", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    states = {row["name"]: row["state"] for row in rows}
    assert states["sam2.1_hiera_tiny"] == "here"
    assert states["sam2.1_hiera_small"] == "wrong size"
    assert states["sam2.1_hiera_large"] == "missing"


def test_import_and_verify(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "copy.bin").write_bytes(CONTENT)
    assert main(["models", "import", str(tmp_path / "copy.bin")]) == 0
    assert (folder / "sam2.1_hiera_tiny.pt").read_bytes() == CONTENT
    capsys.readouterr()
    assert main(["models", "verify", "sam2.1_hiera_tiny"]) == 0
    text = capsys.readouterr().out
    assert "the official file" in text
    assert hashlib.sha256(CONTENT).hexdigest() in text


def test_verify_an_altered_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / "sam2.1_hiera_tiny.pt").write_bytes(CONTENT[::-1])
    assert main(["models", "verify", "sam2.1_hiera_tiny", "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["files"][0]["status"] == "different"
    assert "not the official file" in captured.err


def test_verify_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.pt").write_bytes(b"x")
    assert main(["models", "verify", str(tmp_path / "own.pt")]) == 0
    assert "no official digest to compare with" in capsys.readouterr().out


def test_download_names_size_and_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No network in tests: only the transfer itself is left out."""

    def receive(model: object, file: object, progress: object, cancel: object) -> str:
        file.write(CONTENT)  # type: ignore[attr-defined]
        return hashlib.sha256(CONTENT).hexdigest()

    monkeypatch.setattr(downloads, "_receive", receive)
    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 0
    text = capsys.readouterr().out
    assert models.OFFICIAL_MODELS[0].address in text
    assert "verified" in text
    assert (folder / "sam2.1_hiera_tiny.pt").read_bytes() == CONTENT


def test_interrupted_download(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def receive(*arguments: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "_receive", receive)
    assert main(["models", "download", "sam2.1_hiera_tiny"]) == 130
    assert "partial file is deleted" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
