"""Compiled libraries in a process that shows, or will show, a window; OpenCV and xplique.

The window's own process loads none of them: networks run in the engine. A script or napari's
console may, by the functions of `napari_semxai`. OpenCV and xplique are imported here alone.

* OpenCV's wheel points Qt at plugins of its own, of another version, with which no window opens.
* triton and TensorFlow hold LLVM, as does Mesa's OpenGL in software. Once the window is open their
  calls would end in Mesa's copy, and the process would die (SIGSEGV).
* On Linux the process dies, too, when triton is loaded after TensorFlow, which xplique imports.
  torch loads triton late, so it is loaded here first. TensorFlow is kept off the GPU, whose memory
  it would take whole.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import cv2

__all__ = [
    "INSTALL",
    "craft_missing",
    "craft_torch",
    "cv2",
    "load_triton",
    "qt_is_loaded",
    "qt_paths_kept",
]

INSTALL = "CRAFT needs xplique: pip install 'napari-semxai[craft]'"
_QT = ("PyQt5.QtGui", "PyQt6.QtGui", "PySide2.QtGui", "PySide6.QtGui")
_QT_PATHS = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def __getattr__(name: str) -> Any:
    """Import OpenCV when it is first asked for: who needs the rest need not wait for it."""
    if name != "cv2":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with qt_paths_kept():
        import cv2
    globals()[name] = cv2
    return cv2


def qt_is_loaded() -> bool:
    """Return whether this process has, or may soon have, a window."""
    return any(name in sys.modules for name in _QT)


@contextmanager
def symbols_bound_first() -> Iterator[None]:
    """Bind libraries loaded in this block to their own symbols first; Linux with Qt only."""
    if sys.platform != "linux" or not qt_is_loaded():
        yield
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


@contextmanager
def qt_paths_kept() -> Iterator[None]:
    """Undo what this block does to the variables that tell Qt where its plugins are."""
    before = {name: os.environ.get(name) for name in _QT_PATHS}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def load_triton() -> None:
    """Load triton, where there is one, before torchvision does."""
    # There is no triton for some systems; those do not crash either.
    with symbols_bound_first(), suppress(ImportError):
        import triton  # noqa: F401


def craft_missing() -> str:
    """Say what to install before concepts can be computed; "" when they can. Imports nothing."""
    return "" if find_spec("xplique") is not None else INSTALL


def craft_torch() -> Any:
    """Import xplique, which takes several seconds, and return its class `CraftTorch`.

    Raises
    ------
    InputError
        When it is not installed.
    """
    if craft_missing():
        raise InputError(INSTALL)
    load_triton()
    import torchvision  # noqa: F401

    # Its greetings on the terminal are not ours to show; errors still raise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with symbols_bound_first(), suppress(ImportError):
        import tensorflow as tf

        # RuntimeError: somebody has used TensorFlow before, and decided it.
        with suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    from xplique.concepts import CraftTorch

    return CraftTorch
