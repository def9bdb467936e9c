"""Certified accept on a project that is open: draw, audit, accept, undo."""

import numpy as np
import pytest

from napari_semxai.algorithms.statistics.acceptance import AUDITED, LAYERS, Promise
from napari_semxai.controllers.project.certify import CertifyController
from napari_semxai.controllers.project.review import GroupReview
from napari_semxai.types import ReviewChange, ReviewState
from tests.controllers.desk import SHAPE, Desk, make_images
from tests.store.project.projects import propose

LOOSE = Promise(most_wrong=0.4, confidence=0.8)


@pytest.fixture
def desk(tmp_path):
    """Images with automatic masks; the open one has none, and so is not among them."""
    make_images(tmp_path, 2 * LAYERS + 6)
    desk = Desk(tmp_path)
    desk.open()
    mask = np.zeros(SHAPE, bool)
    mask[4:9, 3:9] = True
    project = desk.session.project
    for number, row in enumerate(desk.session.queue.shown):
        if row.image != desk.session.queue.current:
            project.note(propose(project.project, row.image, mask, number / 100, "Anna"))
            project.cache.drop(row.image)
    desk.said = []
    group = GroupReview(desk.session, desk.review, desk.writes)
    desk.certify = CertifyController(desk.session, desk.queue, group, desk.writes)
    desk.certify.changed.connect(desk.said.append)
    yield desk
    desk.close()


def audited(desk):
    """Draw a sample, and accept all of it."""
    desk.certify.draw(AUDITED, LOOSE)
    desk.turn(lambda: len(desk.session.queue.shown) == AUDITED)
    project = desk.session.project
    for row in desk.session.queue.shown:
        project.note(
            project.project.write_review(row.image, "Anna", ReviewChange(ReviewState.ACCEPTED))
        )
        project.cache.drop(row.image)


def by_rule(desk):
    return sum(row.state is ReviewState.BY_RULE for row in desk.session.queue.shown)


def test_the_list_hands_the_sample_out_and_nothing_is_accepted_before_it_is_audited(desk):
    desk.certify.accept()
    desk.turn(lambda: desk.session.message == "Draw an audit sample first")
    desk.certify.draw(AUDITED, LOOSE)
    desk.turn(lambda: len(desk.session.queue.shown) == AUDITED)
    sample = desk.said[-1].certificate.sample
    assert tuple(row.image for row in desk.session.queue.shown) == sample
    desk.certify.accept()
    desk.turn(lambda: f"0 of {AUDITED} images of the sample are audited" in desk.session.message)
    desk.queue.set_filter(order="number")
    desk.turn(lambda: len(desk.session.queue.shown) == 46)
    assert by_rule(desk) == 0


def test_one_undo_takes_all_back_that_was_accepted(desk):
    audited(desk)
    told = []
    desk.session.events.message.connect(told.append)
    desk.certify.accept()
    desk.turn(lambda: "20 images: accepted by rule" in desk.session.message)
    assert "Accepting by rule …" in told
    desk.queue.set_filter(order="number")
    desk.turn(lambda: by_rule(desk) == 20)
    # Nobody looked at them: they are no reviews of a person.
    assert desk.session.queue.reviewed == AUDITED
    desk.turn(lambda: desk.said and desk.said[-1].accepted == 20)
    assert desk.said[-1].images == ()
    desk.review.undo()
    desk.turn(lambda: by_rule(desk) == 0)


def test_a_later_session_takes_them_back_too(desk):
    audited(desk)
    desk.certify.accept()
    desk.queue.set_filter(order="number")
    desk.turn(lambda: by_rule(desk) == 20)
    desk.session.past_reviews = ()
    desk.certify.take_back()
    assert desk.session.message == "Taking back what was accepted by rule …"
    desk.turn(lambda: "20 masks that were accepted by rule" in desk.session.message)
    desk.turn(lambda: by_rule(desk) == 0)
    desk.certify.take_back()
    desk.turn(lambda: desk.session.message == "No mask of yours is accepted by rule")


def test_without_a_project_it_says_so(desk):
    desk.projects.close()
    desk.certify.look()
    assert desk.session.message == "Open a project first"
