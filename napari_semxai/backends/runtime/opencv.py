"""The one place that imports OpenCV, whose wheel would point Qt at plugins of its own."""

from napari_semxai.backends.runtime.window_safe_import import qt_paths_kept

with qt_paths_kept():
    import cv2

__all__ = ["cv2"]
