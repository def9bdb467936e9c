"""Going to images of a real project and of none, without a viewer."""

from dataclasses import replace

import numpy as np
import pytest

from napari_semxai.controllers.project.image_opener import ImageOpener, is_same_file
from napari_semxai.types import SemImage
from tests.controllers.desk import SHAPE


@pytest.fixture
def opener(desk):
    return ImageOpener(desk.images, desk.review)


@pytest.mark.parametrize("by_file", [True, False])
def test_an_image_of_the_project_is_gone_to_in_it(desk, folder, opener, by_file):
    desk.open()
    desk.stroke(3, 5)
    path = folder / "images" / "wafer_3.png"
    blank = np.zeros(SHAPE, np.uint8)
    opener.open(path if by_file else SemImage("another copy", blank, blank, path=path))
    desk.turn(lambda: desk.session.queue.current == "wafer_3")
    assert desk.session.image.path == path
    assert desk.session.record.image == "wafer_3"
    desk.stroke(8, 8)
    desk.queue.step(1)
    desk.turn(lambda: desk.project().mask("wafer_3", "Anna") is not None)
    # As when one goes on by key, strokes are in the project.
    for name in ("wafer_0", "wafer_3"):
        assert desk.project().mask(name, "Anna").sum() == 16


def test_another_image_is_opened_outside_the_project(desk, folder, opener):
    desk.open()
    other = folder / "wafer_3.png"
    other.write_bytes((folder / "images" / "wafer_2.png").read_bytes())
    opener.open(other)
    desk.turn(lambda: desk.session.image.path == other)
    assert desk.session.queue.current == ""
    image = replace(desk.session.image, path=folder / "images" / "wafer_1.png", page=1)
    opener.open(image)
    assert desk.session.image is image


def test_without_a_project_files_are_opened(desk, folder, opener):
    path = folder / "images" / "wafer_1.png"
    opener.open(path)
    desk.turn(lambda: desk.session.image is not None)
    assert desk.session.image.path == path


def test_files_are_compared_where_they_lie(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert is_same_file(tmp_path / "real" / "a.png", tmp_path / "link" / "a.png")
    assert not is_same_file(tmp_path / "real" / "a.png", tmp_path / "real" / "b.png")
    assert not is_same_file(tmp_path / "real" / "a.png", tmp_path / "a.png")
