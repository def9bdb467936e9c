import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_semxai.controllers.project.images import ImageController, is_same_file
from napari_semxai.state.open_image import SaveStage, SaveState
from napari_semxai.store.disk.safety_net import save_recovery
from napari_semxai.types import SemImage
from tests.controllers.desk import SHAPE


class Recorder:
    """Stands in for the other controllers: the test is about who is told what, and when."""

    def __init__(self, session, calls):
        self._session, self._calls = session, calls
        self.mask, self.ranking = None, SimpleNamespace(found=None)
        self.recorder = SimpleNamespace(start_image=lambda *_: None)

    def start_image(self, image):
        self._calls.append(("start", image))

    def leave(self):
        self._calls.append(("leave", self._session.image))
        return self.mask

    def keep(self, left):
        self._calls.append(("keep", left))

    def resume(self, found):
        self._calls.append(("resume", found))


@pytest.fixture
def calls():
    return []


@pytest.fixture
def images(session, jobs, calls):
    recorder = Recorder(session, calls)
    return ImageController(session, jobs, recorder, recorder, recorder)


def wait(signal, act):
    done = threading.Event()
    signal.connect(lambda _: done.set())
    act()
    assert done.wait(30)


def test_the_old_image_is_left_before_the_new_one_opens(session, images, image, calls):
    images.show(image)
    images.show(image)
    images.show(None)
    left = ("keep", None)
    assert calls == [
        *(("leave", None), left, ("start", image)),
        *(("leave", image), left, ("start", None)),
    ]


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


def test_what_is_seen_counts_where_the_file_says_otherwise(session, images, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (2, 20, 30), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, photometric="minisblack")

    def open_plane(array):
        wait(
            session.events.image,
            lambda: images.open_array(array, "a", lambda image: None, path=path, page=1),
        )
        np.testing.assert_array_equal(session.image.gray, array)

    open_plane(stack[1])
    assert session.image.page_count == 2
    open_plane(stack[0])
    assert session.image.name == "a"


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


def test_an_image_comes_back_as_it_was_left(session, jobs, image, calls):
    recorder = Recorder(session, calls)
    images = ImageController(session, jobs, recorder, recorder, recorder)
    images.show(image)
    session.update_image(pixel_size=2e-9)
    recorder.mask, recorder.ranking.found = np.eye(96, 128, dtype=bool), object()
    session.update_image(edited=True, save=SaveState(SaveStage.SAVED, Path("a_mask.png"), "Saved"))
    other = SemImage("b", 255 - image.gray, 255 - image.gray)
    images.show(other)
    assert (session.current.mask, session.edited, session.pixel_size) == (None, False, None)

    again = SemImage("a", image.gray.copy(), image.gray.copy())
    images.show(again)
    np.testing.assert_array_equal(session.current.mask, np.eye(96, 128, dtype=bool))
    assert session.save.on_disk
    assert (session.edited, session.pixel_size) == (True, 2e-9)
    assert session.save.path == Path("a_mask.png")
    assert calls[-1] == ("resume", recorder.ranking.found)


def test_the_parts_of_an_image_change_together(session, images, image):
    """Whoever is told of one part finds all others in their place."""
    seen = []
    for name in ("image", "edited", "pixel_size", "save"):
        session.events[name].connect(lambda *_: seen.append(session.current))
    images.show(replace(image, pixel_size=2e-9))
    session.update_image(edited=True, save=SaveState(SaveStage.RECOVERY))
    images.show(None)
    images.show(image)
    # Each of the four is told once where it changes: two, two, four and four.
    assert [current is None for current in seen] == [False] * 4 + [True] * 4 + [False] * 4
    assert {current.save.state for current in seen[-4:]} == {"recovery"}


def test_what_a_project_opens_is_not_remembered(desk):
    desk.open()
    image = desk.session.image
    desk.stroke(3, 5)
    desk.images.show(None)
    desk.images.show(image)
    assert desk.session.current.mask is None
    assert not desk.live.mask.any()


def test_the_pixel_size_of_the_project_goes_before_that_of_the_image(desk):
    desk.open()
    desk.session.project.pixel_sizes["wafer_1"] = 2e-9
    desk.images.go("wafer_1")
    desk.turn(lambda: desk.session.image.name == "wafer_1")
    assert desk.session.pixel_size == 2e-9
    desk.images.show(None)
    assert desk.session.pixel_size is None


def test_a_mask_that_was_not_saved_keeps_its_recovery_copy(session, images, image):
    images.show(image)
    session.update_image(save=SaveState(SaveStage.RECOVERY))
    images.show(None)
    images.show(image)
    assert not session.save.on_disk


def test_strokes_of_earlier_sessions_are_found(session, images, tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from napari_semxai.store.disk.safety_net import save_recovery\n"
        "for key, path in (('a' * 64, 'a.png'), ('b' * 64, ''), ('lot wafer_1 anna', 'c.png')):\n"
        "    info = {'name': path, 'path': path, 'page': 0}\n"
        "    save_recovery(sys.argv[1], key, np.ones((2, 2), np.uint8), info)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    save_recovery(tmp_path, "0" * 64, np.ones((2, 2), np.uint8), {"name": "b", "path": "/b.png"})
    wait(session.events.leftovers, lambda: images.look_for_leftovers(tmp_path))
    assert [copy.info["name"] for copy in session.leftovers] == ["a.png"]


def test_few_images_are_remembered(session, images, monkeypatch):
    monkeypatch.setattr("napari_semxai.controllers.project.images._KEPT", 2)
    for value in range(5):
        gray = np.full((4, 5), value, np.uint8)
        images.show(SemImage("a", gray, gray))
    assert len(images._visits) == 2


@pytest.mark.parametrize("by_file", [True, False])
def test_an_image_of_the_project_is_gone_to_in_it(desk, folder, by_file):
    desk.open()
    desk.stroke(3, 5)
    path = folder / "images" / "wafer_3.png"
    blank = np.zeros(SHAPE, np.uint8)
    desk.images.open(path if by_file else SemImage("another copy", blank, blank, path=path))
    desk.turn(lambda: desk.session.queue.current == "wafer_3")
    assert desk.session.image.path == path
    assert desk.session.record.image == "wafer_3"
    desk.stroke(8, 8)
    desk.queue.step(1)
    desk.turn(lambda: desk.project().mask("wafer_3", "Anna") is not None)
    # As when one goes on by key, strokes are in the project.
    for name in ("wafer_0", "wafer_3"):
        assert desk.project().mask(name, "Anna").sum() == 16


def test_another_image_is_opened_outside_the_project(desk, folder):
    desk.open()
    other = folder / "wafer_3.png"
    other.write_bytes((folder / "images" / "wafer_2.png").read_bytes())
    desk.images.open(other)
    desk.turn(lambda: desk.session.image.path == other)
    assert desk.session.queue.current == ""
    image = replace(desk.session.image, path=folder / "images" / "wafer_1.png", page=1)
    desk.images.open(image)
    assert desk.session.image is image


def test_without_a_project_files_are_opened(desk, folder):
    path = folder / "images" / "wafer_1.png"
    desk.images.open(path)
    desk.turn(lambda: desk.session.image is not None)
    assert desk.session.image.path == path


def test_files_are_compared_where_they_lie(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert is_same_file(tmp_path / "real" / "a.png", tmp_path / "link" / "a.png")
    assert not is_same_file(tmp_path / "real" / "a.png", tmp_path / "real" / "b.png")
    assert not is_same_file(tmp_path / "real" / "a.png", tmp_path / "a.png")
