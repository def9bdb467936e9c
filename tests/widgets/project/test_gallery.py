"""The gallery: choose several images by their pictures."""

from dataclasses import replace

import numpy as np
import pytest
from psygnal import Signal
from qtpy.QtCore import QItemSelectionModel, Qt

from napari_semxai.state.session import Session
from napari_semxai.types import QueueFilter, ReviewState
from napari_semxai.widgets.project.gallery import SIDE, Gallery
from tests.doubles import Controller
from tests.queues import queue_of, rows


class Pictures:
    ready = Signal(str)

    def get(self, row):
        return np.full((40, 50, 3), (200, 20, 20), np.uint8)


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def controller():
    return Controller()


@pytest.fixture
def gallery(qtbot, session, controller):
    gallery = Gallery(session, Pictures(), *[controller] * 4)
    qtbot.addWidget(gallery)
    session.queue = queue_of()
    yield gallery
    gallery.release()


def choose(gallery, *places):
    for place in places:
        gallery.view.selectionModel().select(
            gallery.model.index(place), QItemSelectionModel.SelectionFlag.Select
        )


def test_what_is_chosen_is_reviewed_as_pressed(gallery, controller):
    assert not any(part.isEnabled() for part in gallery.states.values())
    choose(gallery, 2, 0)
    assert gallery.chosen.text().startswith("2 of 3 chosen")
    for title, state in (
        ("Accept", ReviewState.ACCEPTED),
        ("No defect", ReviewState.NO_DEFECT),
        ("Reject", ReviewState.REJECTED),
        ("Unsure", ReviewState.UNSURE),
    ):
        gallery.states[title].click()
        assert controller.calls[-1] == ("review", (["die_1", "die_3"], state), {})


def test_a_class_is_chosen_or_typed(gallery, controller, session):
    session.queue = queue_of(class_names={"4": "scratch"})
    choose(gallery, 1)
    gallery.label.setCurrentIndex(0)
    gallery.label.activated.emit(0)
    assert controller.calls[-1] == ("set_class", (["die_2"], "4"), {})
    gallery.label.setCurrentText("new one")
    gallery.label.activated.emit(0)
    assert controller.calls[-1] == ("set_class", (["die_2"], "new one"), {})


def test_pictures_are_in_colour_and_open_by_a_double_click(gallery, controller):
    icon = gallery.model.data(gallery.model.index(1), Qt.ItemDataRole.DecorationRole)
    middle = icon.pixmap(64, 64).toImage().pixelColor(25, 20)
    assert (middle.red(), middle.green()) == (200, 20)
    gallery.view.activated.emit(gallery.model.index(1))
    assert controller.calls[-1] == ("go", ("die_2",), {})


def test_there_is_room_for_a_picture_before_it_has_come(gallery):
    gallery.show()
    place = gallery.view.visualRect(gallery.model.index(0))
    assert min(place.width(), place.height()) >= SIDE


def test_a_review_keeps_what_is_chosen(gallery, session):
    choose(gallery, 0, 1)
    first, *rest = session.queue.shown
    session.queue = queue_of(shown=(first, *rest))
    assert gallery.images() == ["die_1", "die_2"]


def test_the_first_of_those_that_look_alike_are_chosen_at_once(gallery, controller, session):
    gallery.similar.click()
    assert controller.calls[-1] == ("rank", ("similar",), {})
    ranked = {"die_3": "the image", "die_1": "similarity 0.93", "die_2": "similarity 0.41"}
    one, two, three = rows()
    chosen = QueueFilter(annotator="anna", order="similar", ranked=ranked)
    session.queue = queue_of(shown=(three, one, two), filter=chosen)
    assert "similarity 0.93" in gallery.model.data(gallery.model.index(1))
    gallery.count.setValue(2)
    gallery.first.click()
    assert gallery.images() == ["die_3", "die_1"]
    gallery.states["Accept"].click()
    assert controller.calls[-1] == ("review", (["die_3", "die_1"], ReviewState.ACCEPTED), {})
    gallery.count.setValue(99)
    gallery.first.click()
    assert len(gallery.images()) == 3


def test_examples_of_each_class(gallery, session):
    rows = tuple(
        replace(row, label=label, score=score)
        for row, label, score in zip(session.queue.shown, "433", (0.9, 0.2, 0.8), strict=True)
    )
    session.queue = queue_of(shown=rows)
    assert [gallery.model.image_at(place) for place in range(3)] == ["die_1", "die_2", "die_3"]
    gallery.order.setCurrentIndex(gallery.order.findData("score"))
    gallery.order.activated.emit(gallery.order.currentIndex())
    texts = [gallery.model.data(gallery.model.index(place)) for place in range(3)]
    assert [gallery.model.image_at(place) for place in range(3)] == ["die_3", "die_2", "die_1"]
    # Whatever fits below a picture says what it stands there for.
    assert [text.splitlines() for text in texts] == [
        ["○ 3 scratch", "best 0.80"],
        ["○ 2 scratch", "typical 0.20"],
        ["✓ 1 4", "best 0.90"],
    ]
    # A review shows at once, in the place where its image now belongs.
    session.queue = queue_of(shown=(*rows[:2], replace(rows[2], score=0.1)))
    assert gallery.model.image_at(0) == "die_2"
    gallery.order.setCurrentIndex(0)
    gallery.order.activated.emit(0)
    assert "best" not in gallery.model.data(gallery.model.index(0))


def test_what_is_chosen_is_not_taken_for_what_comes_to_its_place(gallery, session, controller):
    choose(gallery, 0)
    first, *others = session.queue.shown
    session.queue = queue_of(shown=(replace(first, state=ReviewState.UNSURE), *others))
    assert gallery.images() == ["die_1"]
    session.queue = queue_of(shown=(*others, first))
    assert gallery.images() == []
    assert not gallery.states["Accept"].isEnabled()


@pytest.mark.parametrize(
    ("column", "said"), [("score", "Generate all masks"), ("confidence", "with Explain open")]
)
def test_no_examples_say_why(gallery, session, column, said):
    rows = tuple(replace(row, score=None, confidence=None) for row in session.queue.shown)
    session.queue = queue_of(shown=rows)
    assert gallery.chosen.text().startswith("0 of 3 chosen")
    gallery.order.setCurrentIndex(gallery.order.findData(column))
    gallery.order.activated.emit(gallery.order.currentIndex())
    assert said in gallery.chosen.text()
    session.queue = queue_of(shown=(replace(rows[0], **{column: 0.5}), *rows[1:]))
    assert gallery.chosen.text().startswith("0 of 1 chosen")
