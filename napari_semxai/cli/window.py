"""``semxai window FILE…``: napari with the docks, in a process that imports no network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.cli.output import BAD_INPUT, DONE, Output
from napari_semxai.store.images import page_count, read_image

if TYPE_CHECKING:
    import argparse

    from napari import Viewer

_START_SECONDS = 5.0


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command; it is not listed, since ``semxai`` alone does the same."""
    parser = commands.add_parser("window", parents=[common], description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", type=Path, help="images to open")
    parser.add_argument("--sample", action="store_true", help="open the sample image")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Open napari with the docks and stay until it is closed."""
    if not has_display():
        output.error("no display to open napari on; see semxai --help for commands without one")
        return BAD_INPUT
    import napari

    from napari_semxai.plugin import open_workbench

    viewer = napari.Viewer()
    if options.sample:
        viewer.open_sample("napari-semxai", "defect")
    open_files(viewer, options.files)
    open_workbench(viewer)
    napari.run()
    return DONE


def open_files(viewer: Viewer, files: list[Path]) -> None:
    """Add every image of `files` as a layer, a page of a multi-page file each."""
    for path in files:
        for page in range(page_count(path)):
            image = read_image(path, page)
            viewer.add_image(
                image.pixels,
                name=image.name,
                rgb=image.pixels.ndim == 3,
                metadata={"path": path, "page": page, "pixel_size": image.pixel_size},
            )


def has_display() -> bool:
    """Whether a window can be shown here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(
        os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
        or os.environ.get("QT_QPA_PLATFORM")
    )


def start(arguments: list[str], output: Output) -> None:
    """Open the window in a process of its own and leave it to the person.

    cv2 and torch, once imported, keep Qt from starting on some systems.
    """
    command = [sys.executable, "-m", "napari_semxai.cli", "window", *arguments]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        # It is up and goes on by itself.
        process.returncode = 0
        return
    if code:
        output.error(f"the window could not be opened (exit code {code})")
