"""Loading compiled libraries in a process that shows, or will show, a window.

The window's own process loads none of them: networks run in the engine. A script or napari's
console may, by the functions of `napari_semxai`.

* OpenCV's wheel points Qt at plugins of its own, of another version, with which no window opens.
* triton and TensorFlow hold LLVM, as does Mesa's OpenGL in software. Once the window is open their
  calls would end in Mesa's copy, and the process would die (SIGSEGV).
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_QT = ("PyQt5.QtGui", "PyQt6.QtGui", "PySide2.QtGui", "PySide6.QtGui")
_QT_PATHS = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


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
