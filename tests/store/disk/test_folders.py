"""Folders of the program's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_semxai.store.disk.folders import model_folders, models_folder, recovery_folder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tmp_path))
    assert models_folder() == tmp_path
    assert model_folders()[0] == tmp_path
    assert len(model_folders()) == 2


def test_without_the_environment_only_the_user_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMXAI_MODEL_DIR", raising=False)
    assert model_folders() == (models_folder(),)
    assert models_folder().name == "models"


def test_recovery_folder_is_absolute_and_not_made(tmp_path: Path) -> None:
    assert recovery_folder().is_absolute()
