"""The index of a project: a cache rebuilt from the files, never the source of truth."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from napari_semxai.store.disk.folders import project_index_folder
from napari_semxai.store.project.files import (
    MASK_SUFFIX,
    MASKS_FOLDER,
    NO_FOLDER,
    RECORD_SUFFIX,
    RECORDS_FOLDER,
    annotator_folder,
    annotator_key,
    check_there,
    folder_times,
    mask_path,
    reaching,
    record_path,
)
from napari_semxai.store.project.index.database import (
    FOLDERS,
    NOT_REVIEWED,
    REVIEWS,
    file_database,
    find_latest,
    memory_database,
    prune,
    queue_query,
)
from napari_semxai.types import (
    QUEUE_COLUMNS,
    InputError,
    ProjectStatus,
    QueueRow,
    ReviewRecord,
    ReviewState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_semxai.store.project.files import FolderTimes
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import QueueFilter

    Seen: TypeAlias = dict[str, FolderTimes]
    Change: TypeAlias = Callable[[sa.Connection, Seen], set[str]]


Stamp: TypeAlias = tuple[int, int, int, int]
STAMP_COLUMNS = ("record_time", "record_size", "mask_time", "mask_size")
_NO_FILE = (0, 0)


def image_stamp(folder: Path, image: str) -> Stamp:
    """Return times and sizes of an image's record and mask file; `folder` is the annotator's."""
    return (*_file_stamp(record_path(folder, image)), *_file_stamp(mask_path(folder, image)))


def image_stamps(folder: Path, images: set[str]) -> dict[str, Stamp]:
    """Return the stamps of all of some images that have a file."""
    records = _file_stamps(folder / RECORDS_FOLDER, RECORD_SUFFIX)
    masks = _file_stamps(folder / MASKS_FOLDER, MASK_SUFFIX)
    return {
        image: (*records.get(image, _NO_FILE), *masks.get(image, _NO_FILE))
        for image in (records.keys() | masks.keys()) & images
    }


def _file_stamp(path: Path) -> tuple[int, int]:
    with suppress(FileNotFoundError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    return _NO_FILE


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


# A folder changed this recently may change again without its time telling.
_SETTLED_NS = 2_000_000_000
_STATES = {state.value: state for state in ReviewState}


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
        place = hashlib.sha256(os.fsencode(os.path.abspath(project.folder))).hexdigest()[:12]
        folder = folder or project_index_folder()
        self._path = folder / f"{project.info.id[:32]}-{place}.sqlite"
        self._engine = file_database(self._path, project)
        # The folders as they were when the rows were made of them.
        self._seen: Seen = {}
        prune(self._path)
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
        with self._lock:
            return self._apply(partial(self._refresh, every_file=every_file))

    def put(self, record: ReviewRecord) -> None:
        """Take in one record that this program has written, so that `refresh` stays cheap.

        Whatever else was written to the annotator's folder meanwhile is left to `refresh`, which
        looks at the folder again then.

        Parameters
        ----------
        record : ReviewRecord
            As `Project.write_review` returned it.

        Raises
        ------
        InputError
            When the project's folder is away.
        """
        with self._lock:
            self._apply(partial(self._put, record.image, annotator_key(record.annotator)))

    def queue(self, wanted: QueueFilter) -> tuple[QueueRow, ...]:
        """Return the images that a filter lets through, in its order."""
        with self._reading() as connection:
            rows = connection.execute(queue_query(wanted)).all()
        # By columns: thousands of rows are answered while somebody waits.
        values = (
            map(_STATES.get, column) if known.kind is ReviewState else column
            for known, column in zip(QUEUE_COLUMNS, zip(*rows, strict=True), strict=False)
        )
        found = tuple(map(QueueRow, *values)) if rows else ()
        if wanted.ranked is None:
            return found
        places = {image: place for place, image in enumerate(wanted.ranked)}
        ranked = (row for row in found if row.image in places)
        return tuple(sorted(ranked, key=lambda row: places[row.image]))

    def status(self) -> ProjectStatus:
        """Count the reviews of every annotator."""
        states: dict[str, dict[ReviewState, int]] = {}
        voided: dict[str, int] = {}
        counts = sa.select(
            REVIEWS.c.annotator, REVIEWS.c.state, sa.func.count(), sa.func.count(REVIEWS.c.voided)
        ).where(REVIEWS.c.damaged.is_(None))
        reviewed = sa.select(sa.func.count(REVIEWS.c.image.distinct())).where(
            REVIEWS.c.state.not_in(NOT_REVIEWED)
        )
        damaged = sa.select(REVIEWS.c.damaged).where(REVIEWS.c.damaged.is_not(None))
        with self._reading() as connection:
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

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        """Connect; the one connection in memory would undo what another thread writes."""
        engine = self._engine
        alone = nullcontext() if engine.url.database else self._lock
        with alone, engine.connect() as connection:
            yield connection

    def _apply(self, change: Change) -> set[str]:
        """Write to the index; from now on in memory where its file cannot be written."""
        check_there(self._project.folder)
        if self._engine.url.database and not os.path.exists(self._path):
            # Deleted under us, as anybody may at any time.
            self._start_again(file_database(self._path, self._project))
        with reaching(self._project.folder):
            try:
                return self._commit(change)
            except sa.exc.DatabaseError:
                self._start_again(memory_database(self._project))
                return self._commit(partial(self._refresh, every_file=True))

    def _commit(self, change: Change) -> set[str]:
        seen = self._seen.copy()
        with self._engine.begin() as connection:
            changed = change(connection, seen)
        self._seen = seen
        return changed

    def _start_again(self, engine: sa.Engine) -> None:
        self._engine.dispose()
        self._engine, self._seen = engine, {}

    def _refresh(self, connection: sa.Connection, seen: Seen, *, every_file: bool) -> set[str]:
        changed: set[str] = set()
        annotators = self._project.annotators()
        seen.clear()
        for annotator in annotators:
            folder = annotator_folder(self._project.folder, annotator)
            # Before its files are looked at: what is written meanwhile changes it again.
            seen[annotator] = times = folder_times(folder)
            settled = _settled(times)
            if every_file or not _is_known(connection, annotator, times):
                changed |= self._rescan(connection, annotator, folder)
                _note_folder(connection, annotator, settled)
        gone = REVIEWS.c.annotator.not_in(annotators)
        changed |= set(connection.scalars(sa.select(REVIEWS.c.image).where(gone)))
        connection.execute(sa.delete(REVIEWS).where(gone))
        find_latest(connection, changed)
        return changed

    def _put(self, image: str, annotator: str, connection: sa.Connection, seen: Seen) -> set[str]:
        folder = annotator_folder(self._project.folder, annotator)
        self._replace(connection, annotator, {image: image_stamp(folder, image)})
        find_latest(connection, [image])
        change = self._project.folder_change(image, annotator)
        # Nobody else wrote between what the rows were made of and our own write.
        if change is not None and seen.get(annotator, NO_FOLDER) == change[0]:
            seen[annotator] = change[1]
            _note_folder(connection, annotator, change[1])
        return {image}

    def _rescan(self, connection: sa.Connection, annotator: str, folder: Path) -> set[str]:
        """Read the records whose files differ from those of the last scan."""
        found = image_stamps(folder, {image.id for image in self._project.images})
        columns = (REVIEWS.c[name] for name in STAMP_COLUMNS)
        query = sa.select(REVIEWS.c.image, *columns).where(REVIEWS.c.annotator == annotator)
        known = {row[0]: tuple(row[1:]) for row in connection.execute(query)}
        changed = {image for image in found | known if found.get(image) != known.get(image)}
        self._replace(connection, annotator, {image: found.get(image) for image in changed})
        return changed

    def _replace(
        self, connection: sa.Connection, annotator: str, stamps: dict[str, Stamp | None]
    ) -> None:
        """Read some records anew; those without a stamp are gone."""
        if not stamps:
            return
        mine = REVIEWS.c.annotator == annotator
        connection.execute(
            sa.delete(REVIEWS).where(mine, REVIEWS.c.image == sa.bindparam("gone")),
            [{"gone": image} for image in stamps],
        )
        rows = [self._row(image, annotator, stamp) for image, stamp in stamps.items() if stamp]
        if rows:
            connection.execute(sa.insert(REVIEWS), rows)

    def _row(self, image: str, annotator: str, stamp: Stamp) -> dict[str, Any]:
        stamps = dict(zip(STAMP_COLUMNS, stamp, strict=True))
        row = _values(ReviewRecord(image, annotator)) | stamps | {"latest": False, "damaged": None}
        try:
            record = self._project.record(image, annotator)
        except InputError as error:
            # Perhaps the drive's fault, not the file's: looked at again by every scan.
            return row | {"damaged": str(error), "record_time": -1}
        # One that was removed since the folder was listed is seen by the next refresh.
        return row if record is None else row | _values(record) | {"annotator": annotator}


def _values(record: ReviewRecord) -> dict[str, Any]:
    """Return what the index holds of a record."""
    known = {column.name: column.read(record) for column in QUEUE_COLUMNS if column.read}
    return {"image": record.image, **known}


def _is_known(connection: sa.Connection, annotator: str, times: FolderTimes) -> bool:
    query = sa.select(FOLDERS.c.records, FOLDERS.c.masks).where(FOLDERS.c.annotator == annotator)
    known = connection.execute(query).first()
    return known is not None and tuple(known) == times


def _settled(times: FolderTimes) -> FolderTimes:
    """Return times that may be trusted later on; -1 stands for those that may not."""
    now = time.time_ns()
    records, masks = (at if now - at > _SETTLED_NS else -1 for at in times)
    return records, masks


def _note_folder(connection: sa.Connection, annotator: str, times: FolderTimes) -> None:
    connection.execute(sa.delete(FOLDERS).where(FOLDERS.c.annotator == annotator))
    values = {"annotator": annotator, "records": times[0], "masks": times[1]}
    connection.execute(sa.insert(FOLDERS), values)
