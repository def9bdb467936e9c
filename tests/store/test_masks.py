"""Masks on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.masks import mask_from_array, read_mask, write_mask
from napari_semxai.types import InputError


@pytest.fixture
def blob() -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[5:9, 7:20] = True
    return mask


@pytest.mark.parametrize("name", ["m.png", "m.tif", "deep/er/M.PNG"])
def test_round_trip(tmp_path: Path, blob: np.ndarray, name: str) -> None:
    write_mask(tmp_path / name, blob)
    np.testing.assert_array_equal(read_mask(tmp_path / name), blob)


def test_written_values_are_0_and_255(tmp_path: Path, blob: np.ndarray) -> None:
    write_mask(tmp_path / "m.png", blob.astype(np.uint8) * 3)
    stored = np.asarray(Image.open(tmp_path / "m.png"))
    assert stored.dtype == np.uint8
    assert set(np.unique(stored)) == {0, 255}


def test_writing_twice_gives_the_same_bytes(tmp_path: Path, blob: np.ndarray) -> None:
    write_mask(tmp_path / "a.png", blob)
    write_mask(tmp_path / "b.png", blob)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_empty_and_full_masks(tmp_path: Path) -> None:
    for value in (False, True):
        write_mask(tmp_path / "m.png", np.full((4, 4), value))
        assert (read_mask(tmp_path / "m.png") == value).all()


def test_soft_edges_are_cut_at_128(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "P"])
def test_other_modes(tmp_path: Path, blob: np.ndarray, mode: str) -> None:
    gray = Image.fromarray(blob.astype(np.uint8) * 255)
    gray.convert(mode).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), blob)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (bool, 1),
        (np.uint8, 1),
        (np.uint16, 1),
        (np.uint16, 255),
        (np.uint16, 65535),
        (np.int32, 255),
        (np.float32, 1.0),
        (np.float32, 255.0),
    ],
)
def test_foreground_value_by_type(blob: np.ndarray, dtype: type, value: float) -> None:
    pixels = np.where(blob, value, 0).astype(dtype)
    np.testing.assert_array_equal(mask_from_array(pixels), blob)


def test_16bit_tiff_masks(tmp_path: Path, blob: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "m.tif", blob.astype(np.uint16) * 65535)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), blob)


def test_a_mask_of_another_size_says_both_sizes(tmp_path: Path, blob: np.ndarray) -> None:
    write_mask(tmp_path / "m.png", blob)
    with pytest.raises(InputError, match=r"m\.png: the mask is 30x20 pixels, the image 480x340"):
        read_mask(tmp_path / "m.png", shape=(340, 480))


def test_a_format_with_losses_is_refused(tmp_path: Path, blob: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"m\.jpg: masks are saved as \.png"):
        write_mask(tmp_path / "m.jpg", blob)


def test_a_volume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"shape \(M, N\)"):
        write_mask(tmp_path / "m.png", np.zeros((2, 4, 4), bool))


def test_a_failed_save_keeps_the_last_good_file(tmp_path: Path, blob: np.ndarray) -> None:
    write_mask(tmp_path / "m.png", blob)
    with pytest.raises(InputError):
        write_mask(tmp_path / "m.png", np.zeros((2, 4, 4), bool))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), blob)


def test_the_hand_drawn_outline() -> None:
    path = Path(__file__).parents[3] / "shared/data/real/carinthia_a_outline.png"
    if not path.exists():
        pytest.skip("the shared data folder is not beside the project")
    assert read_mask(path, shape=(480, 480)).sum() == 4282
