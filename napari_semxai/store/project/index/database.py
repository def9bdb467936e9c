"""The database of a project's index: a file in the user's cache folder, else in memory."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from napari_semxai.store.disk.digests import text_digest
from napari_semxai.store.project.index.query import IMAGES, LAYOUT, META, SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.store.project.project import Project

_VERSION = 4
_LOCK_SECONDS = 5.0
_KEPT_SECONDS = 90 * 24 * 3600.0
"""An index that was not opened for so long is removed; opening its project makes it again."""


def file_database(path: Path, project: Project) -> sa.Engine:
    """Open the file, again after deleting it where it is damaged, else one in memory."""
    for _ in range(2):
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _LOCK_SECONDS},
        )
        try:
            _prepare(engine, project)
        except sa.exc.DatabaseError as error:
            engine.dispose()
            if isinstance(error, sa.exc.OperationalError):
                # Read-only, locked or full: not damaged.
                break
            with suppress(OSError):
                path.unlink()
        else:
            return engine
    return memory_database(project)


def memory_database(project: Project) -> sa.Engine:
    """Make a database that needs no disk; all threads share its one connection."""
    engine = sa.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    _prepare(engine, project)
    return engine


def prune(used: Path) -> None:
    """Note that an index is used, and remove those beside it that nobody has used for long."""
    with suppress(OSError):
        os.utime(used)
        for path in used.parent.glob("*.sqlite"):
            if time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                path.unlink()


def _prepare(engine: sa.Engine, project: Project) -> None:
    """Start afresh unless the index was made by this program of these images."""
    rows: list[dict[str, Any]] = [
        {
            "id": image.id,
            "number": number,
            "label": image.label,
            "text": f"{image.id} {image.lot} {image.wafer} {image.defect}".casefold(),
        }
        for number, image in enumerate(project.images, start=1)
    ]
    stamp = text_digest(str(_VERSION), LAYOUT, project.info.id, *map(str, rows))
    SCHEMA.create_all(engine)
    with engine.begin() as connection:
        if connection.scalar(sa.select(META.c.stamp)) == stamp:
            return
        SCHEMA.drop_all(connection)
        SCHEMA.create_all(connection)
        connection.execute(sa.insert(IMAGES), rows)
        connection.execute(sa.insert(META), {"stamp": stamp})
