"""Explanations as pictures: drawn, and masks read out of those made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageColor

from napari_semxai.algorithms.explanations.masks import (
    PAPER_COLORS,
    concept_masks,
    gradcam_mask,
)
from napari_semxai.cli.batch.workers import KEPT
from napari_semxai.cli.common.output import plain
from napari_semxai.cli.common.sources import MASK_ENDING, RECORD_ENDING
from napari_semxai.cli.works.record import (
    content_key,
    image_values,
    known_record,
    mask_summary,
    score_values,
    size_of,
    versions,
)
from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import InputError

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from napari_semxai.cli.common.sources import Source
    from napari_semxai.types import BoolMask


_OPACITY = 0.5


def tinted(picture: NDArray[np.uint8], mask: BoolMask, color: str) -> NDArray[np.uint8]:
    """Return an RGB picture (M, N, 3) with the pixels of `mask` (M, N) tinted."""
    result = picture.copy()
    tint = np.array(ImageColor.getrgb(color)[:3])
    result[mask] = np.rint((1 - _OPACITY) * picture[mask] + _OPACITY * tint).astype(np.uint8)
    return result


def blended(
    picture: NDArray[np.uint8], colors: NDArray[np.uint8], strength: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Lay colours (M, N, 3) over an RGB picture, by a strength (M, N) from 0 to 1."""
    opacity = (_OPACITY * strength)[..., None]
    return np.rint(picture + opacity * (colors.astype(np.float32) - picture)).astype(np.uint8)


def as_rgb(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat a grey picture (M, N) over three channels."""
    return np.repeat(gray[..., None], 3, axis=2)


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a grey or RGB picture as PNG, atomically."""
    with atomic_write(path) as file:
        Image.fromarray(picture).save(file, format="PNG")


RENDERED = ALGORITHM_2, ALGORITHM_3 = "algorithm2", "algorithm3"


@dataclass(frozen=True, slots=True)
class RenderedWork:
    """Reads the mask out of a picture and writes it with a record; needs no network.

    Attributes
    ----------
    method : str
        `ALGORITHM_2` for heat maps, `ALGORITHM_3` for concepts.
    tau, delta, colors, crop
        As in `gradcam_mask` and `concept_masks`.
    output : Path
        Where results go.
    """

    method: str
    tau: float
    delta: float
    colors: tuple[tuple[int, int, int], ...]
    crop: tuple[int, int, int, int] | None
    output: Path

    def load(self) -> None:
        """No network is needed."""

    def do(self, loaded: None, source: Source) -> dict[str, Any]:
        """Write the masks of one picture, and return the short result."""
        stem = str(self.output / source.stem)
        truth = "" if source.truth is None else source.truth.digest
        # The whole work: whichever of its fields changes, the masks are read anew.
        key = content_key(source.path, source.page, self, truth)
        names = [MASK_ENDING]
        if self.method == ALGORITHM_3:
            names += [f"_concept{number + 1}{MASK_ENDING}" for number in range(len(self.colors))]
        files = [Path(stem + name) for name in names]
        known = known_record(Path(stem + RECORD_ENDING), key, files, "explain")
        record = known or self._made(source, stem, names) | {"key": key}
        # After the masks: the record says that all of them are there.
        if known is None:
            write_json(stem + RECORD_ENDING, record)
        return {
            KEPT: known is not None,
            "image": record["image"]["file"],
            "page": record["image"]["page"],
            "mask": record["mask"],
            "record": stem + RECORD_ENDING,
            "summary": mask_summary(record),
        }

    def _made(self, source: Source, stem: str, names: list[str]) -> dict[str, Any]:
        picture = read_image(source.path, source.page)
        masks = self._masks(picture.pixels, source)
        # The joined mask first, then each concept.
        for name, mask in zip(names, masks, strict=True):
            write_mask(stem + name, mask)
        record = {
            "command": "explain",
            "image": image_values(picture, source.name),
            "method": self.method,
            "explanation": {"colors": self.colors if self.method == ALGORITHM_3 else ()},
            "crop": self.crop,
            "mask": {
                "tau" if self.method == ALGORITHM_2 else "delta": self._threshold,
                "area_px": size_of(masks[0]).area,
            },
            "versions": versions("napari-semxai", "numpy"),
        }
        if source.truth is not None:
            truth = source.truth.read(masks[0].shape)
            record["scores"] = score_values(masks[0], truth)
        return dict(plain(record))

    @property
    def _threshold(self) -> float:
        return self.tau if self.method == ALGORITHM_2 else self.delta

    def _masks(self, pixels: np.ndarray[Any, Any], source: Source) -> list[BoolMask]:
        # As stored, not as shown: a picture that was scaled to grey has lost its colours.
        if pixels.dtype != np.uint8:
            raise InputError(f"{source.path}: a rendered explanation is an 8-bit colour picture")
        try:
            if self.method == ALGORITHM_2:
                return [gradcam_mask(pixels, self.tau, crop=self.crop)]
            concepts = concept_masks(pixels, self.colors, self.delta, crop=self.crop)
        except ValueError as error:
            raise InputError(f"{source.path}: {error}") from error
        return [np.logical_or.reduce(concepts, axis=0), *concepts]


def rendered_work(options: argparse.Namespace) -> RenderedWork:
    """Collect the parsed arguments of ``semxai explain``."""
    return RenderedWork(
        options.method,
        options.tau,
        options.delta,
        tuple(options.color) or PAPER_COLORS,
        options.crop,
        options.output,
    )
