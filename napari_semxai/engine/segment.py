"""The SAM 2 service of the engine: which request is answered by which generator."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_semxai.backends.learned.network import LearnedNetwork
from napari_semxai.backends.sam2.clicks import answer_prompts
from napari_semxai.backends.sam2.segmenter import Segmenter
from napari_semxai.engine.host import give_back_memory
from napari_semxai.store.images.companions import compared
from napari_semxai.store.weights.models import find_model
from napari_semxai.types import (
    Encoding,
    GenerateRequest,
    ModelInfo,
    PredictRequest,
    WarmRequest,
)
from napari_semxai.types.image import CompareRequest
from napari_semxai.types.learned import LearnedMask, LearnedRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_semxai.algorithms.algorithm1.reference import Difference
    from napari_semxai.engine.host import Handlers
    from napari_semxai.types import GenerateUpdate, PredictedMask


def _segmenter(model: str, device: str) -> Segmenter:
    """Return the network as its file is now, with its memory of images."""
    state = find_model(model).stat()
    return _loaded(model, device, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _loaded(model: str, device: str, *_file_state: int) -> Segmenter:
    return Segmenter(model, device=device)


def _warm(request: WarmRequest) -> Generator[ModelInfo, None, None]:
    yield _segmenter(request.model, request.device).info


def _generate(
    request: GenerateRequest,
) -> Generator[ModelInfo | Difference | GenerateUpdate, None, None]:
    segmenter = _segmenter(request.model, request.device)
    yield segmenter.info
    difference = None
    if request.compare is not None:
        difference = compared(request.image, request.compare)
        yield difference
    yield from segmenter.generate(request.image, request.settings, difference)
    # Batches leave a hundred megabytes behind; to fetch them anew takes little beside a grid.
    give_back_memory()


def _compare(request: CompareRequest) -> Generator[Difference, None, None]:
    if request.image is None:
        raise ValueError("a comparison was asked for without an image")
    yield compared(request.image, request)


def _predict(
    request: PredictRequest,
) -> Generator[ModelInfo | Encoding | PredictedMask, None, None]:
    segmenter = _segmenter(request.model, request.device)
    yield segmenter.info
    if not segmenter.remembers(request.image):
        yield Encoding()
        segmenter.embed(request.image)
        if segmenter.redraws:
            # The first click asks for it.
            segmenter.defects.of(request.image)
    if request.prompts or request.mask is not None:
        yield answer_prompts(segmenter, request.image, request.prompts, request.mask)


# Versions are never written over: the path is enough.
@lru_cache(maxsize=2)
def _learned(network: str) -> LearnedNetwork:
    return LearnedNetwork.load(Path(network))


def _answer_learned(request: LearnedRequest) -> Generator[ModelInfo | LearnedMask, None, None]:
    network = _learned(request.network)
    yield ModelInfo(Path(request.network).stem, network.sha256, "cpu")
    yield network.answer(request.image)


def build() -> Handlers:
    """Return the generator that answers each type of request."""
    handlers: dict[type, Any] = {
        WarmRequest: _warm,
        GenerateRequest: _generate,
        CompareRequest: _compare,
        PredictRequest: _predict,
        LearnedRequest: _answer_learned,
    }
    return handlers
