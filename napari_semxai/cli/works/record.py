"""The record of a mask: enough to make the same mask again, and nothing that changes by itself."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai import __version__
from napari_semxai.algorithms.masks.metrics import bounding_box, scores
from napari_semxai.cli.common.output import plain
from napari_semxai.store.disk.digests import array_digest, file_sha256, text_digest
from napari_semxai.types import InputError, MaskSize
from napari_semxai.types.settings import SELF_REFERENCE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.types import BoolMask, CandidatePool, GroundTruth, Nearest, SemImage

SCORES = ("dice", "iou", "precision", "recall", "accuracy")
# Where a run takes place and what it prints decides nothing.
_NO_SETTINGS = "run", "json", "files", "sample", "output", "jobs", "scheduler"
PACKAGES = ("napari-semxai", "sam2", "torch", "numpy")


def content_key(path: Path, page: int, *settings: object) -> str:
    """Return the digest of all that decides a result: a file's content, settings, this version.

    Parameters
    ----------
    path, page
        The image.
    *settings : object
        Values that say all they hold when they are printed.
    """
    return text_digest(file_sha256(path), str(page), __version__, *map(repr, settings))


def known_record(
    path: Path, key: str, files: Iterable[Path], command: str = ""
) -> dict[str, Any] | None:
    """Return the record of an earlier run with the same key; None where a file is missing.

    Raises
    ------
    InputError
        When the record is that of another command: its results would be overwritten.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    owner = record.get("command", command)
    # Equal names of files: the other command's result would be written over.
    if owner != command:
        raise InputError(
            f"{path}: holds a result of semxai {owner}; give semxai {command} a folder of its own"
        )
    # Somebody may have deleted a picture to have it made anew.
    known = record.get("key") == key and all(file.is_file() for file in files)
    return record if known else None


def run_values(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a run over a data set was asked for, and with which versions."""
    given = {name: value for name, value in vars(options).items() if name not in _NO_SETTINGS}
    return {"settings": plain(given), "versions": versions(*PACKAGES)}


def image_values(image: SemImage, source: str) -> dict[str, Any]:
    """Return what identifies an image; `source` is what to call its file."""
    return {
        "file": source,
        "page": image.page,
        "shape": image.gray.shape,
        "pixel_size_m": image.pixel_size,
        **({} if image.microscope is None else {"microscope": asdict(image.microscope)}),
        # Another reader has the pixels as the file stores them.
        **({"turned_from_orientation": image.turned} if image.turned != 1 else {}),
        "sha256": array_digest(image.pixels),
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of packages."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def compared_text(difference: Difference | None, wanted: str) -> str:
    """Say what an image was compared with as `wanted`, for the end of a line."""
    # Most images repeat nowhere, which only who asked wants to know; a file has to fit.
    itself = difference is not None and difference.name == SELF_REFERENCE
    if difference is None or (difference.reason and itself and wanted != SELF_REFERENCE):
        return ""
    if difference.reason:
        return f", {difference.reason}"
    return f", compared with {difference.name} (correlation {difference.correlation:.2f})"


def size_of(mask: BoolMask) -> MaskSize:
    """Return area, height and width of a mask (M, N)."""
    found = bounding_box(mask)
    if found is None:
        return MaskSize(0, 0, 0)
    height, width = (side.stop - side.start for side in found)
    return MaskSize(int(np.count_nonzero(mask)), height, width)


def mask_values(truth: GroundTruth, pixel: float | None) -> dict[str, Any]:
    """Return what is known of a mask; `pixel` is the edge of a pixel in metres."""
    size = size_of(truth.mask)
    return {
        "area_px": size.area,
        "height_px": size.height,
        "width_px": size.width,
        "area_um2": None if pixel is None else size.area * (pixel * 1e6) ** 2,
        "touches_edge": truth.touches_edge,
        "reason": truth.reason,
        "confidence": truth.confidence,
        "sha256": array_digest(truth.mask),
    }


def score_values(mask: BoolMask, truth: BoolMask) -> dict[str, float]:
    """Return the published five scores of a mask against a truth."""
    found = scores(mask, truth)
    return {name: float(getattr(found, name)) for name in SCORES}


def mask_summary(record: dict[str, Any]) -> str:
    """Say how large the mask of an explanation's record is, and how good where that is known."""
    text = f"mask {record['mask']['area_px']:,} px"
    return f"{text}, Dice {record['scores']['dice']:.3f}" if "scores" in record else text


def candidate_rows(pool: CandidatePool, truth: GroundTruth) -> list[dict[str, Any]]:
    """Return one row for each candidate: what it is and how it scored."""
    columns = {
        "score": truth.scores,
        "area": truth.areas,
        "centroid": truth.centroids,
        "distance": truth.distances,
        "eligible": truth.eligible,
        "predicted_iou": pool.predicted_iou,
        "stability_score": pool.stability_score,
        "box": pool.boxes,
        "point": pool.points,
    }
    if pool.proposed is not None:
        columns["proposed"] = pool.proposed
    return [
        {name: values[index] for name, values in columns.items()} for index in range(len(pool))
    ]


def nearest_values(found: Nearest) -> list[dict[str, Any]]:
    """Return what a record says of the images most like one."""
    names = {"image": "name", "page": "page", "class": "label", "review": "state"}
    return [
        {key: getattr(file, name) for key, name in names.items()}
        | {"similarity": float(similarity)}
        for file, similarity in zip(found.files, found.similarities, strict=True)
    ]
