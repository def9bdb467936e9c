"""The ``semxai`` command."""

from napari_semxai.cli.entry import main

__all__ = ["main"]
