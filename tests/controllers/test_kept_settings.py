import csv
from threading import Event

import pytest

from napari_semxai.controllers.jobs import Jobs
from napari_semxai.controllers.kept_settings import ChoicesController, PixelSizeController
from napari_semxai.controllers.segment.segment import SegmentController
from napari_semxai.state.session import Session
from napari_semxai.store.disk import folders
from napari_semxai.store.disk.folders import read_recent
from tests.controllers.desk import Desk
from tests.queues import queue_of


@pytest.fixture
def window(tmp_path):
    """Return what opens a window and closes it, with the choices of the windows before."""
    opened = []

    def begin(path=tmp_path / "choices.json"):
        session, writes = Session(), Jobs(lambda function: function(), threads=1)
        opened.append(writes)
        return session, writes, ChoicesController(session, writes, path)

    yield begin
    for writes in opened:
        writes.close()


def test_the_chosen_algorithm_is_found_in_the_next_window(window):
    session, writes, _ = window()
    assert session.algorithm.algorithm == "robust"
    SegmentController(session, None).set_algorithm(algorithm="paper")
    writes.close()
    again, writes, _ = window()
    assert again.algorithm.algorithm == "paper"
    SegmentController(again, None).set_algorithm(algorithm="robust")
    writes.close()
    assert window()[0].algorithm.algorithm == "robust"


def test_whether_the_view_stays_is_remembered(window):
    session, writes, _ = window()
    assert not session.keep_view
    session.keep_view = True
    writes.close()
    again, writes, _ = window()
    assert again.keep_view
    again.keep_view = False
    SegmentController(again, None).set_algorithm(algorithm="paper")
    writes.close()
    last, *_ = window()
    assert (last.keep_view, last.algorithm.algorithm) == (False, "paper")


def test_images_and_projects_that_are_opened_are_remembered(folder, tmp_path):
    desk = Desk(folder)
    # Signals hold no one.
    choices = ChoicesController(desk.session, desk.writes, tmp_path / "choices.json")
    image = folder / "images" / "wafer_3.png"
    desk.images.open_file(image)
    desk.turn(lambda: desk.session.image is not None)
    desk.open()
    desk.close()
    del choices
    # The project's images are found through it.
    project = str(folder / "projects" / "images")
    assert read_recent(folders.recent_file()) == {project: "Anna", str(image): ""}
    again = Desk(folder)
    for path, annotator in read_recent(folders.recent_file()).items():
        again.projects.open_recent(path, annotator)
        name = "wafer_3" if path == str(image) else "wafer_0"
        again.turn(lambda name=name: getattr(again.session.image, "name", "") == name)
    assert again.session.entry is None
    again.close()


def test_sliders_are_not_remembered(window, tmp_path):
    session, writes, _ = window()
    SegmentController(session, None).set_algorithm(alpha=4.0)
    writes.close()
    assert not (tmp_path / "choices.json").exists()


@pytest.mark.parametrize("text", ["{", '{"choices": {"algorithm": "of another version"}}'])
def test_a_file_that_says_nothing_leaves_the_default(window, tmp_path, text):
    (tmp_path / "choices.json").write_text(text)
    session, *_ = window()
    assert session.algorithm.algorithm == "robust"
    assert ("choices.json" in session.message) == (text == "{")


def test_a_choice_that_cannot_be_written_is_said(window, tmp_path):
    (tmp_path / "file").write_text("")
    session, writes, _ = window(tmp_path / "file/choices.json")
    SegmentController(session, None).set_algorithm(algorithm="paper")
    written = Event()
    writes.run("wait", lambda: None, lambda _: written.set(), lambda _: None)
    assert written.wait(10)
    assert session.algorithm.algorithm == "paper"
    assert "choices.json" in session.message


@pytest.fixture
def sizes(desk):
    return PixelSizeController(desk.session, desk.writes)


def go(desk, number):
    desk.queue.find(str(number))
    desk.turn(lambda: desk.session.queue.number == number)


def test_outside_projects_it_is_that_of_the_open_image(desk, sizes, image):
    desk.images.show(image)
    sizes.set_pixel_size(2e-9)
    assert desk.session.pixel_size == 2e-9
    sizes.set_for_all()
    assert "first" in desk.session.message


def test_it_is_there_when_the_image_is_opened_again_and_in_measurements(desk, sizes, folder):
    desk.open()
    desk.stroke(3, 5)
    sizes.set_pixel_size(2e-9)
    desk.review.accept()
    desk.turn(lambda: desk.session.queue.number == 2)
    assert desk.session.pixel_size is None
    go(desk, 1)
    assert desk.session.pixel_size == 2e-9
    desk.tools.export("measurements", "anna", folder / "sizes.csv", every=False)
    desk.turn(lambda: "1 mask exported" in desk.session.message)
    with (folder / "sizes.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["area_um2"]) == pytest.approx(16 * 4e-6)
    desk.close()
    again = Desk(folder)
    again.open()
    go(again, 1)
    assert again.session.pixel_size == 2e-9
    again.close()


def test_all_images_without_one_get_it(desk, sizes):
    desk.open()
    sizes.set_pixel_size(2e-9)
    go(desk, 3)
    sizes.set_pixel_size(3e-9)
    sizes.set_for_all()
    desk.turn(lambda: "3 nm" in desk.session.message)
    found = [image.pixel_size for image in desk.project().images]
    assert found == [2e-9, *[3e-9] * 4]
    go(desk, 5)
    assert desk.session.pixel_size == 3e-9


def test_it_cannot_be_taken_away(desk, sizes):
    desk.open()
    sizes.set_pixel_size(None)
    assert "only replaced" in desk.session.message


def test_a_failure_is_said_and_it_stays_for_now(desk, sizes, monkeypatch):
    desk.open()

    def fail(image_id, metres):
        raise OSError("drive away")

    monkeypatch.setattr(desk.session.project.project, "set_pixel_size", fail)
    sizes.set_pixel_size(2e-9)
    desk.turn(lambda: "drive away" in desk.session.message)
    go(desk, 2)
    go(desk, 1)
    assert desk.session.pixel_size == 2e-9


def test_the_annotator_is_found_in_the_next_window(window, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "somebody")
    session, writes, choices = window()
    assert choices.annotator == "somebody"
    session.queue = queue_of()
    writes.close()
    assert window()[2].annotator == "anna"


def test_what_images_are_compared_with_is_kept_in_their_project(folder, tmp_path):
    desk = Desk(folder)
    choices = ChoicesController(desk.session, desk.writes, tmp_path / "choices.json")
    desk.open()
    SegmentController(desk.session, None).set_algorithm(reference="self")
    desk.close()
    assert choices.get("reference") == ""
    again = Desk(folder)
    kept = ChoicesController(again.session, again.writes, tmp_path / "choices.json")
    assert again.session.algorithm.reference == "auto"
    again.projects.open(folder / "projects" / "images", "Anna")
    again.turn(lambda: again.session.queue is not None)
    assert again.session.algorithm.reference == "self"
    again.close()
    assert kept.annotator == "Anna"
