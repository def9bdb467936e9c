"""What the bundled networks see in each image of a project, in a file that can be made again.

Rows are found by the digest of an image's pixels, so that a file that was copied with its project,
or made before images were added, holds for all that it knows.
"""

from __future__ import annotations

import zipfile
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.statistics.ranking import standardised
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256, file_stamp, text_digest
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER, BUNDLED_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_semxai.store.disk.digests import FileStamp
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ProjectImage

FEATURES_FOLDER = "features"
_VERSION = 3
"""Of what is taken from them; files of earlier versions are made again."""


def features_file(project: Path) -> Path:
    """Return the file of the networks that this program brings; others have another."""
    return project / FEATURES_FOLDER / f"{_networks()[:16]}-{_VERSION}.npz"


@cache
def _networks() -> str:
    # Their digests take longer than a query of thousands of images.
    return text_digest(file_sha256(BUNDLED_WEIGHTS), file_sha256(BUNDLED_CLASSIFIER))


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
    """Return the images of a project whose features are known, and these, shape (n, c).

    Of every channel mean and deviation over these images are 0 and 1.
    """
    stamp = file_stamp(features_file(project.folder))
    digests = tuple(image.sha256 for image in project.images)
    rows, features = _standardised(project.folder, stamp, digests)
    return [project.images[row] for row in rows], features


# What one looks for is asked again and again, and reading takes longer than the answer.
@lru_cache(maxsize=1)
def _standardised(
    project: Path, _stamp: FileStamp | None, digests: tuple[str, ...]
) -> tuple[list[int], NDArray[np.float32]]:
    features = read_features(project)
    rows = [row for row, digest in enumerate(digests) if digest in features]
    if not rows:
        return rows, np.empty((0, 0), np.float32)
    found = standardised(np.array([features[digests[row]] for row in rows], np.float32))
    found.setflags(write=False)
    return rows, found
