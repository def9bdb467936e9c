"""What is done to a whole project: exports, more images, class names, agreement."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from psygnal import Signal

from napari_semxai.store.images.masks import MaskReader, UnclearMaskError
from napari_semxai.store.project.create import add_images, keep_export, name_classes
from napari_semxai.store.project.exports import EXPORT_FORMATS, export
from napari_semxai.store.project.files import annotator_key
from napari_semxai.store.project.imports import ImportChoices, ReviewedError, import_masks
from napari_semxai.store.project.masks import chosen_masks, project_agreement
from napari_semxai.types import IDLE, InputError, Progress
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_semxai.controllers.jobs import Jobs
    from napari_semxai.controllers.project.projects import ProjectController
    from napari_semxai.state.session import Session
    from napari_semxai.store.project.index.open_project import OpenProject
    from napari_semxai.store.project.klarf_export import KlarfChoices, KlarfEdit
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import PairAgreement, ProjectImage, ProjectInfo

    Tell = Callable[[int, int], None]
    Choices = KlarfChoices | None
    WriteReport = Callable[[list[Project], Path, Tell, dict[str, str]], int]

T = TypeVar("T")
_TOOL = "project tool"


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """What an import brought in, and what it left for a person to decide.

    Attributes
    ----------
    source, choices : Path; ImportChoices
        Of the masks, and how they were brought in.
    masks, failed : MaskReader; mapping
        What was brought in, refused and left out, and the message of each mask that was refused.
    """

    source: Path
    choices: ImportChoices
    masks: MaskReader
    failed: Mapping[str, str]

    @property
    def unclear(self) -> list[str]:
        """Masks that can be read in two ways."""
        return self.masks.refused[UnclearMaskError]

    @property
    def reviewed(self) -> list[str]:
        """Masks that would replace a review."""
        return self.masks.refused[ReviewedError]

    @property
    def unannotated(self) -> list[str]:
        """Images without any annotation; after an answer there is nothing left to ask."""
        return [] if self.choices.only is not None else self.masks.left_out

    @property
    def open_questions(self) -> bool:
        """Whether a person's word brings more in."""
        return bool(self.unclear or self.reviewed or self.unannotated)


class ProjectTools:
    """Exports and imports masks, adds images, names classes, compares annotators, one at a time.

    Parameters
    ----------
    session : Session
        Told of progress and results.
    projects : ProjectController
        Opens it again when it has more images.
    jobs, writes : Jobs
        Does the work, after the reviews that were asked for before are written.
    """

    asked = Signal(Imported)
    copied = Signal(object)
    """A copy of a KLARF file: where it is, its `KlarfEdit`s, reasons for what was left."""

    def __init__(
        self,
        session: Session,
        projects: ProjectController,
        jobs: Jobs,
        writes: Jobs,
    ) -> None:
        self._session, self._projects = session, projects
        self._jobs, self._writes = jobs, writes
        self._stop = Event()
        projects.cancelled.connect(self.cancel)

    def export(
        self, form: str, annotator: str, target: Path, *, every: bool, choices: Choices = None
    ) -> None:
        """Write masks in one of `EXPORT_FORMATS`.

        Parameters
        ----------
        form, annotator : str
            Key of `EXPORT_FORMATS`, and whose masks; "consensus" for the majority.
        target, every : Path; bool
            Folder or file; whether candidates, rejected and unsure masks are written, too.
        choices : KlarfChoices, optional
            What a form that offers choices takes; kept in the project.
        """
        if self.hides(annotator):
            return

        def work(opened: OpenProject, tell: Tell) -> int:
            project = opened.project
            _keep(project, form, choices)
            chosen = chosen_masks(project, annotator, every_state=every, failed=failed)
            counted = _counted(chosen, len(project.images), tell)
            return export(project, counted, target, form, failed, **more)

        failed: dict[str, str] = {}
        edits: list[KlarfEdit] | None = None if EXPORT_FORMATS[form].offer is None else []
        more: dict[str, Any] = {} if edits is None else {"choices": choices, "edits": edits}
        self.begin("Export", work, partial(self._on_exported, target, failed, edits))

    def report(self, write: WriteReport, target: Path) -> None:
        """Write a report of the project into one HTML file.

        Parameters
        ----------
        write : callable
            `reports.lot_report.write_report`, which lies beside the controllers.
        target : Path
            The file.
        """

        def work(opened: OpenProject, tell: Tell) -> int:
            return write([opened.project], target, tell, failed)

        failed: dict[str, str] = {}
        # It names who reviewed what.
        if not self._blind():
            self.begin("Report", work, partial(self._on_reported, target, failed))

    def add(self, source: Path) -> None:
        """Put the images of a folder, table or KLARF file behind those of the project."""

        def work(opened: OpenProject, tell: Tell) -> tuple[ProjectImage, ...]:
            return add_images(opened.project.folder, source, failed=failed, progress=tell)

        failed: dict[str, str] = {}
        self.begin("Images", work, partial(self._on_added, failed))

    def import_masks(self, source: Path, choices: ImportChoices | None = None) -> None:
        """Bring existing masks in as this annotator's reviews; see `store.project.imports`.

        What a person has to decide is left out, and `asked` names it: call again with an answer.
        """
        if self._unsaved():
            return
        work = partial(_imported, source, choices or ImportChoices())
        # In the writing thread: reviews that a person makes meanwhile come after it, never
        # between.
        self.begin("Import", work, self._on_imported, self._writes)

    def restore_replaced(self) -> None:
        """Bring back this annotator's reviews that imports replaced."""
        if not self._unsaved():
            self.begin("Restore", _restored, self._on_restored, self._writes)

    def name_classes(self, names: Mapping[str, str]) -> None:
        """Give classes names; "" drops one from the list."""
        opened = self._session.project
        if opened is not None:
            self._jobs.run(
                "class names",
                partial(name_classes, opened.project.folder, names),
                partial(self._on_named, opened),
            )

    def agree(self) -> None:
        """Compare every two annotators over all images."""
        if not self._blind():
            self.begin("Agreement", _agreement, self._on_agreed)

    def begin(
        self,
        title: str,
        work: Callable[[OpenProject, Tell], T],
        on_done: Callable[[T], None],
        jobs: Jobs | None = None,
    ) -> None:
        """Do `work` with the open project behind the window, in `jobs`, and tell how far it is."""
        opened = self._session.project
        if opened is None or self._session.is_busy():
            return
        # A new one each time: cancelling this one must not stop the next.
        stop = self._stop = Event()
        self._session.batch = Progress(title, total=len(opened.project.images))

        def start(_: object) -> None:
            (jobs or self._jobs).run(
                _TOOL,
                partial(work, opened, partial(self._tell, stop, title)),
                partial(self._on_done, on_done),
                self._on_failed,
            )

        # Behind the writes that were asked for before.
        self._writes.run(_TOOL, lambda: None, start, self._on_failed)

    def hides(self, annotator: str) -> bool:
        """Return whether an annotator's masks are hidden for now, and say so."""
        queue = self._session.queue
        mine = queue is not None and annotator == annotator_key(queue.annotator)
        return not mine and self._blind()

    def cancel(self) -> None:
        """Stop what is under way."""
        self._stop.set()

    def _unsaved(self) -> bool:
        """Say so where strokes of the open image would be written over what comes in."""
        unsaved = not self._session.save.on_disk
        if unsaved:
            self._session.say("Review this image first, or undo its strokes; then try again")
        return unsaved

    def _blind(self) -> bool:
        """Say so where others are hidden until every image has one's own review."""
        queue, opened = self._session.queue, self._session.project
        if queue is None or opened is None or not self._session.blind:
            return False
        left = queue.total - queue.reviewed
        if not left or not _has_others(opened, queue.annotator):
            return False
        self._session.message = (
            "Other annotators are hidden until you have reviewed all images; "
            f"{left:,} are left. Untick 'Blind until I have reviewed' to see them now."
        )
        return True

    def _tell(self, stop: Event, title: str, done: int, total: int) -> None:
        if stop.is_set():
            raise InputError(f"{title}: cancelled; finished work is kept")
        # Each delivery redraws the bar; thousands would keep the window from everything else.
        if done % 20 == 0 or done == total:
            self._jobs.deliver(partial(self._show, Progress(title, done, total)))

    def _show(self, batch: Progress) -> None:
        if self._session.batch.stage == batch.stage:
            self._session.batch = batch

    def _on_done(self, on_done: Callable[[T], None], result: T) -> None:
        self._session.batch = IDLE
        on_done(result)

    def _on_exported(
        self,
        target: Path,
        failed: Mapping[str, str],
        edits: list[KlarfEdit] | None,
        count: int,
    ) -> None:
        said = f"{counted(count, 'mask')} exported to {target}"
        if edits is None:
            self._session.message = said + _but(failed, "cannot be read")
            return
        said += f"; {len(edits):,} values differ from the original"
        self._session.message = said + _but(failed, "left as they were")
        self.copied.emit((target, tuple(edits), failed))

    def _on_reported(self, target: Path, failed: Mapping[str, str], count: int) -> None:
        said = f"Report of {counted(count, 'image')} written to {target}"
        self._session.say(said + _but(failed, "cannot be read"))

    def _on_added(self, failed: Mapping[str, str], added: tuple[ProjectImage, ...]) -> None:
        said = f"{counted(len(added), 'image')} added"
        self._session.message = said + _but(failed, "cannot be read")
        if added:
            self._open_again()

    def _on_imported(self, imported: Imported) -> None:
        self._session.say(
            f"Import: {imported.masks}" + _but(imported.failed, "left out or incomplete")
        )
        if imported.masks.brought:
            self._open_again()
        if imported.open_questions:
            self.asked.emit(imported)

    def _on_restored(self, restored: tuple[int, dict[str, str]]) -> None:
        count, failed = restored
        said = f"{counted(count, 'replaced review')} restored"
        self._session.say(said + _but(failed, "cannot be restored"))
        if count:
            self._open_again()

    def _open_again(self) -> None:
        """Read everything anew, and stay at the image."""
        opened, queue = self._session.project, self._session.queue
        if opened is not None and queue is not None:
            # The list of images is fixed for as long as a project is open.
            self._projects.open(opened.project.folder, queue.annotator, at=queue.current)

    def _on_named(self, opened: OpenProject, info: ProjectInfo) -> None:
        opened.project.info = info
        if self._session.queue is not None and opened is self._session.project:
            self._session.queue = replace(self._session.queue, class_names=info.class_names)

    def _on_agreed(self, pairs: tuple[PairAgreement, ...]) -> None:
        if not pairs:
            self._session.message = "Only one annotator has reviewed images so far"
        self._session.agreement = pairs

    def _on_failed(self, message: str) -> None:
        self._session.batch = IDLE
        self._session.message = message


def _has_others(opened: OpenProject, annotator: str) -> bool:
    """Return whether others have reviews, or nobody can tell: on a drive that is away."""
    with suppress(InputError):
        return any(name != annotator_key(annotator) for name in opened.project.annotators())
    return True


def _but(failed: Mapping[str, str], what: str) -> str:
    """Return how many of many failed, with the message of the first, to put behind the rest."""
    if not failed:
        return ""
    return f"; {len(failed):,} {what}, for example: {next(iter(failed.values()))}"


def _keep(project: Project, form: str, choices: Choices) -> None:
    if choices is None:
        return
    # A project that cannot be written does not remember.
    with suppress(InputError):
        project.info = keep_export(project.folder, form, asdict(replace(choices, source=None)))


def _counted(chosen: Iterable[T], total: int, tell: Tell) -> Iterator[T]:
    for number, one in enumerate(chosen, start=1):
        yield one
        tell(number, total)


def _imported(source: Path, choices: ImportChoices, opened: OpenProject, tell: Tell) -> Imported:
    """Bring masks in; for the writing thread."""
    annotator, failed = opened.cache.annotator, dict[str, str]()
    total = len(opened.project.images)
    masks = MaskReader(choices.rule, choices.unclear, lambda done: tell(min(done, total), total))
    try:
        import_masks(opened.project, source, annotator, choices, failed, masks)
    except InputError as error:
        # Nothing came in; where the masks have no reasons of their own, this is it.
        if not failed:
            failed[source.name] = str(error)
    return Imported(source, choices, masks, failed)


def _restored(opened: OpenProject, tell: Tell) -> tuple[int, dict[str, str]]:
    """Bring replaced reviews back; how many were, and the message of each that was not."""
    project, annotator = opened.project, opened.cache.annotator
    replaced, failed = project.replaced_images(annotator), dict[str, str]()
    for number, image_id in enumerate(replaced):
        tell(number, len(replaced))
        try:
            project.restore_replaced(image_id, annotator)
        except InputError as error:
            failed[project.image(image_id).name] = str(error)
    return len(replaced) - len(failed), failed


def _agreement(opened: OpenProject, tell: Tell) -> tuple[PairAgreement, ...]:
    project: Project = opened.project
    return tuple(project_agreement(project, project.annotators(), tell))
