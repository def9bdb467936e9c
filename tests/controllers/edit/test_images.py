import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_semxai.controllers.edit.images import ImageController
from napari_semxai.state.review import Opening
from napari_semxai.state.session import SaveState
from napari_semxai.store.disk.recovery_copies import save_recovery
from napari_semxai.types import SemImage


class Recorder:
    """Stands in for the other controllers: the test is about who is told what, and when."""

    def __init__(self, session, name, calls):
        self._session, self._name, self._calls = session, name, calls
        self.mask = self.found = None

    def open(self, image):
        self._session.edited = False
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


def test_the_pixel_size_of_the_project_goes_before_that_of_the_image(session, images, image):
    images.show(image, Opening("key of the project", pixel_size=2e-9))
    assert session.pixel_size == 2e-9
    images.show(None)
    assert session.pixel_size is None


def test_an_image_comes_back_as_it_was_left(session, jobs, image, calls):
    recorder = Recorder(session, "", calls)
    recorder.resume = lambda found: calls.append(("resume", found))
    images = ImageController(session, jobs, recorder, recorder)
    images.show(image)
    session.pixel_size = 2e-9
    recorder.mask, recorder.found = np.eye(96, 128, dtype=bool), object()
    session.edited, session.save = True, SaveState("saved", Path("a_mask.png"), "Saved")
    other = SemImage("b", 255 - image.gray, 255 - image.gray)
    images.show(other)
    assert (session.opening.mask, session.edited, session.pixel_size) == (None, False, None)

    again = SemImage("a", image.gray.copy(), image.gray.copy())
    images.show(again)
    np.testing.assert_array_equal(session.opening.mask, np.eye(96, 128, dtype=bool))
    assert session.opening.on_disk
    assert (session.edited, session.pixel_size) == (True, 2e-9)
    assert session.save.path == Path("a_mask.png")
    assert calls[-1] == ("resume", recorder.found)


def test_what_a_project_opens_is_not_remembered(session, images, image):
    images.show(image, Opening("key of the project", np.eye(96, 128, dtype=bool)))
    images.show(None)
    images.show(image)
    assert session.opening.mask is None


def test_a_mask_that_was_not_saved_keeps_its_recovery_copy(session, images, image):
    images.show(image)
    session.save = SaveState("recovery")
    images.show(None)
    images.show(image)
    assert not session.opening.on_disk


def test_strokes_of_earlier_sessions_are_found(session, images, tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from napari_semxai.store.disk.recovery_copies import save_recovery\n"
        "for key, path in (('a' * 64, 'a.png'), ('b' * 64, ''), ('lot wafer_1 anna', 'c.png')):\n"
        "    info = {'name': path, 'path': path, 'page': 0}\n"
        "    save_recovery(sys.argv[1], key, np.ones((2, 2), np.uint8), info)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    save_recovery(tmp_path, "0" * 64, np.ones((2, 2), np.uint8), {"name": "b", "path": "/b.png"})
    wait(session.events.leftovers, lambda: images.look_for_leftovers(tmp_path))
    assert [copy.info["name"] for copy in session.leftovers] == ["a.png"]


def test_few_images_are_remembered(session, images, monkeypatch):
    monkeypatch.setattr("napari_semxai.controllers.edit.images._KEPT", 2)
    for value in range(5):
        gray = np.full((4, 5), value, np.uint8)
        images.show(SemImage("a", gray, gray))
    assert len(images._visits) == 2
