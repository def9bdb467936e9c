import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_semxai.store.disk.names import (
    FileFinder,
    NameFinder,
    check_name,
    name_key,
    natural_key,
    printable,
)
from napari_semxai.types import InputError

FILES = ["lot_a/img1.png", "lot_b/img1.png", "solo.png", "x.1.2.png", "Größe.tif", "two.tif"]
FINDER = NameFinder((name, name) for name in [*FILES, "two.png"])


@pytest.mark.parametrize(
    ("given_name", "found"),
    [
        ("lot_a/img1.png", "lot_a/img1.png"),
        ("lot_b\\img1", "lot_b/img1.png"),
        ("D:\\fab\\lot_b\\img1.tif", "lot_b/img1.png"),
        ("/data/2026/lot_a/IMG1.PNG", "lot_a/img1.png"),
        ("lot/sub/solo.png", "solo.png"),
        ("..\\solo", "solo.png"),
        ("x.1.2", "x.1.2.png"),
        ("x.1.2.png", "x.1.2.png"),
        ("x.1", None),
        (unicodedata.normalize("NFD", "Größe"), "Größe.tif"),
        ("GRÖSSE.tif", "Größe.tif"),
        ("two.tif", "two.tif"),
        ("two.png", "two.png"),
        ("gone.png", None),
        ("", None),
        ("C:\\", None),
    ],
)
def test_a_name_is_found_however_it_is_given(given_name, found):
    assert FINDER.find(given_name) == found


@pytest.mark.parametrize("name", ["img1.png", "lot_c/img1", "two"])
def test_a_name_that_fits_several_is_refused(name):
    with pytest.raises(InputError, match="2 files fit this name"):
        FINDER.find(name)


def test_case_tells_two_files_apart():
    finder = NameFinder([("a/Img.png", 1), ("a/img.png", 2), ("A/img.png", 3)])
    assert [finder.find(name) for name in ("a/Img.png", "a/img.png", "A/img.png")] == [1, 2, 3]


_PARTS = st.text(st.sampled_from("ab1ö. "), min_size=1, max_size=3).map(lambda s: f"n{s}n")
_PATHS = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)


@given(names=st.lists(_PATHS, min_size=1, max_size=6, unique_by=name_key))
def test_every_file_is_found_by_its_own_path_in_any_writing(names):
    files = [f"{name}.png" for name in names]
    finder = NameFinder((name, name) for name in files)
    for name in files:
        for written in (name, name.replace("/", "\\"), unicodedata.normalize("NFD", name)):
            assert finder.find(written) == name
            assert finder.find(f"C:\\{written}") in (name, *files)


def test_numbers_are_sorted_as_people_do():
    names = ["img10", "img2", "Img1", "x", "2", "10", "b/9", "b/10"]
    assert sorted(names, key=natural_key) == [
        "2", "10", "b/9", "b/10", "Img1", "img2", "img10", "x",
    ]  # fmt: skip


def test_files_are_found_in_their_folder_else_by_name_below(tmp_path):
    for name in ("data/images/a.png", "data/deep/b.tif", "other/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    finder = FileFinder(tmp_path / "data", tmp_path)
    assert finder.find("images/a") == tmp_path / "data/images/a.png"
    assert finder.find("data\\images\\a.png") == tmp_path / "data/images/a.png"
    assert finder.find("E:\\lot7\\b.tif") == tmp_path / "data/deep/b.tif"
    assert finder.find("", "a.png") == tmp_path / "data/images/a.png"
    with pytest.raises(InputError, match="gone: no such file"):
        finder.find("gone")
    with pytest.raises(InputError, match="no such file"):
        finder.find("n" * 5000, "nul\0byte")


def test_names_of_bytes(tmp_path):
    path = tmp_path / "a\udcff.png"
    with pytest.raises(InputError, match=r"a\\xff\.png: the name is not UTF-8"):
        check_name(path)
    assert printable("晶圆") == "晶圆"
    check_name(tmp_path / "晶圆.png")
