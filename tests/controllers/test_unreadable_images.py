"""Going through a project some of whose images are missing or damaged, without a viewer."""

import pytest

from napari_semxai.types import ReviewState


@pytest.fixture
def broken(desk, folder):
    """Return a function that makes the project, then takes images away or damages them."""

    def start(*numbers):
        desk.open()
        desk.close()
        for number in numbers:
            path = folder / "images" / f"wafer_{number}.png"
            if number % 2:
                path.write_bytes(path.read_bytes()[:60])
            else:
                path.unlink()
        again = type(desk)(folder)
        made.append(again)
        again.open()
        return again

    made = []
    yield start
    for each in made:
        each.close()


def at(desk, number):
    desk.turn(lambda: desk.session.queue.number == number)
    assert desk.session.image.name == f"wafer_{number - 1}"


def test_next_and_previous_skip_and_say(broken):
    desk = broken(1, 2)
    at(desk, 1)
    desk.queue.step(1)
    at(desk, 4)
    assert desk.session.message.startswith("Skipped: wafer_1, wafer_2 cannot be read (")
    assert "wafer_1.png" in desk.session.message
    assert set(desk.session.queue.unreadable) == {"wafer_1", "wafer_2"}
    desk.queue.step(-1)
    at(desk, 1)
    assert desk.session.message.startswith("Skipped: wafer_2, wafer_1 cannot be read (")


def test_next_unreviewed_and_a_review_skip_them(broken):
    desk = broken(1, 3)
    desk.review.review(ReviewState.UNSURE)
    at(desk, 3)
    desk.queue.next_unreviewed()
    at(desk, 5)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    assert [row.state for row in desk.session.queue.shown][1] is ReviewState.CANDIDATE


@pytest.mark.parametrize("text", ["3", "wafer_2"])
def test_a_jump_goes_to_the_one_behind(broken, text):
    desk, said = broken(2), []
    desk.queue.find(text)
    at(desk, 4)
    assert desk.session.message.startswith("Skipped: wafer_2 cannot be read (")
    # Said as often as it happens, though the words are the same.
    desk.session.events.message.connect(said.append)
    desk.queue.find(text)
    desk.turn(lambda: said)
    assert said[-1] == desk.session.message


def test_a_project_opens_at_the_first_that_can_be_read(broken):
    desk = broken(0, 1)
    at(desk, 3)
    assert desk.session.message.startswith("Skipped: wafer_0, wafer_1 cannot be read (")


def test_what_is_reviewed_is_opened_where_nothing_else_can_be_read(desk, broken):
    desk.open()
    desk.review.review(ReviewState.UNSURE)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    again = broken(1, 2, 3, 4)
    at(again, 1)
    again.queue.next_unreviewed()
    again.turn(lambda: "None of the 4 images left can be read" in again.session.message)
    assert again.session.queue.number == 1


def test_the_end_is_said_where_the_rest_cannot_be_read(broken):
    desk = broken(3, 4)
    desk.queue.find("3")
    at(desk, 3)
    desk.review.review(ReviewState.REJECTED)
    desk.turn(lambda: "None of the 2 images left can be read" in desk.session.message)
    desk.turn(lambda: desk.session.queue.reviewed == 1)
    assert desk.session.queue.current == "wafer_2"
    assert desk.session.image.name == "wafer_2"


def test_one_that_is_asked_for_by_itself_is_said_and_the_open_one_stays(broken):
    desk = broken(2)
    desk.images.go("wafer_2")
    desk.turn(lambda: desk.session.message.startswith("wafer_2 cannot be read ("))
    assert desk.session.queue.number == 1


def test_a_file_that_is_back_is_opened_and_no_longer_marked(desk, broken, folder):
    place = folder / "images" / "wafer_2.png"
    pixels = place.read_bytes()
    again = broken(2)
    again.queue.step(1)
    at(again, 2)
    # The one behind is read ahead.
    again.turn(lambda: "wafer_2" in again.session.queue.unreadable)
    place.write_bytes(pixels)
    again.queue.step(1)
    at(again, 3)
    assert again.session.queue.unreadable == {}


def test_a_lost_image_does_not_stand_in_the_way_of_undo(desk, broken, folder):
    again = broken()
    for number in (2, 3):
        again.review.review(ReviewState.REJECTED)
        at(again, number)
    again.turn(lambda: again.session.queue.reviewed == 2)
    (folder / "images" / "wafer_1.png").unlink()
    again.session.project.cache.drop("wafer_1")
    again.review.undo()
    again.turn(lambda: "wafer_1.png" in again.session.message)
    again.review.undo()
    at(again, 1)
    again.turn(lambda: again.session.queue.reviewed == 1)
