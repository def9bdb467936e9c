"""What was changed outside the program: images, masks, records, certificates, own files.

Every event of a history holds the digests of what it rests on and of the event before; the
record holds that of the last one. Exports are listed the same way, and so are records, see
`review_list`. That finds what another program or a slip changed, not somebody who computes the
digests anew.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from napari_semxai.store.disk.digests import (
    array_digest,
    broken_lines,
    broken_seals,
    chained_line,
    chained_lines,
    entry_of,
    file_sha256,
    text_digest,
    write_sealed,
)
from napari_semxai.store.images.companions import find_reference
from napari_semxai.store.images.masks import read_white_mask
from napari_semxai.store.project.certificates import (
    CERTIFICATES_FOLDER,
    certificate_files,
    read_certificate,
)
from napari_semxai.store.project.files import (
    EXPORTS_FILE,
    RECORD_SUFFIX,
    annotator_folder,
    changing,
    history_digest,
    is_unchanged,
    mask_path,
    reaching,
    recipe_digest,
    record_path,
    stored_state,
)
from napari_semxai.store.project.records import read_stored, utc_now
from napari_semxai.store.project.review_list import LIST_FILE, ReviewList, list_digest, read_list
from napari_semxai.types import ChosenMask, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from napari_semxai.store.project.project import Project
    from napari_semxai.types import ProjectImage, ReviewRecord


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and what is not as the program left it.

    Attributes
    ----------
    images, records, exports : int
        How many were looked at.
    unchained : int
        Records whose history began before events held digests, at least in part.
    changed : tuple of (str, str)
        Name of what was changed, and how.
    """

    images: int
    records: int
    exports: int
    unchained: int
    changed: tuple[tuple[str, str], ...]


def verify_project(
    project: Project, progress: Callable[[int, int], None] | None = None
) -> Verified:
    """Compare images, masks, records and certificates with the digests that were written of them.

    Parameters
    ----------
    project : Project
        Only read.
    progress : callable, optional
        Called with the number of images done and all of them.
    """
    records = unchained = 0
    known_digest = cache(file_sha256)
    changed: list[tuple[str, str]] = []
    names = project.annotators()
    lists = {name: read_list(annotator_folder(project.folder, name)) for name in names}
    for number, image in enumerate(project.images, start=1):
        try:
            project.read_image(image.id)
        except InputError as error:
            changed.append((image.name, f"image: {error}"))
        for name in names:
            folder = annotator_folder(project.folder, name)
            known, chained, found = _verify_record(folder, image, known_digest, lists[name])
            records, unchained = records + known, unchained + (known and not chained)
            changed += [(f"{image.name} ({name})", said) for said in found]
        if progress is not None:
            progress(number, len(project.images))
    for name in names:
        changed += [(f"{LIST_FILE} ({name})", said) for said in lists[name].broken]
        for path in certificate_files(project, name):
            try:
                read_certificate(path)
            except InputError as error:
                changed.append((f"{path.name} ({name})", f"certificate: {error}"))
    exports, found, missed = _verify_exports(project, lists)
    changed += missed
    changed += [(EXPORTS_FILE, said) for said in found]
    with reaching(project.folder):
        broken = broken_seals(project.folder)
    # Of exports the line says more.
    told = {EXPORTS_FILE} if found else set()
    changed += [(name, "was changed or removed") for name in broken if name not in told]
    return Verified(len(project.images), records, exports, unchained, tuple(changed))


def _verify_record(
    folder: Path,
    image: ProjectImage,
    known_digest: Callable[[Path], str],
    listed: ReviewList,
) -> tuple[bool, bool, list[str]]:
    """Return whether there is a record, whether all of it is chained, and what was changed."""
    path, mask = record_path(folder, image.id), mask_path(folder, image.id)
    with reaching(folder):
        if not path.exists():
            left = ["mask: has no record"] if mask.exists() else []
            return False, True, [*listed.missing(image.id, None), *left]
    try:
        record, values = read_stored(path)
    except InputError as error:
        return True, True, [f"record: {error}"]
    found = [*_history_changes(image, record, values.get("history_sha256", ""))]
    if not found and not is_unchanged(values):
        found = ["record: holds other values than were written"]
    found += listed.missing(image.id, record)
    if values.get("list_sha256", "") not in {"", *listed.digests}:
        found.append(f"record: follows a line that is missing in {LIST_FILE}")
    rule = folder / CERTIFICATES_FOLDER / f"{record.rule}{RECORD_SUFFIX}"
    if record.rule and not rule.exists():
        found.append(f"certificate: {record.rule}, which accepted the mask, is missing")
    found += _mask_changes(mask, record, values["mask_file_sha256"], image.shape)
    found += _reference_changes(image, record, known_digest)
    return True, all(event.previous for event in record.history), found


def _mask_changes(
    path: Path, record: ReviewRecord, file_digest: str, shape: tuple[int, int]
) -> Iterator[str]:
    with reaching(path):
        there = path.exists()
    if there != bool(record.mask_sha256):
        yield "mask: was removed" if record.mask_sha256 else "mask: was added"
    elif there and file_sha256(path) != file_digest:
        # The same pixels in another file are the same mask.
        try:
            if array_digest(read_white_mask(path, shape)) != record.mask_sha256:
                yield "mask: has other pixels than its record says"
        except InputError as error:
            yield f"mask: {error}"


def _reference_changes(
    image: ProjectImage, record: ReviewRecord, known_digest: Callable[[Path], str]
) -> Iterator[str]:
    settings = {} if record.recipe is None else record.recipe.settings
    # Where it is not there, as after a move, nothing is known of it. Recipes may be damaged.
    with suppress(InputError, AttributeError, KeyError, TypeError):
        digest = (settings.get("compared") or {}).get("sha256")
        path = digest and find_reference(image.path, settings["reference"], image.reference)
        if path and known_digest(path) != digest:
            yield f"reference: {path.name} is not the picture that the mask was made with"


def _history_changes(image: ProjectImage, record: ReviewRecord, head: str) -> Iterator[str]:
    history, chained = record.history, False
    for number, event in enumerate(history):
        before = history_digest(image.id, history[:number])
        if (event.previous or chained) and event.previous != before:
            yield f"history: line {number + 1} does not follow from the lines before it"
        chained = chained or bool(event.previous)
    # Histories from before have neither.
    if (head or chained) and head != history_digest(image.id, history):
        yield "history: its last line was changed, or lines were added or removed"
    if not history:
        return
    last = history[-1]
    fields = "time", "label", "comment", "mask_sha256"
    other = [name for name in fields if getattr(record, name) != getattr(last, name)]
    if stored_state(record.state) != stored_state(last.state):
        other.insert(0, "state")
    if other:
        yield f"record: {', '.join(other)} not as in the last line of the history"
    if last.previous and last.recipe_sha256 != recipe_digest(record.recipe):
        yield "record: the recipe of the mask was changed"
    if last.previous and last.image_sha256 != image.sha256:
        yield "images.csv: the image is not the one of the review"


class ExportNote:
    """Pass masks on to an export, and list it in the project with the digest of them all.

    Parameters
    ----------
    project : Project
        Theirs.
    chosen : iterable of ChosenMask
        What is exported.
    """

    def __init__(self, project: Project, chosen: Iterable[ChosenMask]) -> None:
        self._project, self._chosen = project, chosen
        self._digests: list[str] = []

    def __iter__(self) -> Iterator[ChosenMask]:
        """Yield the masks."""
        for one in self._chosen:
            parts = one.image.id, one.image.sha256, array_digest(one.mask), one.state, one.label
            self._digests.append(text_digest(*map(str, parts)))
            yield one

    def write(self, target: Path, form: str, count: int) -> int:
        """Put an export of so many masks at the end of the list, and return their number.

        A project that cannot be written has no list.
        """
        path = self._project.folder / EXPORTS_FILE
        with suppress(InputError, OSError), changing(self._project.folder):
            lines = chained_lines(path)
            entry = {
                "time": utc_now(),
                "target": str(target),
                "format": form,
                "masks": count,
                "masks_sha256": text_digest(*self._digests),
                "reviews_sha256": self._lists(),
            }
            line = chained_line(entry, lines[-1] if lines else self._project.info.id)
            known = path.read_bytes() if lines else b""
            known = known.removesuffix(b"\n") + b"\n" * bool(known)
            write_sealed(self._project.folder, EXPORTS_FILE, known + f"{line}\n".encode())
        return count

    def _lists(self) -> dict[str, str]:
        folder, names = self._project.folder, self._project.annotators()
        found = {name: list_digest(annotator_folder(folder, name)) for name in names}
        return {name: digest for name, digest in found.items() if digest}


def _verify_exports(
    project: Project, lists: Mapping[str, ReviewList]
) -> tuple[int, list[str], list[tuple[str, str]]]:
    """Return how many exports are listed, which lines were changed, and what they miss."""
    path = project.folder / EXPORTS_FILE
    with reaching(path):
        lines = chained_lines(path)
    missed: dict[str, str] = {}
    for entry in filter(None, map(entry_of, lines)):
        for name, digest in entry.get("reviews_sha256", {}).items():
            if digest not in lists.get(name, ReviewList()).digests:
                said = f"reviews that were there at the export of {entry['time']} are missing"
                missed.setdefault(f"{LIST_FILE} ({name})", said)
    return len(lines), broken_lines(lines, project.info.id), [*missed.items()]
