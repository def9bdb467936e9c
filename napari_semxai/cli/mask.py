"""``semxai mask``: defect masks of many images, each with a record of how it was made."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.cli.options import add_mask_options, settings_from
from napari_semxai.cli.output import BAD_INPUT, DONE, INTERRUPTED, SOME_FAILED
from napari_semxai.cli.pipeline import MaskResult, Pipeline
from napari_semxai.cli.record import mask_record, size_of
from napari_semxai.store.atomic import write_json
from napari_semxai.store.images import image_files, page_count, page_name, read_image
from napari_semxai.store.masks import write_mask
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from napari_semxai.cli.output import Output
    from napari_semxai.types import GenerateUpdate

MASK_ENDING = "_mask.png"
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
    """

    path: Path
    page: int
    name: str
    stem: Path


def add_parser(commands: argparse._SubParsersAction, common: argparse.ArgumentParser) -> None:  # type: ignore[type-arg]
    """Register the command."""
    parser = commands.add_parser(
        "mask",
        parents=[common],
        help="find the defect in images and write masks",
        description="Find the defect in every image and write <stem>_mask.png (0 and 255, the "
        "image's size) and <stem>.json (settings, model, versions, candidates, scores). "
        "Sub-folders are mirrored; every page of a multi-page TIFF is an image.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IMAGE|FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    add_mask_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, output: Output) -> int:
    """Do every image; what fails is named, and the rest is done."""
    failed: dict[str, str] = {}
    done: list[dict[str, Any]] = []
    stopped = False
    sources = find_sources(options.inputs, failed)
    pipeline = Pipeline(settings_from(options))
    if sources:
        # A model that cannot be loaded is one fault, not one of every image.
        pipeline.load()
    try:
        for number, source in enumerate(sources, start=1):
            place = f"{number}/{len(sources)} {source.name}"
            try:
                done.append(_do(source, options.output, pipeline, output, place))
            except InputError as error:
                failed[f"{source.name} page {source.page}"] = str(error)
    except KeyboardInterrupt:
        stopped = True
    output.result({"output": options.output, "masks": done, "failed": failed, "stopped": stopped})
    return _conclude(done, failed, stopped, len(sources), output)


def find_sources(inputs: Sequence[Path], failed: dict[str, str]) -> list[Source]:
    """List the images of files and folders; what cannot be listed goes into `failed`.

    Results of this command are not taken for images.
    """
    pages: list[tuple[Path, int, int]] = []
    roots: list[Path] = []
    for given in inputs:
        try:
            found = _images_of(given)
            for path in found:
                total = _pages_of(path, failed)
                pages += [(path, page, total) for page in range(total)]
            roots.append(given if given.is_dir() else given.parent)
        except InputError as error:
            failed[str(given)] = str(error)
    if not roots:
        return []
    root = Path(os.path.commonpath([folder.resolve() for folder in roots]))
    named = [(path, page, total, path.resolve().relative_to(root)) for path, page, total in pages]
    stems = Counter(relative.with_suffix("") for _, page, _, relative in named if page == 0)
    return list(_sources(named, stems))


def _sources(
    named: Sequence[tuple[Path, int, int, Path]], stems: Counter[Path]
) -> Iterator[Source]:
    """Give each image its own place for results; the same image twice is done once."""
    seen: set[tuple[Path, int]] = set()
    for path, page, total, relative in named:
        if (relative, page) in seen:
            continue
        seen.add((relative, page))
        stem = relative.with_suffix("")
        if stems[stem] > 1:
            # a.png beside a.tif: the ending tells their results apart.
            stem = stem.with_name(f"{stem.name}_{relative.suffix[1:]}")
        if total > 1:
            stem = stem.with_name(page_name(stem, page))
        yield Source(path, page, relative.as_posix(), stem)


def _images_of(given: Path) -> list[Path]:
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    if not given.is_dir():
        return [given]
    found = [path for path in image_files(given) if not _is_result(path)]
    if not found:
        raise InputError(f"{given}: no TIFF, JPEG, PNG or BMP image in this folder")
    return found


def _is_result(path: Path) -> bool:
    stem = path.name.removesuffix(MASK_ENDING)
    return stem != path.name and path.with_name(stem + RECORD_ENDING).is_file()


def _pages_of(path: Path, failed: dict[str, str]) -> int:
    try:
        return page_count(path)
    except InputError as error:
        failed[str(path)] = str(error)
        return 0


def _do(
    source: Source, folder: Path, pipeline: Pipeline, output: Output, place: str
) -> dict[str, Any]:
    """Make the mask of one image, write both files, and return the short result."""

    def show(update: GenerateUpdate) -> None:
        output.progress(f"{place}: {update.stage} {update.done}/{update.total}")

    result = pipeline.run(read_image(source.path, source.page), show)
    stem = folder / source.stem
    mask_path = stem.with_name(stem.name + MASK_ENDING)
    record_path = stem.with_name(stem.name + RECORD_ENDING)
    write_mask(mask_path, result.truth.mask)
    write_json(record_path, mask_record(result, pipeline.settings, source.name))
    output.say(f"{place}: {summary(result)}")
    size = size_of(result.truth.mask)
    return {
        "image": source.name,
        "page": source.page,
        "mask": mask_path,
        "record": record_path,
        "area_px": size.area,
        "winner": result.truth.winner,
        "candidates": len(result.pool),
        "touches_edge": result.truth.touches_edge,
        "reason": result.truth.reason,
    }


def summary(result: MaskResult) -> str:
    """Say in one line what was found."""
    truth = result.truth
    if not truth.mask.any():
        return f"no defect ({truth.reason})"
    size = size_of(truth.mask)
    text = f"{size.area:,} px, {size.width} x {size.height} px"
    if result.image.pixel_size is not None:
        text += f", {size.area * (result.image.pixel_size * 1e6) ** 2:.4g} µm²"
    text += f", surface is candidate {truth.winner} of {len(result.pool)}"
    return text + (", touches the edge: check it" if truth.touches_edge else "")


def _conclude(
    done: Sequence[object], failed: dict[str, str], stopped: bool, total: int, output: Output
) -> int:
    for message in failed.values():
        output.error(message)
    if stopped:
        output.error(f"stopped; {len(done)} of {total} images are done and kept")
        return INTERRUPTED
    if failed and done:
        output.error(f"{len(failed)} failed, {len(done)} done")
    if failed:
        return SOME_FAILED if done else BAD_INPUT
    return DONE
