"""The one place that imports OpenCV and xplique.

OpenCV's wheel would point Qt at plugins of its own.

On Linux the process dies (SIGSEGV) when triton is loaded after TensorFlow, which xplique
imports. torch loads triton late, so it is loaded here first. TensorFlow is kept off the GPU,
whose memory it would take whole.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from napari_semxai.backends.runtime.window_safe_import import (
    load_triton,
    qt_paths_kept,
    symbols_bound_first,
)
from napari_semxai.types import InputError

with qt_paths_kept():
    import cv2

__all__ = ["INSTALL", "craft_missing", "craft_torch", "cv2"]

INSTALL = "CRAFT needs xplique: pip install 'napari-semxai[craft]'"


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
