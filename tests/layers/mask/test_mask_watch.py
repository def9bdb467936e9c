"""Every way a Labels layer can change, against counting from scratch, and its tool."""

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils._proxies import ReadOnlyWrapper
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.layers.mask.mask_watch import BRUSH_STEP, MaskTool, MaskWatch
from napari_semxai.layers.owned_layers import role_colormap
from napari_semxai.types import IGNORED


@pytest.fixture
def layer():
    return ViewerModel().add_labels(np.zeros((60, 80), np.uint8))


@pytest.fixture
def watch(layer):
    watch = MaskWatch(layer)
    yield watch
    watch.release()


def disc(row, column, radius=6):
    rows, columns = np.ogrid[:60, :80]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


EDITS = {
    "brush": lambda layer: layer.paint((20, 30), 1),
    "brush at the corner": lambda layer: layer.paint((0, 79), 1),
    "erase": lambda layer: layer.paint((5, 5), 0),
    "fill": lambda layer: layer.fill((30, 40), 1),
    "polygon": lambda layer: layer.paint_polygon([[10, 10], [10, 50], [40, 20]], 1),
    "setitem": lambda layer: layer.data_setitem((np.array([1, 58]), np.array([2, 77])), 1),
    "undo": lambda layer: layer.undo(),
    "redo": lambda layer: layer.redo(),
}


@pytest.mark.parametrize("contour", [0, 2])
def test_every_edit_is_followed(layer, watch, contour):
    layer.contour = contour
    layer.brush_size = 7
    for name in ["brush", "brush at the corner", "polygon", "undo", "redo", "erase", "setitem",
                 "undo", "undo", "fill", "undo", "redo"]:  # fmt: skip
        EDITS[name](layer)
        np.testing.assert_array_equal(watch.live.mask, layer.data != 0, err_msg=name)
        assert watch.live.size == LiveMask(layer.data).size, name


def test_direct_writes_are_followed_after_a_refresh(layer, watch):
    layer.data[3:9, 70:] = 1
    layer.refresh()
    assert watch.live.size.area == 60


def test_new_data_of_the_same_shape_is_followed(layer, watch):
    layer.data = disc(30, 40).astype(np.uint8)
    np.testing.assert_array_equal(watch.live.mask, disc(30, 40))


def test_new_data_of_another_shape_makes_a_new_live_mask(layer, watch):
    told = []
    watch.replaced.connect(lambda: told.append(watch.live.mask.shape))
    layer.data = np.ones((10, 20), np.uint8)
    assert told[-1] == (10, 20)
    assert watch.live.size.area == 200


def test_write_is_no_edit_and_leaves_the_undo_history_alone(layer, watch):
    edits, changes = [], []
    watch.edited.connect(lambda: edits.append(1))
    watch.changed.connect(changes.append)
    watch.write(disc(30, 40))
    np.testing.assert_array_equal(layer.data, disc(30, 40))
    assert len(changes) == 1
    assert not edits
    layer.undo()
    np.testing.assert_array_equal(layer.data, disc(30, 40))
    watch.write(disc(30, 40))
    assert len(changes) == 1


def test_an_undoable_write_is_one_edit(layer, watch):
    layer.paint((30, 40), 1)
    before = layer.data.copy()
    edits = []
    watch.edited.connect(lambda: edits.append(1))
    watch.write_undoable(disc(35, 45, 9))
    np.testing.assert_array_equal(layer.data != 0, disc(35, 45, 9))
    assert edits
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    layer.redo()
    np.testing.assert_array_equal(watch.live.mask, disc(35, 45, 9))


def test_the_displayed_pixels_follow_a_write(layer, watch):
    watch.write(disc(10, 10))
    np.testing.assert_array_equal(np.asarray(layer._slice.image.raw) != 0, disc(10, 10))


def test_after_release_nothing_is_followed(layer):
    watch = MaskWatch(layer)
    watch.release()
    layer.paint((20, 30), 1)
    assert watch.live.size.area == 0


def labels(shape=(96, 128), size=None):
    layer = Labels(np.zeros(shape, np.uint8))
    if size is not None:
        layer.brush_size = size
    return layer


def test_tool_brush_and_looks_stay_over_images():
    tool, first, second = MaskTool(), labels(), labels((600, 800))
    tool.take(first)
    # As long as nobody chooses one, the brush goes by the image.
    assert (first.brush_size, str(first.mode), first.contour) == (3, "pan_zoom", 0)
    tool.take(second)
    assert second.brush_size == 10
    second.mode, second.brush_size, second.opacity, second.contour = "erase", 25, 0.8, 2
    for layer in (first, labels()):
        tool.take(layer)
        looks = (str(layer.mode), layer.brush_size, layer.opacity, layer.contour)
        assert looks == ("erase", 25, 0.8, 2)


def test_a_hidden_mask_keeps_its_tool_for_the_next_image():
    tool, first, second = MaskTool(), labels(), labels()
    tool.take(first)
    first.mode = "paint"
    first.visible = False
    assert str(first.mode) == "pan_zoom"
    tool.take(second)
    assert str(second.mode) == "paint"
    second.mode = "transform"
    third = labels()
    tool.take(third)
    assert str(third.mode) == "pan_zoom"


def test_no_key_of_napari_makes_the_brush_an_eraser():
    tool, layer = MaskTool(), labels()
    tool.take(layer)
    layer.mode = "paint"
    # X, the minus and the equals sign of napari's Labels layers.
    for label in (0, 2):
        layer.selected_label = label
        assert layer.selected_label == 1
    tool.leave()
    layer.selected_label = 0
    assert layer.selected_label == 0


def test_looks_and_brush_by_keys():
    tool, layer = MaskTool(), labels()
    for action in (tool.toggle_outline, tool.next_opacity, lambda: tool.scale_brush(2.0)):
        # Without a mask nothing happens.
        action()
    tool.take(layer)
    tool.toggle_outline()
    assert layer.contour == 2
    tool.toggle_outline()
    assert layer.contour == 0
    seen = []
    for _ in range(4):
        tool.next_opacity()
        seen.append(layer.opacity)
    assert seen == pytest.approx([0.8, 1.0, 0.3, 0.55])
    sizes = []
    for factor in (BRUSH_STEP, BRUSH_STEP, 2.0, 1 / 2.0, *[1 / BRUSH_STEP] * 6):
        tool.scale_brush(factor)
        sizes.append(layer.brush_size)
    assert sizes == [4, 5, 10, 5, 4, 3, 2, 1, 1, 1]


def test_a_stroke_and_a_polygon_end_with_the_image():
    tool, layer = MaskTool(), labels()
    tool.take(layer)
    layer.mode = "paint"
    place = {"view_direction": None, "dims_displayed": [0, 1], "pos": (0, 0), "modifiers": ()}
    event = SimpleNamespace(
        type="mouse_press", button=1, position=(20, 20), is_dragging=True, **place
    )
    # As napari's canvas gives it: the stroke sees the events that are put into the first.
    mouse_press_callbacks(layer, ReadOnlyWrapper(event))
    event.type, event.position = "mouse_move", (20, 40)
    mouse_move_callbacks(layer, event)
    assert layer.data[20, 20:41].all()
    layer._overlays["polygon"].points = [[1, 1], [1, 20], [20, 20]]
    tool.leave()
    before = layer.data.copy()
    event.position = (70, 40)
    mouse_move_callbacks(layer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(layer, event)
    np.testing.assert_array_equal(layer.data, before)
    assert layer._overlays["polygon"].points == []
    # What was painted is one edit.
    layer.undo()
    assert not layer.data.any()


@pytest.fixture
def marked(layer):
    """The layer of the defect mask with its tool: a defect on the left, and ignored rows."""
    layer.data = np.zeros((60, 80), np.uint8)
    layer.data[10:50, 10:30] = 1
    layer.data[:5] = IGNORED
    layer.refresh()
    tool, watch = MaskTool(), MaskWatch(layer, marks=True)
    layer.colormap = role_colormap(*tool.palette)
    tool.take(layer)
    layer.brush_size = 9
    yield layer, tool, watch
    tool.leave()
    watch.release()


def test_the_brush_leaves_what_is_ignored_and_the_eraser_takes_only_its_own(marked):
    layer, tool, watch = marked
    layer.mode = "paint"
    layer.paint((4, 60), layer.selected_label)
    assert (layer.data[:5] == IGNORED).all()
    assert layer.data[6, 60] == 1
    layer.mode = "erase"
    layer.paint((4, 60), 0)
    assert (layer.data[:5] == IGNORED).all()
    assert layer.data[6, 60] == 0
    tool.mark(True)
    layer.mode = "paint"
    layer.paint((20, 20), layer.selected_label)
    assert layer.data[20, 20] == IGNORED
    assert not watch.live.mask[20, 20]
    assert watch.live.ignored[20, 20]
    layer.mode = "erase"
    layer.paint((25, 20), 0)
    assert layer.data[22, 20] == 0
    # The eraser for ignored pixels leaves the mask.
    assert layer.data[28, 20] == 1
    layer.undo()
    layer.undo()
    assert layer.data[20, 20] == 1
    assert watch.live.ignored.sum() == 5 * 80
    tool.mark(False)
    assert layer.selected_label == 1


def test_whole_masks_keep_what_is_ignored(marked):
    layer, _, watch = marked
    watch.write(np.ones((60, 80), bool))
    assert (layer.data[:5] == IGNORED).all()
    assert (layer.data[5:] == 1).all()
    told = []
    watch.edited.connect(told.append)
    region = np.zeros((60, 80), bool)
    region[30:] = True
    watch.write_undoable(disc(20, 20), region)
    np.testing.assert_array_equal(watch.live.mask, disc(20, 20) & ~region)
    np.testing.assert_array_equal(watch.live.ignored, region)
    np.testing.assert_array_equal(layer.data, watch.live.labels)
    layer.undo()
    assert (layer.data[:5] == IGNORED).all()
    assert (layer.data[5:] == 1).all()
    layer.redo()
    np.testing.assert_array_equal(watch.live.ignored, region)
    assert any(change.region and change.drawn for change in told)


def test_what_is_ignored_is_a_tint_that_can_be_hidden(marked):
    layer, tool, _ = marked
    shown = layer.get_color(IGNORED)
    assert 0 < shown[3] < 1
    tool.toggle_ignored()
    assert layer.get_color(IGNORED)[3] == 0
    assert layer.get_color(1)[3] == 1
    # Whoever marks sees what is marked.
    tool.mark(True)
    np.testing.assert_array_equal(layer.get_color(IGNORED), shown)
