"""Folders of the program's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_semxai.store.disk import folders as module
from napari_semxai.store.disk.folders import (
    clear_caches,
    model_folders,
    models_folder,
    recovery_folder,
    stored_files,
)

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.fixture
def folders(tmp_path, monkeypatch):
    names = ("project_index", "concepts", "features", "models", "recovery", "projects")
    for name in names:
        monkeypatch.setattr(module, f"{name}_folder", lambda name=name: tmp_path / name)
    return tmp_path


def test_sizes_are_told_and_only_caches_are_cleared(folders):
    for name, size in (("project_index", 10), ("concepts/deep", 20), ("models", 300)):
        (folders / name).mkdir(parents=True)
        (folders / name / "file").write_bytes(bytes(size))
    assert [(one.size, one.cache) for one in stored_files()] == [
        (10, True),
        (20, True),
        (0, True),
        (300, False),
        (0, False),
        (0, False),
    ]
    clear_caches()
    assert [one.size for one in stored_files()] == [0, 0, 0, 300, 0, 0]
