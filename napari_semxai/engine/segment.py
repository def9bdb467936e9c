"""The SAM 2 service of the engine: which request is answered by which generator."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from napari_semxai.backends.sam2 import Segmenter
from napari_semxai.types import GenerateRequest, WarmRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_semxai.engine.host import Handlers
    from napari_semxai.types import GenerateUpdate, ModelInfo


@lru_cache(maxsize=2)
def _segmenter(model: str, device: str) -> Segmenter:
    return Segmenter(model, device=device)


def _warm(request: WarmRequest) -> Generator[ModelInfo, None, None]:
    yield _segmenter(request.model, request.device).info


def _generate(request: GenerateRequest) -> Generator[ModelInfo | GenerateUpdate, None, None]:
    segmenter = _segmenter(request.model, request.device)
    yield segmenter.info
    yield from segmenter.generate(request.image, request.settings)


def build() -> Handlers:
    """Return the generator that answers each type of request."""
    handlers: dict[type, Any] = {WarmRequest: _warm, GenerateRequest: _generate}
    return handlers
