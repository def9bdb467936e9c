"""A network that answers at once: the bundled architecture with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from napari_semxai.backends.classifier.layers import outputs
from napari_semxai.backends.sam2.checkpoints import build_bundled_architecture

if TYPE_CHECKING:
    from pathlib import Path

    from napari_semxai.backends.classifier.classifier import Classifier


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments for a run of a second, whose masks mean nothing but are always the same."""
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_file(build_bundled_architecture().state_dict(), path)
    return [
        *("--model", str(path), "--device", "cpu", "--points-per-side", "2"),
        *("--pred-iou-thresh", "0", "--stability-score-thresh", "0"),
    ]


@pytest.fixture(scope="session")
def _measured() -> dict[Any, Any]:
    """Return what is known of layers, by the file of the network and their names."""
    return {}


@pytest.fixture(autouse=True)
def _measured_once(monkeypatch: pytest.MonkeyPatch, _measured: dict[Any, Any]) -> None:
    """Run a network 17 times for where its layers look once, not for each command."""
    measure = outputs._measured

    def once(classifier: Classifier, names: tuple[str, ...]) -> dict[str, outputs.Registration]:
        key = classifier.info.sha256, names
        if key not in _measured:
            _measured[key] = measure(classifier, names)
        return _measured[key]

    monkeypatch.setattr(outputs, "_measured", once)
