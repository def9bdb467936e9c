"""Several annotators: how far they agree, where they differ, and what most of them say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_semxai.algorithms.statistics.agreement import pair_scores
from napari_semxai.state.review import OtherMasks
from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.masks import consensus_mask, ignored_regions, truth_masks

if TYPE_CHECKING:
    from napari_semxai.controllers.edit.edit import EditController
    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask

_CONSENSUS = "majority of annotators"
_NO_TRUTH = "No annotator has accepted or corrected a mask of this image, or said 'no defect'"


class AnnotatorsController:
    """Compares annotators' masks of the open image, and takes what most of them say.

    Parameters
    ----------
    session : Session
        Where the answers go.
    edit : EditController
        Takes the consensus as an edit.
    jobs : Jobs
        Reads the masks.
    """

    def __init__(self, session: Session, edit: EditController, jobs: Jobs) -> None:
        self._session, self._edit, self._jobs = session, edit, jobs
        session.events.image.connect(self._on_image_changed)

    def set_blind(self, blind: bool) -> None:
        """Hide what others say of an image until one's own review of it is written."""
        self._session.blind = blind
        if blind:
            self._session.agreement = ()
        if blind and not self._submitted():
            self._session.others = None

    def compare(self) -> None:
        """Compare the true masks of the current image, and show the others'."""
        found = self._place()
        if found is not None:
            project, image_id, me = found
            self._jobs.run(
                "others",
                partial(_read, project, image_id, me),
                partial(self._on_read, image_id),
            )

    def take_consensus(self) -> None:
        """Bring in the pixels that most annotators hold, as one undoable edit."""
        found = self._place()
        if found is not None:
            project, image_id, _ = found
            self._jobs.run(
                "consensus",
                lambda: consensus_mask(project, image_id, project.annotators()),
                partial(self._on_consensus, image_id),
            )

    def _place(self) -> tuple[Project, str, str] | None:
        """Return project, image and annotator, where others may be seen."""
        project, queue = self._session.project, self._session.queue
        if project is None or queue is None or not queue.current:
            return None
        if self._session.blind and not self._submitted():
            self._session.message = (
                "Review the image first: other annotators' masks are hidden until then"
            )
            return None
        return project.project, queue.current, queue.annotator

    def _submitted(self) -> bool:
        record = self._session.record
        # As shown: void from the first stroke on, not only once that is written.
        return record is not None and record.state.is_reviewed

    def _on_read(self, image_id: str, others: OtherMasks) -> None:
        queue = self._session.queue
        if queue is None or queue.current != image_id:
            return
        if not others.masks:
            self._session.message = "No other annotator has reviewed this image with a mask yet"
        self._session.others = others

    def _on_consensus(self, image_id: str, mask: BoolMask | None) -> None:
        queue = self._session.queue
        if queue is None or queue.current != image_id:
            return
        if mask is None:
            self._session.message = _NO_TRUTH
        else:
            self._edit.propose(mask, _CONSENSUS)

    def _on_image_changed(self, _: object) -> None:
        self._session.others = None


def _read(project: Project, image_id: str, me: str) -> OtherMasks:
    # From the files: what this annotator has not written is compared with nobody.
    masks = truth_masks(project, image_id, project.annotators())
    this_annotator = annotator_key(me)
    others = {name: mask for name, mask in masks.items() if name != this_annotator}
    return OtherMasks(others, pair_scores(masks, ignored_regions(project, image_id, masks)))
