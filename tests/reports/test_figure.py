import pytest
from PIL import Image

from napari_semxai.reports.figures import new_figure, png_bytes, save_figure, save_figures
from napari_semxai.types import InputError


@pytest.fixture
def figure():
    figure = new_figure(2, 1)
    figure.subplots().set_title("Dice")
    return figure


def test_text_stays_text(tmp_path, figure):
    svg, pdf = save_figures(figure, tmp_path / "a.b", (".svg", ".pdf"))
    assert svg.name == "a.b.svg"
    assert ">Dice</text>" in svg.read_text()
    assert b"/Font" in pdf.read_bytes()


def test_pictures_have_300_dpi(tmp_path, figure):
    with Image.open(save_figure(figure, tmp_path / "a.png")) as picture:
        assert picture.size == (600, 300)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, figure, suffix):
    one, two = (save_figure(figure, tmp_path / f"{name}{suffix}") for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_other_formats_are_refused(tmp_path, figure):
    with pytest.raises(InputError, match=r"a\.gif: figures are saved as \.svg"):
        save_figure(figure, tmp_path / "a.gif")


def test_screens_get_a_png(figure):
    assert png_bytes(figure).startswith(b"\x89PNG")
