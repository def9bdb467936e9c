"""Tables of a project's index, and the question that a queue asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from napari_semxai.types import QueueOrder, ReviewState

if TYPE_CHECKING:
    from napari_semxai.types import QueueFilter

SCHEMA = sa.MetaData()
META = sa.Table("meta", SCHEMA, sa.Column("stamp", sa.Text, primary_key=True))
IMAGES = sa.Table(
    "images",
    SCHEMA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
FOLDERS = sa.Table(
    "folders",
    SCHEMA,
    sa.Column("annotator", sa.Text, primary_key=True),
    sa.Column("records", sa.BigInteger, nullable=False),
    sa.Column("masks", sa.BigInteger, nullable=False),
)
REVIEWS = sa.Table(
    "reviews",
    SCHEMA,
    sa.Column("image", sa.Text, primary_key=True),
    sa.Column("annotator", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("voided", sa.Text),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("confidence", sa.Float),
    sa.Column("score", sa.Float),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("mask_sha256", sa.Text, nullable=False),
    sa.Column("damaged", sa.Text),
    sa.Column("record_time", sa.BigInteger, nullable=False),
    sa.Column("record_size", sa.BigInteger, nullable=False),
    sa.Column("mask_time", sa.BigInteger, nullable=False),
    sa.Column("mask_size", sa.BigInteger, nullable=False),
)


def queue_query(wanted: QueueFilter) -> sa.Select[Any]:
    """Return the question for the images that `wanted` lets through, one row for each."""
    review = _one_review(wanted.annotator)
    values = {
        "image": IMAGES.c.id,
        "number": IMAGES.c.number,
        "annotator": sa.func.coalesce(review.c.annotator, ""),
        "state": sa.func.coalesce(review.c.state, ReviewState.CANDIDATE.value),
        "voided": review.c.voided,
        "label": sa.func.coalesce(sa.func.nullif(review.c.label, ""), IMAGES.c.label),
        "confidence": review.c.confidence,
        "score": review.c.score,
        "time": sa.func.coalesce(review.c.time, ""),
        "mask_sha256": sa.func.coalesce(review.c.mask_sha256, ""),
    }
    query = sa.select(*(value.label(name) for name, value in values.items())).select_from(
        IMAGES.outerjoin(review, IMAGES.c.id == review.c.image)
    )
    query = query.where(*_conditions(wanted, values))
    return query.order_by(*_order(wanted, values))


def _one_review(annotator: str | None) -> sa.Subquery:
    """Return at most one review of each image: the annotator's, or the latest of anybody."""
    if annotator is not None:
        name = annotator.strip().casefold()
        return sa.select(REVIEWS).where(REVIEWS.c.annotator == name).subquery()
    rank = sa.func.row_number().over(
        partition_by=REVIEWS.c.image,
        order_by=(REVIEWS.c.state == ReviewState.CANDIDATE.value, REVIEWS.c.time.desc()),
    )
    ranked = sa.select(REVIEWS, rank.label("rank")).subquery()
    return sa.select(ranked).where(ranked.c.rank == 1).subquery()


def _conditions(wanted: QueueFilter, values: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.states is not None:
        conditions.append(values["state"].in_([state.value for state in wanted.states]))
    if wanted.voided is not None:
        voided = values["voided"]
        conditions.append(voided.is_not(None) if wanted.voided else voided.is_(None))
    if wanted.labels is not None:
        conditions.append(values["label"].in_(sorted(wanted.labels)))
    for name, limits in (("confidence", wanted.confidence), ("score", wanted.score)):
        if limits is not None:
            conditions.append(values[name].between(*limits))
    if wanted.text:
        conditions.append(IMAGES.c.text.contains(wanted.text.casefold(), autoescape=True))
    return conditions


def _order(wanted: QueueFilter, values: dict[str, Any]) -> list[sa.ColumnElement[Any]]:
    columns = {
        QueueOrder.NUMBER: values["number"],
        QueueOrder.NAME: sa.func.lower(values["image"]),
        QueueOrder.CONFIDENCE: values["confidence"],
        QueueOrder.SCORE: values["score"],
        QueueOrder.TIME: sa.func.nullif(values["time"], ""),
    }
    column = columns[wanted.order]
    return [
        (column.desc() if wanted.descending else column.asc()).nulls_last(),
        IMAGES.c.number,
    ]
