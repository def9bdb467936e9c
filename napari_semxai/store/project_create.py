"""A new project from a source of images."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.store.digests import array_digest
from napari_semxai.store.images import read_image
from napari_semxai.store.project import Project, open_project
from napari_semxai.store.project_files import (
    PROJECT_FILE,
    unique_ids,
    write_images,
    write_info,
)
from napari_semxai.store.project_records import utc_now
from napari_semxai.store.project_sources import find_images
from napari_semxai.types import InputError, ProjectImage, ProjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.store.project_sources import SourceImage


def create_project(
    folder: str | Path,
    source: str | Path,
    *,
    failed: dict[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Project:
    """Make a project of a folder of images.

    The images stay where they are and are only read.

    Parameters
    ----------
    folder : str or Path
        Made when missing; must not hold a project yet.
    source : str or Path
        Where the images are.
    failed : dict, optional
        Gets the message of each image that cannot be read; without it the first one raises.
    progress : callable, optional
        Called with the number of images read so far and all of them.

    Raises
    ------
    InputError
        When there is a project already, or no image can be read.
    """
    folder, source = Path(folder), Path(source)
    if (folder / PROJECT_FILE).exists():
        raise InputError(f"{folder}: there is a project already; choose another folder")
    found = find_images(source)
    problems = dict(found.failed)
    images = _read_all(found.images, problems, progress)
    if problems and failed is None:
        raise InputError(next(iter(problems.values())))
    if not images:
        raise InputError(f"{source}: none of its images can be read")
    if failed is not None:
        failed.update(problems)
    name = folder.resolve().name
    info = ProjectInfo(uuid.uuid4().hex, name, utc_now(), str(source), found.class_names)
    write_images(folder, images)
    # Last, so that a folder is a project only when it is complete.
    write_info(folder, info)
    return open_project(folder)


def _read_all(
    sources: tuple[SourceImage, ...],
    failed: dict[str, str],
    progress: Callable[[int, int], None] | None,
) -> list[ProjectImage]:
    ids = unique_ids(source.name for source in sources)
    images = []
    for number, (image_id, source) in enumerate(zip(ids, sources, strict=True), start=1):
        try:
            images.append(_project_image(image_id, source))
        except InputError as error:
            failed[source.name] = str(error)
        if progress is not None:
            progress(number, len(sources))
    return images


def _project_image(image_id: str, source: SourceImage) -> ProjectImage:
    image = read_image(source.path, source.page)
    rows, columns = image.gray.shape
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
        pixel_size=image.pixel_size if source.pixel_size is None else source.pixel_size,
    )
