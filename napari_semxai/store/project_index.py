"""The index of a project: a cache for questions, made from the files and never asked instead."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from napari_semxai.store.folders import project_index_folder
from napari_semxai.store.project_files import (
    IMAGES_FILE,
    MASK_SUFFIX,
    PROJECT_FILE,
    RECORD_SUFFIX,
    annotator_folder,
)
from napari_semxai.store.queue_query import (
    FOLDERS,
    IMAGES,
    META,
    REVIEWS,
    SCHEMA,
    find_latest,
    queue_query,
)
from napari_semxai.types import InputError, ProjectStatus, QueueRow, ReviewState

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.store.project import Project
    from napari_semxai.types import QueueFilter

_VERSION = 3
# A folder changed this recently may change again without its time telling.
_SETTLED_NS = 2_000_000_000
_LOCK_SECONDS = 5.0
_KEPT_SECONDS = 90 * 24 * 3600.0
"""An index that was not opened for so long is removed; opening its project makes it again."""
_STATES = {state.value: state for state in ReviewState}

Stamp: TypeAlias = tuple[int, int, int, int]


class ProjectIndex:
    """Answers what would need every file of a project; may be used from several threads.

    It lies in the user's cache folder, can be deleted at any time, and is in memory where that
    folder cannot be used. Files that others wrote appear with `refresh`.

    Parameters
    ----------
    project : Project
        What is indexed.
    folder : Path, optional
        Where the index lies; by default the user's cache folder.

    Raises
    ------
    InputError
        When the project's folder cannot be read.
    """

    def __init__(self, project: Project, folder: Path | None = None) -> None:
        self._project = project
        self._lock = threading.Lock()
        place = hashlib.sha256(os.path.abspath(project.folder).encode()).hexdigest()[:12]
        folder = folder or project_index_folder()
        self._path = folder / f"{project.info.id[:32]}-{place}.sqlite"
        self._engine = self._open(self._path)
        _prune(self._path)
        self.refresh(every_file=True)

    def close(self) -> None:
        """Let go of the index file."""
        self._engine.dispose()

    def refresh(self, *, every_file: bool = False) -> set[str]:
        """Read what was written since the last time, by anybody; cheap when nothing was.

        Parameters
        ----------
        every_file : bool
            Look at the time and size of every file. Otherwise only folders are looked at, whose
            time tells of new and renamed files, as this program writes them, but not of a file
            that another program writes in place.

        Returns
        -------
        set of str
            Ids of the images whose records changed.

        Raises
        ------
        InputError
            When the project's folder is away.
        """
        if not (self._project.folder / PROJECT_FILE).is_file():
            raise InputError(f"{self._project.folder}: the project is away; is its drive there?")
        changed: set[str] = set()
        if self._engine.url.database and not self._path.exists():
            # Deleted under us, as anybody may at any time.
            self._engine.dispose()
            self._engine = self._open(self._path)
        with self._lock, self._engine.begin() as connection:
            annotators = self._project.annotators()
            for annotator in annotators:
                changed |= self._refresh_annotator(connection, annotator, every_file)
            gone = REVIEWS.c.annotator.not_in(annotators)
            changed |= set(connection.scalars(sa.select(REVIEWS.c.image).where(gone)))
            connection.execute(sa.delete(REVIEWS).where(gone))
            find_latest(connection, changed)
        return changed

    def queue(self, wanted: QueueFilter) -> tuple[QueueRow, ...]:
        """Return the images that a filter lets through, in its order."""
        with self._engine.connect() as connection:
            rows = connection.execute(queue_query(wanted)).all()
        return tuple(
            QueueRow(image, number, annotator, _STATES[state], _STATES.get(voided), *rest)
            for image, number, annotator, state, voided, *rest in rows
        )

    def status(self) -> ProjectStatus:
        """Count the reviews of every annotator."""
        states: dict[str, dict[ReviewState, int]] = {}
        voided: dict[str, int] = {}
        counts = sa.select(
            REVIEWS.c.annotator, REVIEWS.c.state, sa.func.count(), sa.func.count(REVIEWS.c.voided)
        ).where(REVIEWS.c.damaged.is_(None))
        reviewed = sa.select(sa.func.count(REVIEWS.c.image.distinct())).where(
            REVIEWS.c.state != ReviewState.CANDIDATE
        )
        damaged = sa.select(REVIEWS.c.damaged).where(REVIEWS.c.damaged.is_not(None))
        with self._engine.connect() as connection:
            groups = counts.group_by(REVIEWS.c.annotator, REVIEWS.c.state)
            for annotator, state, count, void in connection.execute(groups):
                states.setdefault(annotator, {})[ReviewState(state)] = count
                voided[annotator] = voided.get(annotator, 0) + void
            return ProjectStatus(
                len(self._project.images),
                connection.scalar(reviewed) or 0,
                states,
                voided,
                tuple(map(str, connection.scalars(damaged))),
            )

    def _open(self, path: Path) -> sa.Engine:
        """Open the file, again after deleting it where it is damaged, else stay in memory."""
        for _ in range(2):
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(
                sa.URL.create("sqlite", database=str(path)),
                connect_args={"timeout": _LOCK_SECONDS},
            )
            try:
                self._prepare(engine)
            except sa.exc.DatabaseError as error:
                engine.dispose()
                if isinstance(error, sa.exc.OperationalError):
                    # Read-only, locked or full: not damaged.
                    break
                with suppress(OSError):
                    path.unlink()
            else:
                return engine
        engine = sa.create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        self._prepare(engine)
        return engine

    def _prepare(self, engine: sa.Engine) -> None:
        """Start afresh unless the index was made by this program of this table of images."""
        table = (self._project.folder / IMAGES_FILE).stat()
        stamp = f"{_VERSION} {self._project.info.id} {table.st_mtime_ns} {table.st_size}"
        SCHEMA.create_all(engine)
        with engine.begin() as connection:
            if connection.scalar(sa.select(META.c.stamp)) == stamp:
                return
            SCHEMA.drop_all(connection)
            SCHEMA.create_all(connection)
            rows = [
                {
                    "id": image.id,
                    "number": number,
                    "label": image.label,
                    "text": f"{image.id} {image.lot} {image.wafer} {image.defect}".casefold(),
                }
                for number, image in enumerate(self._project.images, start=1)
            ]
            connection.execute(sa.insert(IMAGES), rows)
            connection.execute(sa.insert(META), {"stamp": stamp})

    def _refresh_annotator(
        self, connection: sa.Connection, annotator: str, every_file: bool
    ) -> set[str]:
        folder = annotator_folder(self._project.folder, annotator)
        places = (folder / "records", folder / "masks")
        now = time.time_ns()
        times = [_folder_time(place) for place in places]
        query = sa.select(FOLDERS.c.records, FOLDERS.c.masks)
        known = connection.execute(query.where(FOLDERS.c.annotator == annotator)).first()
        if not every_file and known is not None and list(known) == times:
            return set()
        changed = self._rescan(connection, annotator, places)
        settled = [mtime if now - mtime > _SETTLED_NS else -1 for mtime in times]
        connection.execute(sa.delete(FOLDERS).where(FOLDERS.c.annotator == annotator))
        values = {"annotator": annotator, "records": settled[0], "masks": settled[1]}
        connection.execute(sa.insert(FOLDERS), values)
        return changed

    def _rescan(
        self, connection: sa.Connection, annotator: str, places: tuple[Path, Path]
    ) -> set[str]:
        """Read the records whose files differ from those of the last scan."""
        found = self._stamps(places)
        mine = REVIEWS.c.annotator == annotator
        columns = (REVIEWS.c[name] for name in _STAMP_COLUMNS)
        query = sa.select(REVIEWS.c.image, *columns).where(mine)
        known = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        changed = {image for image in found | known if found.get(image) != known.get(image)}
        if changed:
            connection.execute(
                sa.delete(REVIEWS).where(mine, REVIEWS.c.image == sa.bindparam("gone")),
                [{"gone": image} for image in changed],
            )
            rows = [self._row(image, annotator, found[image]) for image in changed & set(found)]
            if rows:
                connection.execute(sa.insert(REVIEWS), rows)
        return changed

    def _stamps(self, places: tuple[Path, Path]) -> dict[str, Stamp]:
        """Return times and sizes of the record and mask file of every image."""
        ids = {image.id for image in self._project.images}
        records = _file_stamps(places[0], RECORD_SUFFIX)
        masks = _file_stamps(places[1], MASK_SUFFIX)
        none = (0, 0)
        return {
            image: (*records.get(image, none), *masks.get(image, none))
            for image in (records.keys() | masks.keys()) & ids
        }

    def _row(self, image: str, annotator: str, stamp: Stamp) -> dict[str, Any]:
        row: dict[str, Any] = dict(zip(_STAMP_COLUMNS, stamp, strict=True))
        row |= {"image": image, "annotator": annotator, "state": ReviewState.CANDIDATE.value}
        row |= dict.fromkeys(("voided", "confidence", "score", "damaged"))
        row |= {"label": "", "time": "", "has_mask": False, "latest": False}
        try:
            record = self._project.record(image, annotator)
        except InputError as error:
            return row | {"damaged": str(error)}
        if record is None:
            # Removed since the folder was listed; the next refresh sees that.
            return row
        return row | {
            "state": record.state.value,
            "voided": record.voided.value if record.voided else None,
            "confidence": record.confidence,
            "score": record.score,
            "label": record.label,
            "time": record.time,
            "has_mask": bool(record.mask_sha256),
        }


def _prune(used: Path) -> None:
    """Note that an index is used, and remove those beside it that nobody has used for long."""
    with suppress(OSError):
        os.utime(used)
        for path in used.parent.glob("*.sqlite"):
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                path.unlink()


_STAMP_COLUMNS = ("record_time", "record_size", "mask_time", "mask_size")


def _folder_time(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _file_stamps(folder: Path, suffix: str) -> dict[str, tuple[int, int]]:
    """Modification time and size by image id; temporary files begin with a dot."""
    stamps = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    stat = entry.stat()
                    stamps[entry.name[: -len(suffix)]] = (stat.st_mtime_ns, stat.st_size)
    return stamps
