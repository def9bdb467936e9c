"""The tuning assistant of CRAFT: many settings, what came of each, and which to take."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_semxai.algorithms.algorithm1.edge_strips import within
from napari_semxai.algorithms.explanations.concepts import best_mean_iou, matched_cosine, suggest
from napari_semxai.algorithms.explanations.masks import weighted_map
from napari_semxai.backends.classifier.layers.outputs import layers_of
from napari_semxai.backends.classifier.layers.split import (
    FINE,
    default_concept_layer,
    fine_layer,
    usable_layers,
)
from napari_semxai.backends.concepts.bank import check_refinement, new_split, refined
from napari_semxai.backends.concepts.craft import check_settings
from napari_semxai.backends.concepts.factorize import (
    CraftSettings,
    factor_steps,
    reconstruction_agreement,
    reconstruction_r2,
)
from napari_semxai.types import InputError, Progress, SweepAdvice, SweepRow
from napari_semxai.types.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.backends.classifier.layers.split import Split
    from napari_semxai.backends.concepts.factorize import Factors
    from napari_semxai.types import BoolMask, Border, CraftSweepRequest

IMPORTANT = 0.01
"""A concept counts when its total Sobol index is above this."""


def sweep_steps(
    images: Sequence[NDArray[Any]],
    classifier: Classifier,
    request: CraftSweepRequest,
    borders: Sequence[Border] = (),
) -> Generator[Progress | SweepRow, None, SweepAdvice]:
    """Try every combination of the request's settings.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (M, N)
        The request's images, read.
    classifier : Classifier
        Whose concepts are found.
    request : CraftSweepRequest
        What to try.
    borders : sequence of tuple of int
        (top, right, bottom, left) of each image, which is left out; () for none.

    Yields
    ------
    Progress or SweepRow
        A row after each setting.

    Returns
    -------
    SweepAdvice

    Raises
    ------
    InputError
        When not one of the settings can run, or masks are not those of the images.
    """
    _check(images, request)
    images, request = _inside(images, request, borders)
    layers = request.layers or stage_layers(classifier)
    patches = request.patch_sizes if request.pieces == "crops" else request.patch_sizes[:1]
    settings = list(product(layers, request.n_concepts, patches))
    rows: list[SweepRow] = []
    skipped: list[str] = []
    for done, (layer, n_concepts, patch_size) in enumerate(settings):
        yield Progress(f"{layer}, k {n_concepts}, patch {patch_size}", done, len(settings))
        tried = CraftSettings(request.target, layer, n_concepts, patch_size, pieces=request.pieces)
        try:
            row = yield from _try(images, classifier, tried, request)
        # One setting that cannot work must not cost an hour of others.
        except InputError as error:
            skipped.append(str(error))
            continue
        rows.append(row)
        yield row
    if not rows:
        raise InputError(f"no setting could run: {skipped[0]}" if skipped else "no settings given")
    suggested, reasons = suggest(rows)
    return SweepAdvice(tuple(rows), suggested, reasons, tuple(skipped))


def _check(images: Sequence[NDArray[Any]], request: CraftSweepRequest) -> None:
    check_refinement(request.refinement)
    if not request.masks:
        return
    if len(request.masks) != len(images):
        raise InputError(
            f"{counted(len(request.masks), 'mask')} for {counted(len(images), 'image')}; "
            "give one for each"
        )
    for number, (image, mask) in enumerate(zip(images, request.masks, strict=True), start=1):
        if mask is not None and mask.shape != image.shape[:2]:
            raise InputError(
                f"the mask of image {number} is of shape {mask.shape}, the image {image.shape[:2]}"
            )


def _inside(
    images: Sequence[NDArray[Any]], request: CraftSweepRequest, borders: Sequence[Border]
) -> tuple[Sequence[NDArray[Any]], CraftSweepRequest]:
    """Return images and their masks without the borders."""
    if not borders:
        return images, request
    masks = zip(request.masks, borders, strict=False)
    inner = tuple(None if mask is None else within(mask, border) for mask, border in masks)
    pictures = [within(*pair) for pair in zip(images, borders, strict=True)]
    return pictures, replace(request, masks=inner)


def stage_layers(classifier: Classifier) -> tuple[str, ...]:
    """Name the last usable layer of each resolution, from an eighth of the input on."""
    known = layers_of(classifier)
    # Later layers of a resolution replace earlier ones: the last knows most.
    last = {known[name].map_shape[1:]: name for name in usable_layers(classifier)}
    default = default_concept_layer(classifier)
    if not default:
        return ()
    # A block and its last layer are the same; banks of the default are there already.
    last[known[default].map_shape[1:]] = default
    finest = known[fine_layer(classifier, FINE) or default].map_shape[1:]
    return tuple(name for shape, name in last.items() if shape <= finest)


def _try(
    images: Sequence[NDArray[Any]],
    classifier: Classifier,
    settings: CraftSettings,
    request: CraftSweepRequest,
) -> Generator[Progress, None, SweepRow]:
    start = time.perf_counter()
    layer = check_settings(images, classifier, settings)
    split = new_split(classifier, layer)
    inputs = torch.cat([classifier.to_input(image) for image in images])
    runs: list[Factors] = []
    for seed in request.seeds or (0,):
        seeded = replace(settings, layer=layer, seed=seed)
        runs.append((yield from factor_steps(split, inputs, seeded)))
    first = runs[0]
    cosines = [matched_cosine(first.vectors, other.vectors) for other in runs[1:]]
    return SweepRow(
        layer=layer,
        n_concepts=settings.n_concepts,
        patch_size=settings.patch_size,
        r2=reconstruction_r2(first),
        agreement=reconstruction_agreement(split, first),
        stability=float(np.mean(cosines)) if cosines else float("nan"),
        n_important=int((first.importances > IMPORTANT).sum()),
        iou=_localisation(images, classifier, split, first, request),
        seconds=time.perf_counter() - start,
    )


def _localisation(
    images: Sequence[NDArray[Any]],
    classifier: Classifier,
    split: Split,
    factors: Factors,
    request: CraftSweepRequest,
) -> float:
    maps: list[NDArray[np.float32]] = []
    truths: list[BoolMask] = []
    for image, found, mask in zip(images, factors.found, request.masks, strict=False):
        if mask is None or not mask.any():
            continue
        low = np.ascontiguousarray(found.transpose(2, 0, 1), dtype=np.float32)
        large = refined(low, image, classifier, split, request.refinement)
        maps.append(np.asarray(weighted_map(large, factors.importances)))
        truths.append(mask)
    return best_mean_iou(maps, truths)
