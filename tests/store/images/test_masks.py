"""Masks on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFilter

from napari_semxai.algorithms.masks.foreground import parse_rule
from napari_semxai.store.images.masks import mask_reading, read_mask, read_white_mask, write_mask
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_16bit_tiff_masks(tmp_path: Path, blob: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "m.tif", blob.astype(np.uint16) * 65535)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), blob)


def painted(blob: np.ndarray, value: int | tuple[int, ...]) -> np.ndarray:
    """What a program writes that gives the defect a value or a colour."""
    channels = np.atleast_1d(np.asarray(value, np.uint8))
    pixels = np.zeros((*blob.shape, len(channels)), np.uint8)
    pixels[blob] = channels
    return pixels.squeeze()


def indexed(blob: np.ndarray, table: list[int], index: int = 1) -> Image.Image:
    picture = Image.fromarray(painted(blob, index))
    picture.putpalette(table + [0] * (768 - len(table)))
    return picture


def lit(blob: np.ndarray, *colors: int) -> Image.Image:
    """One colour everywhere; the alpha channel holds the mask."""
    pixels = np.full((*blob.shape, len(colors) + 1), 255, np.uint8)
    pixels[..., :-1] = colors
    pixels[..., -1] = 255 * blob
    return Image.fromarray(pixels)


FROM_OTHERS: dict[str, Callable[[np.ndarray], Image.Image]] = {
    "0 and 1": lambda blob: Image.fromarray(painted(blob, 1)),
    "class 2": lambda blob: Image.fromarray(painted(blob, 2)),
    "class 127": lambda blob: Image.fromarray(painted(blob, 127)),
    "16 bits, 300": lambda blob: Image.fromarray(blob.astype(np.uint16) * 300),
    "1 bit": Image.fromarray,
    "dark red entry": lambda blob: indexed(blob, [0, 0, 0, 128, 0, 0]),
    "white entry": lambda blob: indexed(blob, [0, 0, 0, 255, 255, 255]),
    "third entry": lambda blob: indexed(blob, [0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0, 90], 3),
    "red": lambda blob: Image.fromarray(painted(blob, (255, 0, 0))),
    "blue": lambda blob: Image.fromarray(painted(blob, (0, 0, 90))),
    "white and alpha": lambda blob: lit(blob, 255, 255, 255),
    "black and alpha": lambda blob: lit(blob, 0, 0, 0),
    "grey and alpha": lambda blob: lit(blob, 255),
    "red and alpha": lambda blob: Image.fromarray(painted(blob, (255, 0, 0, 255))),
    "half transparent": lambda blob: Image.fromarray(painted(blob, (9, 200, 0, 100))),
}


@pytest.mark.parametrize("kind", FROM_OTHERS)
def test_what_other_programs_write(tmp_path: Path, blob: np.ndarray, kind: str) -> None:
    FROM_OTHERS[kind](blob).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), blob)


def voc_colors(count: int) -> list[int]:
    """The colour table of Pascal VOC, which CVAT and labelme write."""
    table = []
    for number in range(count):
        for channel in range(3):
            bits = [number >> (3 * place + channel) & 1 for place in range(8)]
            table.append(sum(bit << (7 - place) for place, bit in enumerate(bits)))
    return table


def soft(blob: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(255 * blob).filter(ImageFilter.GaussianBlur(0.7)))


def tiff_of(*pixels: np.ndarray, **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, *pixels, **options)


def _conventions() -> dict[str, tuple[str, Callable[[Path], None]]]:
    """What other programs write: the ending, and what writes it."""
    one = np.zeros((48, 64), np.uint8)
    one[10:25, 20:45] = 1
    two = one.copy()
    two[30:40, 5:15] = 2
    lut = (np.arange(256) > 0) * np.random.default_rng(0).integers(1, 2**16, (3, 256))
    palette = {"photometric": "palette", "colormap": lut.astype(np.uint16)}
    cvat = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255]], np.uint8)[two]
    feathered = np.dstack([np.full((*one.shape, 3), 255, np.uint8), soft(one)])
    layered = np.dstack([np.full((*one.shape, 3), 90, np.uint8) + one[..., None], 255 * one])
    table = voc_colors(256)
    return {
        "CVAT, class colours": (".png", Image.fromarray(cvat).save),
        "labelme, label.png": (".png", indexed(two > 0, table).save),
        "Pascal VOC, SegmentationObject": (".png", indexed(two > 0, table, 7).save),
        "Label Studio, brush": (".png", Image.fromarray(soft(one)).save),
        "ImageJ, black background": (".tif", tiff_of(255 * one, imagej=True)),
        "ImageJ, count masks": (".tif", tiff_of(two.astype(np.uint16), imagej=True)),
        "ImageJ, glasbey": (".tif", tiff_of(two, **palette)),
        "Fiji, 32 bit": (".tif", tiff_of((255 * one).astype(np.float32), imagej=True)),
        "Ilastik, object identities": (".tif", tiff_of(two.astype(np.uint32))),
        "QuPath, instances": (".png", Image.fromarray(two.astype(np.uint16) * 400).save),
        "3D Slicer": (".tif", tiff_of(two.astype(np.int16), compression="zlib", tile=(32, 32))),
        "Cellpose": (".png", Image.fromarray(two.astype(np.uint16)).save),
        "GIMP, feathered alpha": (".png", Image.fromarray(feathered).save),
        "GIMP, 16 bit": (".png", Image.fromarray(one.astype(np.uint16) * 65535).save),
        "Photoshop, 16 bit": (".tif", tiff_of(one.astype(np.uint16) * 32768)),
        "Photoshop, LZW": (
            ".tif",
            tiff_of(np.dstack([255 * one] * 3), photometric="rgb", compression="lzw", predictor=2),
        ),
        "Photoshop, selection as a channel": (
            ".tif",
            tiff_of(layered, photometric="rgb", extrasamples=["unspecified"]),
        ),
        "Photoshop, bitmap": (".bmp", Image.fromarray(one > 0).save),
    }


@pytest.mark.parametrize("program", _conventions())
def test_conventions_of_programs(tmp_path: Path, program: str) -> None:
    suffix, save = _conventions()[program]
    save(tmp_path / f"m{suffix}")
    read = read_mask(tmp_path / f"m{suffix}", (48, 64))
    assert read[10:25, 20:45].all()
    assert np.count_nonzero(read) in (15 * 25, 15 * 25 + 100)
    assert not read[:8].any()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("VOC border", "255 beside other classes.*palette 1,255"),
        ("ImageJ, inverting table", "black may be the defect.*--foreground zero"),
        ("Ilastik, classes from 1", "holds 2 values from 1 to 2.*>=2"),
        ("Ilastik, probabilities", "has 2 pages, and a mask has one"),
        ("QuPath, white background", "colours and no black background.*color "),
        ("NaN as background", "NaN or infinite values.*nonzero"),
    ],
)
def test_conventions_that_need_a_word(tmp_path: Path, program: str, message: str) -> None:
    """None of them is guessed; the message says what to add."""
    one = np.zeros((48, 64), np.uint8)
    one[10:25, 20:45] = 1
    rim = one.copy()
    rim[9, 20:45] = rim[25, 20:45] = 255
    border, white = Image.fromarray(rim), Image.fromarray(one)
    border.putpalette(voc_colors(256))
    white.putpalette([255, 255, 255, 200, 0, 0] + [0] * 762)
    chances = np.stack([1 - one * 0.9, one * 0.9]).astype(np.float32)
    save: dict[str, tuple[str, Callable[[Path], None]]] = {
        "VOC border": (".png", border.save),
        "ImageJ, inverting table": (".tif", tiff_of(255 * one, photometric="miniswhite")),
        "Ilastik, classes from 1": (".png", Image.fromarray(one + 1).save),
        "Ilastik, probabilities": (".tif", tiff_of(chances, imagej=True)),
        "QuPath, white background": (".png", white.save),
        "NaN as background": (".tif", tiff_of(np.where(one, 1, np.nan).astype(np.float32))),
    }
    suffix, write = save[program]
    write(tmp_path / f"m{suffix}")
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / f"m{suffix}")


def test_a_transparent_entry_of_a_colour_table(tmp_path: Path, blob: np.ndarray) -> None:
    picture = indexed(blob, [9, 9, 9, 9, 9, 9])
    picture.save(tmp_path / "m.png", transparency=0)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), blob)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.float32, np.float64])
def test_labels_of_any_type(tmp_path: Path, blob: np.ndarray, dtype: type) -> None:
    labels = blob.astype(dtype) * 5
    labels[0, :4] = 700
    tifffile.imwrite(tmp_path / "m.tif", labels)
    blob[0, :4] = True
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), blob)


def test_tiff_with_colour_table_and_alpha(tmp_path: Path, blob: np.ndarray) -> None:
    table = np.zeros((3, 256), np.uint16)
    table[:, 1] = 30_000, 0, 9_000
    index = blob.astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", index, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), blob)
    pixels = np.asarray(lit(blob, 255, 255, 255))
    tifffile.imwrite(tmp_path / "m.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif"), blob)


@pytest.mark.parametrize("options", [{"photometric": "minisblack"}, {"imagej": True}])
def test_pages_are_not_guessed(tmp_path: Path, blob: np.ndarray, options: dict[str, Any]) -> None:
    pages = np.stack([blob & False, blob]).astype(np.uint8) * 255
    for truncate in (False, True):
        tifffile.imwrite(tmp_path / "m.tif", pages, truncate=truncate, **options)
        with pytest.raises(InputError, match=r"m\.tif: has 2 pages.* file of its own"):
            read_mask(tmp_path / "m.tif")


def test_what_could_be_two_things_is_settled_by_a_rule(tmp_path: Path, blob: np.ndarray) -> None:
    Image.fromarray(255 - painted(blob, 255)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match=r"m\.png: .*black may be the defect.*--foreground zero"):
        read_mask(tmp_path / "m.png")
    for rule in ("zero", "<=127"):
        reading = mask_reading(tmp_path / "m.png", rule=parse_rule(rule))
        np.testing.assert_array_equal(reading.mask, blob)
        assert reading.rule == rule


def test_own_masks_are_white_on_black(tmp_path: Path, blob: np.ndarray) -> None:
    for name in ("m.png", "m.tif"):
        write_mask(tmp_path / name, ~blob)
        np.testing.assert_array_equal(read_mask(tmp_path / name), ~blob)
    # Those of earlier versions do not say so.
    Image.fromarray(255 * (~blob).astype(np.uint8)).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_white_mask(tmp_path / "m.png"), ~blob)


@pytest.mark.parametrize("name", ["m.png", "m.jpg"])
def test_a_picture_is_no_mask(tmp_path: Path, name: str) -> None:
    gray = np.random.default_rng(0).normal(120, 20, (60, 80)).clip(1, 255).astype(np.uint8)
    Image.fromarray(gray).save(tmp_path / name)
    with pytest.raises(InputError, match=r"of a picture, not of a mask|grey levels or classes"):
        read_mask(tmp_path / name)


@pytest.mark.parametrize("color", [255, (255, 0, 0)])
def test_jpeg_masks(tmp_path: Path, color: Any) -> None:
    row, column = np.mgrid[:64, :80]
    disc = (row - 30) ** 2 + (column - 40) ** 2 < 200
    Image.fromarray(painted(disc, color)).save(tmp_path / "m.jpg", quality=95)
    assert (read_mask(tmp_path / "m.jpg") ^ disc).sum() < 12


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
    path = Path(__file__).parents[4] / "shared/data/real/carinthia_a_outline.png"
    if not path.exists():
        pytest.skip("the shared data folder is not beside the project")
    assert read_mask(path, shape=(480, 480)).sum() == 4282


def test_a_preview_before_the_mask_is_not_the_mask(tmp_path, blob):
    with tifffile.TiffWriter(tmp_path / "m.tif") as tif:
        tif.write(painted(blob[::4, ::4], 255), subfiletype=1)
        tif.write(painted(blob, 255))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", blob.shape), blob)


def test_complex_numbers_are_no_mask(tmp_path, blob):
    tifffile.imwrite(tmp_path / "m.tif", blob.astype(np.complex64))
    with pytest.raises(InputError, match=r"m\.tif: .*type complex64, neither numbers nor bools"):
        read_mask(tmp_path / "m.tif")


def test_a_mask_lies_as_its_image_does(tmp_path):
    image, exif = np.zeros((6, 9), np.uint8), Image.Exif()
    image[0, :3] = 255
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), np.rot90(image, -1) > 0)


@pytest.mark.parametrize("own", [True, False])
def test_a_png_mask_beyond_the_limit_of_pillow(
    tmp_path: Path, blob: np.ndarray, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    path = tmp_path / "large.png"
    if own:
        write_mask(path, ~np.zeros_like(blob))
    else:
        Image.fromarray(blob.astype(np.uint8) * 3).save(path)
    expected = read_mask(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", blob.size // 4)
    assert np.array_equal(read_mask(path), expected)
    assert np.array_equal(expected, ~np.zeros_like(blob) if own else blob)
