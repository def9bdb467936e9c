"""Tags of FEI/Thermo and Zeiss microscopes, on small files written with the same tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_semxai.store.images.read import page_count, read_image, without_info_bar
from napari_semxai.store.images.tiff import (
    fei_picture_rows,
    fei_pixel_size,
    read_tiff_page,
    tiff_page_count,
    zeiss_pixel_size,
)
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

FEI_HELIOS, FEI_SFEG, ZEISS_SEM = 34682, 34680, 34118


def fei_header(width: float, height: float, field: float) -> str:
    return (
        "[User]\r\nUser=supervisor\r\n[System]\r\nDnumber=D9999\r\n[Scan]\r\n"
        f"PixelWidth={width}\r\nPixelHeight={height}\r\n"
        f"HorFieldsize=1e-05\r\nVerFieldsize={field}\r\n"
    )


def zeiss_header(pixel: float) -> str:
    numbers = ["", "0", "0", "0", f"{pixel:.6e}", "0", "0"]
    named = ["AP_PIXEL_SIZE", "Pixel Size = 5.825 nm", "AP_MAG", "Mag = 50.00 K X"]
    return "\r\n".join(numbers[1:] + named) + "\r\n"


def write(path: Path, image: np.ndarray, tag: int, text: str) -> None:
    tifffile.imwrite(path, image, extratags=[(tag, "s", 0, text, True)], metadata=None)


@pytest.mark.parametrize("tag", [FEI_HELIOS, FEI_SFEG])
def test_fei_pixel_size_and_info_bar(tmp_path: Path, tag: int) -> None:
    picture = np.arange(60 * 40, dtype=np.uint16).reshape(60, 40)
    write(tmp_path / "fei.tif", picture, tag, fei_header(2.5e-9, 2.5e-9, 2.5e-9 * 50))
    image = read_image(tmp_path / "fei.tif")
    assert image.pixel_size == pytest.approx(2.5e-9)
    assert image.picture_rows == 50
    assert image.gray.shape == (60, 40)
    cropped = without_info_bar(image)
    assert cropped.gray.shape == cropped.pixels.shape == (50, 40)
    assert cropped.picture_rows is None
    assert cropped.pixel_size == image.pixel_size


def test_fei_picture_that_fills_the_image(tmp_path: Path) -> None:
    header = fei_header(2.5e-9, 2.5e-9, 2.5e-9 * 60)
    write(tmp_path / "fei.tif", np.zeros((60, 40), np.uint8), FEI_HELIOS, header)
    image = read_image(tmp_path / "fei.tif")
    assert image.picture_rows is None
    assert without_info_bar(image) is image


def test_zeiss_size_refers_to_a_display_1024_wide(tmp_path: Path) -> None:
    """A 512-px file tagged 5.825 nm whose burnt-in bar says 11.65 to 11.76 nm."""
    image = np.zeros((384, 512), np.uint8)
    write(tmp_path / "zeiss.tif", image, ZEISS_SEM, zeiss_header(5.825e-9))
    assert read_image(tmp_path / "zeiss.tif").pixel_size == pytest.approx(11.65e-9)


@pytest.mark.parametrize("width", [1024, 2048, 3072])
def test_zeiss_widths(width: int) -> None:
    metadata = {"": (0, 0, 0, 6e-9)}
    assert zeiss_pixel_size(metadata, width) == pytest.approx(6e-9 * 1024 / width)


@pytest.mark.parametrize("value", [0, -1e-9, float("nan"), float("inf"), "n/a", None, 5.0])
def test_implausible_sizes_are_unknown(value: object) -> None:
    assert fei_pixel_size({"Scan": {"PixelWidth": value}}) is None
    assert zeiss_pixel_size({"": (0, 0, 0, value)}, 1024) is None
    assert fei_picture_rows({"Scan": {"PixelHeight": value, "VerFieldsize": 1e-6}}, 10) is None


def test_headers_without_the_entry() -> None:
    assert fei_pixel_size({}) is None
    assert fei_picture_rows({"Scan": {"PixelHeight": 1e-9}}, 10) is None
    assert zeiss_pixel_size({}, 1024) is None
    assert zeiss_pixel_size({"": (1, 2)}, 1024) is None


def test_a_broken_header_does_not_hide_the_image(tmp_path: Path) -> None:
    image = np.full((8, 8), 7, np.uint8)
    write(tmp_path / "fei.tif", image, FEI_HELIOS, "[Scan]\r\nPixelWidth=\r\nnonsense")
    write(tmp_path / "zeiss.tif", image, ZEISS_SEM, "0\r\n")
    for name in ("fei.tif", "zeiss.tif"):
        read = read_image(tmp_path / name)
        assert read.pixel_size is None
        np.testing.assert_array_equal(read.gray, image)


def test_page_of_many_is_found_without_reading_the_others_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.tif"
    pixels = np.arange(30, dtype=np.uint8)[:, None, None] + np.zeros((30, 4, 4), dtype=np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    assert tiff_page_count(path) == 30
    parsed = []
    asked = tifffile.TiffPage.__init__
    monkeypatch.setattr(
        tifffile.TiffPage, "__init__", lambda *a, **k: parsed.append(1) or asked(*a, **k)
    )
    assert read_tiff_page(path, 29).pixels[0, 0] == 29
    assert len(parsed) < 5
    tifffile.imwrite(path, pixels[:2], photometric="minisblack")
    assert tiff_page_count(path) == 2


def two_pages(path: Path) -> int:
    """Write two pages, and return where the second one's tags begin."""
    with tifffile.TiffWriter(path) as tif:
        for value in (10, 20):
            tif.write(np.full((16, 16), value, np.uint8), metadata=None)
    with tifffile.TiffFile(path) as tif:
        return int(tif.pages[1].offset)


@pytest.mark.parametrize("left", [8, 0, 6])
def test_a_file_whose_pages_are_cut_off_is_refused(tmp_path: Path, left: int) -> None:
    path = tmp_path / "a.tif"
    second = two_pages(path)
    assert tiff_page_count(path) == 2
    whole = path.read_bytes()
    path.write_bytes(whole[: left if left == 8 else second + left])
    with pytest.raises(InputError, match=r"a\.tif: .*(damaged TIFF|corrupted)"):
        page_count(path)
    with pytest.raises(InputError, match=r"a\.tif: .*(damaged TIFF|corrupted)"):
        read_image(path)


def test_a_picture_with_missing_pieces_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((16, 16), 9, np.uint8), rowsperstrip=4, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["StripByteCounts"].overwrite([64, 0, 64, 64])
    with pytest.raises(InputError, match="pieces of the picture are missing"):
        read_image(path)
