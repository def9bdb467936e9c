"""The engine process: ``python -m napari_semxai.engine SERVICE``.

Requests arrive on stdin and answers leave on stdout, both as pickles; it ends with its stdin.
"""

from __future__ import annotations

import sys

from napari_semxai.engine.host import serve

if __name__ == "__main__":
    serve(sys.argv[1])
