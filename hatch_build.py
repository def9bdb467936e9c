"""Put the top-level napari.yaml where npe2 looks for it: inside the package.

A wheel gets the file itself. An editable install gets a git-ignored link beside
``__init__.py``, or a copy where links are refused (Windows without developer mode).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManifestHook(BuildHookInterface):
    """Serve one napari.yaml to wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the manifest to what is being built."""
        if version == "editable":
            _link(Path(self.root, "napari.yaml"), Path(self.root, "napari_semxai", "napari.yaml"))
        else:
            build_data["force_include"]["napari.yaml"] = "napari_semxai/napari.yaml"


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(Path("..", source.name))
    except OSError:
        shutil.copyfile(source, target)
