"""Put napari.yaml where npe2 looks for it, and README.md where its addresses must be absolute.

A wheel gets the top-level napari.yaml inside the package. An editable install gets a git-ignored
link beside ``__init__.py``, or a copy where links are refused (Windows without developer mode).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")
"""A Markdown picture or link to a file of the repository."""


class ManifestHook(BuildHookInterface):
    """Serve one napari.yaml to wheels and editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the manifest to what is being built."""
        if version == "editable":
            _link(Path(self.root, "napari.yaml"), Path(self.root, "napari_semxai", "napari.yaml"))
        else:
            build_data["force_include"]["napari.yaml"] = "napari_semxai/napari.yaml"


class ReadmeHook(MetadataHookInterface):
    """Describe the package by README.md, as it reads outside the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the readme to the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        source = metadata.get("urls", {}).get("Source")
        metadata["readme"] = {"content-type": "text/markdown", "text": outside(text, source)}


def outside(text: str, source: str | None) -> str:
    """Return Markdown whose addresses work wherever it is shown.

    Parameters
    ----------
    text : str
        Markdown with addresses relative to the repository's root.
    source : str, optional
        Address of the repository. Without one pictures go and links leave their text.
    """

    def put(found: re.Match[str]) -> str:
        mark, words, path = found.groups()
        if source is None:
            return "" if mark else words
        kind = "raw" if mark else "blob"
        return f"{mark}[{words}]({source}/{kind}/HEAD/{path})"

    return _RELATIVE.sub(put, text)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(Path("..", source.name))
    except OSError:
        shutil.copyfile(source, target)
