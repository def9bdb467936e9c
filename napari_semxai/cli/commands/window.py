"""``semxai window FILE…|FOLDER``: napari with the docks, in a process that imports no network."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.cli.common.output import BAD_INPUT, DONE, SOME_FAILED, Output
from napari_semxai.store.images.read import read_image
from napari_semxai.store.sources.find_images import is_source_file
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari import Viewer

    from napari_semxai.types import SemImage

_START_SECONDS = 5.0


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "window",
        parents=[common],
        help="open napari with the docks (so does semxai IMAGE, FOLDER or PROJECT)",
        description="Open napari with the docks, and with what is given: images, or one project "
        "or folder of images.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE|FOLDER",
        type=Path,
        help="images (of several pages the first is shown), or a project, a folder of images, a "
        "table or a KLARF file",
    )
    parser.add_argument("--sample", action="store_true", help="open the sample image")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Open napari with the docks and stay until it is closed."""
    if not has_display():
        output.error("no display to open napari on; see semxai --help for commands without one")
        return BAD_INPUT
    source, files = _split(options.files)
    images, failed = _read_all(files, output)
    if failed and not images and source is None:
        return BAD_INPUT
    # All that is imported stays: looking for garbage among it would be in vain, now and later.
    gc.disable()
    import napari

    from napari_semxai.widgets.common.window import hush_pyqt5

    hush_pyqt5()
    viewer = napari.Viewer()
    if options.sample:
        viewer.open_sample("napari-semxai", "defect")
    show(viewer, images, source)
    gc.freeze()
    gc.enable()
    napari.run()
    return SOME_FAILED if failed else DONE


def _split(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """Return the one folder, table or KLARF file among the paths, and the image files."""
    sources = [path for path in paths if path.is_dir() or is_source_file(path)]
    if len(sources) > 1:
        raise InputError(f"{sources[1]}: a window shows one project; open it in another one")
    return next(iter(sources), None), [path for path in paths if path not in sources]


def _read_all(paths: Sequence[Path], output: Output) -> tuple[list[SemImage], int]:
    """Read what can be read, name the rest, and return how many those are."""
    images = []
    for path in paths:
        try:
            images.append(read_image(path))
        except InputError as error:
            output.error(str(error))
    return images, len(paths) - len(images)


def show(viewer: Viewer, images: list[SemImage], source: Path | None = None) -> None:
    """Open the docks, with a layer for every image and the first one chosen, or a project."""
    from napari_semxai.plugin import open_workbench, workbench_of

    workbench = workbench_of(viewer)
    for image in images:
        workbench.layers.planes.layer_of(image)
    if images:
        workbench.images.show(images[0])
    open_workbench(viewer)
    if source is not None:
        workbench.projects.open(source, workbench.choices.annotator)


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
    command = [sys.executable, "-m", "napari_semxai", "window", *arguments]
    # cv2, which demo's classifier imports, points every Qt to come at plugins of its own.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("QT_QPA_") and "cv2" in Path(value).parts)
    }
    process = subprocess.Popen(command, start_new_session=True, env=environment)
    try:
        code = process.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        # It is up and goes on by itself.
        process.returncode = 0
        return
    if code:
        output.error(f"the window could not be opened (exit code {code})")
