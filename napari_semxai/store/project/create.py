"""A new project from a source of images, and more images for one that is there."""

from __future__ import annotations

import os
import unicodedata
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.names import check_name
from napari_semxai.store.disk.tables import all_reasons
from napari_semxai.store.images.masks import MaskReader
from napari_semxai.store.images.read import read_image
from napari_semxai.store.project.files import (
    changing,
    read_info,
    unique_ids,
    write_info,
)
from napari_semxai.store.project.images import read_images, with_names, write_images
from napari_semxai.store.project.project import Project, open_project
from napari_semxai.store.project.records import imported_state, utc_now
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.types import (
    PROJECT_FILE,
    InputError,
    ProjectImage,
    ProjectInfo,
    ReviewChange,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari_semxai.store.sources.image_tables import ImageSource, SourceImage
    from napari_semxai.types import SemImage


def create_project(
    folder: str | Path,
    source: str | Path,
    *,
    failed: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    pixel_size: float | None = None,
    masks: MaskReader | None = None,
) -> Project:
    """Make a project of a folder of images, a Carinthia download, a table or a KLARF file.

    The images stay where they are and are only read. Masks that come with them are accepted
    reviews ("no defect" where empty), unless the table tells another state, of an annotator that
    has the name of the table.

    Parameters
    ----------
    folder : str or Path
        Made when missing; must not hold a project yet.
    source : str or Path
        See `find_images`.
    failed : dict, optional
        Gets the message of each image that cannot be read; without it the first one raises.
    progress : callable, optional
        Called with the number of images read and masks written so far, and all of them.
    pixel_size : float, optional
        Metres, for images whose size neither their file nor the source tells.
    masks : MaskReader, optional
        Reads the masks that come with the images, and counts them.

    Raises
    ------
    InputError
        When there is a project already, or no image can be read.
    """
    folder, source = Path(folder), Path(source)
    # Its own masks could not be read in one.
    check_name(folder.absolute())
    if (folder / PROJECT_FILE).exists():
        raise InputError(f"{folder}: there is a project already; choose another folder")
    found = find_images(source)
    problems = dict(found.failed)
    steps = _Steps(found.images, progress)
    images = _read_all(found.images, problems, steps, pixel_size)
    if not images:
        raise InputError(all_reasons(problems.values()))
    _stop_at_first(problems, failed)
    name, made_of = folder.resolve().name, os.path.abspath(source)
    info = ProjectInfo(uuid.uuid4().hex, name, utc_now(), made_of, found.class_names)
    images = dict(zip(images, with_names(list(images.values())), strict=True))
    # Masks are only written where this table is: it tells a project from an empty mount point.
    write_images(folder, list(images.values()))
    with closing(Project(folder, info, tuple(images.values()))) as unfinished:
        _write_masks(unfinished, found, images, problems, steps, masks or MaskReader())
    _stop_at_first(problems, failed)
    # Last, so that a folder is a project only when it is complete.
    write_info(folder, info)
    return open_project(folder)


def add_images(
    folder: str | Path,
    source: str | Path,
    *,
    failed: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    pixel_size: float | None = None,
    masks: MaskReader | None = None,
) -> tuple[ProjectImage, ...]:
    """Put the images of a source at the end of a project; those it has already are left alone.

    Parameters
    ----------
    folder : str or Path
        Of the project.
    source, failed, progress, pixel_size, masks
        See `create_project`.

    Returns
    -------
    tuple of ProjectImage
        The new ones.

    Raises
    ------
    InputError
        When the source has no image that can be read, or another program changes the project.
    """
    folder, source = Path(folder), Path(source)
    found = find_images(source)
    problems = dict(found.failed)
    with changing(folder):
        info, before = read_info(folder), read_images(folder)
        known = {(os.path.realpath(image.path), image.page) for image in before}
        new = tuple(
            image
            for image in found.images
            # By where they really lie: the same folder is often reached by two paths.
            if (os.path.realpath(image.path), image.page) not in known
        )
        steps = _Steps(new, progress)
        images = _read_all(new, problems, steps, pixel_size, [image.id for image in before])
        _stop_at_first(problems, failed)
        added = with_names((*before, *images.values()))[len(before) :]
        images = dict(zip(images, added, strict=True))
        # The table last: after a crash the same call does what is missing.
        with closing(Project(folder, info, (*before, *added))) as unfinished:
            _write_masks(unfinished, found, images, problems, steps, masks or MaskReader())
        _stop_at_first(problems, failed)
        # Names that a person has given before are not taken back by a table.
        names = {**found.class_names, **info.class_names}
        if names != dict(info.class_names):
            write_info(folder, replace(info, class_names=names))
        if added:
            write_images(folder, (*before, *added))
    return added


def name_classes(folder: str | Path, names: Mapping[str, str]) -> ProjectInfo:
    """Give classes of a project other names; labels in records and tables stay as they are.

    Parameters
    ----------
    folder : str or Path
        Of the project.
    names : mapping
        Class label to name; "" drops the label from the list.

    Raises
    ------
    InputError
        When a label is empty, or the project cannot be written.
    """
    folder = Path(folder)
    if not all(label.strip() for label in names):
        raise InputError(f"{folder}: a class needs a label before its name")
    if not names:
        return read_info(folder)
    with changing(folder):
        info = read_info(folder)
        merged = {**info.class_names, **{key.strip(): name.strip() for key, name in names.items()}}
        info = replace(info, class_names={key: name for key, name in merged.items() if name})
        write_info(folder, info)
    return info


def keep_reference(folder: str | Path, wanted: str) -> None:
    """Keep what the images of a project are compared with.

    Parameters
    ----------
    folder : str or Path
        Of the project.
    wanted : str
        As in `AlgorithmSettings.reference`.

    Raises
    ------
    InputError
        When the project cannot be written.
    """
    folder = Path(folder)
    with changing(folder):
        info = read_info(folder)
        if info.reference != wanted:
            write_info(folder, replace(info, reference=wanted))


def keep_export(folder: Path, form: str, chosen: Mapping[str, Any]) -> ProjectInfo:
    """Keep what was chosen for an export of a project, by the name of its format.

    Raises
    ------
    InputError
        When the project cannot be written.
    """
    with changing(folder):
        before = read_info(folder)
        info = replace(before, exports={**before.exports, form: dict(chosen)})
        if info.exports != before.exports:
            write_info(folder, info)
    return info


class _Steps:
    """Counts images read and masks written."""

    def __init__(
        self, sources: tuple[SourceImage, ...], progress: Callable[[int, int], None] | None
    ) -> None:
        self._total = len(sources) + sum(source.mask is not None for source in sources)
        self._progress = progress
        self._done = 0

    def step(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def _stop_at_first(problems: dict[str, str], failed: dict[str, str] | None) -> None:
    if failed is not None:
        failed.update(problems)
    elif problems:
        raise InputError(next(iter(problems.values())))


def _read_all(
    sources: tuple[SourceImage, ...],
    problems: dict[str, str],
    steps: _Steps,
    pixel_size: float | None,
    taken: Iterable[str] = (),
) -> dict[SourceImage, ProjectImage]:
    images = {}
    ids = unique_ids((source.name for source in sources), taken)
    for image_id, source in zip(ids, sources, strict=True):
        try:
            image = read_image(source.path, source.page)
            images[source] = _project_image(image_id, source, image, pixel_size)
            # Only a row of a table has the name of its file and no word of pages.
            if image.page_count > 1 and source.name == source.path.stem:
                problems[source.name] = (
                    f"{source.path}: has {image.page_count} pages, and its row no page; page 0 "
                    "was taken"
                )
        except InputError as error:
            problems[source.name] = str(error)
        steps.step()
    return images


def _write_masks(
    project: Project,
    found: ImageSource,
    images: dict[SourceImage, ProjectImage],
    problems: dict[str, str],
    steps: _Steps,
    masks: MaskReader,
) -> None:
    for source, image in images.items():
        if source.mask is None:
            continue
        try:
            reading = masks.read(source.mask, image.shape, found.mask_rule)
        except InputError as error:
            problems[f"{source.name} mask"] = str(error)
        else:
            state = imported_state(reading.mask, source.state)
            change = ReviewChange(state, reading.mask, comment=source.comment or None)
            project.write_review(image.id, found.annotator, change)
            masks.count(reading)
        steps.step()


def _project_image(
    image_id: str, source: SourceImage, image: SemImage, pixel_size: float | None
) -> ProjectImage:
    rows, columns = image.gray.shape
    # The table knows best, then the file's own tags, then what was said for all.
    sizes = (source.pixel_size, image.pixel_size, pixel_size)
    return ProjectImage(
        id=image_id,
        path=source.path,
        page=source.page,
        shape=(rows, columns),
        sha256=array_digest(image.pixels),
        label=source.label,
        label_source=source.label_source,
        lot=source.lot,
        wafer=source.wafer,
        defect=source.defect,
        pixel_size=next((size for size in sizes if size is not None), None),
        name=unicodedata.normalize("NFC", source.name),
        turned=image.turned,
        reference=source.reference,
    )
