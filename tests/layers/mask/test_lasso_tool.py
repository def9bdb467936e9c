"""Polygon and lasso on a viewer without a window; a real mouse is in test_lasso_in_napari."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.components._viewer_mouse_bindings import double_click_to_zoom
from napari.utils.key_bindings import KeyBinding

from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.edit.preview import ClickPreview
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.layers.mask.click_tool import ClickTool, Ruler
from napari_semxai.layers.mask.lasso_tool import LASSO, POLYGON, LassoTool
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.types import SemImage
from tests.controllers.sam_clicks import Engine
from tests.doubles import RecordedMarks
from tests.explanations import NowJobs
from tests.open_images import make_image, open_image

SQUARE = [(10.5, 10.5), (10.5, 30.5), (30.5, 30.5), (30.5, 10.5)]


@pytest.fixture
def desk(tmp_path):
    session, viewer, engine = Session(), ViewerModel(), Engine()
    jobs = Jobs(lambda function: function())
    edit = EditController(session, jobs, tmp_path)
    layers = SessionLayers(viewer, session, edit)
    clicks = ClickController(session, engine, edit)
    preview = ClickPreview(session, engine, NowJobs(session.say), clicks)
    tool, ruler = ClickTool(viewer, session, layers, clicks, preview), Ruler(viewer, layers)
    marks = RecordedMarks()
    lasso = LassoTool(viewer, session, layers, edit, marks)
    open_image(session, make_image(), key="first")
    yield SimpleNamespace(**locals())
    for part in (lasso, ruler, tool, layers):
        part.release()
    edit.close()
    jobs.close()


def press(desk, *stops, button=1, modifiers=()):
    """Press the mouse at the first place, move over the others, let go."""
    event = SimpleNamespace(
        type="mouse_press", button=button, modifiers=modifiers, position=stops[0], pos=(0, 0)
    )
    steps = desk.viewer.mouse_drag_callbacks[-1](desk.viewer, event)
    if next(steps, "over") == "over":
        return
    for number, stop in enumerate(stops[1:], start=1):
        event.type, event.position, event.pos = "mouse_move", stop, (9 * number, 9 * number)
        next(steps)
    event.type = "mouse_release"
    assert next(steps, "over") == "over"


def double_click(desk, modifiers=()):
    for callback in desk.viewer.mouse_double_click_callbacks:
        callback(desk.viewer, SimpleNamespace(button=1, modifiers=modifiers, position=(0, 0)))


def of_pixels(gray):
    values = np.clip(gray, 0, 255).astype(np.uint8)
    return SemImage("b", values, values)


def key(desk, name):
    return desk.layers.mask_layer.keymap[KeyBinding.from_str(name)](desk.layers.mask_layer)


def draw(desk, corners=SQUARE, kind=POLYGON):
    desk.lasso.activate(kind)
    for corner in corners:
        press(desk, corner)


def pixels(desk):
    return np.argwhere(desk.layers.mask_layer.data).tolist()


@pytest.mark.parametrize("end", ["double click", "first corner", "Enter"])
def test_an_outline_comes_into_the_mask_as_one_undoable_edit(desk, end):
    draw(desk)
    assert not pixels(desk)
    assert len(desk.marks.corners) == 4
    if end == "double click":
        double_click(desk)
    elif end == "first corner":
        press(desk, SQUARE[0])
    else:
        key(desk, "Enter")
    mask = desk.layers.mask_layer.data
    assert mask.sum() == 400
    assert mask[11:31, 11:31].all()
    assert desk.session.edited
    assert desk.lasso.outline.corners == []
    desk.layers.mask_layer.undo()
    assert not pixels(desk)


def test_with_shift_its_pixels_are_taken_out(desk):
    draw(desk)
    key(desk, "Enter")
    draw(desk, [(15.5, 15.5), (15.5, 20.5), (20.5, 20.5), (20.5, 15.5)])
    key(desk, "Shift-Enter")
    assert desk.layers.mask_layer.data.sum() == 400 - 25


def test_corners_and_lines_are_dragged_and_removed(desk):
    draw(desk)
    press(desk, (30.5, 30.5), (34.0, 33.0), (35.5, 35.5))
    assert desk.lasso.outline.corners[2] == (35.5, 35.5)
    press(desk, (10.5, 20.5), (8.0, 20.5), (5.5, 20.5))
    assert desk.lasso.outline.corners[1] == (5.5, 20.5)
    assert len(desk.lasso.outline.corners) == 5
    press(desk, (5.5, 20.5), button=2)
    assert len(desk.lasso.outline.corners) == 4
    key(desk, "Backspace")
    assert desk.lasso.outline.corners == [(10.5, 10.5), (10.5, 30.5), (35.5, 35.5)]
    key(desk, "Escape")
    assert desk.lasso.outline.corners == []
    assert not pixels(desk)


def test_two_corners_are_no_outline(desk):
    draw(desk, SQUARE[:2])
    double_click(desk)
    key(desk, "Enter")
    assert not pixels(desk)
    assert "three corners" in desk.session.message
    assert len(desk.lasso.outline.corners) == 2


def test_the_outline_of_a_defect_is_taken_up_and_corrected(desk):
    draw(desk)
    key(desk, "Enter")
    before = desk.layers.mask_layer.data.copy()
    press(desk, (20.0, 20.0), modifiers=("Control",))
    outline = desk.lasso.outline
    assert outline.closed
    # A click adds nothing to what is around the defect already.
    count = len(outline.corners)
    press(desk, (50.0, 50.0))
    assert len(outline.corners) == count
    key(desk, "Enter")
    np.testing.assert_array_equal(desk.layers.mask_layer.data, before)
    press(desk, (20.0, 20.0), modifiers=("Control",))
    line = desk.lasso.outline.line_at((20.0, 30.5), 2)
    assert line is not None
    press(desk, (20.0, 30.5), (20.0, 36.0), (20.0, 40.5))
    key(desk, "Enter")
    after = desk.layers.mask_layer.data
    assert after[20, 38]
    assert after.sum() > before.sum()
    press(desk, (60.0, 60.0), modifiers=("Control",))
    assert "no defect here" in desk.session.message


def test_a_lasso_keeps_to_the_edge_of_the_picture(desk):
    rng = np.random.default_rng(0)
    gray = rng.normal(90, 4, (120, 120))
    rows, columns = np.mgrid[:120, :120]
    truth = np.hypot(rows - 60, columns - 60) < 30
    gray[truth] += 90
    open_image(desk.session, of_pixels(gray))
    draw(desk, [(60, 88), (88, 60), (60, 32), (32, 60)], kind=LASSO)
    key(desk, "Enter")
    mask = desk.layers.mask_layer.data.astype(bool)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.97


def test_the_pointer_shows_what_a_click_would_add(desk):
    draw(desk, SQUARE[:2])
    event = SimpleNamespace(position=(30.0, 44.0), is_dragging=False)
    desk.viewer.mouse_move_callbacks[-1](desk.viewer, event)
    assert desk.marks.path[-1].tolist() == [30.0, 44.0]
    assert len(desk.marks.corners) == 2


def test_one_tool_has_the_mouse_and_quick_clicks_do_not_zoom(desk):
    doubles = desk.viewer.mouse_double_click_callbacks
    assert double_click_to_zoom in doubles
    kinds = []
    desk.lasso.kind_changed.connect(kinds.append)
    desk.lasso.activate(LASSO)
    assert double_click_to_zoom not in doubles
    assert not desk.layers.mask_layer.mouse_pan
    desk.clicks.activate(True)
    assert (desk.lasso.kind, desk.session.clicks.active) == ("", True)
    assert not desk.layers.mask_layer.mouse_pan
    desk.lasso.activate(POLYGON)
    assert (desk.lasso.kind, desk.session.clicks.active) == (POLYGON, False)
    assert not desk.layers.mask_layer.mouse_pan
    desk.ruler.activate(True)
    assert desk.lasso.kind == ""
    assert not desk.layers.mask_layer.mouse_pan
    desk.lasso.activate(POLYGON)
    assert desk.ruler._taken is None
    desk.layers.take_tool("paint")
    assert desk.lasso.kind == ""
    assert str(desk.layers.mask_layer.mode) == "paint"
    desk.lasso.activate(POLYGON)
    # napari's own controls.
    desk.layers.mask_layer.mode = "erase"
    assert desk.lasso.kind == ""
    desk.layers.take_tool("pan_zoom")
    assert desk.layers.mask_layer.mouse_pan
    assert doubles.count(double_click_to_zoom) == 1
    assert kinds == [LASSO, "", POLYGON, "", POLYGON, "", POLYGON, ""]


def test_an_outline_waits_on_its_image_and_the_tool_goes_along(desk):
    first = desk.session.current
    draw(desk, SQUARE[:3])
    open_image(desk.session, of_pixels(np.full((64, 64), 80)), key="other")
    assert desk.lasso.kind == POLYGON
    assert desk.lasso.outline.corners == []
    press(desk, (20.5, 20.5))
    assert desk.lasso.outline.corners == [(20.5, 20.5)]
    desk.session.current = first
    assert desk.lasso.outline.corners == SQUARE[:3]
    press(desk, SQUARE[3])
    key(desk, "Enter")
    assert desk.layers.mask_layer.data.sum() == 400


def test_space_moves_the_view_and_adds_no_corner(desk):
    draw(desk, SQUARE[:1])
    held = key(desk, "Space")
    next(held)
    assert desk.layers.mask_layer.mouse_pan
    press(desk, (40.0, 40.0))
    assert next(held, "over") == "over"
    assert not desk.layers.mask_layer.mouse_pan
    assert desk.lasso.outline.corners == SQUARE[:1]
