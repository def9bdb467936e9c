"""Survey: who answers which item of which explanation, written after every answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.survey import survey_report
from napari_semxai.state.research import SurveyState
from napari_semxai.store.datasets.survey import (
    NO_COLUMNS,
    consent_digest,
    new_pseudonym,
    read_consent,
    read_survey_file,
    remove_answers,
    save_answers,
    write_consent,
    write_survey,
)
from napari_semxai.store.disk.safety_net import SafetyNet
from napari_semxai.types import InputError
from napari_semxai.types.quantities import counted
from napari_semxai.types.survey import ANSWERS, AnswerSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from napari_semxai.algorithms.statistics.survey import SurveyReport
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session


class SurveyController:
    """Opens surveys, records answers and consent, and summarises them.

    Parameters
    ----------
    session : Session
        Where the answers go.
    jobs : Jobs
        Reads and writes files.
    """

    def __init__(self, session: Session, jobs: Jobs) -> None:
        self._session, self._jobs = session, jobs
        self._net: SafetyNet[Path, AnswerSet] = SafetyNet(_save, attrgetter("key"))
        self._refused = False

    def open(self, path: Path) -> None:
        """Open a survey file, or begin one where there is none yet."""
        self._jobs.run("open survey", partial(self._read, path), self._on_opened)

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
            write = partial(write_consent, survey.path, text)
            self._jobs.run("write consent text", write)

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
        self._remove(lambda current, known: known.key == current.key)

    def withdraw(self) -> None:
        """Delete everything of the participant in front, who takes the consent back."""
        self._remove(lambda current, known: known.participant == current.participant)

    def go(self, item: int) -> None:
        """Put an item in front."""
        survey = self._session.survey
        if survey is not None and survey.current is not None:
            last = len(survey.current.answers) - 1
            self._session.survey = replace(survey, item=min(max(item, 0), last))

    def save_copy(self, path: Path) -> None:
        """Write all answers of the survey to another file."""
        survey = self._session.survey
        if survey is not None:
            write = partial(write_survey, path, survey.sets, survey.others)
            said = f"All answers copied to {path.name}"
            self._jobs.run("write copy of survey", write, lambda _: self._session.say(said))

    def summarise(self) -> None:
        """Work out what the answers come to."""
        survey = self._session.survey
        if survey is not None:
            self._jobs.run(
                "survey report", partial(survey_report, survey.sets), self._on_summarised
            )

    def _answering(self) -> AnswerSet | None:
        survey = self._session.survey
        if survey is None or survey.current is None:
            return None
        if not survey.current.consent:
            self._session.message = "The participant has to agree to the consent text first."
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
        self._net.put(survey.path, current)
        self._write_waiting()

    def _remove(self, belongs: Callable[[AnswerSet, AnswerSet], bool]) -> None:
        """Take what belongs to the set in front out of the file, and then of the session."""
        survey = self._session.survey
        if survey is None or survey.current is None:
            return
        gone = partial(belongs, survey.current)
        # At once: no answer can be given to a set that is going.
        self._session.survey = replace(survey, current=None, item=0)
        self._jobs.run(
            "remove answers",
            partial(self._write_without, survey.path, gone),
            partial(self._on_removed, survey.path, gone),
        )

    def _write_without(self, path: Path, gone: Callable[[AnswerSet], bool]) -> int:
        # No answer is written between: it would bring back somebody who has just withdrawn.
        with self._net.held(path):
            number = remove_answers(path, gone)
            self._net.drop(path, *filter(gone, self._net.waiting(path)))
            return number

    def _on_removed(self, path: Path, gone: Callable[[AnswerSet], bool], _number: int) -> None:
        survey = self._session.survey
        if survey is None or survey.path != path:
            return
        kept = tuple(known for known in survey.sets if not gone(known))
        self._session.survey = replace(survey, sets=kept, others=survey.others.only(kept))
        self._session.survey_report = None

    def _write_waiting(self) -> None:
        self._jobs.run("write survey", self._write, self._on_written, self._on_refused)

    def _write(self) -> None:
        """Write what waits, each to its own file, whichever of several writes comes first."""
        _, failed = self._net.flush()
        if failed:
            left = counted(sum(len(self._net.waiting(path)) for path in failed), "answer set")
            raise InputError(
                f"{'; '.join(map(str, failed.values()))}. Not written yet: {left}, kept "
                "until the program is closed, and tried again with the next answer or when a "
                "survey is opened"
            )

    def _read(self, path: Path) -> SurveyState:
        waiting = {entry.key: entry for entry in self._net.waiting(path)}
        sets, others = read_survey_file(path) if path.exists() else ([], NO_COLUMNS)
        # What the file refused before counts as answered.
        merged = {known.key: known for known in sets} | waiting
        return SurveyState(path, tuple(merged.values()), read_consent(path), others=others)

    def _on_opened(self, survey: SurveyState) -> None:
        self._session.survey_report = None
        self._session.survey = survey
        if self._refused:
            # The same words are told again: another file is in front now.
            self._session.message = ""
            self._write_waiting()

    def _on_written(self, _written: object) -> None:
        if self._refused:
            self._refused = False
            self._session.message = "Survey answers that failed to save earlier are now saved."

    def _on_refused(self, message: str) -> None:
        self._refused = True
        self._session.message = message

    def _on_summarised(self, report: SurveyReport) -> None:
        self._session.survey_report = report


def _save(path: Path, entry: AnswerSet) -> None:
    save_answers(path, [entry])
