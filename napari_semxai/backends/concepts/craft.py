"""CRAFT: concepts that a network uses for a class, found by factorizing its activations.

Crops are xplique's, the factorization is the one it uses, scikit-learn's; what is drawn, counted
and saved is made here.

References
----------
.. [1] T. Fel et al., "CRAFT: Concept Recursive Activation FacTorization for Explainability",
   CVPR 2023.
.. [2] T. Fel et al., "Xplique: A Deep Learning Explainability Toolbox", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_semxai.algorithms.algorithm1.edge_strips import picture_border, within
from napari_semxai.backends.cam.gradcam import check_target
from napari_semxai.backends.classifier.layers.split import check_concept_layer
from napari_semxai.backends.concepts.bank import (
    BankKey,
    ConceptVectors,
    bank_exists,
    concept_colors,
    new_split,
    read_bank,
    transform_steps,
    write_bank,
)
from napari_semxai.backends.concepts.factorize import (
    CraftSettings,
    Factors,
    clamp_agreement,
    factor_steps,
    reconstruction_agreement,
    reconstruction_r2,
)
from napari_semxai.backends.runtime.libraries import cv2
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.store.disk.digests import array_digest, text_digest
from napari_semxai.types import PIECES, ConceptBank, InputError, Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.types import Border, ConceptMaps


CROPS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """The best crops of every concept, as in `ConceptBank`."""

    pixels: NDArray[np.uint8]
    images: NDArray[np.int32]
    boxes: NDArray[np.int32]


def best_crops(
    images: Sequence[NDArray[Any]],
    values: NDArray[np.float32],
    input_size: Sequence[int],
    patch_size: int,
) -> Crops:
    """Cut out the crops with the largest values.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (M, N)
        The images.
    values : ndarray of float32, shape (crops, k)
        For the crops in xplique's order: image after image, each row by row.
    input_size : sequence of int
        (H, W) of the network's input, in whose pixels crops are cut.
    patch_size : int
        Their side.

    Returns
    -------
    Crops
    """
    places = _corners(input_size, patch_size)
    best = np.argsort(-values, axis=0, kind="stable")[:CROPS].T
    owners, number = np.divmod(best, len(places))
    corners = places[number]
    shapes = np.array([image.shape[:2] for image in images])
    scale = shapes[owners] / np.asarray(tuple(input_size))
    starts, stops = corners * scale, (corners + patch_size) * scale
    boxes = np.rint(np.concatenate([starts, stops], axis=-1)).astype(np.int32)
    pixels = [
        [_cut(images[owner], box, patch_size) for owner, box in zip(*row, strict=True)]
        for row in zip(owners, boxes, strict=True)
    ]
    return Crops(np.array(pixels, np.uint8), owners.astype(np.int32), boxes)


def _corners(input_size: Sequence[int], patch_size: int) -> NDArray[np.intp]:
    """Return (row, column) of every crop of an image, as xplique cuts them, shape (crops, 2)."""
    stride = int(0.8 * patch_size)
    rows, columns = ((side - patch_size) // stride + 1 for side in input_size)
    corners: NDArray[np.intp] = np.indices((rows, columns)).reshape(2, -1).T * stride
    return corners


def cells_in_crops(
    found: NDArray[np.float32], input_size: Sequence[int], patch_size: int
) -> NDArray[np.float32]:
    """Return the mean of each concept over the cells in each crop, shape (crops, k).

    Parameters
    ----------
    found : ndarray of float32, shape (B, m, n, k)
        Coefficients of the images.
    input_size, patch_size
        As in `best_crops`.
    """
    corners = _corners(input_size, patch_size)
    scale = np.array(found.shape[1:3]) / np.asarray(tuple(input_size))
    # Cells whose centres lie in the crop; one where crops are smaller than cells.
    starts = np.rint(corners * scale).astype(int)
    stops = np.maximum(np.rint((corners + patch_size) * scale).astype(int), starts + 1)
    pairs = zip(starts.tolist(), stops.tolist(), strict=True)
    means = [found[:, top:end, left:right].mean((1, 2)) for (top, left), (end, right) in pairs]
    return np.stack(means, axis=1).reshape(-1, found.shape[-1])


def _cut(image: NDArray[Any], box: NDArray[np.int32], side: int) -> NDArray[np.uint8]:
    row0, col0, row1, col1 = box.tolist()
    piece = np.ascontiguousarray(image[row0:row1, col0:col1])
    return np.asarray(cv2.resize(piece, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


class Concepts:
    """Concepts of a class, ready to be looked for in images.

    Parameters
    ----------
    bank : ConceptBank
        What was found.
    classifier : Classifier
        The one it was found with.

    Attributes
    ----------
    bank : ConceptBank
        Crops, colours and how good the concepts are.
    """

    def __init__(self, bank: ConceptBank, classifier: Classifier) -> None:
        self.bank = bank
        self._classifier = classifier

    @property
    def importances(self) -> NDArray[np.float32]:
        """Total Sobol indices over all images, descending, shape (k,)."""
        return self.bank.importances

    def explain(
        self, image: NDArray[Any], *, refinement: str = "none", as_drawn: bool = False
    ) -> ConceptMaps:
        """Find the concepts in an image.

        Parameters
        ----------
        image : ndarray of uint8, shape (M, N)
            The image.
        refinement : str
            "none", "guided" for maps that follow the edges of the image, or "fine" for maps
            that an earlier layer of the network sharpens too.
        as_drawn : bool
            Leave the maps where the library draws them, instead of where the layer looks, and
            look in info bars and edge strips, too.

        Returns
        -------
        ConceptMaps
            With ``.maps`` (k, M, N), ``.importances``, ``.local_importances`` and ``.rgb()``.
        """
        steps = transform_steps(
            image,
            self._classifier,
            self.bank.path,
            refinement,
            as_drawn=as_drawn,
            border=picture_border(image),
        )
        return finish(steps)


def craft(  # noqa: PLR0913 - what decides the concepts
    images: Sequence[NDArray[Any]],
    classifier: Classifier,
    *,
    target: int,
    layer: str | None = None,
    n_concepts: int = 10,
    patch_size: int = 64,
    seed: int = 0,
    as_drawn: bool = False,
    pieces: str = "crops",
) -> Concepts:
    """Find the concepts that a classifier uses for a class; kept in a cache.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (M, N)
        Images of the class; some tens are enough.
    classifier : Classifier
        Whose concepts to find.
    target : int
        Index of the class.
    layer : str, optional
        Where to split the network, by dotted name; early layers give fine maps.
    n_concepts : int
        Number of concepts k.
    patch_size : int
        Side of the square crops in pixels of the network's input.
    seed : int
        Of the factorization.
    as_drawn : bool
        Take the images whole, as the library does. By default info bars and edge strips are left
        out, or what is written there becomes a concept.
    pieces : str
        What is factorized: "crops", enlarged to the network's input, as published, or "cells" of
        the layer's map of whole images, which needs no xplique.

    Returns
    -------
    Concepts

    Raises
    ------
    InputError
        For a class or layer that cannot be used, or when xplique is not installed.
    """
    settings = CraftSettings(target, layer or "", n_concepts, patch_size, seed, pieces)
    borders = () if as_drawn else [picture_border(image) for image in images]
    return Concepts(finish(fit_steps(images, classifier, settings, borders)), classifier)


def fit_steps(
    images: Sequence[NDArray[Any]],
    classifier: Classifier,
    settings: CraftSettings,
    borders: Sequence[Border] = (),
) -> Generator[Progress, None, ConceptBank]:
    """Do the same as `craft` as a generator that yields between batches.

    What lies in the `borders` (top, right, bottom, left) of the images is left out; () for none.
    """
    layer = check_settings(images, classifier, settings)
    borders = borders or [(0, 0, 0, 0)] * len(images)
    left_out = (f"{number}: {one}" for number, one in enumerate(borders) if any(one))
    key = BankKey(
        classifier.info.key,
        layer,
        settings.target,
        settings.n_concepts,
        settings.patch_size,
        settings.seed,
        settings.pieces,
        text_digest(*map(array_digest, images), *left_out),
    )
    # The key holds all that decides the concepts, so the same question is answered from the cache.
    if bank_exists(key.path):
        return read_bank(key.path)[0]
    split = new_split(classifier, layer)
    pictures = [within(*pair) for pair in zip(images, borders, strict=True)]
    inputs = torch.cat([classifier.to_input(picture) for picture in pictures])
    alike = key.classifier, key.layer, key.pieces, key.patch_size, key.images
    factors = yield from factor_steps(split, inputs, settings, alike)
    # Most important first everywhere but in the stored vectors, which keep the fit's own order.
    order = np.argsort(-factors.importances, kind="stable")
    values = _crop_values(factors, inputs.shape[2:], settings)
    crops = best_crops(pictures, values[:, order], inputs.shape[2:], settings.patch_size)
    corners = np.array([(top, left) * 2 for top, _, _, left in borders], np.int32)
    bank = ConceptBank(
        path=key.path,
        key=key.digest,
        target=settings.target,
        class_name=classifier.class_names[settings.target],
        layer=layer,
        n_concepts=settings.n_concepts,
        patch_size=settings.patch_size,
        seed=settings.seed,
        sha256=classifier.info.sha256,
        importances=factors.importances[order],
        colors=concept_colors(settings.n_concepts),
        crops=crops.pixels,
        crop_images=crops.images,
        crop_boxes=crops.boxes + corners[crops.images],
        r2=reconstruction_r2(factors),
        agreement=reconstruction_agreement(split, factors),
        n_images=len(images),
        clamp_agreement=clamp_agreement(split, factors),
        pieces=settings.pieces,
    )
    write_bank(bank, ConceptVectors(factors.vectors, order))
    return bank


def _crop_values(
    factors: Factors, input_size: Sequence[int], settings: CraftSettings
) -> NDArray[np.float32]:
    if settings.pieces == "crops":
        return factors.piece_values
    return cells_in_crops(factors.found, input_size, settings.patch_size)


def check_settings(
    images: Sequence[NDArray[Any]], classifier: Classifier, settings: CraftSettings
) -> str:
    """Refuse what cannot work, before anything takes long, and return the layer's name."""
    check_target(classifier, settings.target)
    if not images:
        raise InputError("CRAFT needs images of the class; choose some tens")
    if settings.n_concepts < 1:
        raise InputError(f"{settings.n_concepts} concepts: at least 1 is needed")
    if settings.pieces not in PIECES:
        raise InputError(f"pieces {settings.pieces!r}: choose one of {', '.join(PIECES)}")
    side = min(classifier.info.input_size)
    if not 8 <= settings.patch_size <= side:
        raise InputError(
            f"patch size {settings.patch_size}: choose 8 to {side}, the network's input"
        )
    return check_concept_layer(classifier, settings.layer)
