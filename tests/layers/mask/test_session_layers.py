from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image

from napari_semxai.controllers.edit.edit import EditController
from napari_semxai.controllers.jobs import Jobs
from napari_semxai.layers.mask.session_layers import SessionLayers
from napari_semxai.layers.mask.step_layers import step_labels
from napari_semxai.state.review import OtherMasks
from napari_semxai.state.session import LoadedTruth, Proposal
from napari_semxai.store.images.read import image_from_array
from napari_semxai.store.project.index.open_project import Entry
from napari_semxai.types import IGNORED, ReviewRecord, SemImage
from tests.open_images import automatic_of, make_image, open_image
from tests.pools import scene_masks


def test_an_image_brings_its_picture_and_an_empty_mask(viewer, session, layers):
    open_image(session, make_image())
    assert [layer.name for layer in viewer.layers] == ["a", "defect mask"]
    assert layers.mask_layer.data.dtype == np.uint8
    assert not layers.mask_layer.data.any()
    assert viewer.layers.selection.active is layers.mask_layer


def test_the_automatic_mask_fills_the_mask_until_the_first_stroke(session, layers):
    open_image(session, make_image())
    session.automatic = automatic_of()
    np.testing.assert_array_equal(layers.mask_layer.data, scene_masks()[1])
    session.update_image(edited=True)
    layers.mask_layer.paint((10, 10), 1)
    painted = layers.mask_layer.data.copy()
    session.automatic = automatic_of(border=(0, 0, 0, 0))
    np.testing.assert_array_equal(layers.mask_layer.data, painted)


def test_after_a_stroke_sliders_move_a_preview(viewer, session, layers):
    open_image(session, make_image())
    session.update_image(edited=True)
    session.automatic = automatic_of()
    preview = viewer.layers["automatic mask"]
    np.testing.assert_array_equal(preview.data, scene_masks()[1])
    assert not preview.editable
    assert viewer.layers.selection.active is layers.mask_layer


def test_a_stroke_is_told_and_a_slider_is_not(session, layers, edit):
    open_image(session, make_image())
    session.automatic = automatic_of()
    assert "stroked" not in edit.calls
    layers.mask_layer.paint((10, 10), 1)
    assert "stroked" in edit.calls


def test_every_image_has_a_mask_layer_of_its_own(session, layers, viewer):
    open_image(session, make_image("a"))
    layers.mask_layer.paint((10, 10), 1)
    first = layers.mask_layer
    open_image(session, make_image("b"))
    assert layers.mask_layer is not first
    assert first not in viewer.layers
    layers.mask_layer.undo()
    assert not layers.mask_layer.data.any()


def test_going_back_uses_the_same_picture(session, layers, viewer):
    a, b = make_image("a"), make_image("b")
    for image in (a, b, a):
        open_image(session, image)
    assert sorted(layer.name for layer in viewer.layers) == ["a", "b", "defect mask"]
    assert layers.image_layer.name == "a"


def test_only_the_current_picture_is_visible(session, layers, viewer):
    a, b = make_image("a"), make_image("b")
    for image in (a, b, a):
        open_image(session, image)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["a", "defect mask"]


def test_turning_pages_leaves_one_layer_a_file(session, layers, viewer):
    first = make_image("stack_p0001")
    for page in range(3):
        open_image(
            session,
            replace(first, name=f"p{page}", path=Path("stack.tif"), page=page, page_count=3),
        )
    assert [layer.name for layer in viewer.layers] == ["p2", "defect mask"]


def test_an_image_of_the_same_pixel_size_has_its_scale(session, layers):
    for name in ("a", "b"):
        open_image(session, replace(make_image(name), pixel_size=2e-9))
        session.update_image(pixel_size=2e-9)
        np.testing.assert_allclose(layers.image_layer.scale, 0.002)
        np.testing.assert_allclose(layers.mask_layer.scale, 0.002)


def test_a_proposal_is_one_undoable_edit(session, layers):
    open_image(session, make_image())
    session.proposal = Proposal(scene_masks()[1], "test")
    np.testing.assert_array_equal(layers.mask_layer.data, scene_masks()[1])
    layers.mask_layer.undo()
    assert not layers.mask_layer.data.any()


def test_steps_are_shown_and_hidden(session, layers, viewer):
    open_image(session, make_image())
    session.automatic = automatic_of()
    layers.steps.show(frozenset({"winner", "complement", "candidates"}))
    np.testing.assert_array_equal(viewer.layers["2 winner M_k"].data, scene_masks()[0])
    np.testing.assert_array_equal(viewer.layers["3 complement"].data, ~scene_masks()[0])
    assert len(np.unique(viewer.layers["1 candidates"].data)) == 4
    layers.steps.show(frozenset({"winner"}))
    assert not viewer.layers["3 complement"].visible
    assert viewer.layers["2 winner M_k"].visible


def test_small_candidates_lie_on_top():
    labels = step_labels("candidates", automatic_of())
    assert labels[5, 5] != labels[80, 100]


def test_the_preview_comes_and_goes(session, layers, viewer):
    open_image(session, make_image())
    session.preview = scene_masks()[2]
    assert viewer.layers["preview"].data[5, 5] == 1
    session.preview = None
    assert not viewer.layers["preview"].visible


def test_layers_deleted_by_hand_come_back_when_needed(session, layers, viewer):
    layers.mask_closed.connect(lambda *told: closed.append(told))
    closed = []
    open_image(session, make_image())
    session.automatic = automatic_of()
    layers.steps.show(frozenset({"winner"}))
    viewer.layers.remove("2 winner M_k")
    viewer.layers.remove("defect mask")
    assert layers.mask_layer is None
    assert closed == [()]
    session.automatic = automatic_of()
    np.testing.assert_array_equal(viewer.layers["defect mask"].data, scene_masks()[1])
    assert viewer.layers["2 winner M_k"].visible


def test_renaming_changes_nothing(session, layers, viewer):
    open_image(session, make_image())
    viewer.layers["defect mask"].name = "mine"
    session.automatic = automatic_of()
    assert viewer.layers["mine"].data.any()


def test_pixel_size_scales_every_layer_and_shows_the_bar(session, layers, viewer):
    open_image(session, make_image())
    viewer.add_labels(np.zeros((96, 128), np.uint8), name="expert")
    session.update_image(pixel_size=2e-9)
    for layer in viewer.layers:
        np.testing.assert_allclose(layer.scale, 0.002)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
    assert viewer.canvas.overlays.scale_bar.visible
    session.automatic = automatic_of()
    layers.steps.show(frozenset({"winner"}))
    np.testing.assert_allclose(viewer.layers["2 winner M_k"].scale, 0.002)
    session.update_image(pixel_size=None)
    np.testing.assert_allclose(layers.mask_layer.scale, 1)
    assert not viewer.canvas.overlays.scale_bar.visible


def test_sixteen_bit_and_colour_pictures_are_shown_as_they_are(session, layers):
    pixels = (np.random.default_rng(0).integers(900, 1100, (20, 30))).astype(np.uint16)
    open_image(session, SemImage("deep", pixels, (pixels // 8).astype(np.uint8)))
    assert layers.image_layer.data is pixels
    low, high = layers.image_layer.contrast_limits
    assert 890 < low < high < 1110
    rgb = np.zeros((20, 30, 3), np.uint8)
    open_image(session, SemImage("colour", rgb, rgb[..., 0]))
    assert layers.image_layer.rgb


@pytest.mark.parametrize(
    ("pixels", "limits"),
    [
        (np.eye(20, 30, dtype=bool), (0.0, 1.0)),
        (np.full((20, 30), np.nan), (0.0, 1.0)),
        (np.where(np.arange(30) < 15, np.inf, np.ones((20, 1))), (1.0, 1.000001)),
        (np.full((20, 30), 1e12), (1e12, 1.000001e12)),
    ],
    ids=["one bit", "all NaN", "half infinite", "constant"],
)
def test_odd_pictures_have_proper_limits(session, layers, pixels, limits):
    open_image(session, image_from_array(pixels, "odd"))
    assert layers.image_layer.contrast_limits == pytest.approx(limits, rel=1e-9)
    assert not layers.mask_layer.data.any()


def test_a_loaded_truth_becomes_a_layer_and_is_offered(session, layers, viewer):
    offered = []
    layers.truth_added.connect(offered.append)
    open_image(session, make_image())
    session.loaded_truth = LoadedTruth(scene_masks()[1], "expert")
    # Not the name alone: most often it is that of the image.
    assert offered == [viewer.layers["truth expert"]]


def test_a_truth_of_another_image_is_not_offered(session, layers, viewer):
    offered = []
    layers.truth_added.connect(offered.append)
    open_image(session, make_image("a"))
    metadata = {"semxai_role": "truth", "semxai_image": "b"}
    layer = viewer.add_labels(np.zeros((96, 128), np.uint8), metadata=metadata)
    assert offered == []
    open_image(session, make_image("b"))
    assert offered == [layer]


def test_planes_of_a_stack(layers, viewer):
    layer = viewer.add_image(np.arange(3 * 4 * 5).reshape(3, 4, 5))
    viewer.dims.set_current_step(0, 2)
    plane = layers.planes.plane_of(layer)
    assert plane.page == 2
    np.testing.assert_array_equal(plane.pixels, layer.data[2])


def test_planes_of_a_hyperstack(layers, viewer):
    layer = viewer.add_image(np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5))
    viewer.dims.set_current_step((0, 1), (1, 0))
    plane = layers.planes.plane_of(layer)
    assert plane.page == 3
    np.testing.assert_array_equal(plane.pixels, layer.data[1, 0])
    assert (plane.turned(-1), plane.turned(2)) == ((0, 2), (1, 2))


def open_queued(session, name, mask=None, shape=(96, 128), **fields):
    image = make_image(name, shape)
    entry = Entry(name, image, mask, ReviewRecord(name, "Anna"))
    open_image(session, image, mask=mask, entry=entry, **fields)


def test_images_of_a_queue_share_their_layers_but_no_undo_history(viewer, session, layers):
    stored = np.zeros((96, 128), bool)
    stored[5:9, 5:9] = True
    open_queued(session, "a")
    picture, mask = layers.image_layer, layers.mask_layer
    mask.data_setitem((np.array([1, 2]), np.array([1, 2])), 1)
    mask.mode = "paint"
    open_queued(session, "b", stored)
    assert (layers.image_layer, layers.mask_layer) == (picture, mask)
    assert [layer.name for layer in viewer.layers] == ["b", "defect mask"]
    np.testing.assert_array_equal(picture.data, session.image.pixels)
    np.testing.assert_array_equal(mask.data != 0, stored)
    assert str(mask.mode) == "paint"
    mask.undo()
    np.testing.assert_array_equal(mask.data != 0, stored)
    mask.data_setitem((np.array([50]), np.array([60])), 1)
    assert layers.watch.live.size.area == 17


def test_grey_and_colour_pictures_of_a_queue_take_turns_below_the_mask(viewer, session, layers):
    grey = make_image("grey")
    rgb = replace(make_image("colour"), pixels=np.dstack([grey.gray] * 3))
    for image in (grey, rgb, grey, rgb, replace(rgb, name="another")):
        if image is rgb and str(layers.mask_layer.mode) != "paint":
            layers.take_tool("paint")
            # What lies over the mask, as the dots of SAM clicks do.
            marks = viewer.add_points(np.zeros((1, 2)), name="marks")
            mask = layers.mask_layer
        entry = Entry(image.name, image, None, ReviewRecord(image.name, "Anna"))
        open_image(session, replace(image), entry=entry)
    assert layers.mask_layer is mask
    assert str(mask.mode) == "paint"
    pictures = [layer for layer in viewer.layers if isinstance(layer, Image)]
    assert [picture.visible for picture in pictures].count(True) == 1
    assert layers.image_layer.visible
    assert (layers.image_layer.name, layers.image_layer.rgb) == ("another", True)
    assert len(pictures) == 2
    assert list(viewer.layers)[2:] == [mask, marks]


def test_the_mask_lies_over_a_queue_that_follows_another_image(viewer, session, layers):
    open_image(session, make_image("loose"))
    for name in ("a", "b"):
        open_queued(session, name)
        assert [layer.name for layer in viewer.layers][-2:] == [name, "defect mask"]
    open_image(session, make_image("another"))
    assert viewer.layers[-1] is layers.mask_layer
    open_queued(session, "c")
    assert viewer.layers[-1] is layers.mask_layer
    assert layers.image_layer.name == "c"


def test_the_mask_lies_over_a_queue_whose_picture_was_removed_by_hand(viewer, session, layers):
    open_queued(session, "a")
    viewer.layers.remove("a")
    for name in ("b", "c"):
        open_queued(session, name)
        assert [layer.name for layer in viewer.layers] == [name, "defect mask"]
        assert viewer.layers[-1] is layers.mask_layer


def test_the_next_image_of_a_queue_may_have_another_size_and_scale(session, layers):
    open_queued(session, "a")
    open_queued(session, "b", shape=(40, 50), pixel_size=2e-9)
    assert layers.mask_layer.data.shape == (40, 50)
    np.testing.assert_allclose(layers.mask_layer.scale, 2e-3)
    open_queued(session, "c")
    assert layers.mask_layer.data.shape == (96, 128)
    np.testing.assert_allclose(layers.mask_layer.scale, layers.image_layer.scale)


def test_masks_of_others_are_outlines_that_go_with_them(viewer, session, layers):
    open_image(session, make_image())
    session.others = OtherMasks({"bert": scene_masks()[1]}, {})
    layer = viewer.layers["annotator bert"]
    assert (layer.contour, layer.editable) == (2, False)
    session.others = None
    assert not layer.visible


def test_what_is_ignored_is_seen_without_the_mask(viewer, session, layers):
    open_image(session, make_image())
    # Without anything ignored no layer comes.
    layers.toggle_mask()
    assert "ignored region" not in viewer.layers
    layers.toggle_mask()
    ignored = np.zeros(layers.mask_layer.data.shape, bool)
    ignored[:20] = True
    layers.watch.write_undoable(scene_masks()[1], ignored)
    layers.toggle_mask()
    shown = viewer.layers["ignored region"]
    assert shown.visible
    assert not layers.mask_layer.visible
    np.testing.assert_array_equal(shown.data, ignored)
    np.testing.assert_array_equal(shown.get_color(1), layers.mask_layer.get_color(IGNORED))
    assert viewer.layers.selection.active is layers.mask_layer
    # Its own key hides it, and it follows what is marked.
    layers.tool.toggle_ignored()
    assert not shown.visible
    layers.tool.toggle_ignored()
    assert shown.visible
    ignored[:40] = True
    layers.watch.write_undoable(scene_masks()[1], ignored)
    np.testing.assert_array_equal(shown.data, ignored)
    # The mask's layer shows it again.
    layers.toggle_mask()
    assert not shown.visible
    layers.toggle_mask()
    open_image(session, make_image("b"))
    assert "ignored region" not in viewer.layers


def test_undo_shows_a_hidden_mask_and_is_told(session, layers):
    open_image(session, make_image())
    layers.mask_layer.paint((10, 10), 1)
    painted = layers.watch.live.mask.copy()
    layers.take_tool("paint")
    layers.undo()
    layers.undo(again=True)
    assert str(layers.mask_layer.mode) == "paint"
    layers.toggle_mask()
    layers.undo()
    assert str(layers.mask_layer.mode) == "paint"
    assert layers.mask_layer.visible
    assert not layers.watch.live.mask.any()
    layers.toggle_mask()
    layers.undo(again=True)
    np.testing.assert_array_equal(layers.watch.live.mask, painted)


def test_the_mask_before_edits_in_the_place_of_the_mask(tmp_path, viewer, session):
    jobs = Jobs(lambda function: function())
    edit = EditController(session, jobs, tmp_path)
    layers = SessionLayers(viewer, session, edit)
    open_image(session, make_image())
    edit.recorder.start_image(session.image, None, None)
    session.automatic = automatic_of()
    layers.mask_layer.paint((10, 10), 1)
    layers.take_tool("paint")
    painted = layers.mask_layer.data.copy()
    layers.toggle_before()
    before = viewer.layers["mask before edits"]
    np.testing.assert_array_equal(before.data, scene_masks()[1])
    assert (before.visible, layers.mask_layer.visible) == (True, False)
    layers.toggle_before()
    assert (before.visible, layers.mask_layer.visible) == (False, True)
    np.testing.assert_array_equal(layers.mask_layer.data, painted)
    assert str(layers.mask_layer.mode) == "paint"
    for back in (lambda: layers.take_tool("erase"), layers.toggle_mask):
        layers.toggle_before()
        back()
        assert (before.visible, layers.mask_layer.visible) == (False, True)
    layers.release()
    edit.close()
    jobs.close()
