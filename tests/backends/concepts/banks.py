"""A small bank of concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_semxai.backends.concepts.bank import (
    ConceptVectors,
    concept_colors,
    write_bank,
)
from napari_semxai.types import ConceptBank

if TYPE_CHECKING:
    from pathlib import Path

K = 3


def make_bank(path: Path, layer: str, channels: int) -> ConceptBank:
    rng = np.random.default_rng(0)
    vectors = rng.random((K, channels)).astype(np.float32)
    bank = ConceptBank(
        path=path,
        key="k",
        target=1,
        class_name="pit",
        layer=layer,
        n_concepts=K,
        patch_size=16,
        seed=0,
        sha256="5" * 64,
        importances=np.array([0.5, 0.3, 0.1], np.float32),
        colors=concept_colors(K),
        crops=np.zeros((K, 10, 16, 16), np.uint8),
        crop_images=np.zeros((K, 10), np.int32),
        crop_boxes=np.zeros((K, 10, 4), np.int32),
        r2=0.9,
        agreement=1.0,
        n_images=4,
    )
    write_bank(bank, ConceptVectors(vectors, np.array([2, 0, 1])))
    return bank
