"""Tags of FEI/Thermo and Zeiss microscopes, on small files written with the same tags."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_semxai.store.images.microscope import (
    fei_picture_rows,
    fei_pixel_size,
    zeiss_pixel_size,
)
from napari_semxai.store.images.read import page_count, read_image, without_info_bar
from napari_semxai.store.images.tiff import ome_pixel_size, read_tiff_page, tiff_page_count
from napari_semxai.types import InputError
from tests.store.images.microscopes import (
    FEI_HELIOS,
    FEI_SFEG,
    ZEISS_SEM,
    fei_header,
    write,
    zeiss_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


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


def zeiss_stored(pixel: float, store: str) -> str:
    return f"0\r\n0\r\n0\r\n{pixel:.6e}\r\n0\r\nDP_IMAGE_STORE\r\nStore resolution = {store}\r\n"


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((96, 128), 20e-9),
        # Cropped: the pixels are still those that were stored.
        ((96, 100), 20e-9),
        ((50, 64), 20e-9),
        # Made smaller or larger: nobody knows.
        ((48, 64), None),
        ((192, 256), None),
    ],
)
def test_a_zeiss_image_that_was_cropped_keeps_its_size(
    tmp_path: Path, shape: tuple[int, int], size: float | None
) -> None:
    text = zeiss_stored(2.5e-9, "128 * 96")
    write(tmp_path / "zeiss.tif", np.zeros(shape, np.uint8), ZEISS_SEM, text)
    assert read_image(tmp_path / "zeiss.tif").pixel_size == (size and pytest.approx(size))


@pytest.mark.parametrize("tag", [FEI_HELIOS, FEI_SFEG, ZEISS_SEM])
@pytest.mark.parametrize("text", [bytes(range(1, 200)), b"\x00\xff", b"[Scan", b"0\r\n" * 9])
def test_a_damaged_tag_costs_the_size_alone(tmp_path: Path, tag: int, text: bytes) -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    tifffile.imwrite(
        tmp_path / "a.tif", image, extratags=[(tag, "s", 0, text, True)], metadata=None
    )
    read = read_image(tmp_path / "a.tif")
    assert read.pixel_size is None
    np.testing.assert_array_equal(read.gray, image)


def test_what_tifffile_logs_of_a_tag_becomes_one_line_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, extratags=[(34118, "s", 0, b"a" * 40, True)], metadata=None)
    stored = bytearray(path.read_bytes())
    at = stored.index(struct.pack("<HH", 34118, 2))
    # The value would lie behind the end of the file.
    stored[at + 8 : at + 12] = struct.pack("<I", 2**31)
    path.write_bytes(stored)
    for _ in range(2):
        np.testing.assert_array_equal(read_image(path).gray, image)
    assert [record.name.split(".")[0] for record in caplog.records] == ["napari_semxai"]
    assert "a.tif: a tag of this TIFF file is damaged; its pixels are read" in caplog.text
    # Who reads without this package hears tifffile itself.
    caplog.clear()
    with tifffile.TiffFile(path) as tif:
        tif.pages[0].tags.valueof(34118)
    assert {record.name for record in caplog.records} == {"tifffile"}


def _pyramid(path: Path, gray: NDArray[np.uint8]) -> None:
    size = {f"PhysicalSize{axis}": 5 for axis in "XY"}
    size |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XY"}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(gray, subifds=1, metadata={"axes": "YX"} | size)
        tif.write(gray[::2, ::2], subfiletype=1)


def _preview_first(path: Path, gray: NDArray[np.uint8]) -> None:
    with tifffile.TiffWriter(path) as tif:
        tif.write(gray[::4, ::4], subfiletype=1)
        tif.write(gray)


_LAYERS = [(37724, 7, 12, b"Adobe Photos", True), (34377, 1, 4, b"8BIM", True)]
_GATAN = [(65009, 2, 0, "nm", True), (65022, 12, 1, 2.5, True)]
# Pages, pixel size, and what writes a grey picture as a program does.
CONVENTIONS: dict[str, tuple[int, float | None, Callable[[Path, NDArray[np.uint8]], None]]] = {
    "ImageJ, hyperstack": (6, 5e-9, lambda path, gray: tifffile.imwrite(
        path, np.broadcast_to(gray, (3, 2, *gray.shape)), imagej=True, resolution=(200, 200),
        metadata={"axes": "ZCYX", "unit": "um"})),
    "ImageJ, cm": (1, 1e-9, lambda path, gray: tifffile.imwrite(
        path, gray, imagej=True, resolution=(1e7, 1e7), metadata={"unit": "cm"})),
    "QuPath, OME pyramid": (1, 5e-9, _pyramid),
    "QuPath, OME channels": (3, None, lambda path, gray: tifffile.imwrite(
        path, np.stack([gray] * 3), ome=True, photometric="minisblack", metadata={"axes": "CYX"})),
    "Photoshop, layers": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray, extratags=_LAYERS, resolution=(72, 72), compression="packbits")),
    "GIMP, alpha": (1, None, lambda path, gray: tifffile.imwrite(
        path, np.dstack([gray, np.full_like(gray, 255)]), photometric="minisblack",
        planarconfig="contig", extrasamples=["unassalpha"])),
    "GIMP, LZW": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray, compression="lzw", predictor=2)),
    "Ilastik, five axes": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray[None, None, ..., None], photometric="minisblack")),
    "3D Slicer, doubles": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray.astype(np.float64))),
    "libvips, tiles of a BigTIFF": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray, bigtiff=True, tile=(16, 16), compression="zlib")),
    "a microscope, preview first": (1, None, _preview_first),
    "Gatan, its own tags": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray, extratags=_GATAN)),
    "GDAL, big endian": (1, None, lambda path, gray: tifffile.imwrite(
        path, gray.astype(np.uint16), byteorder=">", resolution=(118, 118))),
}  # fmt: skip


@pytest.mark.parametrize("program", CONVENTIONS)
def test_what_programs_write(tmp_path: Path, program: str) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    pages, size, write_picture = CONVENTIONS[program]
    write_picture(tmp_path / "a.tif", gray)
    assert page_count(tmp_path / "a.tif") == pages
    for page in range(pages):
        image = read_image(tmp_path / "a.tif", page)
        np.testing.assert_array_equal(image.pixels, gray)
        assert image.pixel_size == (None if size is None else pytest.approx(size))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("imagej", [True, False])
def test_a_stack_behind_the_tags_of_one_page(
    tmp_path: Path, byteorder: str, dtype: type, imagej: bool
) -> None:
    stack = np.arange(5 * 6 * 8).reshape(5, 6, 8).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", stack, imagej=imagej, truncate=True, byteorder=byteorder,
        photometric="minisblack",
    )  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert len(tif.pages) == 1
    assert page_count(tmp_path / "a.tif") == 5
    for page, wanted in enumerate(stack):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", page).pixels, wanted)
    with pytest.raises(InputError, match="has 5 pages, so there is no page 5"):
        read_image(tmp_path / "a.tif", 5)
    # Cut off, as many pictures as there are whole ones.
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: len(whole) - stack[0].nbytes])
    assert page_count(tmp_path / "b.tif") <= 4


@pytest.mark.parametrize(
    ("unit", "metres"),
    [("nm", 1e-9), ("micron", 1e-6), ("um", 1e-6), ("\\u00B5m", 1e-6), ("cm", 1e-2),
     ("pixel", None), ("", None)],
)  # fmt: skip
def test_pixel_size_of_imagej(tmp_path: Path, unit: str, metres: float | None) -> None:
    path = tmp_path / "a.tif"
    resolution = (40000.0, 40000.0) if unit == "cm" else (0.4, 0.4)
    image = np.zeros((6, 8), np.uint8)
    tifffile.imwrite(path, image, imagej=True, resolution=resolution, metadata={"unit": unit})
    wanted = None if metres is None else pytest.approx(metres / resolution[0])
    assert read_image(path).pixel_size == wanted
    tifffile.imwrite(path, image, imagej=True, resolution=(0.4, 0.8), metadata={"unit": unit})
    assert read_image(path).pixel_size is None


@pytest.mark.parametrize(("unit", "metres"), [("nm", 1e-9), ("µm", 1e-6), ("furlong", None)])
def test_pixel_size_of_ome(unit: str, metres: float | None) -> None:
    xml = '<Pixels PhysicalSizeX="2.5" PhysicalSizeXUnit="{0}" PhysicalSizeY="2.5" {1}/>'
    written = xml.format(unit, f'PhysicalSizeYUnit="{unit}"')
    assert ome_pixel_size(written) == (metres and pytest.approx(2.5 * metres))
    assert ome_pixel_size('<Pixels PhysicalSizeX="0.5" PhysicalSizeY="0.5"/>') == 0.5e-6
    assert ome_pixel_size('<Pixels PhysicalSizeX="0.5" PhysicalSizeY="0.7"/>') is None
    assert ome_pixel_size("") is None


def test_series_of_several_sizes_have_none(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        for size in (2.5, 5.0):
            known = {"PhysicalSizeX": size, "PhysicalSizeY": size}
            tif.write(np.zeros((6, 8), np.uint8), metadata=known)
    assert [read_image(tmp_path / "a.ome.tif", page).pixel_size for page in (0, 1)] == [None, None]
    one = '<Pixels PhysicalSizeX="0.5" PhysicalSizeY="0.5">'
    assert ome_pixel_size(one + one) == 0.5e-6


@pytest.mark.parametrize("tag", [34682, 34118])
def test_each_page_has_the_size_that_it_says(tmp_path: Path, tag: int) -> None:
    """Pages that were put together of pictures of several magnifications."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for size in ("2.5e-09", "5e-09", None):
            fei = f"[Scan]\r\nPixelWidth={size}\r\nPixelHeight={size}\r\n"
            zeiss = f"0\r\n0\r\n0\r\n{size}\r\nDP_IMAGE_STORE\r\nStore resolution = 1024 * 8\r\n"
            said = [(tag, "s", 0, fei if tag == 34682 else zeiss, True)] if size else []
            tif.write(np.zeros((8, 1024), np.uint8), extratags=said, metadata=None)
    sizes = [read_image(tmp_path / "a.tif", page).pixel_size for page in range(3)]
    # A page without a tag is of the first page's picture.
    assert sizes == pytest.approx([2.5e-9, 5e-9, 2.5e-9])


def test_pixel_size_of_an_ome_file(tmp_path: Path) -> None:
    known = {"axes": "YX", "PhysicalSizeX": 2.5, "PhysicalSizeXUnit": "nm",
             "PhysicalSizeY": 2.5, "PhysicalSizeYUnit": "nm"}  # fmt: skip
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((6, 8), np.uint8), metadata=known)
    assert read_image(tmp_path / "a.ome.tif").pixel_size == pytest.approx(2.5e-9)


def test_ycbcr_becomes_rgb(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (8, 8, 3), np.uint8)
    stored = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="ycbcr", metadata=None, planarconfig="contig",
        subsampling=(1, 1),
    )  # fmt: skip
    found = read_image(tmp_path / "a.tif").pixels
    # Two roundings, to 8 bits each.
    assert np.abs(found.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_images_lie_as_viewers_show_them(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = np.kron(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, np.ones((8, 8), np.uint8))
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    if suffix == ".tif":
        tifffile.imwrite(path, image, extratags=[(274, "H", 1, orientation, True)], metadata=None)
    else:
        Image.fromarray(image).save(path, exif=exif)
    found = read_image(path).pixels
    source = Image.fromarray(image)
    source.getexif()[0x0112] = orientation
    np.testing.assert_allclose(found, np.asarray(ImageOps.exif_transpose(source)), atol=3)


def directory(path: Path, *tags: tuple[int, int, int, int], following: int = 0) -> None:
    """Write a TIFF file of one directory of (code, type, count, value), and 4 KiB."""
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes((head + body + struct.pack("<I", following)).ljust(4096, b"\0"))


@pytest.mark.parametrize(
    ("tags", "following", "said"),
    [
        ([(700, 1, 4000, 8)] * 300, 0, "claim more than it holds"),
        ([(256, 4, 1, 9)] * 300, 8, "claim more than it holds"),
    ],
    ids=["values", "circle"],
)
def test_directories_claim_no_more_than_the_file_holds(
    tmp_path: Path, tags: list[tuple[int, int, int, int]], following: int, said: str
) -> None:
    directory(tmp_path / "a.tif", *tags, following=following)
    with pytest.raises(InputError, match=said):
        page_count(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("code", "value", "said"),
    [
        (257, 2**30, "claims 32768 MiB of pixels"),
        (279, 2**31, "longer than its file"),
        (322, 2**31 - 16, "claims .* MiB of pixels"),
    ],
)
def test_a_page_claims_no_more_than_the_file_holds(
    tmp_path: Path, code: int, value: int, said: str
) -> None:
    options: dict[str, Any] = {"tile": (32, 32)} if code == 322 else {"rowsperstrip": 32}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((32, 32), np.uint8), compression="zlib", **options)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].aspage().tags[code].overwrite(value, dtype="I")
    with pytest.raises(InputError, match=said):
        read_image(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("options", [{}, {"tile": (512, 512)}, {"rowsperstrip": 8192}])
def test_pictures_that_compress_well_are_read(
    tmp_path: Path, compression: str | None, options: dict[str, Any]
) -> None:
    path, picture = tmp_path / "a.tif", np.zeros((4096, 4096), np.uint8)
    tifffile.imwrite(path, picture, compression=compression, **options)
    assert read_image(path).gray.shape == picture.shape
