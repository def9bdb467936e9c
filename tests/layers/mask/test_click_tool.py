"""The tool on a viewer without a window; a real mouse is in test_review_in_napari."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.key_bindings import KeyBinding

from napari_semxai.controllers.edit.clicks import ClickController
from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.edit.preview import ClickPreview
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.layers.mask.click_tool import ClickTool, Ruler
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.state.session import Session
from napari_semxai.types import PredictedMask
from tests.controllers.sam_clicks import Engine, disc
from tests.explanations import NowJobs
from tests.open_images import make_image, open_image


@pytest.fixture
def tool(tmp_path):
    session, engine, viewer = Session(), Engine(), ViewerModel()
    jobs = Jobs(lambda function: function())
    edit = EditController(session, jobs, tmp_path)
    layers = SessionLayers(viewer, session, edit)
    clicks = ClickController(session, engine, edit)
    preview = ClickPreview(session, engine, NowJobs(session.say), clicks)
    tool = ClickTool(viewer, session, layers, clicks, preview)
    open_image(session, make_image())
    yield SimpleNamespace(
        viewer=viewer, session=session, engine=engine, clicks=clicks, layers=layers, tool=tool
    )
    tool.release()
    layers.release()
    edit.close()
    jobs.close()


def drag(tool, start, *stops, button=1, modifiers=()):
    event = SimpleNamespace(
        type="mouse_press", button=button, modifiers=modifiers, position=start, pos=(0, 0)
    )
    steps = tool.viewer.mouse_drag_callbacks[-1](tool.viewer, event)
    if next(steps, "over") == "over":
        return
    for number, stop in enumerate(stops, start=1):
        event.type, event.position, event.pos = "mouse_move", stop, (9 * number, 9 * number)
        next(steps)
    event.type = "mouse_release"
    assert next(steps, "over") == "over"


def take(tool):
    tool.clicks.activate(True)
    tool.engine.answer(None)


def test_clicks_count_only_while_the_tool_is_taken(tool):
    drag(tool, (10, 10))
    assert tool.engine.requests == []
    take(tool)
    drag(tool, (10, 12))
    assert tool.engine.answer(None).prompts.points == ((10.5, 12.5),)
    drag(tool, (-3, 12))
    assert tool.engine.requests == []


@pytest.mark.parametrize(("button", "modifiers"), [(1, ("Shift",)), (2, ())])
def test_shift_and_the_right_button_mean_background(tool, button, modifiers):
    take(tool)
    drag(tool, (10, 12))
    tool.engine.answer(None)
    drag(tool, (20, 12), button=button, modifiers=modifiers)
    assert tool.engine.answer(None).prompts.foreground == (True, False)


def test_a_drag_is_a_box_and_is_shown(tool):
    take(tool)
    drag(tool, (10, 12), (20, 30), (30, 40))
    assert tool.engine.answer(None).prompts.box == (10.5, 12.5, 30.5, 40.5)
    [corners] = tool.viewer.layers["SAM box"].data
    assert (corners.min(), corners.max()) == (10, 40)
    assert tool.viewer.layers.selection.active is tool.layers.mask_layer


def test_an_answer_is_one_undoable_edit(tool):
    take(tool)
    layer = tool.layers.mask_layer
    layer.data_setitem((np.array([1, 1]), np.array([1, 2])), 1)
    drag(tool, (40, 40))
    request, on_update, on_done, _ = tool.engine.requests.pop()
    on_update(PredictedMask(disc(40, 40, shape=request.image.shape), 0.8))
    on_done()
    assert layer.data[40, 40] == layer.data[1, 1] == 1
    dots = tool.viewer.layers["SAM clicks"]
    assert dots.data.tolist() == [[40, 40]]
    layer.undo()
    assert layer.data[40, 40] == 0
    assert layer.data[1, 1] == 1
    assert len(dots.data) == 0
    layer.redo()
    assert layer.data[40, 40] == 1
    assert dots.data.tolist() == [[40, 40]]


def point(tool, *position):
    tool.viewer.mouse_move_callbacks[-1](
        tool.viewer, SimpleNamespace(position=position, is_dragging=False)
    )


def test_where_the_pointer_rests_a_click_is_previewed(tool, qtbot):
    point(tool, 40, 40)
    take(tool)
    for place in ((5, 5), (40, 41)):
        point(tool, *place)
    qtbot.waitUntil(lambda: bool(tool.engine.requests))
    object_there = disc(40, 40, shape=tool.session.image.gray.shape)
    assert tool.engine.answer(object_there).prompts.points == ((40.5, 41.5),)
    np.testing.assert_array_equal(tool.viewer.layers["preview"].data, object_there)
    assert not tool.layers.mask_layer.data.any()
    assert tool.session.clicks.prompts.points == ()
    drag(tool, (40, 40))
    assert not tool.viewer.layers["preview"].visible
    tool.engine.answer(object_there)
    point(tool, -5, 40)
    tool.tool._rest.timeout.emit()
    assert tool.session.preview is None


def test_a_preview_that_nobody_waits_for_is_not_shown(tool, qtbot):
    take(tool)
    preview = tool.tool._preview
    preview.point(40, 40)
    preview.point(10, 10)
    preview.point(20, 20)
    first, second = tool.engine.answer(None), tool.engine.requests[0][0]
    assert (first.prompts.points, second.prompts.points) == (((40, 40),), ((20, 20),))
    preview.enable(False)
    preview.point(40, 40)
    assert tool.engine.requests == []
    preview.enable(True)
    tool.session.clicks = replace(tool.session.clicks, active=False)
    preview.point(40, 40)
    assert tool.engine.requests == []


def test_a_doubtful_answer_is_shown_and_waits(tool):
    take(tool)
    layer = tool.layers.mask_layer
    for decide, filled in ((tool.clicks.discard_offer, 0), (tool.clicks.apply_offer, 1)):
        drag(tool, (40, 40))
        request, on_update, on_done, _ = tool.engine.requests.pop()
        on_update(PredictedMask(np.ones(request.image.shape, bool), 0.8))
        on_done()
        assert not layer.data.any()
        preview = tool.viewer.layers["SAM answer, not applied"]
        assert preview.visible
        assert preview.data.all()
        assert tool.viewer.layers.selection.active is layer
        decide()
        assert not preview.visible
        assert (layer.data == filled).all()
    layer.undo()
    assert not layer.data.any()
    assert len(tool.viewer.layers["SAM clicks"].data) == 0


def test_another_painting_tool_puts_it_away_and_the_image_pans_again(tool):
    take(tool)
    layer = tool.layers.mask_layer
    assert not layer.mouse_pan
    drag(tool, (10, 12))
    tool.engine.answer(None)
    assert tool.viewer.layers["SAM clicks"].data.tolist() == [[10, 12]]
    layer.mode = "paint"
    assert not tool.session.clicks.active
    assert not tool.viewer.layers["SAM clicks"].visible
    assert not layer.mouse_pan
    take(tool)
    tool.clicks.activate(False)
    assert layer.mouse_pan


def test_the_tool_stays_taken_on_the_next_image(tool):
    take(tool)
    open_image(tool.session, make_image())
    assert tool.session.clicks.active
    assert not tool.layers.mask_layer.mouse_pan
    assert len(tool.engine.requests) == 1


def test_marks_lie_over_the_next_picture(tool, ruler):
    take(tool)
    ruler.activate(True)
    open_image(tool.session, make_image("next"))
    take(tool)
    ruler.activate(True)
    names = [layer.name for layer in tool.viewer.layers]
    assert set(names[names.index("defect mask") + 1 :]) == {"SAM clicks", "SAM box", "Ruler"}
    assert tool.viewer.layers.selection.active is tool.layers.mask_layer


def test_a_box_that_is_drawn_over_the_change_of_image_is_none(tool):
    take(tool)
    event = SimpleNamespace(
        type="mouse_press", button=1, modifiers=(), position=(10, 10), pos=(0, 0)
    )
    steps = tool.viewer.mouse_drag_callbacks[-1](tool.viewer, event)
    next(steps)
    event.type, event.position, event.pos = "mouse_move", (30, 40), (99, 99)
    next(steps)
    open_image(tool.session, make_image("b"))
    tool.engine.answer(None)
    assert next(steps, "over") == "over"
    assert tool.engine.requests == []
    assert tool.session.clicks.active


def test_space_moves_the_view_instead_of_clicking(tool):
    take(tool)
    layer = tool.layers.mask_layer
    assert not layer.mouse_pan
    held = layer.keymap[KeyBinding.from_str("Space")](layer)
    next(held)
    assert layer.mouse_pan
    drag(tool, (10, 12), (20, 30), (30, 40))
    assert tool.engine.requests == []
    assert next(held, "over") == "over"
    assert not layer.mouse_pan
    drag(tool, (10, 12))
    assert tool.engine.requests
    tool.engine.answer(None)
    # napari's own does it for its tools.
    tool.layers.take_tool("paint")
    assert KeyBinding.from_str("Space") not in layer.keymap


def test_move_puts_clicks_away(tool):
    take(tool)
    tool.layers.take_tool("pan_zoom")
    assert not tool.session.clicks.active
    assert tool.layers.mask_layer.mouse_pan


@pytest.fixture
def ruler(tool):
    ruler = Ruler(tool.viewer, tool.layers)
    tool.lengths, tool.active = [], []
    ruler.measured.connect(tool.lengths.append)
    ruler.active_changed.connect(tool.active.append)
    yield ruler
    ruler.release()


@pytest.mark.parametrize(
    ("stops", "length"),
    [
        ([(20, 40)], 30.0),
        # Nearly level or upright is meant so; what is neither is as long as it is.
        ([(20, 12), (23, 70)], 60.0),
        ([(60, 12)], 40.0),
        ([(50, 50)], 50.0),
    ],
)
def test_a_line_is_measured_in_pixels_of_the_image(tool, ruler, stops, length):
    tool.layers.layout.set_pixel_size(2e-9)
    world = tool.layers.mask_layer.data_to_world
    ruler.activate(True)
    assert not tool.layers.mask_layer.mouse_pan
    drag(tool, world((20, 10)), *map(world, stops))
    assert tool.lengths == [pytest.approx(length)]
    assert tool.active == [True, False]
    assert tool.layers.mask_layer.mouse_pan
    assert tool.viewer.layers.selection.active is tool.layers.mask_layer
    assert tool.viewer.layers["Ruler"].visible
    # One line each time: the next drag moves the picture.
    drag(tool, world((5, 5)), world((5, 60)))
    assert len(tool.lengths) == 1


def test_a_line_ends_where_the_button_is_let_go(tool, ruler):
    """Moves of the mouse are lost while a machine is busy."""
    ruler.activate(True)
    place = SimpleNamespace(
        type="mouse_press", button=1, modifiers=(), position=(20, 10), pos=(0, 0)
    )
    steps = tool.viewer.mouse_drag_callbacks[-1](tool.viewer, place)
    next(steps)
    place.type, place.position = "mouse_move", (20, 14)
    next(steps)
    place.type, place.position = "mouse_release", (20, 70)
    assert next(steps, "over") == "over"
    assert tool.lengths == [60]


def test_a_click_is_no_line_and_the_tool_waits(tool, ruler):
    ruler.activate(True)
    drag(tool, (20, 10))
    assert (tool.lengths, tool.active) == ([], [True])


def test_one_tool_has_the_mouse(tool, ruler):
    take(tool)
    ruler.activate(True)
    assert not tool.session.clicks.active
    take(tool)
    assert tool.active == [True, False]
    assert not tool.layers.mask_layer.mouse_pan
    ruler.activate(True)
    tool.layers.mask_layer.mode = "paint"
    assert tool.active[-1] is False
    assert not tool.layers.mask_layer.mouse_pan


def test_another_image_has_no_line(tool, ruler):
    ruler.activate(True)
    drag(tool, (20, 10), (20, 40))
    ruler.activate(True)
    open_image(tool.session, make_image())
    assert (tool.lengths, tool.active[-1]) == ([30.0, None], False)
    assert not tool.viewer.layers["Ruler"].visible
