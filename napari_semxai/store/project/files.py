"""The plain files of a project: where they lie, who may write them, and what is in the small ones.

That is the project's own file, recipes and states within records, and the digests by which a
history is chained.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

from napari_semxai.store.disk.atomic import json_bytes
from napari_semxai.store.disk.digests import text_digest, write_sealed
from napari_semxai.store.disk.names import absolute_path, name_key, portable_path
from napari_semxai.types import (
    PROJECT_FILE,
    InputError,
    MaskEdit,
    MaskRecipe,
    ProjectInfo,
    ReviewState,
)
from napari_semxai.types.settings import AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_semxai.types import ReviewEvent


class AnnotatorLocks:
    """The annotators that this program writes as; the system lets go of them when it dies.

    Parameters
    ----------
    project : Path
        The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._locks: dict[Path, FileLock] = {}

    def claim(self, annotator: str) -> None:
        """Acquire an annotator's write lock, until `release`.

        Raises
        ------
        InputError
            When another program is that one, or the project is away or cannot be written.
        """
        # Nothing is written to the empty mount point of a drive that is away.
        check_there(self._project)
        folder = annotator_folder(self._project, annotator)
        if folder in self._locks:
            return
        # Beside the annotator's folder, which is there only when something was written.
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0, thread_local=False)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InputError(
                f"{self._project}: another program is writing reviews as {annotator!r}; close "
                "it, or choose another annotator name"
            ) from None
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be written ({error.strerror or error}); "
                "make the project's folder writable"
            ) from error
        self._locks[folder] = lock

    def release(self) -> None:
        """Release all write locks."""
        for lock in self._locks.values():
            # Of a drive that died nothing is left to let go of.
            with suppress(OSError):
                lock.release()
        self._locks.clear()


IMAGES_FILE = "images.csv"
EXPORTS_FILE = "exports.jsonl"
REVIEWS_FOLDER = "reviews"
MASKS_FOLDER = "masks"
RECORDS_FOLDER = "records"
MASK_SUFFIX = ".png"
RECORD_SUFFIX = ".json"
DIGEST = "sha256"
FolderTimes: TypeAlias = tuple[int, int]
FolderChange: TypeAlias = tuple[FolderTimes, FolderTimes]
NO_FOLDER: FolderTimes = (0, 0)
_FORMAT = "napari-semxai project"
_VERSION = 1
_LONGEST_ID = 100
_NO_PATHS = ("", AUTO_REFERENCE, NO_REFERENCE, SELF_REFERENCE)
_MOST_BYTES = 180
_LOCK_SECONDS = 5.0
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$")


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Make `InputError` of what a drive that is away or fails says in many ways."""
    try:
        yield
    except OSError as error:
        raise InputError(_unreadable(Path(error.filename or path), error)) from error


def check_there(project: Path) -> None:
    """Raise `InputError` where only the empty mount point of a drive is left."""
    with reaching(project):
        if not (project / IMAGES_FILE).is_file():
            raise InputError(f"{project}: the project is away; is its drive there?")


def annotator_key(name: str) -> str:
    """Return what all spellings of an annotator's name have in common."""
    return name_key(name.strip())


def annotator_folder(project: Path, annotator: str) -> Path:
    """Return the folder that one annotator alone writes.

    Names that differ only in case, or in how accents are encoded, are one annotator: some systems
    could not tell their folders apart, and no person could. Any other two names have two folders.

    Raises
    ------
    InputError
        For a name without letters, or longer than 60 characters, or that has two folders.
    """
    name = annotator_key(annotator)
    if not name or len(name) > 60:
        raise InputError(f"{annotator!r}: an annotator's name has 1 to 60 characters")
    slug = quote(name, safe=" -_").replace(".", "%2E")
    if _WINDOWS_DEVICES.match(slug):
        slug = f"%{ord(slug[0]):02X}{slug[1:]}"
    reviews = project / REVIEWS_FOLDER
    # Only other letters have several encodings, each of which once got a folder of its own.
    there = [] if name.isascii() else _folders_of(reviews, name)
    if len(there) > 1:
        both = " and ".join(sorted(there))
        raise InputError(f"{reviews}: {both} are both of {name!r}; move one of them away")
    return reviews / (there[0] if there else slug)


def _folders_of(reviews: Path, name: str) -> list[str]:
    # A drive that is away is told where something is read or written.
    with suppress(OSError), os.scandir(reviews) as entries:
        return [one.name for one in entries if one.is_dir() and _annotator(one.name) == name]
    return []


def _annotator(folder: str) -> str:
    return annotator_key(unquote(folder))


def annotator_names(project: Path) -> list[str]:
    """Return the annotators that have a folder, in lower case, sorted."""
    folder = project / REVIEWS_FOLDER
    with reaching(folder), suppress(FileNotFoundError):
        return sorted({_annotator(entry.name) for entry in os.scandir(folder) if entry.is_dir()})
    return []


def mask_path(folder: Path, image_id: str) -> Path:
    """Return where an annotator's mask of an image lies; `folder` is the annotator's."""
    return folder / MASKS_FOLDER / f"{image_id}{MASK_SUFFIX}"


def record_path(folder: Path, image_id: str) -> Path:
    """Return where an annotator's record of an image lies; `folder` is the annotator's."""
    return folder / RECORDS_FOLDER / f"{image_id}{RECORD_SUFFIX}"


def folder_times(folder: Path) -> FolderTimes:
    """Return when files of an annotator's folder were last made, renamed or removed."""
    return _changed_at(folder / RECORDS_FOLDER), _changed_at(folder / MASKS_FOLDER)


def _changed_at(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def unique_ids(
    names: Iterable[str], others: Iterable[str] = (), *, ascii_only: bool = True
) -> list[str]:
    """Return file names that are safe on every system and differ even without case.

    Parameters
    ----------
    names : iterable of str
        Relative paths without ending, "/" between folders.
    others : iterable of str
        Ids that are taken.
    ascii_only : bool
        Whether letters of other scripts become "_".
    """
    taken = {other.casefold() for other in others}
    ids = []
    for name in names:
        kept = (char if _is_safe(char, ascii_only) else "_" for char in name.replace("/", "__"))
        stem = "".join(kept).strip()[-_LONGEST_ID:]
        # Systems count bytes.
        stem = stem.encode()[-_MOST_BYTES:].decode("utf-8", "ignore").strip() or "image"
        if _WINDOWS_DEVICES.match(stem.casefold()):
            stem = f"_{stem}"
        chosen, number = stem, 2
        while chosen.casefold() in taken:
            chosen, number = f"{stem}-{number}", number + 1
        taken.add(chosen.casefold())
        ids.append(chosen)
    return ids


def _is_safe(char: str, ascii_only: bool) -> bool:
    """Whether a character may stand in a file name: letters, their marks, digits, and few more."""
    if char in "-_ ":
        return True
    if ascii_only:
        return char.isascii() and char.isalnum()
    return unicodedata.category(char)[0] in "LMN"


@contextmanager
def changing(project: Path) -> Iterator[None]:
    """Hold the right to change the table of images and the project's own file.

    Raises
    ------
    InputError
        When another program holds it, or the folder cannot be written.
    """
    lock = FileLock(project / ".lock", timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{project}: another program is changing it; try again") from None
    except OSError as error:
        raise InputError(f"{project}: cannot be written ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.release()


def write_info(project: Path, info: ProjectInfo) -> None:
    """Write the project's own file."""
    values = {
        "format": _FORMAT,
        "version": _VERSION,
        "id": info.id,
        "name": info.name,
        "created": info.created,
        "source": portable_path(project, Path(info.source)),
        "class_names": dict(info.class_names),
        **({"reference": _portable_reference(project, info)} if info.reference else {}),
        **({"exports": dict(info.exports)} if info.exports else {}),
    }
    write_sealed(project, PROJECT_FILE, json_bytes(values))


def _portable_reference(project: Path, info: ProjectInfo) -> str:
    known = info.reference in _NO_PATHS
    return info.reference if known else portable_path(project, Path(info.reference))


def read_info(project: Path) -> ProjectInfo:
    """Read the project's own file.

    Raises
    ------
    InputError
        When there is none, it is damaged, or a newer program wrote it.
    """
    path = project / PROJECT_FILE
    with reaching(path):
        if not path.is_file():
            raise InputError(
                f"{project}: no {PROJECT_FILE} here, so it is no project (or its drive is away); "
                "make one with: semxai project init DIR --from FOLDER"
            )
    values = read_json(path, _FORMAT, _VERSION)
    reference = str(values.get("reference", ""))
    if reference not in _NO_PATHS:
        reference = str(absolute_path(project, reference))
    try:
        return ProjectInfo(
            id=str(values["id"]),
            name=str(values["name"]),
            created=str(values["created"]),
            source=str(absolute_path(project, str(values["source"]))),
            class_names={str(key): str(name) for key, name in values["class_names"].items()},
            reference=reference,
            exports=dict(values.get("exports", {})),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r})") from error


def read_json(path: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON object that says it is `kind`, of `version` or older.

    Raises
    ------
    InputError
        When it cannot be read, is something else, or is newer.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    except ValueError as error:
        raise InputError(f"{path}: is damaged ({error}); bring back a copy of it") from error
    if not isinstance(values, dict) or values.get("format") != kind:
        raise InputError(f"{path}: is no {kind}")
    if not isinstance(values.get("version"), int) or values["version"] > version:
        raise InputError(f"{path}: was written by a newer program; update napari-semxai")
    return values


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror or error}); is the drive there?"


def recipe_values(recipe: MaskRecipe) -> dict[str, Any]:
    """Return a recipe as JSON holds it."""
    values = asdict(recipe)
    if recipe.turned == 1:
        # Earlier versions read the files of all images that lie as they are stored.
        del values["turned"]
    for edit in values["edits"]:
        # One line a run would make the file long for people and machines.
        edit["runs"] = " ".join(map(str, edit["runs"]))
    return values


def read_recipe(values: dict[str, Any]) -> MaskRecipe:
    """Return a recipe from what `recipe_values` made of it."""
    edits = tuple(
        MaskEdit(
            edit["name"],
            tuple(edit["box"]),
            tuple(map(int, edit["runs"].split())),
            edit["details"],
        )
        for edit in values["edits"]
    )
    return MaskRecipe(**{**values, "edits": edits})


def stored_state(state: ReviewState) -> str:
    """Return a state as files hold it: earlier programs must not take a rule for a person."""
    return str(ReviewState.CANDIDATE if state is ReviewState.BY_RULE else state)


def recipe_digest(recipe: MaskRecipe | None) -> str:
    """Return the digest of what made a mask; "" where nothing is known of it."""
    return "" if recipe is None else text_digest(json.dumps(recipe_values(recipe), sort_keys=True))


def history_digest(image_id: str, history: Sequence[ReviewEvent]) -> str:
    """Return the digest of the last event, which holds that of the one before, and so on.

    Before the first event it is that of the image's id, so that no history fits another image.
    """
    if not history:
        return text_digest(image_id)
    # As files hold it, or what is read again would have another digest.
    last = asdict(history[-1]) | {"state": stored_state(history[-1].state)}
    return text_digest(json.dumps(last, sort_keys=True))


def with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file holds, and the digest of all that."""
    # As it is read again: JSON knows no tuples and no numbers as names.
    held = json.loads(json.dumps({**values, DIGEST: ""}))
    return {**values, DIGEST: text_digest(json.dumps(held, sort_keys=True))}


def is_unchanged(values: Mapping[str, Any]) -> bool:
    """Return whether what was read is what `with_digest` made; earlier files have no digest."""
    return DIGEST not in values or values == with_digest(values)
