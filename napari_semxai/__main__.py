"""``python -m napari_semxai``, as the command starts its own window process."""

import sys

from napari_semxai.cli.entry import main

sys.exit(main())
