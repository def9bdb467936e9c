"""Write synthetic scenes with exact masks as a data set: DIR/images and DIR/masks.

``python scripts/write_scenes.py DIR --set validation --limit 8`` writes at most 8 scenes of each
kind. The sets are those of the bundled network: neither was trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from napari_semxai.store.masks import write_mask
from training.scenes import held_out, validation


def main() -> None:
    """Write the scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", choices=("validation", "held-out"), default="validation")
    parser.add_argument("--limit", type=int, default=8)
    options = parser.parse_args()
    scenes = validation if options.set == "validation" else held_out
    images = options.folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for number, (kind, scene) in enumerate(scenes(options.limit)):
        name = f"{kind.replace(', ', '_').replace(' ', '-')}_{number:03}.png"
        Image.fromarray(scene.image).save(images / name)
        write_mask(options.folder / "masks" / name, scene.defect)
    print(f"{number + 1} scenes in {options.folder}")


if __name__ == "__main__":
    main()
