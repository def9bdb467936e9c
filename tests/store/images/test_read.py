"""Reading images of every kind people have."""

from __future__ import annotations

import os
import random
import struct
import zlib
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.store.images import read
from napari_semxai.store.images.masks import stored_mask
from napari_semxai.store.images.read import (
    image_files,
    image_from_array,
    page_count,
    read_image,
)
from napari_semxai.store.project.create import create_project
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def gray() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 36), dtype=np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF"])
def test_8bit_grey_is_unscaled(tmp_path: Path, gray: np.ndarray, name: str) -> None:
    Image.fromarray(gray).save(tmp_path / name)
    image = read_image(tmp_path / name)
    np.testing.assert_array_equal(image.gray, gray)
    np.testing.assert_array_equal(image.pixels, gray)
    assert image.name == "a"
    assert image.path == tmp_path / name
    assert image.pixel_size is None


def test_jpeg(tmp_path: Path, gray: np.ndarray) -> None:
    smooth = np.sort(gray, axis=1)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").gray.astype(int) - smooth).mean() < 8


def test_cmyk_jpeg(tmp_path: Path, gray: np.ndarray) -> None:
    Image.fromarray(gray).convert("CMYK").save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg").pixels.shape == (24, 36, 3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_coloured_png_keeps_the_grey_values(tmp_path: Path, gray: np.ndarray, mode: str) -> None:
    picture = Image.fromarray(gray)
    if mode == "P":
        picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").gray, gray)


def test_16bit_png_keeps_its_values(tmp_path: Path, gray: np.ndarray) -> None:
    deep = gray.astype(np.uint16) * 200
    Image.fromarray(deep).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, deep)
    assert image.gray.dtype == np.uint8
    assert image.gray.max() == 255


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_16bit_colours_keep_their_values(tmp_path: Path, gray: np.ndarray, channels: int) -> None:
    deep = np.repeat((gray.astype(np.uint16) * 200 + 7)[..., None], channels, axis=2)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, deep[..., 0] if channels == 2 else deep)
    assert image.gray.shape == gray.shape
    assert image.gray.max() == 255


def test_a_cut_off_16bit_png_is_named(tmp_path: Path, gray: np.ndarray) -> None:
    deep = np.repeat(gray.astype(np.uint16)[..., None], 3, axis=2)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep)[:200])
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.float32, np.float64])
def test_tiff_types(tmp_path: Path, gray: np.ndarray, dtype: type) -> None:
    values = gray.astype(dtype) * dtype(3)
    tifffile.imwrite(tmp_path / "a.tif", values)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.pixels, values)
    assert image.gray.dtype == np.uint8


def test_float_tiff_with_nan_and_infinity(tmp_path: Path, gray: np.ndarray) -> None:
    values = gray.astype(np.float32)
    values[0, 0], values[0, 1] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read_image(tmp_path / "a.tif").gray[0, :2].tolist() == [0, 255]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_rgb_tiff(tmp_path: Path, gray: np.ndarray, planar: str, channels: int) -> None:
    rgb = np.repeat(gray[..., None], channels, axis=2)
    stored = np.moveaxis(rgb, -1, 0) if planar == "separate" else rgb
    tifffile.imwrite(
        tmp_path / "a.tif",
        stored,
        photometric="rgb",
        planarconfig=planar,
        extrasamples=("unassalpha",) * (channels - 3),
    )
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.shape == (24, 36, channels)
    np.testing.assert_array_equal(image.gray, gray)


def test_palette_tiff_goes_through_its_colour_map(tmp_path: Path, gray: np.ndarray) -> None:
    ramp = np.arange(256, dtype=np.uint16)[::-1] * 257
    tifffile.imwrite(
        tmp_path / "a.tif", gray, photometric="palette", colormap=np.stack([ramp] * 3)
    )
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.gray, 255 - gray)
    assert image.pixels.ndim == 2


def test_coloured_palette_tiff_is_rgb(tmp_path: Path, gray: np.ndarray) -> None:
    table = np.zeros((3, 256), np.uint16)
    table[0] = np.arange(256) * 257
    tifffile.imwrite(tmp_path / "a.tif", gray, photometric="palette", colormap=table)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels[..., 0], gray)
    assert not image.pixels[..., 1:].any()


def test_palette_with_8bit_entries(tmp_path: Path, gray: np.ndarray) -> None:
    ramp = np.arange(256, dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", gray, photometric="palette", colormap=np.stack([ramp] * 3)
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").gray, gray)


def test_white_is_zero_tiff_is_shown_upright(tmp_path: Path, gray: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", gray, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").gray, 255 - gray)


def test_multi_page_tiff_is_a_queue(tmp_path: Path, gray: np.ndarray) -> None:
    with tifffile.TiffWriter(tmp_path / "k.tif") as tif:
        tif.write(gray)
        tif.write(gray[:10] // 2)
        tif.write(np.dstack([gray] * 3), photometric="rgb")
    assert page_count(tmp_path / "k.tif") == 3
    assert [read_image(tmp_path / "k.tif", page).name for page in range(3)] == [
        "k_p0001",
        "k_p0002",
        "k_p0003",
    ]
    np.testing.assert_array_equal(read_image(tmp_path / "k.tif", 1).gray, gray[:10] // 2)
    with pytest.raises(InputError, match=r"k\.tif: has 3 pages, so there is no page 3"):
        read_image(tmp_path / "k.tif", 3)


def test_stack_written_at_once_has_pages(tmp_path: Path, gray: np.ndarray) -> None:
    for options in ({}, {"imagej": True}):
        tifffile.imwrite(tmp_path / "s.tif", np.stack([gray, 255 - gray]), **options)
        assert page_count(tmp_path / "s.tif") == 2
        np.testing.assert_array_equal(read_image(tmp_path / "s.tif", 1).gray, 255 - gray)


def test_previews_are_not_pages(tmp_path: Path, gray: np.ndarray) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(gray)
        tif.write(gray[::4, ::4], subfiletype=1)
    assert page_count(tmp_path / "a.tif") == 1


def test_the_content_decides_not_the_name(tmp_path: Path, gray: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.png", gray)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").gray, gray)


def test_other_formats_have_one_page(tmp_path: Path, gray: np.ndarray) -> None:
    Image.fromarray(gray).save(tmp_path / "a.png")
    assert page_count(tmp_path / "a.png") == 1
    with pytest.raises(InputError, match=r"a\.png: has 1 page"):
        read_image(tmp_path / "a.png", 1)


def test_pixels_cannot_be_changed_by_accident(gray: np.ndarray) -> None:
    image = image_from_array(gray, "a")
    with pytest.raises(ValueError, match="read-only"):
        image.gray[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 1
    assert np.shares_memory(image.gray, gray)
    gray[0, 0] = 1  # the caller's own array stays writeable


def test_leading_axes_of_length_one_are_dropped(gray: np.ndarray) -> None:
    assert image_from_array(gray[None, None], "a").gray.shape == gray.shape


@pytest.mark.parametrize("shape", [(3, 24, 36), (24, 36, 2), (5, 4, 4, 3), (7,)])
def test_volumes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"wafer7: an image has shape"):
        image_from_array(np.zeros(shape, np.uint8), "wafer7")


def test_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="wafer7: the image has no pixels"):
        image_from_array(np.zeros((0, 5), np.uint8), "wafer7")


def test_missing_file(tmp_path: Path) -> None:
    for call in (read_image, page_count):
        with pytest.raises(InputError, match=r"none\.tif: no such file"):
            call(tmp_path / "none.tif")


def test_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"MM\0*\0\0", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_no_image_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: cannot be read [^<]*$"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_a_format_that_is_not_understood(tmp_path: Path, gray: np.ndarray, form: str) -> None:
    Image.fromarray(gray).save(tmp_path / "a.png", format=form)
    with pytest.raises(InputError, match=r"\(cannot identify image file\); TIFF, JPEG, PNG and"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["a.tif", "z.tif", "p.tif", "a.png", "a.jpg", "a.bmp"])
def test_damaged_files_give_one_line_or_an_image(
    tmp_path: Path, gray: np.ndarray, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "z.tif":
        tifffile.imwrite(path, gray, compression="zlib", predictor=True)
    elif kind == "p.tif":
        tifffile.imwrite(path, np.stack([gray] * 5))
    else:
        Image.fromarray(gray).save(path)
    whole = path.read_bytes()
    dice = random.Random(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole[: dice.randrange(len(whole))] if dice.random() < 0.5 else whole)
        for _ in range(dice.randrange(6) if damaged else 0):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        message = refusal(path)
        assert message == "" or message.startswith(str(path))
        assert "\n" not in message
        refused += message != ""
    assert refused > 5


def refusal(path: Path) -> str:
    try:
        read_image(path)
    except InputError as error:
        return str(error)
    return ""


def test_image_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.TIF", "note.txt", ".hidden.png", ".git/x.png", "c.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in image_files(tmp_path)]
    assert found == ["b.png", "c.jpeg", "sub/a.TIF"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_nowhere_are_named(tmp_path: Path, gray: np.ndarray) -> None:
    """As those into a share that is not there today; links to folders are not followed."""
    Image.fromarray(gray).save(tmp_path / "a.png")
    for name, target in (("b.png", "a.png"), ("gone.png", "/share/gone.png"), ("c.png", "c.png")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "up.png").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "folder.png").mkdir()
    names = ["a.png", "b.png", "c.png", "gone.png"]
    assert [path.name for path in image_files(tmp_path)] == names
    for name in ("c.png", "gone.png"):
        with pytest.raises(InputError, match=rf"{name}: "):
            read_image(tmp_path / name)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA"])
def test_png_beyond_the_limit_of_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    path = tmp_path / "mosaic.png"
    image = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    Image.fromarray(image).convert(mode).save(path)
    wanted = read_image(path).pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    np.testing.assert_array_equal(read_image(path).pixels, wanted)
    monkeypatch.setattr(read, "_MOST_BYTES", 1999)
    with pytest.raises(InputError, match=r"50x40 pixels need .* GiB, at most 2 are read"):
        read_image(path)


def test_a_name_of_bytes_costs_its_file(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((4, 4), np.uint8))
    image.save(tmp_path / "a.png")
    image.save(os.fsencode(tmp_path) + b"/b\xff.png", "PNG")
    failed: dict[str, str] = {}
    project = create_project(tmp_path / "p", tmp_path, failed=failed)
    assert [one.name for one in project.images] == ["a"]
    (message,) = failed.values()
    assert message.endswith(r"b\xff.png: the name is not UTF-8; rename it")
    message.encode()
    "".join(failed).encode()


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_deep_colours_and_masks_lie_as_viewers_show_them(tmp_path: Path, orientation: int) -> None:
    stored = np.random.default_rng(0).integers(0, 2**16, (3, 4, 3), np.uint16)
    shown = {1: stored, 3: stored[::-1, ::-1], 6: np.rot90(stored, -1)}[orientation]
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    data, part = imagecodecs.png_encode(stored), exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + part
    # Behind the header, which is 33 bytes with the signature.
    whole = struct.pack(">I", len(part)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:33] + whole + data[33:])
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels, shown)
    assert image.turned == orientation
    np.testing.assert_array_equal(stored_mask(path).values, shown)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_claims_no_more_pixels_than_it_can_hold(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    # A picture of one grey is as small as one can be, and read.
    Image.fromarray(np.full((2048, 2048), 7, np.uint8)).save(path)
    assert read_image(path).gray.shape == (2048, 2048)
    Image.fromarray(np.full((8, 16), 7, np.uint8)).save(path)
    stored = path.read_bytes()
    rows, columns = (struct.pack(">H" if suffix == ".jpg" else ">I", side) for side in (8, 16))
    both = rows + columns if suffix == ".jpg" else columns + rows
    assert stored.count(both) == 1
    huge = struct.pack(">HH" if suffix == ".jpg" else ">II", 12_000, 12_000)
    damaged = bytearray(stored.replace(both, huge))
    if suffix == ".png":
        damaged[29:33] = struct.pack(">I", zlib.crc32(damaged[12:29]))
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"12000x12000 pixels, more than its \d+ bytes can hold"):
        read_image(path)
