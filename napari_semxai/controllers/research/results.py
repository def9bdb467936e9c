"""What the commands that a dock starts leave in their folder, read to be looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.sweep import advice
from napari_semxai.state.research import RunResult
from napari_semxai.store.datasets.results import read_sweep
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import read_own_mask
from napari_semxai.types import Heatmap, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_semxai.state.research import RunState
    from napari_semxai.types import SemImage

EXPLANATIONS = "--explanations"
PICTURES = {"mask": "_mask.png", "explain": "_overlay.png"}
"""Endings of what a run without a table writes for every image, and shows."""
_RECORD, _MAP = ".json", ".npy"


def read_result(run: RunState, image: SemImage | None) -> RunResult:
    """Read what a command has written, and nothing that another left in the same folder.

    Parameters
    ----------
    run : RunState
        The command that ran.
    image : SemImage or None
        Whose mask or map is wanted.

    Raises
    ------
    InputError
        When it is missing or damaged.
    """
    command, folder = run.command[0], run.output
    if command in PICTURES:
        return _of_images(command, folder, image)
    if command == "evaluate":
        return _of_evaluation(folder)
    if EXPLANATIONS in run.command:
        return _of_thresholds(folder)
    sweep = read_sweep(folder / "sweep.npz")
    return RunResult(advice(sweep), sweep=sweep)


def _of_evaluation(folder: Path) -> RunResult:
    values = _json(folder / "evaluation.json")
    words = [(folder / "table.md").read_text("utf-8").rstrip()]
    tuned = [
        f"{method}: α {point[0]:g}, β {point[1]:g}"
        for method, point in (values.get("alpha_beta") or {}).items()
        if point
    ]
    tuned += [
        f"{method}: threshold {own:.3g}" for method, own in (values.get("tau") or {}).items()
    ]
    chosen = len(values.get("tuned_on") or ())
    if tuned and chosen:
        words.append(f"{'; '.join(tuned)}; chosen on {chosen} images that are not scored")
    return RunResult("\n\n".join(words), folder / "scores.png")


def _of_thresholds(folder: Path) -> RunResult:
    values = _json(folder / "thresholds.json")
    words = "\n".join(f"{method}: {found['advice']}" for method, found in values.items())
    return RunResult(words, folder / "thresholds.png")


def _of_images(command: str, folder: Path, image: SemImage | None) -> RunResult:
    """Return the result of the current image, where it is among them, or show the first."""
    ending, stems = PICTURES[command], _stems(command, folder)
    words = f"{len(stems)} results are in {folder}"
    stem = None if image is None else _stem_of(image, stems)
    if stem is None or image is None:
        if not stems:
            return RunResult(words)
        first = Path(stems[0] + ending)
        words += f"; the first is {first.relative_to(folder)}. Open an image to have its own here"
        return RunResult(words, first)
    picture = Path(stem + ending)
    words += f"; that of the current image is {picture.relative_to(folder)}"
    if command == "mask":
        mask = read_own_mask(picture, (image.gray.shape[0], image.gray.shape[1]))
        return RunResult(words, picture, image=image, mask=mask)
    return RunResult(words, picture, image=image, heatmap=_heatmap(stem, image))


def _stems(command: str, folder: Path) -> list[str]:
    found = {
        name: {str(path).removesuffix(ending) for path in folder.rglob(f"*{ending}")}
        for name, ending in PICTURES.items()
    }
    # An explanation has a mask as well.
    return sorted(found["explain"] if command == "explain" else found[command] - found["explain"])


def _stem_of(image: SemImage, stems: list[str]) -> str | None:
    """Return which result has the record of these pixels, whatever the file is called now."""
    digest = array_digest(image.pixels).encode()
    name = "" if image.path is None else image.path.stem
    # The records of thousands of images take seconds to read.
    for stem in sorted(stems, key=lambda stem: not Path(stem).name.startswith(name)):
        record = Path(stem + _RECORD)
        if record.is_file() and digest in record.read_bytes():
            return stem
    return None


def _heatmap(stem: str, image: SemImage) -> Heatmap:
    record = _json(Path(stem + _RECORD))
    try:
        return Heatmap(
            _map(Path(stem + _MAP), image),
            float(record["explanation"].get("raw_maximum", 1.0)),
            str(record["method"]),
            list(record["probabilities"]).index(record["target"]),
            str(record["target"]),
            tuple(record["layers"]),
            str(record["classifier"]["sha256"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{stem}{_RECORD}: no record of an explanation ({error})") from error


def _map(path: Path, image: SemImage) -> NDArray[np.float32]:
    try:
        values = np.load(path, allow_pickle=False)
    except (EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an array ({error})") from error
    if values.shape != image.gray.shape or not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"{path}: a map holds floats of the image's size, not {values.shape}")
    return np.asarray(values, np.float32)


def _json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return values
