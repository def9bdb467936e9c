"""What each key of the window does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.types import ReviewState
from napari_semxai.widgets.edit.dock import QUEUE, REVIEW
from napari_semxai.widgets.settings.shortcuts import CLASS_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.workbench import Workbench


def key_actions(workbench: Workbench) -> dict[str, Callable[[], object]]:
    """Return what each of `SHORTCUTS` does."""
    review = workbench.review
    return {
        "generate": workbench.segment.generate,
        "accept": review.accept,
        "no defect": partial(review.review, ReviewState.NO_DEFECT),
        "reject": partial(review.review, ReviewState.REJECTED),
        "unsure": partial(review.review, ReviewState.UNSURE),
        "undo review": review.undo,
        "next": partial(workbench.queue.step, 1),
        "previous": partial(workbench.queue.step, -1),
        "next unreviewed": workbench.queue.next_unreviewed,
        "jump": partial(workbench.focus, QUEUE, "jump"),
        "comment": partial(workbench.focus, REVIEW, "comment"),
        "mask": workbench.toggle_mask,
        "explanation": workbench.explanations.toggle,
        "next heat map": workbench.explaining.heatmaps.show_next,
        "brush": partial(workbench.paint, "paint"),
        "erase": partial(workbench.paint, "erase"),
        "click": workbench.click,
        "new object": workbench.clicks.begin_object,
        "apply answer": workbench.clicks.apply_offer,
        "discard answer": workbench.clicks.discard_offer,
        "automatic": workbench.edit.apply_automatic,
        "save": workbench.save,
        **{f"class {n}": partial(review.set_class, n) for n in CLASS_KEYS},
    }
