"""Images with their true masks, from whatever layout they lie in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, check_name, name_key, printable
from napari_semxai.store.images.ignored import read_ignored
from napari_semxai.store.images.mask_parts import region_mask
from napari_semxai.store.images.masks import MaskFile, read_white_mask
from napari_semxai.store.images.read import image_files
from napari_semxai.store.project.files import annotator_folder, mask_path
from napari_semxai.store.project.project import open_project
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.types import PROJECT_FILE, InputError

if TYPE_CHECKING:
    from napari_semxai.store.project.project import Project
    from napari_semxai.types import BoolMask

_MASK = "_mask"


@dataclass(frozen=True, slots=True)
class TruthImage:
    """An image and where its true mask is.

    Attributes
    ----------
    name : str
        Names its results; "/" between folders.
    path, page
        Where the image is.
    truth : MaskFile
        The mask file.
    label : str
        Class; "" where unknown.
    ignored : str
        What a project's review ignores, as run lengths; "" for none.
    ignored_file : Path or None
        A picture of what is ignored besides.
    """

    name: str
    path: Path
    page: int
    truth: MaskFile
    label: str = ""
    ignored: str = ""
    ignored_file: Path | None = None

    def region(self, shape: tuple[int, int]) -> BoolMask | None:
        """Return the pixels (M, N) that count for nothing, which a file beside the mask may tell.

        Raises
        ------
        InputError
            When it is damaged, or of another size.
        """
        own = (
            region_mask(self.ignored, shape)
            if self.ignored
            else read_ignored(self.truth.path, shape)
        )
        if self.ignored_file is None:
            return own
        given = read_white_mask(self.ignored_file, shape)
        return given if own is None else given | own


def open_dataset(
    source: Path, failed: dict[str, str], rule: ForegroundRule = AUTO
) -> list[TruthImage]:
    """List the images of a data set that have a true mask.

    Parameters
    ----------
    source : Path
        A project (masks accepted, corrected or "no defect", the newest of each image); a
        Carinthia-S download or a table with masks; a folder with ``images`` and ``masks`` of
        equal names; or images with ``<name>_mask.png`` beside them.
    failed : dict
        Gets the message of each image that cannot be used.
    rule : ForegroundRule
        What is foreground in masks that no project wrote.

    Raises
    ------
    InputError
        When there is no image with a mask.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if (source / PROJECT_FILE).is_file():
        found = _project_images(open_project(source), failed)
    elif (source / "images").is_dir() and (source / "masks").is_dir():
        found = _pairs(source / "images", source / "masks", "", rule, failed)
    else:
        listed = find_images(source)
        failed.update(listed.failed)
        told = listed.mask_rule if rule == AUTO else rule
        found = [
            TruthImage(image.name, image.path, image.page, MaskFile(image.mask, told), image.label)
            for image in listed.images
            if image.mask is not None
        ]
        if not found and source.is_dir():
            found = _pairs(source, source, _MASK, rule, failed)
    if not found:
        raise InputError(
            f"{source}: no image with a true mask; a project needs accepted, corrected or 'no "
            "defect' masks, a folder needs images and masks of equal names"
        )
    return found


def _project_images(project: Project, failed: dict[str, str]) -> list[TruthImage]:
    found = []
    for image in project.images:
        truths = []
        for annotator in project.annotators():
            try:
                record = project.record(image.id, annotator)
            except InputError as error:
                failed[image.id] = str(error)
                continue
            if record is not None and record.state.is_truth:
                truths.append((record.time, annotator, record.ignored))
        if truths:
            _, annotator, ignored = max(truths)
            folder = annotator_folder(project.folder, annotator)
            mask = MaskFile(mask_path(folder, image.id), BRIGHT)
            about = (image.stem, image.path, image.page)
            found.append(TruthImage(*about, mask, image.label, ignored))
    return found


def _pairs(
    images: Path, masks: Path, ending: str, rule: ForegroundRule, failed: dict[str, str]
) -> list[TruthImage]:
    found = []
    for path in image_files(images):
        name = path.relative_to(images).with_suffix("")
        if ending and name.name.endswith(ending):
            continue
        try:
            check_name(path)
        except InputError as error:
            failed[printable(name)] = str(error)
            continue
        mask = find_by_stem(masks, f"{name.as_posix()}{ending}")
        if mask is not None:
            found.append(TruthImage(name.as_posix(), path, 0, MaskFile(mask, rule)))
        elif not ending:
            failed[name.as_posix()] = f"{path}: has no mask in {masks}"
    return found


def find_by_stem(folder: Path, stem: str) -> Path | None:
    """Return the picture ``folder/stem`` of any ending and spelling; None where there is none."""
    for suffix in IMAGE_SUFFIXES:
        path = folder / f"{stem}{suffix}"
        if path.is_file():
            return path
    # A name may be composed on one system and decomposed on another.
    place = folder / stem
    if place.name.isascii() or not place.parent.is_dir():
        return None
    wanted = {name_key(f"{place.name}{suffix}") for suffix in IMAGE_SUFFIXES}
    return next((path for path in place.parent.iterdir() if name_key(path.name) in wanted), None)
