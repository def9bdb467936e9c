"""The networks: SAM 2 and what loads it, classifiers and what explains them.

Imported by the engine, the command line and the functions of `napari_semxai`; never by the window.
"""

from napari_semxai.backends.runtime.libraries import load_triton, qt_is_loaded

if qt_is_loaded():
    # A script's window, or napari's with its console: before anything here loads torchvision.
    load_triton()
