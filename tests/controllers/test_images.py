import threading

import numpy as np
import pytest
import tifffile

from napari_semxai.controllers.images import ImageController


class Recorder:
    """Stands in for the other controllers: the test is about who is told what, and when."""

    def __init__(self, session, name, calls):
        self._session, self._name, self._calls = session, name, calls

    def open(self, image):
        self._calls.append(("open", image))
        self._session.image = image

    def leave(self):
        self._calls.append(("leave", self._session.image))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def images(session, jobs, calls):
    recorder = Recorder(session, "", calls)
    return ImageController(session, jobs, recorder, recorder)


def wait(signal, act):
    done = threading.Event()
    signal.connect(lambda _: done.set())
    act()
    assert done.wait(30)


def test_the_old_image_is_left_before_the_new_one_opens(session, images, image, calls):
    images.show(image)
    images.show(image)
    images.show(None)
    assert calls == [("leave", None), ("open", image), ("leave", image), ("open", None)]


def test_a_file_is_read_in_the_background(session, images, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4000, (20, 30), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    wait(session.events.image, lambda: images.open_file(tmp_path / "a.tif"))
    np.testing.assert_array_equal(session.image.pixels, pixels)
    assert session.image.gray.dtype == np.uint8


def test_pages_are_turned_within_the_file(session, images, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    wait(session.events.image, lambda: images.open_file(tmp_path / "a.tif"))
    assert (session.image.page, session.image.page_count) == (0, 3)
    for page in (1, 2):
        wait(session.events.image, lambda: images.turn_page(1))
        np.testing.assert_array_equal(session.image.gray, stack[page])
    last = session.image
    images.turn_page(1)
    wait(session.events.image, lambda: images.turn_page(-1))
    assert (last.page, session.image.page) == (2, 1)


def test_a_bad_file_keeps_the_current_image(session, images, image, tmp_path):
    images.show(image)
    (tmp_path / "a.png").write_bytes(b"not a picture")
    wait(session.events.message, lambda: images.open_file(tmp_path / "a.png"))
    assert "a.png" in session.message
    assert session.image is image


def test_an_array_is_adopted_before_it_is_shown(session, images, calls):
    array, seen = np.zeros((20, 30), np.uint8), []
    wait(
        session.events.image,
        lambda: images.open_array(array, "a", lambda image: seen.append(session.image)),
    )
    assert seen == [None]
    assert session.image.name == "a"


def test_the_file_behind_a_layer_tells_more(session, images, tmp_path):
    path = tmp_path / "a.tif"
    stack = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    tifffile.imwrite(path, stack, photometric="minisblack")
    wait(
        session.events.image,
        lambda: images.open_array(stack[2], "a", lambda image: None, path=path, page=2),
    )
    assert (session.image.path, session.image.page) == (path, 2)
    np.testing.assert_array_equal(session.image.gray, stack[2])


def test_pixel_size_by_hand(session, images, image):
    images.show(image)
    images.set_pixel_size(2e-9)
    assert session.pixel_size == 2e-9
    assert session.image is image
