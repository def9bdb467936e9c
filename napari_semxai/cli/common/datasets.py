"""Data sets of ``semxai evaluate`` and ``sweep``: on disk, or synthetic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PIL import Image

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.datasets.dataset import open_dataset
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.images.masks import write_mask

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage

DATASET_HELP = (
    "a project, a Carinthia-S download, a table, folders of images and masks, or synthetic:N "
    "for N synthetic scenes with exact masks"
)
SYNTHETIC = re.compile(r"synthetic(?::([1-9][0-9]*))?")
DEFAULT_SCENES = 120
# Seeds of one number; those of the bundled networks' trainings are sequences.
_FIRST_SEED = 77_000_000


def open_images(
    given: Path,
    output_folder: Path,
    output: Output,
    failed: dict[str, str],
    rule: ForegroundRule = AUTO,
) -> list[TruthImage]:
    """List the images of a data set; synthetic scenes are made first, below the output folder.

    Parameters
    ----------
    given : Path
        A data set, or ``synthetic:N`` where there is no such file.
    output_folder : Path
        Of the command.
    output : Output
        Where progress is shown.
    failed : dict
        Gets the message of each image that cannot be used.
    rule : ForegroundRule
        What is foreground in its masks.
    """
    wanted = SYNTHETIC.fullmatch(given.name)
    if wanted is None or given.exists():
        return open_dataset(given, failed, rule)
    count = int(wanted[1] or DEFAULT_SCENES)
    scenes = write_scenes(output_folder / "scenes", count, output)
    return open_dataset(scenes, failed, BRIGHT)


def write_scenes(folder: Path, count: int, output: Output) -> Path:
    """Write scenes of all classes in turn with their masks and a table; return the table."""
    # scikit-image takes half a second.
    from napari_semxai.algorithms.synthetic import LABELS, scene_of_class

    lines = ["image_path;mask_path;label"]
    for number in range(count):
        output.progress(f"scene {number + 1}/{count}")
        label = number % len(LABELS) + 1
        name = f"{number:05}_{LABELS[label]}.png"
        image, mask = folder / "images" / name, folder / "masks" / name
        lines.append(f"images/{name};masks/{name};{LABELS[label]}")
        if image.is_file() and mask.is_file():
            continue
        scene = scene_of_class(label, _FIRST_SEED + number)
        write_mask(mask, scene.defect)
        with atomic_write(image) as file:
            Image.fromarray(scene.image).save(file, format="PNG")
    table = folder / "scenes.csv"
    with atomic_write(table) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return table
