"""The plain files of a project: where they lie, the table of images, the project's own file."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

from napari_semxai.store.atomic import atomic_write, write_json
from napari_semxai.types import InputError, ProjectImage, ProjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROJECT_FILE = "project.json"
IMAGES_FILE = "images.csv"
REVIEWS_FOLDER = "reviews"
MASK_SUFFIX = ".png"
RECORD_SUFFIX = ".json"
_FORMAT = "napari-semxai project"
_VERSION = 1
_COLUMNS = (
    "id",
    "path",
    "page",
    "rows",
    "columns",
    "sha256",
    "class",
    "class_source",
    "lot",
    "wafer",
    "defect",
    "pixel_size_m",
)
_LONGEST_ID = 100
_LOCK_SECONDS = 5.0
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$")


def annotator_key(name: str) -> str:
    """Return what all spellings of an annotator's name have in common."""
    return name.strip().casefold()


def annotator_folder(project: Path, annotator: str) -> Path:
    """Return the folder that one annotator alone writes.

    Names that differ only in case are one annotator, because some systems could not tell their
    folders apart; any other two names have two folders.

    Raises
    ------
    InputError
        For a name without letters, or longer than 60 characters.
    """
    name = annotator_key(annotator)
    if not name or len(name) > 60:
        raise InputError(f"{annotator!r}: an annotator's name has 1 to 60 characters")
    slug = quote(name, safe=" -_").replace(".", "%2E")
    if _WINDOWS_DEVICES.match(slug):
        slug = f"%{ord(slug[0]):02X}{slug[1:]}"
    return project / REVIEWS_FOLDER / slug


def annotator_names(project: Path) -> list[str]:
    """Return the annotators that have a folder, in lower case, sorted."""
    try:
        entries = list(os.scandir(project / REVIEWS_FOLDER))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(_unreadable(project / REVIEWS_FOLDER, error)) from error
    return sorted(unquote(entry.name) for entry in entries if entry.is_dir())


def mask_path(folder: Path, image_id: str) -> Path:
    """Return where an annotator's mask of an image lies; `folder` is the annotator's."""
    return folder / "masks" / f"{image_id}{MASK_SUFFIX}"


def record_path(folder: Path, image_id: str) -> Path:
    """Return where an annotator's record of an image lies; `folder` is the annotator's."""
    return folder / "records" / f"{image_id}{RECORD_SUFFIX}"


def unique_ids(names: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Return file names that are safe on every system and differ even without case.

    Parameters
    ----------
    names : iterable of str
        Relative paths without ending, "/" between folders.
    others : iterable of str
        Ids that are taken.
    """
    taken = {other.casefold() for other in others}
    ids = []
    for name in names:
        stem = re.sub(r"[^\w\- ]", "_", name.replace("/", "__"), flags=re.ASCII)
        stem = stem.strip()[-_LONGEST_ID:] or "image"
        if _WINDOWS_DEVICES.match(stem.casefold()):
            stem = f"_{stem}"
        chosen, number = stem, 2
        while chosen.casefold() in taken:
            chosen, number = f"{stem}-{number}", number + 1
        taken.add(chosen.casefold())
        ids.append(chosen)
    return ids


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
    write_json(
        project / PROJECT_FILE,
        {
            "format": _FORMAT,
            "version": _VERSION,
            "id": info.id,
            "name": info.name,
            "created": info.created,
            "source": info.source,
            "class_names": dict(info.class_names),
        },
    )


def read_info(project: Path) -> ProjectInfo:
    """Read the project's own file.

    Raises
    ------
    InputError
        When there is none, it is damaged, or a newer program wrote it.
    """
    path = project / PROJECT_FILE
    if not path.is_file():
        raise InputError(
            f"{project}: no {PROJECT_FILE} here, so it is no project (or its drive is away); "
            "make one with: semxai project init DIR --from FOLDER"
        )
    values = read_json(path, _FORMAT, _VERSION)
    try:
        return ProjectInfo(
            id=str(values["id"]),
            name=str(values["name"]),
            created=str(values["created"]),
            source=str(values["source"]),
            class_names={str(key): str(name) for key, name in values["class_names"].items()},
        )
    except (AttributeError, KeyError, TypeError) as error:
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


def write_images(project: Path, images: Sequence[ProjectImage]) -> None:
    """Write the table of images; paths are relative where a common folder exists."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for image in images:
        size = "" if image.pixel_size is None else repr(image.pixel_size)
        row = (image.id, _portable(project, image.path), image.page, *image.shape, image.sha256)
        known = (image.label, image.label_source, image.lot, image.wafer, image.defect)
        writer.writerow((*row, *known, size))
    with atomic_write(project / IMAGES_FILE) as file:
        file.write(text.getvalue().encode())


def read_images(project: Path) -> tuple[ProjectImage, ...]:
    """Read the table of images.

    Raises
    ------
    InputError
        When it is missing or damaged.
    """
    path = project / IMAGES_FILE
    root = os.path.abspath(project)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_image(root, row) for row in csv.DictReader(file, strict=True))
    except OSError as error:
        raise InputError(_unreadable(path, error)) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: is damaged ({error!r}); bring back a copy of it") from error


def _image(root: str, row: dict[str, str]) -> ProjectImage:
    return ProjectImage(
        id=row["id"],
        path=Path(os.path.normpath(os.path.join(root, row["path"]))),
        page=int(row["page"]),
        shape=(int(row["rows"]), int(row["columns"])),
        sha256=row["sha256"],
        label=row["class"],
        label_source=row["class_source"],
        lot=row["lot"],
        wafer=row["wafer"],
        defect=row["defect"],
        pixel_size=float(row["pixel_size_m"]) if row["pixel_size_m"] else None,
    )


def _portable(project: Path, path: Path) -> str:
    """Relative where project and image share a folder, so that both can move together."""
    root, target = os.path.abspath(project), os.path.abspath(path)
    try:
        common = os.path.commonpath([root, target])
    except ValueError:
        # Two drives of Windows.
        return Path(target).as_posix()
    if common == os.path.dirname(common):
        return Path(target).as_posix()
    return Path(os.path.relpath(target, root)).as_posix()


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror or error}); is the drive there?"
