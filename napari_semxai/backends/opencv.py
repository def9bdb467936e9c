"""The one place that imports OpenCV, before pytorch-grad-cam or xplique does."""

from napari_semxai.backends.beside_window import qt_paths_kept

with qt_paths_kept():
    import cv2

__all__ = ["cv2"]
