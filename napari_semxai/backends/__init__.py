"""The networks: SAM 2 and what loads it, classifiers and what explains them.

Imported by the engine, the command line and the functions of `napari_semxai`; never by the window.
"""

import sys

if any(name.endswith(".QtGui") for name in sys.modules):
    # Somebody else's window is in this process: a script's, or napari's with its console.
    from napari_semxai.backends.beside_window import load_triton

    load_triton()
