"""Which images the inputs of a command mean, and where the results of each one go.

An input is an image, a folder, or something that lists images elsewhere: a project, a Carinthia
download, a table or a KLARF file.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from napari_semxai.algorithms.masks.foreground import AUTO, BRIGHT, ForegroundRule
from napari_semxai.store.datasets.dataset import find_by_stem, open_dataset
from napari_semxai.store.disk.atomic import atomic_write
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.disk.names import IMAGE_SUFFIXES, printable
from napari_semxai.store.images.companions import is_reference, reference_digests
from napari_semxai.store.images.masks import MaskFile, read_mask, write_mask
from napari_semxai.store.images.read import image_files, page_count, page_name, read_image
from napari_semxai.store.project.project import open_project
from napari_semxai.store.sources.find_images import class_of, find_images
from napari_semxai.store.sources.image_tables import find_table
from napari_semxai.types import PROJECT_FILE, InputError, ReviewedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_semxai.cli.common.output import Output
    from napari_semxai.store.datasets.dataset import TruthImage
    from napari_semxai.types import AlgorithmSettings, SemImage


DATASET_HELP = (
    "a project, a Carinthia-S download, a table, folders of images and masks, or synthetic:N "
    "for N synthetic scenes with exact masks"
)
SYNTHETIC = re.compile(r"synthetic(?::([1-9][0-9]*))?")
DEFAULT_SCENES = 120
# Seeds of one number; those of the bundled networks' trainings are sequences.
_FIRST_SEED = 77_000_000


def open_images(
    given: Path,
    output_folder: Path,
    output: Output,
    failed: dict[str, str],
    rule: ForegroundRule = AUTO,
) -> list[TruthImage]:
    """List the images of a data set; synthetic scenes are made first, below the output folder.

    Parameters
    ----------
    given : Path
        A data set, or ``synthetic:N`` where there is no such file.
    output_folder : Path
        Of the command.
    output : Output
        Where progress is shown.
    failed : dict
        Gets the message of each image that cannot be used.
    rule : ForegroundRule
        What is foreground in its masks.
    """
    wanted = SYNTHETIC.fullmatch(given.name)
    if wanted is None or given.exists():
        return open_dataset(given, failed, rule)
    count = int(wanted[1] or DEFAULT_SCENES)
    scenes = write_scenes(output_folder / "scenes", count, output)
    return open_dataset(scenes, failed, BRIGHT)


def write_scenes(folder: Path, count: int, output: Output) -> Path:
    """Write scenes of all classes in turn with their masks and a table; return the table."""
    # scikit-image takes half a second.
    from napari_semxai.algorithms.synthetic import LABELS, scene_of_class

    lines = ["image_path;mask_path;label"]
    for number in range(count):
        output.progress(f"scene {number + 1}/{count}")
        label = number % len(LABELS) + 1
        name = f"{number:05}_{LABELS[label]}.png"
        image, mask = folder / "images" / name, folder / "masks" / name
        lines.append(f"images/{name};masks/{name};{LABELS[label]}")
        # Each scene follows from its number, so an interrupted run goes on with the missing
        # ones.
        if image.is_file() and mask.is_file():
            continue
        scene = scene_of_class(label, _FIRST_SEED + number)
        write_mask(mask, scene.defect)
        with atomic_write(image) as file:
            Image.fromarray(scene.image).save(file, format="PNG")
    table = folder / "scenes.csv"
    with atomic_write(table) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return table


MASK_ENDING, OVERLAY_ENDING = "_mask.png", "_overlay.png"
IGNORED_ENDING = "_mask_ignored.png"
RENDERING_ENDING = "_rendering.png"
RECORD_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class Source:
    """One image to do.

    Attributes
    ----------
    path, page
        Where it is.
    name : str
        Its path as seen from the common folder of all inputs.
    stem : Path
        Where its results go, without ending, as seen from the output folder.
    truth : MaskFile or None
        The file of its true mask, where a command scores and there is one.
    reference : Path or None
        See `SemImage.reference`.
    ignored : Path or None
        File of the pixels that count for nothing, in white.
    """

    path: Path
    page: int
    name: str
    stem: Path
    truth: MaskFile | None = None
    reference: Path | None = None
    ignored: Path | None = None

    def read(self) -> SemImage:
        """Read the image with all that is known of it."""
        image = read_image(self.path, self.page)
        region = None if self.ignored is None else read_mask(self.ignored, image.gray.shape)
        return replace(image, reference=self.reference, ignored=region)

    def digests(self, settings: AlgorithmSettings) -> list[str]:
        """Return those of the files, besides the image, that decide its mask."""
        known = reference_digests(self.path, settings, self.reference)
        return known if self.ignored is None else [*known, f"ignored {file_sha256(self.ignored)}"]

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.name if self.page == 0 else f"{self.name} page {self.page + 1}"


def find_sources(inputs: Sequence[Path], failed: dict[str, str]) -> list[Source]:
    """List the images of files, folders, projects and tables, each once.

    Masks and pictures that a command wrote, with their record beside them, are not images.

    Parameters
    ----------
    inputs : sequence of Path
        Files, folders, projects, Carinthia downloads, tables and KLARF files.
    failed : dict
        Gets the message of each input that cannot be listed.

    Returns
    -------
    list of Source
        Folders sorted, then what is listed elsewhere; no two have the same `Source.stem`.
    """
    paths: dict[Path, Path] = {}
    places, listed = [], []
    for given in inputs:
        try:
            # Such an input tells names and truths itself; the others are files, which may be
            # given twice.
            if _lists_images(given):
                below = Path() if len(inputs) == 1 else Path(given.stem)
                listed += _listed(given, below, failed)
            else:
                paths |= {_absolute(path): path for path in _images_of(given)}
                places.append(given)
        except InputError as error:
            failed[str(given)] = str(error)
    return _apart([*_found(paths, places, failed), *listed])


def with_ignored(sources: Sequence[Source], place: Path | None) -> list[Source]:
    """Add what is to be ignored: a file for all images, or those of a folder by their names.

    Raises
    ------
    InputError
        When there is no such place, or the folder has nothing for any of the images.
    """
    if place is None:
        return list(sources)
    if not place.exists():
        raise InputError(f"{place}: no such file or folder")
    found = [replace(source, ignored=_ignored_of(source, place)) for source in sources]
    if sources and all(source.ignored is None for source in found):
        raise InputError(f"{place}: has no {sources[0].stem.name}_ignored.png or the like")
    return found


def _ignored_of(source: Source, place: Path) -> Path | None:
    if place.is_file():
        return place
    names = (f"{source.stem.as_posix()}{ending}" for ending in ("_ignored", "_mask_ignored", ""))
    return next((path for name in names if (path := find_by_stem(place, name))), None)


def with_truths(
    sources: Sequence[Source], inputs: Sequence[Path], rule: ForegroundRule = AUTO
) -> list[Source]:
    """Add the true masks that those of the inputs hold that are data sets.

    A mask that a command wrote, with its record beside it, is no truth.
    """
    truths: dict[tuple[Path, int], MaskFile] = {}
    for given in inputs:
        # An input without a true mask is explained all the same.
        with suppress(InputError):
            for image in open_dataset(given, {}, rule):
                if not _is_result(image.truth.path):
                    truths[_absolute(image.path), image.page] = image.truth
    return [
        replace(source, truth=truths.get((_absolute(source.path), source.page)))
        for source in sources
    ]


def reviewed_files(given: Path) -> tuple[ReviewedFile, ...]:
    """List images to compare with: of a project with their latest reviews, else with classes.

    Raises
    ------
    InputError
        When nothing is listed there.
    """
    if not (given / PROJECT_FILE).is_file():
        return tuple(
            ReviewedFile(image.path, image.page, image.name, class_of(given, image))
            for image in find_images(given).images
        )
    project, found = open_project(given), []
    for image in project.images:
        records = (project.record(image.id, name) for name in project.annotators())
        known = [(one.time, one.label, str(one.state)) for one in records if one is not None]
        _, label, state = max(known, default=("", image.label, ""))
        found.append(ReviewedFile(image.path, image.page, image.stem, label, state))
    return tuple(found)


def _apart(sources: Sequence[Source]) -> list[Source]:
    """Leave out what comes again, and number equal stems."""
    # Twice reversed: of equal images the first one stays, in the order given.
    once = {(_absolute(source.path), source.page): source for source in reversed(sources)}
    taken: set[Path] = set()
    apart = []
    for source in reversed(once.values()):
        stem, number = source.stem, 2
        while stem in taken:
            stem, number = source.stem.with_name(f"{source.stem.name}_{number}"), number + 1
        taken.add(stem)
        apart.append(replace(source, stem=stem))
    return apart


def _found(
    paths: dict[Path, Path], inputs: Sequence[Path], failed: dict[str, str]
) -> list[Source]:
    """Name images, by their absolute paths, from the folder that holds all inputs."""
    if not paths:
        return []
    root = _common_folder(inputs)
    relative = {absolute: absolute.relative_to(root) for absolute in paths}
    stems = Counter(path.with_suffix("") for path in relative.values())
    sources = []
    for absolute, path in paths.items():
        try:
            pages = page_count(path)
        except InputError as error:
            failed[printable(relative[absolute])] = str(error)
            continue
        stem = _stem_of(relative[absolute], stems)
        for page in range(pages):
            place = stem.with_name(page_name(stem, page)) if pages > 1 else stem
            sources.append(Source(path, page, relative[absolute].as_posix(), place))
    return sources


def _lists_images(given: Path) -> bool:
    if given.is_dir():
        return (given / PROJECT_FILE).is_file() or find_table(given) is not None
    return given.is_file() and given.suffix.casefold() not in IMAGE_SUFFIXES


def _listed(given: Path, below: Path, failed: dict[str, str]) -> list[Source]:
    """Return the images of a project, a download, a table or a KLARF file."""
    if (given / PROJECT_FILE).is_file():
        found = [
            (image.path, image.page, image.stem, image.reference)
            for image in open_project(given).images
        ]
    else:
        source = find_images(given)
        failed.update(source.failed)
        found = [(image.path, image.page, image.name, image.reference) for image in source.images]
    return [
        Source(path, page, (below / name).as_posix(), below / name, reference=reference)
        for path, page, name, reference in found
    ]


def _images_of(given: Path) -> list[Path]:
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    if not given.is_dir():
        return [given]
    # A data set: its true masks are no images.
    pairs = (given / "images").is_dir() and (given / "masks").is_dir()
    folder = given / "images" if pairs else given
    files = image_files(folder)
    stems = {path.with_suffix("") for path in files}
    found = [path for path in files if not (_is_result(path) or is_reference(path, stems))]
    if not found:
        raise InputError(f"{given}: no TIFF, JPEG, PNG or BMP image in this folder")
    return found


def _is_result(path: Path) -> bool:
    return any(
        path.name.endswith(ending)
        and path.with_name(path.name.removesuffix(ending) + RECORD_ENDING).is_file()
        for ending in (MASK_ENDING, IGNORED_ENDING, OVERLAY_ENDING, RENDERING_ENDING)
    )


def _common_folder(inputs: Sequence[Path]) -> Path:
    folders = [_absolute(given if given.is_dir() else given.parent) for given in inputs]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:
        raise InputError("the inputs lie on different drives; do one drive at a time") from error


def _stem_of(relative: Path, stems: Counter[Path]) -> Path:
    """Tell the results of a.png and a.tif in one folder apart by their ending."""
    stem = relative.with_suffix("")
    shared = stems[stem] > 1
    return stem.with_name(f"{stem.name}_{relative.suffix[1:]}") if shared else stem


def _absolute(path: Path) -> Path:
    # Links are not followed: what a folder shows lies in that folder.
    return Path(os.path.abspath(path))
