"""What the bundled encoder sees in each image of a project, in a file that can be made again.

Rows are found by the digest of an image's pixels, so that a file that was copied with its project,
or made before images were added, holds for all that it knows.
"""

from __future__ import annotations

import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.weights.models import BUNDLED_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ProjectImage

FEATURES_FOLDER = "features"


def features_file(project: Path) -> Path:
    """Return the file of the encoder that this program brings; another encoder has another."""
    return project / FEATURES_FOLDER / f"{file_sha256(BUNDLED_WEIGHTS)[:16]}.npz"


def read_features(project: Path) -> dict[str, NDArray[np.float16]]:
    """Return features (c,) by digest of the image; none where the file is missing or damaged."""
    # It costs minutes to make again, so nobody need be asked.
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        with features_file(project).open("rb") as opened, np.load(opened) as file:
            digests, values = file["digests"], file["values"].astype(np.float16)
        return dict(zip(digests.tolist(), values, strict=True))
    return {}


def write_features(project: Path, features: Mapping[str, NDArray[np.float16]]) -> None:
    """Write features by digest of the image in place of the file that is there."""
    with atomic_write(features_file(project)) as file:
        np.savez(file, digests=np.array(list(features)), values=np.array(list(features.values())))


def known_features(project: Project) -> tuple[Sequence[ProjectImage], NDArray[np.float32]]:
    """Return the images of a project whose features are known, and these, shape (n, c)."""
    features = read_features(project.folder)
    images = [image for image in project.images if image.sha256 in features]
    return images, np.array([features[image.sha256] for image in images], np.float32)
