"""Digests of arrays and files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_semxai.store.disk.digests import array_digest, file_sha256
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_equal_pixels_have_equal_digests_whatever_their_layout() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert array_digest(image) == array_digest(np.asfortranarray(image))


def test_type_shape_and_values_all_count() -> None:
    image = np.zeros((3, 4), np.uint8)
    changed = image.copy()
    changed[1, 1] = 1
    others = [changed, image.reshape(4, 3), image.astype(np.int8), image.view(bool)]
    digests = {array_digest(array) for array in [image, *others]}
    assert len(digests) == 5


def test_file_digest_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(b"weights" * 100_000)
    assert file_sha256(path) == hashlib.sha256(b"weights" * 100_000).hexdigest()


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.bin: cannot be read"):
        file_sha256(tmp_path / "gone.bin")
