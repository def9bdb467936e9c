"""SAM clicks: points and boxes on the image that refine the mask through the engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.masks.click_edits import (
    ClickHistory,
    answered_object,
    heed_newest,
    judge_answer,
    object_at,
    objects_in,
    still_there,
    take_answer,
)
from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.algorithms.masks.metrics import bounding_box
from napari_semxai.controllers.jobs import Failures
from napari_semxai.state.review import ClickState, Offer
from napari_semxai.state.session import Origin
from napari_semxai.types import (
    BoolMask,
    Encoding,
    Failure,
    LeftOut,
    ModelInfo,
    PredictedMask,
    PredictRequest,
    Prompts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.engine.client import EngineClient
    from napari_semxai.state.session import Session
    from napari_semxai.types import SemImage

CLICK = "click"
SAM_CLICK = "SAM click"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One question to the network: the object before, the prompts, and what it is called."""

    before: BoolMask
    prompts: Prompts
    title: str = SAM_CLICK
    mask: BoolMask | None = None

    @property
    def prompt(self) -> BoolMask | None:
        """The mask prompt: the object as it is, or what is to become one."""
        mask = self.before if self.mask is None else self.mask
        return mask if mask.any() else None


class ClickController:
    """Refines the mask by SAM prompts, one object at a time.

    One object is worked on at a time. Clicks add up for it; the object as it is in the mask, with
    every brush stroke, is the mask prompt. While the network works, newer clicks wait and are
    asked together when it is done, so that only the newest click delivers. An answer that is not
    what was asked for is offered; it comes into the mask when a person says so, and a click on
    before that corrects it.

    Parameters
    ----------
    session : Session
        Where the answers go.
    engine : EngineClient
        Runs the network.
    edit : EditController
        Knows the mask.
    """

    def __init__(self, session: Session, engine: EngineClient, edit: EditController) -> None:
        self._session = session
        self._engine = engine
        self._edit = edit
        self._failures = Failures(session.events.failure_over.emit)
        self._busy = False
        self._origin = Origin()
        self._known: BoolMask | None = None
        self._answered = Prompts()
        self._asked: Question | None = None
        self._waiting: Question | None = None
        self._history = ClickHistory()
        session.events.image.connect(self._on_image_changed)
        edit.edited.connect(self._on_mask_edited)

    def activate(self, active: bool) -> None:
        """Take the tool or put it away; the image is encoded before the first click."""
        if active == self._session.clicks.active:
            return
        self._change(active=active, message="")
        if active:
            self._encode()
        else:
            self.begin_object()

    def begin_object(self) -> None:
        """Let the next click begin another object."""
        self._forget_object()
        self._change(prompts=Prompts(), offer=None)

    def click(self, row: float, column: float, foreground: bool = True) -> None:
        """Refine the object by a click, or begin one.

        A foreground click inside another component of the mask goes on with that component.

        Parameters
        ----------
        row, column : float
            Pixel coordinates within the image.
        foreground : bool
            Whether the click is on the object.
        """
        asked = self.question(row, column, foreground)
        if asked is not None:
            self._ask(asked)
        elif self._edit.mask is not None:
            self._change(message="There is nothing to remove here: click on the defect first")

    def question(self, row: float, column: float, foreground: bool = True) -> Question | None:
        """Return what a click would ask the network; None where there is nothing to ask.

        Parameters
        ----------
        row, column, foreground
            As in `click`.
        """
        mask = self._edit.mask
        if mask is None:
            return None
        hit = object_at(mask, int(row), int(column))
        prompts, offer = self._session.clicks.prompts, self._session.clicks.offer
        # Clicks correct what is seen, which is an offer, though the mask is still as before.
        known, draft = (self._known, None) if offer is None else (offer.before, offer.after)
        known = np.zeros_like(mask) if known is None else still_there(mask, known)
        # A click on another object is the wish to work on that one.
        if hit.any() and not (hit & known).any():
            known, prompts, draft = hit, Prompts(), None
        if not (foreground or known.any() or prompts):
            return None
        return Question(known, prompts.clicked(row, column, foreground), mask=draft)

    def box(self, row0: float, column0: float, row1: float, column1: float) -> None:
        """Correct the objects that a box is around, or begin one; corners in any order."""
        mask = self._edit.mask
        if mask is not None:
            rows, columns = sorted((row0, row1)), sorted((column0, column1))
            box = (rows[0], columns[0], rows[1], columns[1])
            # Without the clicks so far, which were on another object.
            self._ask(Question(objects_in(mask, box), Prompts(box=box)))

    def refine_mask(self, mask: BoolMask, title: str) -> None:
        """Let SAM 2 make an object of any mask, for example of an explanation's.

        The mask is the prompt together with the box around it; the answer is added to the defect
        mask as one undoable edit, and clicks go on from there.

        Parameters
        ----------
        mask : ndarray of bool, shape (M, N)
            The prompt.
        title : str
            What the edit is called.
        """
        current = self._edit.mask
        if current is None or mask.shape != current.shape or not mask.any():
            self._session.message = f"{title}: no mask of the image's size to start from"
            return
        self._ask(Question(np.zeros_like(mask), Prompts(box=_box_around(mask)), title, mask))

    def cancel(self) -> None:
        """Do not wait for the answer."""
        self._engine.cancel(CLICK)
        self._busy, self._asked, self._waiting = False, None, None
        self._change(state=ClickState.IDLE, message="", prompts=self._answered)

    def apply_offer(self) -> None:
        """Take the answer that is offered, as one undoable edit."""
        offer, mask = self._session.clicks.offer, self._edit.mask
        if offer is not None and mask is not None:
            self._apply(offer, mask)

    def discard_offer(self) -> None:
        """Let the answer that is offered go, with its clicks."""
        if self._session.clicks.offer is not None:
            self._change(offer=None, prompts=self._answered, message="")

    def _ask(self, asked: Question) -> None:
        if self._busy:
            # Only the newest counts: earlier clicks on the same object are among its prompts.
            self._waiting = asked
            self._change(prompts=asked.prompts, offer=None)
            return
        self._submit(asked)

    def _encode(self) -> None:
        # Whoever takes the tool to correct what is offered finds it there.
        if not self._busy and self._session.clicks.offer is None:
            self._submit(None)

    def _submit(self, asked: Question | None) -> None:
        """Ask the network; without a question it encodes the image."""
        session = self._session
        if session.image is None:
            return
        self._busy, self._asked, choice = True, asked, session.choice
        prompts, mask = (Prompts(), None) if asked is None else (asked.prompts, asked.prompt)
        # As asked: the choice may change before the answer is there.
        self._origin = Origin(choice)
        # Asked first: the network works while the window shows that it does.
        self._engine.submit(
            PredictRequest(session.image.gray, choice.model, choice.device, prompts, mask),
            destination=CLICK,
            on_update=self._on_update,
            on_done=self._on_done,
            on_failed=self._on_failed,
        )
        state, message = ClickState.ANSWERING, ""
        if session.model is None:
            state, message = ClickState.LOADING, "Loading the network …"
        self._change(prompts=prompts, state=state, message=message, offer=None)

    def _on_update(self, answer: Any) -> None:
        if isinstance(answer, ModelInfo):
            self._origin = replace(self._origin, model=answer)
            if self._origin.choice == self._session.choice:
                self._session.model = answer
        elif isinstance(answer, Encoding):
            self._change(state=ClickState.ENCODING, message="Encoding the image …")
        elif isinstance(answer, PredictedMask) and self._waiting is None:
            self._take(answer)

    def _take(self, answer: PredictedMask) -> None:
        asked, mask = self._asked, self._edit.mask
        if asked is None or mask is None:
            return
        offer = _offer(asked, answer, self._origin)
        if not offer.doubts or np.array_equal(self._with(offer, mask), mask):
            self._apply(offer, mask)
            return
        self._change(offer=offer, message=_iou(offer.details))
        _tell(self._session, asked.title, "not applied, see SAM click in Edit & review")

    def _apply(self, offer: Offer, mask: BoolMask) -> None:
        """Bring an answer into the mask as one undoable edit."""
        result = self._with(offer, mask)
        self._history.note(mask, self._answered, self._known)
        self._history.note(result, offer.prompts, offer.after)
        self._known, self._answered = offer.after, offer.prompts
        message = told = "SAM 2 does not change the mask here: use the brush"
        if not np.array_equal(result, mask):
            self._edit.propose(result, offer.title, offer.details)
            message = _iou(offer.details)
            told = f"added to the defect mask. {message}"
        self._change(offer=None, message=message)
        _tell(self._session, offer.title, told)

    def _with(self, offer: Offer, mask: BoolMask) -> BoolMask:
        """Return the mask with an answer, which may cross what is ignored, but not fill it."""
        result = take_answer(mask, offer.before, offer.after)
        return LeftOut(region=self._session.ignored).seen(result)

    def _on_done(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._busy, self._asked = False, None
        self._failures.end(CLICK)
        if waiting is not None:
            self._ask(waiting)
        else:
            message = self._session.clicks.message
            self._change(state=ClickState.IDLE, message="" if message.endswith("…") else message)

    def _on_failed(self, message: str) -> None:
        self._busy, self._asked, self._waiting = False, None, None
        self._change(state=ClickState.FAILED, message=message)
        self._failures.note(CLICK, message)
        self._session.message = Failure(message)

    def _on_mask_edited(self) -> None:
        """Take the clicks along where undo or redo takes the mask."""
        mask = self._edit.mask
        moment = None if mask is None else self._history.move(mask)
        if moment is not None:
            self._known, self._answered = moment.known, moment.prompts
            # What was asked meanwhile goes on from a mask that is no more.
            self._asked = self._waiting = None
            self._change(prompts=moment.prompts, offer=None, message="")

    def _on_image_changed(self, image: SemImage | None) -> None:
        self._engine.forget(CLICK)
        self._busy, self._asked, self._waiting = False, None, None
        self._forget_object()
        self._change(prompts=Prompts(), offer=None, state=ClickState.IDLE, message="")
        if image is not None and self._session.clicks.active:
            self._encode()

    def _forget_object(self) -> None:
        self._known, self._answered = None, Prompts()
        self._history.clear()

    def _change(self, **values: Any) -> None:
        self._session.clicks = replace(self._session.clicks, **values)


def _tell(session: Session, title: str, text: str) -> None:
    # Whoever asked elsewhere does not see the clicks' own line.
    if title != SAM_CLICK:
        session.message = f"{title}: {text}"


def _box_around(mask: BoolMask) -> tuple[float, float, float, float]:
    rows, columns = bounding_box(mask) or (slice(0, 0), slice(0, 0))
    return float(rows.start), float(columns.start), float(rows.stop), float(columns.stop)


def _offer(asked: Question, answer: PredictedMask, origin: Origin) -> Offer:
    """Return an answer with what there is to doubt in it, and what a recipe keeps of it."""
    before, prompts = asked.before, asked.prompts
    found = answered_object(answer.mask, before, prompts)
    doubts = judge_answer(found, before, prompts)
    # As JSON can hold it.
    details = {
        **asdict(prompts),
        "object": _drawn(before),
        "prompt": None if asked.mask is None else _drawn(asked.mask),
        "model": {"name": origin.choice.model, "sha256": origin.sha256},
        "predicted_iou": answer.predicted_iou,
    }
    after = heed_newest(found, prompts)
    return Offer(before, after, prompts, doubts, asked.title, details)


def _drawn(mask: BoolMask) -> dict[str, Any]:
    """Return a mask as the runs that draw it, for the recipe."""
    edit = mask_patch(np.zeros_like(mask), mask, "")
    return {"box": list(edit.box), "runs": " ".join(map(str, edit.runs))}


def _iou(details: Mapping[str, Any]) -> str:
    return f"Predicted IoU {details['predicted_iou']:.2f}"
