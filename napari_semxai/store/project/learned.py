"""Versions of what a project has learned: one file each, never written over, and which is in use.

A file is safetensors; what it says of itself, its card, is JSON among its metadata, so that it can
be given to another project alone.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.project.files import changing, check_there, read_json
from napari_semxai.types import PROJECT_FILE, InputError
from napari_semxai.types.learned import GateRow, LearnedVersion, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

LEARNED_FOLDER = "learned"
CARD = "card"
_USE_FILE = "in-use.json"
_FORMAT, _VERSION = "napari-semxai learned network", 1
_USE_FORMAT = "napari-semxai learned network in use"
_SUFFIX = ".safetensors"


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
