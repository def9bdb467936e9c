"""Choices that outlive the window."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.store.disk.preferences import read_choices, write_choice
from napari_semxai.types import InputError
from napari_semxai.types.settings import ALGORITHMS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.types import AlgorithmSettings

ALGORITHM = "algorithm"


class ChoicesController:
    """Begin with the variant of Algorithm 1 that was chosen last, and remember another.

    Parameters
    ----------
    session : Session
        Holds the choice.
    writes : Jobs
        Writes files.
    path : Path
        Where choices are kept.
    """

    def __init__(self, session: Session, writes: Jobs, path: Path) -> None:
        self._session, self._writes, self._path = session, writes, path
        try:
            chosen = read_choices(path).get(ALGORITHM)
        except InputError as error:
            session.message, chosen = str(error), None
        if chosen in ALGORITHMS:
            session.algorithm = replace(session.algorithm, algorithm=chosen)
        session.events.algorithm.connect(self._on_algorithm_changed)

    def _on_algorithm_changed(self, now: AlgorithmSettings, before: AlgorithmSettings) -> None:
        if now.algorithm != before.algorithm:
            self._writes.run(
                "remember the algorithm",
                partial(write_choice, self._path, ALGORITHM, now.algorithm),
                on_failed=self._on_failed,
            )

    def _on_failed(self, message: str) -> None:
        self._session.message = f"{message}. The choice of algorithm is not remembered."
