"""A network that answers at once: the bundled architecture with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from napari_semxai.backends.sam2.checkpoints import build_bundled_architecture

if TYPE_CHECKING:
    from pathlib import Path


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
