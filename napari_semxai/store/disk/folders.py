"""Where the program keeps its own files; nothing is made until it is needed."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import PlatformDirs

_DIRS = PlatformDirs("napari-semxai", appauthor=False)


def models_folder() -> Path:
    """Folder that downloads and imports of network weights go to."""
    override = os.environ.get("SEMXAI_MODEL_DIR")
    return Path(override).expanduser() if override else _DIRS.user_data_path / "models"


def model_folders() -> tuple[Path, ...]:
    """Folders searched for weights: SEMXAI_MODEL_DIR where set, then the user's own."""
    return tuple(dict.fromkeys([models_folder(), _DIRS.user_data_path / "models"]))


def recovery_folder() -> Path:
    """Folder of the recovery copies of unsaved masks."""
    return _DIRS.user_state_path / "recovery"


def shortcuts_file() -> Path:
    """File of the keys that a person chose."""
    return _DIRS.user_config_path / "shortcuts.json"


def choices_file() -> Path:
    """File of what a person chose once and finds again."""
    return _DIRS.user_config_path / "choices.json"


def last_folders_file() -> Path:
    """File of the folders that file dialogs were last used in."""
    return _DIRS.user_config_path / "last_folders.json"


def projects_folder() -> Path:
    """Folder of the projects that were made of plain folders of images."""
    return _DIRS.user_data_path / "projects"


def project_index_folder() -> Path:
    """Folder of the indexes of projects; each is rebuilt from the project's files when missing."""
    return _DIRS.user_cache_path / "projects"


def concepts_folder() -> Path:
    """Folder of the concepts of CRAFT, which can be computed again."""
    return _DIRS.user_cache_path / "concepts"
