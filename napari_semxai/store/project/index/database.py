"""Tables of a project's index, the file or memory they are in, and what a queue asks of them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from napari_semxai.store.disk.digests import text_digest
from napari_semxai.store.disk.names import name_key, natural_key
from napari_semxai.store.project.files import annotator_key
from napari_semxai.types import QUEUE_COLUMNS, ReviewState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import QueueColumn, QueueFilter

_VERSION = 6
_LOCK_SECONDS = 5.0
_KEPT_SECONDS = 90 * 24 * 3600.0
"""An index that was not opened for so long is removed; opening its project makes it again."""
_OF_IMAGES = tuple(
    column.name for column in QUEUE_COLUMNS if column.read is None and column.kind is str
)[1:]
"""Columns that a project's table fills; the first one is the id, which is a key here."""
SCHEMA = sa.MetaData()
META = sa.Table("meta", SCHEMA, sa.Column("stamp", sa.Text, primary_key=True))
IMAGES = sa.Table(
    "images",
    SCHEMA,
    # The key is the order that a queue has most often: nothing is sorted for it.
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _OF_IMAGES),
    # The name with its numbers filled up with zeros, so that 2 comes before 10.
    sa.Column("natural", sa.Text, nullable=False),
)
FOLDERS = sa.Table(
    "folders",
    SCHEMA,
    sa.Column("annotator", sa.Text, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("masks", sa.BigInteger, nullable=False),
)
_TYPES = {str: sa.Text, int: sa.Integer, ReviewState: sa.Text, float: sa.Float, bool: sa.Boolean}
NOT_REVIEWED = tuple(state.value for state in ReviewState if not state.is_reviewed)
_KEYS = ("image", "annotator")
REVIEWS = sa.Table(
    "reviews",
    SCHEMA,
    *(sa.Column(name, sa.Text, primary_key=True) for name in _KEYS),
    *(
        sa.Column(column.name, _TYPES[column.kind], nullable=column.missing is None)
        for column in QUEUE_COLUMNS
        if column.read is not None and column.name not in _KEYS
    ),
    sa.Column("latest", sa.Boolean, nullable=False),
    sa.Column("damaged", sa.Text),
    sa.Column("record_time", sa.BigInteger, nullable=False),
    sa.Column("record_size", sa.BigInteger, nullable=False),
    sa.Column("mask_time", sa.BigInteger, nullable=False),
    sa.Column("mask_size", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
LAYOUT = str([(column.name, str(column.type)) for column in REVIEWS.columns])
"""An index of other columns is made anew."""


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


def _teach(connection: sqlite3.Connection, _: object) -> None:
    connection.create_function("name_key", 1, name_key, deterministic=True)


def _prepare(engine: sa.Engine, project: Project) -> None:
    """Start afresh unless the index was made by this program of these images."""
    sa.event.listen(engine, "connect", _teach)
    rows: list[dict[str, Any]] = [
        {
            "id": image.id,
            "number": number,
            "label": image.label,
            "text": name_key(f"{image.name} {image.id} {image.lot} {image.wafer} {image.defect}"),
            **{name: getattr(image, name) for name in _OF_IMAGES},
            "natural": "".join(f"{word}{number:015}" for word, number in natural_key(image.name)),
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


def queue_query(wanted: QueueFilter) -> sa.Select[Any]:
    """Return the question for the images that `wanted` lets through.

    Rows have the fields of `QueueRow`, in its order.
    """
    values = {column.name: _value(column) for column in QUEUE_COLUMNS}
    joined = IMAGES.outerjoin(REVIEWS, sa.and_(IMAGES.c.id == REVIEWS.c.image, _whose(wanted)))
    query = sa.select(*values.values()).select_from(joined)
    return query.where(*_conditions(wanted, values)).order_by(*_order(wanted, values))


def find_latest(connection: sa.Connection, images: Iterable[str]) -> None:
    """Mark the review that stands for everybody: the latest, candidates behind all others."""
    other = REVIEWS.alias()
    first = (
        sa.select(other.c.annotator)
        .where(other.c.image == REVIEWS.c.image)
        # No "in", which many questions at once may not hold.
        .order_by(sa.or_(*(other.c.state == state for state in NOT_REVIEWED)), other.c.time.desc())
        .limit(1)
        .scalar_subquery()
    )
    mark = sa.update(REVIEWS).where(REVIEWS.c.image == sa.bindparam("marked"))
    rows = [{"marked": image} for image in images]
    if rows:
        connection.execute(mark.values(latest=REVIEWS.c.annotator == first), rows)


def _whose(wanted: QueueFilter) -> sa.ColumnElement[bool]:
    """Return which of an image's reviews is shown; at most one."""
    shown: sa.ColumnElement[bool] = REVIEWS.c.latest
    if wanted.annotator is not None:
        shown = REVIEWS.c.annotator == annotator_key(wanted.annotator)
    if wanted.hidden_from is None:
        return shown
    me, other = annotator_key(wanted.hidden_from), REVIEWS.alias()
    mine = sa.and_(other.c.annotator == me, other.c.state.not_in(NOT_REVIEWED))
    reviewed = IMAGES.c.id.in_(sa.select(other.c.image).where(mine))
    return sa.case((reviewed, shown), else_=REVIEWS.c.annotator == me)


def _conditions(wanted: QueueFilter, values: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.states is not None:
        conditions.append(values["state"].in_([state.value for state in wanted.states]))
    if wanted.voided is not None:
        voided = values["voided"]
        conditions.append(voided.is_not(None) if wanted.voided else voided.is_(None))
    for name, asked in wanted.where.items():
        value = values[name]
        is_set = isinstance(asked, frozenset)
        conditions.append(value.in_(sorted(asked)) if is_set else value.between(*asked))
    if wanted.text:
        # SQLite's own "lower" knows the letters of English only.
        texts = IMAGES.c.text, sa.func.name_key(values["comment"], type_=sa.Text)
        part = name_key(wanted.text)
        conditions.append(sa.or_(*(text.contains(part, autoescape=True) for text in texts)))
    return conditions


def _value(column: QueueColumn) -> sa.ColumnElement[Any]:
    """Return a column of the answer: of the record, else of the image, else what is missing."""
    name = "id" if column.name == "image" else column.name
    if column.read is None:
        return IMAGES.c[name]
    value: sa.ColumnElement[Any] = REVIEWS.c[name]
    if name in IMAGES.c:
        return sa.func.coalesce(sa.func.nullif(value, ""), IMAGES.c[name])
    return value if column.missing is None else sa.func.coalesce(value, column.missing)


def _order(wanted: QueueFilter, values: dict[str, Any]) -> list[sa.ColumnElement[Any]]:
    if wanted.ranked is not None:
        return [IMAGES.c.number]
    column = IMAGES.c.natural if wanted.order == "image" else values[wanted.order]
    if isinstance(column.type, sa.Text):
        column = sa.func.lower(sa.func.nullif(column, ""))
    ordered = column.desc() if wanted.descending else column.asc()
    # The key alone, so that SQLite need not sort.
    return [ordered] if wanted.order == "number" else [ordered.nulls_last(), IMAGES.c.number]
