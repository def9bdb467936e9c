"""The explanation service of the engine: which request is answered by which generator."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_semxai.algorithms.algorithm1.edge_strips import picture_border
from napari_semxai.backends.cam.evaluation import check_steps
from napari_semxai.backends.cam.gradcam import gradcam_steps
from napari_semxai.backends.classifier.classifier import Classifier, load_classifier
from napari_semxai.backends.classifier.files import description_path
from napari_semxai.backends.classifier.layers.split import describe_layers
from napari_semxai.backends.classifier.nearest import nearest_steps
from napari_semxai.backends.concepts.bank import bank_for, transform_steps
from napari_semxai.backends.concepts.craft import fit_steps
from napari_semxai.backends.concepts.factorize import CraftSettings
from napari_semxai.backends.concepts.tuning import sweep_steps
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.engine.host import give_back_memory
from napari_semxai.store.disk.digests import file_sha256
from napari_semxai.store.images.read import read_image
from napari_semxai.types import (
    ChecksRequest,
    Classification,
    ClassifyRequest,
    CraftFitRequest,
    CraftOpenRequest,
    CraftSweepRequest,
    CraftTransformRequest,
    GradcamRequest,
    InputError,
    LayersRequest,
    NearestRequest,
    SemImage,
    WarmRequest,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_semxai.engine.host import Handlers, Steps
    from napari_semxai.types import Border, ClassifierInfo, ConceptBank, FloatArray, NetworkLayers


def _classifier(name: str, device: str) -> Classifier:
    if device not in ("auto", "cpu"):
        raise InputError(f"device {device}: explanations run on the CPU; choose auto or cpu")
    # A file that was replaced is another classifier, and so is another description.
    files = Path(name), description_path(Path(name))
    asked = name, tuple(path.stat().st_mtime_ns for path in files if path.is_file())
    known = _loaded(*asked).info.familiarity
    # Which file tells what is familiar only the description knows.
    if known is not None and not (
        known.path.is_file() and file_sha256(known.path) == known.sha256
    ):
        _loaded.cache_clear()
    return _loaded(*asked)


# More would hold the memory of networks that nobody looks at any longer.
@lru_cache(maxsize=2)
def _loaded(name: str, _changed: tuple[int, ...]) -> Classifier:
    return load_classifier(name)


def _warm(request: WarmRequest) -> Generator[ClassifierInfo, None, None]:
    classifier = _classifier(request.model, request.device)
    # The first backward pass is the slow one; nobody waits for this one.
    blank = np.zeros(classifier.info.input_size, np.uint8)
    finish(gradcam_steps(blank, classifier, target=0))
    yield classifier.info


def _classify(request: ClassifyRequest) -> Generator[Classification, None, None]:
    yield _classifier(request.classifier, request.device).classify(request.image)
    # Once an image: what heat maps of the one before have left, with which the process would grow.
    give_back_memory()


def _nearest(request: NearestRequest) -> Steps:
    classifier = _classifier(request.classifier, request.device)
    yield from _answers(nearest_steps(request.image, classifier, request.files, request.count))


def _layers(request: LayersRequest) -> Generator[NetworkLayers, None, None]:
    yield describe_layers(_classifier(request.classifier, request.device))


def _gradcam(request: GradcamRequest) -> Steps:
    classifier = _classifier(request.classifier, request.device)
    yield from _answers(
        gradcam_steps(
            request.image,
            classifier,
            target=request.target,
            layers=request.layers,
            method=request.method,
            mask=request.mask,
            as_drawn=request.as_drawn,
            border=picture_border(request.image, request.picture_rows),
        )
    )


def _checks(request: ChecksRequest) -> Steps:
    asked, shown = request.asked, request.heatmap
    classifier = _classifier(asked.classifier, asked.device)

    def explain(image: NDArray[np.uint8], network: Classifier, target: int) -> FloatArray:
        # As drawn: where the layers of a network in disorder look nobody needs to measure.
        steps = gradcam_steps(
            image,
            network,
            target=target,
            layers=asked.layers,
            method=asked.method,
            mask=asked.mask,
            as_drawn=True,
        )
        return finish(steps).values

    steps = check_steps(asked.image, shown.values, classifier, shown.target, explain)
    yield from _answers(steps)


def _fit(request: CraftFitRequest) -> Steps:
    classifier = _classifier(request.classifier, request.device)
    settings = CraftSettings(
        request.target,
        request.layer,
        request.n_concepts,
        request.patch_size,
        request.seed,
        request.pieces,
    )
    images, borders = _read(request.images)
    borders = [] if request.as_drawn else borders
    yield from _answers(fit_steps(images, classifier, settings, borders))


def _open(request: CraftOpenRequest) -> Generator[ConceptBank, None, None]:
    yield bank_for(request.bank, _classifier(request.classifier, request.device))[0]


def _transform(request: CraftTransformRequest) -> Steps:
    classifier = _classifier(request.classifier, request.device)
    yield from _answers(
        transform_steps(
            request.image,
            classifier,
            request.bank,
            request.refinement,
            as_drawn=request.as_drawn,
            border=picture_border(request.image, request.picture_rows),
        )
    )


def _sweep(request: CraftSweepRequest) -> Steps:
    classifier = _classifier(request.classifier, request.device)
    images, borders = _read(request.images)
    yield from _answers(sweep_steps(images, classifier, request, borders))


# The host sends what is yielded; a generator's return value would be lost on the way.
def _answers(steps: Generator[Any, None, Any]) -> Steps:
    """Yield what a generator yields, then what it returns."""
    result = yield from steps
    yield result


def _read(
    images: tuple[Path | SemImage | NDArray[np.uint8], ...],
) -> tuple[list[NDArray[np.uint8]], list[Border]]:
    """Return images and what lies around the picture in each."""
    grays, borders = [], []
    for image in images:
        known = read_image(image) if isinstance(image, Path) else image
        gray = known.gray if isinstance(known, SemImage) else known
        rows = known.picture_rows if isinstance(known, SemImage) else None
        grays.append(gray)
        borders.append(picture_border(gray, rows))
    return grays, borders


def build() -> Handlers:
    """Return the generator that answers each type of request."""
    handlers: dict[type, Any] = {
        WarmRequest: _warm,
        ClassifyRequest: _classify,
        LayersRequest: _layers,
        NearestRequest: _nearest,
        GradcamRequest: _gradcam,
        ChecksRequest: _checks,
        CraftFitRequest: _fit,
        CraftOpenRequest: _open,
        CraftTransformRequest: _transform,
        CraftSweepRequest: _sweep,
    }
    return handlers
