"""Every way a Labels layer can change, against counting from scratch."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_semxai.algorithms.masks.metrics import LiveMask
from napari_semxai.layers.mask.mask_watch import MaskWatch


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
