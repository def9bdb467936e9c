"""The learning service of the engine, a process of its own beside those that answer a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from napari_semxai.backends.classifier.nearest import project_feature_steps
from napari_semxai.backends.learned.learn import learn_steps
from napari_semxai.types.learned import FeaturesRequest, LearnRequest

if TYPE_CHECKING:
    from napari_semxai.engine.host import Handlers

_THREADS = 2


def build() -> Handlers:
    """Return the generator that answers each type of request."""
    # More hardly make the small layers faster, and clicks need cores meanwhile.
    torch.set_num_threads(min(_THREADS, torch.get_num_threads()))
    handlers: dict[type, Any] = {LearnRequest: learn_steps, FeaturesRequest: project_feature_steps}
    return handlers
