"""Images with their class, to train a classifier on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_semxai.store.disk.names import natural_key
from napari_semxai.store.images.read import read_image
from napari_semxai.store.sources.find_images import find_images
from napari_semxai.store.sources.image_tables import SourceImage
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Readable images of two or more classes.

    Attributes
    ----------
    images : tuple of SourceImage
        Where they are.
    targets : ndarray of int, shape (images,)
        Index of each image's class.
    labels, class_names : tuple of str
        Of the classes, in the order of the indices: as the data set has them, and as people
        are shown them.
    failed : mapping
        What was left out, and why.
    """

    images: tuple[SourceImage, ...]
    targets: NDArray[np.int64]
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of every class, shape (classes,)."""
        return np.bincount(self.targets, minlength=len(self.labels))


def labelled_images(
    source: Path,
    names: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledImages:
    """List the images of a data set with their classes, and open every one to be sure of it.

    Parameters
    ----------
    source : Path
        A folder with a folder of images a class, a table with a column ``label``, or a folder
        with the Carinthia or Carinthia-S download.
    names : mapping, optional
        What to call a class; by default what the source says, or its label.
    progress : callable, optional
        Called with the images looked at and all of them.

    Raises
    ------
    InputError
        When there is no such source, there are fewer than two classes, or a name is for no
        class or used twice.
    """
    found = find_images(source)
    failed = dict(found.failed)
    kept: list[tuple[SourceImage, str]] = []
    for number, image in enumerate(found.images, start=1):
        label = class_of(source, image)
        try:
            if not label:
                raise InputError(f"{image.path}: has no class")
            read_image(image.path, image.page)
            kept.append((image, label))
        except InputError as error:
            failed[image.name] = str(error)
        if progress is not None:
            progress(number, len(found.images))
    counts = Counter(label for _, label in kept)
    if len(counts) < 2:
        raise InputError(
            f"{source}: {len(counts)} classes with readable images, a classifier needs two or "
            "more; give a folder of images a class, or a table (CSV) with a column label"
        )
    labels = tuple(sorted(counts, key=natural_key))
    shown = _class_names(source, labels, {**found.class_names, **(names or {})}, names or {})
    index = {label: number for number, label in enumerate(labels)}
    return LabelledImages(
        images=tuple(image for image, _ in kept),
        targets=np.array([index[label] for _, label in kept]),
        labels=labels,
        class_names=shown,
        failed=failed,
    )


def class_of(source: Path, image: SourceImage) -> str:
    """Return the class of an image: as listed, else its folder below `source`; "" for none."""
    folder, _, rest = image.name.partition("/")
    return image.label or (folder if source.is_dir() and rest else "")


def _class_names(
    source: Path, labels: tuple[str, ...], names: Mapping[str, str], asked: Mapping[str, str]
) -> tuple[str, ...]:
    unknown = sorted(asked.keys() - set(labels))
    if unknown:
        raise InputError(
            f"{source}: there is no class {unknown[0]!r} to name; there are {', '.join(labels)}"
        )
    shown = tuple(names.get(label, label) for label in labels)
    twice = [name for name, count in Counter(shown).items() if count > 1]
    if twice:
        raise InputError(f"{source}: two classes would be called {twice[0]!r}")
    return shown
