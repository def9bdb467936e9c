"""What networks made of a project: versions of what was learned, and the features of its images.

A version is one file, never written over, and another says which is in use. It is safetensors;
what it says of itself, its card, is JSON among its metadata, so that it can be given to another
project alone.

Features are what the bundled networks see in each image, in a file that can be made again. They
are found by the digest of an image's pixels, so that a file that was copied with its project, or
made before images were added, holds for all that it knows.
"""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_semxai.algorithms.statistics.ranking import standardised
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.digests import file_sha256, file_stamp, text_digest
from napari_semxai.store.project.files import changing, check_there, read_json
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER, BUNDLED_WEIGHTS, DEFECT_WEIGHTS
from napari_semxai.types import PROJECT_FILE, InputError
from napari_semxai.types.learned import GateRow, LearnedVersion, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_semxai.store.disk.digests import FileStamp
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ProjectImage

LEARNED_FOLDER = "learned"
CARD = "card"
_USE_FILE = "in-use.json"
_FORMAT, _VERSION = "napari-semxai learned network", 1
_USE_FORMAT = "napari-semxai learned network in use"
_SUFFIX = ".safetensors"
FEATURES_FOLDER = "features"
_FEATURES_VERSION = 4
"""Of what is taken from the networks; files of earlier versions are made again."""


def learned_versions(project: Path) -> tuple[LearnedVersion, ...]:
    """Return the versions of a project, the oldest first; files that are damaged are left out."""
    found = []
    for path in sorted((project / LEARNED_FOLDER).glob(f"*{_SUFFIX}")):
        with suppress(InputError):
            found.append(read_version(path))
    return tuple(found)


def read_version(path: Path) -> LearnedVersion:
    """Read what a learned network says of itself; nothing in the file runs.

    Raises
    ------
    InputError
        When it is missing, damaged, or something else.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; learn one with: semxai learn PROJECT")
    try:
        with safe_open(path, framework="np") as file:
            card = json.loads((file.metadata() or {})[CARD])
        if card["format"] != _FORMAT:
            raise InputError(f"{path}: is no learned network")
        if card["version"] > _VERSION:
            raise InputError(f"{path}: was written by a newer program; update napari-semxai")
        rows = tuple(GateRow(**row) for row in card["verdict"]["rows"])
        verdict = Verdict(bool(card["verdict"]["better"]), card["verdict"]["reason"], rows)
        return LearnedVersion(
            path,
            file_sha256(path),
            str(card["created"]),
            str(card["project"]["name"]),
            len(card["images"]),
            verdict,
            card,
        )
    except (KeyError, OSError, SafetensorError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is no learned network, or is damaged ({error})") from error


def card_text(verdict: Verdict, values: Mapping[str, Any]) -> str:
    """Return the card of a new version as its file holds it."""
    card = {"format": _FORMAT, "version": _VERSION, **values, "verdict": asdict(verdict)}
    return json.dumps(card, allow_nan=False)


def write_version(project: Path, content: bytes) -> LearnedVersion:
    """Write a file under the next number; it comes into use where its verdict says so."""
    with changing(project):
        folder = project / LEARNED_FOLDER
        numbers = [int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit()]
        path = folder / f"{max(numbers, default=0) + 1:04}{_SUFFIX}"
        with atomic_write(path) as file:
            file.write(content)
        version = read_version(path)
        if version.verdict.better:
            _write_use(project, version.name)
    return version


def version_in_use(project: Path) -> LearnedVersion | None:
    """Return the version that proposes masks; None where none does.

    Raises
    ------
    InputError
        When it is damaged or away.
    """
    path = project / LEARNED_FOLDER / _USE_FILE
    if not path.is_file():
        check_there(project)
        return None
    name = read_json(path, _USE_FORMAT, 1).get("name")
    return find_version(project, str(name)) if name else None


def use_version(project: Path, name: str) -> LearnedVersion | None:
    """Put another version into use, whatever its verdict; "none" takes learned masks out of use.

    Raises
    ------
    InputError
        When there is no such version, or the project cannot be written.
    """
    version = None if name == "none" else find_version(project, name)
    with changing(project):
        _write_use(project, "" if version is None else version.name)
    return version


def find_version(project: Path, name: str) -> LearnedVersion:
    """Return the version of a project by its number, as "3" or "0003".

    Raises
    ------
    InputError
        When there is none.
    """
    wanted = f"{int(name):04}" if name.isdigit() else name
    path = project / LEARNED_FOLDER / f"{wanted}{_SUFFIX}"
    if not path.is_file():
        names = ", ".join(version.name for version in learned_versions(project)) or "none yet"
        raise InputError(f"{project}: no version {name!r} has been learned (there are: {names})")
    return read_version(path)


def find_network(given: Path) -> LearnedVersion:
    """Return the learned network that a file is, or that a project has in use.

    Raises
    ------
    InputError
        When it is neither, or the project has none in use.
    """
    if not (given / PROJECT_FILE).is_file():
        return read_version(given)
    version = version_in_use(given)
    if version is None:
        raise InputError(
            f"{given}: no learned network is in use; learn one with: semxai learn {given}"
        )
    return version


def same_network(project: Path, path: str, sha256: str) -> Path:
    """Return where a learned network that a recipe names lies now.

    Parameters
    ----------
    project : Path
        Whose versions are searched where `path` is another file now, or none.
    path, sha256 : str
        Where it was, and the digest of its file.

    Raises
    ------
    InputError
        When it is nowhere.
    """
    here = Path(path)
    folder = project / LEARNED_FOLDER
    for candidate in (here, folder / here.name, *sorted(folder.glob(f"*{_SUFFIX}"))):
        if candidate.is_file() and file_sha256(candidate) == sha256:
            return candidate
    raise InputError(
        f"the mask was made by the learned network {here.name} (sha256 {sha256[:12]}…), which is "
        f"neither at {here} nor in {folder}; bring it there, or use --no-network"
    )


def _write_use(project: Path, name: str) -> None:
    values = {"format": _USE_FORMAT, "version": 1, "name": name}
    write_json(project / LEARNED_FOLDER / _USE_FILE, values)


def features_file(project: Path) -> Path:
    """Return the file of the networks that this program brings; others have another."""
    return project / FEATURES_FOLDER / f"{_networks()[:16]}-{_FEATURES_VERSION}.npz"


@cache
def _networks() -> str:
    # Their digests take longer than a query of thousands of images.
    return text_digest(*map(file_sha256, (BUNDLED_WEIGHTS, DEFECT_WEIGHTS, BUNDLED_CLASSIFIER)))


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
