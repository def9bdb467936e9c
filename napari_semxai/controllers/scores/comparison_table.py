"""Compare all masks and maps of the current image with one truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.algorithms.explanations.localisation import RankedMap, trivial_baselines
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.controllers.explain.explain import make_sources
from napari_semxai.controllers.explain.request_tracker import ResultCache
from napari_semxai.controllers.explain.sources import NamedMap
from napari_semxai.state.comparison import TAUS, ComparisonTable, MapRow, MaskRow
from napari_semxai.store.disk.tables import table_text, write_table
from napari_semxai.types import BoolMask, SemImage

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session

_SORTED_BYTES = 2**28


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What is compared, taken out of the session before a thread works on it."""

    image: SemImage
    truth_name: str
    truth: BoolMask
    ignored: BoolMask | None
    masks: dict[str, tuple[Callable[[], BoolMask], str]]
    maps: list[NamedMap]


class ComparisonTableController:
    """Keep the session's comparison table up to date when asked to.

    Parameters
    ----------
    session : Session
        Where the table goes.
    jobs : Jobs
        Sorts maps and counts masks.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        # Sorting a map costs most; every other τ, truth or mask asks of the same order.
        self._sorted = ResultCache(limit=_SORTED_BYTES)
        self._lock, self._sources = Lock(), make_sources()
        # Of each controller, so that no image outlives the window.
        self._baselines = lru_cache(maxsize=2)(_baselines)

    def refresh(self, masks: dict[str, BoolMask], truth: tuple[str, BoolMask] | None) -> None:
        """Compare these masks, the explanations and the baselines with the truth.

        Parameters
        ----------
        masks : dict of str to ndarray of bool, shape (M, N)
            Masks to judge first, by name.
        truth : (str, ndarray of bool) or None
            Name and mask to judge by.
        """
        image = self._session.image
        if image is None or truth is None or truth[1].shape != image.gray.shape:
            # An answer on its way is of the image before.
            self._jobs.forget("comparison")
            self._session.comparison = ComparisonTable()
            return
        shape = image.gray.shape
        makers: dict[str, tuple[Callable[[], BoolMask], str]] = {
            # Copied here: strokes change the mask while the thread counts.
            name: (partial(_itself, mask.copy()), "")
            for name, mask in masks.items()
            if mask.shape == shape
        }
        explanation = self._session.explanation
        maps = [one for source in self._sources for one in source.maps(explanation)]
        for source in self._sources:
            makers |= source.judged(explanation)
        judged = _Judged(image, truth[0], truth[1].copy(), self._session.ignored, makers, maps)
        self._jobs.run("comparison", partial(self._compare, judged), self._on_compared)

    def save(self, path: Path) -> None:
        """Write the table, and beside it the Dice curves of the maps, as CSV."""
        table = self._session.comparison
        self._jobs.run("save scores", partial(_write, path, table))

    def _compare(self, judged: _Judged) -> ComparisonTable:
        rows = [
            MaskRow(name, scores(make(), judged.truth, judged.ignored), classifier=classifier)
            for name, (make, classifier) in judged.masks.items()
        ]
        rows += [
            MaskRow(name, scores(mask, judged.truth, judged.ignored), trivial=True)
            for name, mask in self._baselines(judged.image).items()
        ]
        maps = []
        for one in judged.maps:
            ranked = self._ranked(one).without(judged.ignored)
            maps.append(
                MapRow(
                    one.name,
                    ranked.localisation(judged.truth),
                    ranked.dice_curve(judged.truth, TAUS),
                    one.threshold,
                    one.color,
                    one.classifier,
                )
            )
        return ComparisonTable(judged.truth_name, tuple(rows), tuple(maps))

    def _ranked(self, one: NamedMap) -> RankedMap:
        """Sort a map once; called in threads."""
        with self._lock:
            known: RankedMap | None = self._sorted.get(one.key)
        if known is not None:
            return known
        # Outside the lock: two threads may sort the same map, none waits for another's.
        ranked = RankedMap(one.values())
        with self._lock:
            self._sorted.put(one.key, ranked, ranked.nbytes)
        return ranked

    def _on_compared(self, table: ComparisonTable) -> None:
        self._session.comparison = table


def _itself(mask: BoolMask) -> BoolMask:
    return mask


def _baselines(image: SemImage) -> dict[str, BoolMask]:
    return trivial_baselines(image.gray)


MASK_COLUMNS = ("dice", "iou", "precision", "recall", "accuracy")
MAP_COLUMNS = (
    "relevance_mass",
    "relevance_rank",
    "pointing_game",
    "auroc",
    "average_precision",
    "best_dice",
    "best_tau",
)
_COUNTS = ("tp", "fp", "fn", "tn")


def table_lines(table: ComparisonTable, separator: str) -> list[str]:
    """Return the whole table as lines, quoted where needed."""
    rows = table_rows(table)
    return [table_text([row], delimiter=separator).removesuffix("\n") for row in rows]


def table_rows(table: ComparisonTable) -> list[tuple[str, ...]]:
    """Return the names of all columns, then masks, then maps; blank where undefined."""
    areas = ("predicted_area", "true_area")
    measured = (*MASK_COLUMNS, *areas, *_COUNTS, *MAP_COLUMNS)
    rows: list[tuple[str, ...]] = [("name", "truth", *measured, "classifier_sha256")]
    for row in table.masks:
        found = row.scores
        values = [_text(getattr(found, name)) for name in MASK_COLUMNS]
        counts = [found.tp + found.fp, found.tp + found.fn, found.tp, found.fp, found.fn, found.tn]
        blank = [""] * len(MAP_COLUMNS)
        rows.append((row.name, table.truth, *values, *map(str, counts), *blank, row.classifier))
    for shown in table.maps:
        values = [_text(getattr(shown.localisation, name)) for name in MAP_COLUMNS]
        blank = [""] * (len(MASK_COLUMNS) + len(areas) + len(_COUNTS))
        rows.append((shown.name, table.truth, *blank, *values, shown.classifier))
    return rows


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6f}"


def _write(path: Path, table: ComparisonTable) -> None:
    columns, *rows = table_rows(table)
    write_table(path, columns, rows)
    if table.maps:
        curves = np.column_stack([TAUS, *(row.curve for row in table.maps)])
        write_table(
            path.with_name(f"{path.stem}_dice_tau.csv"),
            ["tau", *(row.name for row in table.maps)],
            [[f"{value:.6f}" for value in row] for row in curves],
        )
