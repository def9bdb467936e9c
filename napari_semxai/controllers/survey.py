"""Survey: who answers which item of which explanation, written after every answer."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.algorithms.survey import survey_report
from napari_semxai.state.survey import SurveyState
from napari_semxai.store.survey import (
    consent_digest,
    new_pseudonym,
    read_consent,
    read_survey,
    remove_answers,
    save_answers,
    write_consent,
    write_survey,
)
from napari_semxai.types.survey import ANSWERS, AnswerSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from napari_semxai.algorithms.survey import SurveyReport
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session


class SurveyController:
    """What the Survey dock can ask for.

    Parameters
    ----------
    session : Session
        Where the answers go.
    jobs : Jobs
        Reads and writes files.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        self._writing = threading.Lock()
        self._unwritten: dict[tuple[str, str, str, str], AnswerSet] = {}

    def open(self, path: Path) -> None:
        """Open a survey file, or begin one where there is none yet."""
        self._jobs.run("open survey", partial(_read, path), self._on_opened, self._on_failed)

    def begin(self, participant: str, method: str, explanation: str) -> None:
        """Answer for a participant and an explanation; what was answered before is there again."""
        survey = self._session.survey
        if survey is None:
            return
        participant = participant.strip() or self.new_participant()
        wanted = AnswerSet(participant, method.strip(), explanation.strip())
        current = next((known for known in survey.sets if known.key == wanted.key), wanted)
        self._session.survey = replace(survey, current=current, item=current.first_open)

    def new_participant(self) -> str:
        """Return a pseudonym that nobody has in this survey."""
        survey = self._session.survey
        return new_pseudonym(
            [] if survey is None else [known.participant for known in survey.sets]
        )

    def set_consent_text(self, text: str) -> None:
        """Ask participants to agree to another text from now on."""
        survey = self._session.survey
        if survey is not None and text != survey.consent_text:
            self._session.survey = replace(survey, consent_text=text)
            self._run(partial(write_consent, survey.path, text))

    def agree(self, agreed: bool) -> None:
        """Note that the participant agrees to the consent text, or does so no longer."""
        survey = self._session.survey
        if survey is not None:
            self._change(consent=consent_digest(survey.consent_text) if agreed else "")

    def answer(self, item: int, value: int | None) -> None:
        """Take the answer to an item, or take it back with None."""
        current = self._answering()
        if current is None:
            return
        if value is not None and value not in ANSWERS:
            raise ValueError(f"an answer is a whole number from 1 to 5, not {value}")
        self._change(answers=(*current.answers[:item], value, *current.answers[item + 1 :]))

    def comment(self, item: int, text: str) -> None:
        """Take the free text to an item."""
        current = self._answering()
        if current is not None and current.comments[item] != text:
            self._change(comments=(*current.comments[:item], text, *current.comments[item + 1 :]))

    def delete(self) -> None:
        """Delete the answer set in front, from the file too."""
        survey = self._session.survey
        if survey is not None and survey.current is not None:
            key = survey.current.key
            self._remove(lambda known: known.key == key)

    def withdraw(self) -> None:
        """Delete everything of the participant in front, who takes the consent back."""
        survey = self._session.survey
        if survey is not None and survey.current is not None:
            participant = survey.current.participant
            self._remove(lambda known: known.participant == participant)

    def go(self, item: int) -> None:
        """Put an item in front."""
        survey = self._session.survey
        if survey is not None and survey.current is not None:
            last = len(survey.current.answers) - 1
            self._session.survey = replace(survey, item=min(max(item, 0), last))

    def save_copy(self, path: Path) -> None:
        """Write all answers of the survey to another file."""
        if self._session.survey is not None:
            self._run(partial(write_survey, path, self._session.survey.sets))

    def summarise(self) -> None:
        """Work out what the answers come to."""
        survey = self._session.survey
        if survey is not None:
            self._jobs.run(
                "survey report",
                partial(survey_report, survey.sets),
                self._on_summarised,
                self._on_failed,
            )

    def _answering(self) -> AnswerSet | None:
        survey = self._session.survey
        if survey is None or survey.current is None:
            return None
        if not survey.current.consent:
            self._session.message = "The participant has not agreed to the consent text yet."
            return None
        return survey.current

    def _change(self, **fields: Any) -> None:
        survey = self._session.survey
        if survey is None or survey.current is None:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        current = replace(survey.current, changed_at=now, **fields)
        sets = {known.key: known for known in survey.sets} | {current.key: current}
        self._session.survey = replace(survey, sets=tuple(sets.values()), current=current)
        self._unwritten[current.key] = current
        self._run(partial(self._write, survey.path))

    def _remove(self, gone: Callable[[AnswerSet], bool]) -> None:
        """Take answer sets out of the file, and out of the session once they are out there."""
        survey = self._session.survey
        if survey is None:
            return
        self._session.survey = replace(survey, current=None, item=0)
        self._jobs.run(
            "remove answers",
            partial(self._write_without, survey.path, gone),
            partial(self._on_removed, survey.path, gone),
            self._on_failed,
        )

    def _write_without(self, path: Path, gone: Callable[[AnswerSet], bool]) -> int:
        with self._writing:
            waiting = list(self._unwritten.items())
            self._unwritten = {key: entry for key, entry in waiting if not gone(entry)}
            return remove_answers(path, gone)

    def _on_removed(self, path: Path, gone: Callable[[AnswerSet], bool], _number: int) -> None:
        survey = self._session.survey
        if survey is None or survey.path != path:
            return
        kept = tuple(known for known in survey.sets if not gone(known))
        self._session.survey = replace(survey, sets=kept)
        self._session.survey_report = None

    def _write(self, path: Path) -> None:
        """Write what changed last, whichever of several writes comes first."""
        with self._writing:
            taken, self._unwritten = self._unwritten, {}
            try:
                if taken:
                    save_answers(path, taken.values())
            except BaseException:
                self._unwritten = taken | self._unwritten
                raise

    def _run(self, write: partial[None]) -> None:
        self._jobs.run("write survey", write, _nothing, self._on_failed)

    def _on_opened(self, survey: SurveyState) -> None:
        self._session.survey_report = None
        self._session.survey = survey

    def _on_summarised(self, report: SurveyReport) -> None:
        self._session.survey_report = report

    def _on_failed(self, message: str) -> None:
        self._session.message = message


def _read(path: Path) -> SurveyState:
    sets = read_survey(path) if path.exists() else []
    return SurveyState(path, tuple(sets), read_consent(path))


def _nothing(_written: object) -> None:
    """Say nothing of a write that went well."""
