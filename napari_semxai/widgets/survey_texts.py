"""What the Survey dock says about a survey, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_semxai.store.survey import consent_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_semxai.algorithms.survey import SurveyReport
    from napari_semxai.state.survey import SurveyState
    from napari_semxai.types.survey import AnswerSet


def names_of(answers: AnswerSet) -> tuple[str, str, str]:
    """Participant, method and explanation of an answer set."""
    return answers.participant, answers.method, answers.explanation


def told(names: Iterable[str]) -> str:
    """`names_of` as a phrase."""
    kinds = ("participant", "method", "explanation")
    return ", ".join(f"{kind} {name or '(none)'}" for kind, name in zip(kinds, names, strict=True))


def front_text(current: AnswerSet | None, named: tuple[str, ...]) -> str:
    """Say which set takes answers, and whether it is the one that the boxes name."""
    if current is None:
        return "Press “Start or resume” to answer."
    front = names_of(current)
    if named == front:
        return f"In front: {told(front)}"
    return f"Still in front: {told(front)}. “Start or resume” answers for the boxes above."


def agreement(survey: SurveyState) -> str:
    """Say that the current participant agreed to another text; empty if not."""
    if survey.current is None or not survey.current.consent:
        return ""
    same = survey.current.consent == consent_digest(survey.consent_text)
    return "" if same else "agreed to an earlier wording of the text"


def summary_text(report: SurveyReport) -> str:
    """Means, agreement and comparisons as rich text."""
    rows = []
    for entry in report.methods:
        rows.append(
            f"<b>{entry.method or 'explanations'}</b>, participants: {entry.n_participants}"
        )
        summary = entry.summary
        if math.isnan(summary.cronbach_alpha):
            rows.append("Cronbach’s alpha is undefined for these answers")
        else:
            alpha, sets = summary.cronbach_alpha, summary.n_complete
            rows.append(f"Cronbach’s alpha {alpha:.3f}, complete answer sets {sets}")
    for pair in report.comparisons:
        test = pair.test
        rows.append(
            f"{pair.first} – {pair.second}: participants who saw both {test.n}, median difference "
            f"{test.median_difference:+.2f}, Wilcoxon p = {test.p_value:.4f} (Holm "
            f"{pair.p_holm:.4f}), rank-biserial {test.rank_biserial:+.2f}"
        )
    return "<br>".join(rows) or "No answers yet."
