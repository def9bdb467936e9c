from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_semxai.layers.placement import Placement
from napari_semxai.store.project.index.open_project import Entry
from napari_semxai.types import ReviewRecord
from tests.open_images import automatic_of, make_image, open_image

PLACE = (50, 20)


def on_picture(layers, layer):
    """Return where on the picture a pixel of a layer lies."""
    return tuple(layers.image_layer.world_to_data(layer.data_to_world(PLACE))[-2:])


def share_units(viewer):
    return len({layer.units[-2:] for layer in viewer.layers}) == 1


def fills_canvas(viewer, layers):
    rows, columns = layers.image_layer.data.shape[-2:]
    size = np.array([rows, columns]) * layers.layout.placement.edge
    share = np.max(size * viewer.scene.camera.zoom / viewer.canvas.size)
    centre = layers.layout.placement.pixel(viewer.scene.camera.center[-2:])
    middle = (rows - 1) / 2, (columns - 1) / 2
    return 0.9 < share <= 1 and np.allclose(centre, middle, atol=1)


@pytest.mark.parametrize(
    "given",
    [
        {"scale": (0.0025, 0.0025), "units": "um", "rotate": 30},
        {"scale": (3, 3), "units": "nm", "translate": (90, -20)},
        {"shear": [0.2], "affine": [[1, 0.1, 3], [0, 1, 4], [0, 0, 1]]},
        {"scale": (2, 2)},
    ],
)
def test_everything_lies_on_a_layer_that_was_placed_by_hand(viewer, session, layers, given):
    image = make_image()
    layer = viewer.add_image(image.gray, **given)
    placed = Placement.of(layer)
    from napari_semxai.layers.mask.session_layers import Plane

    layers.planes.adopt(Plane(layer), image)
    open_image(session, image)
    session.update_image(pixel_size=placed.pixel_size)
    assert Placement.of(layer) == placed
    layers.steps.show(frozenset({"winner", "candidates"}))
    session.automatic = automatic_of()
    for own in viewer.layers:
        np.testing.assert_allclose(on_picture(layers, own), PLACE)
    assert share_units(viewer)
    # A size by hand keeps all on it, and the size's absence too.
    for metres in (7e-9, None, placed.pixel_size):
        session.update_image(pixel_size=metres)
        assert share_units(viewer)
        for own in viewer.layers:
            np.testing.assert_allclose(on_picture(layers, own), PLACE)
    np.testing.assert_allclose(Placement.of(layer).matrix, placed.matrix, atol=1e-9)


def test_a_picture_that_is_moved_takes_all_along(session, layers, viewer):
    open_image(session, make_image())
    layers.image_layer.rotate = 45
    layers.image_layer.affine = [[1, 0, 9], [0, 1, 9], [0, 0, 1]]
    np.testing.assert_allclose(on_picture(layers, layers.mask_layer), PLACE)
    assert session.pixel_size is None
    layers.image_layer.scale = (4, 4)
    layers.image_layer.units = "nm"
    np.testing.assert_allclose(on_picture(layers, layers.mask_layer), PLACE)
    assert session.pixel_size == pytest.approx(4e-9)
    assert share_units(viewer)


def test_other_images_do_not_count(session, layers, viewer):
    first, second = make_image("a", (480, 640)), make_image("b", (96, 128))
    # In no order of sizes and units does another image decide.
    for image, metres in ((first, 2e-9), (second, None), (first, None), (second, 5e-6)):
        open_image(session, image, pixel_size=metres)
        assert share_units(viewer)
        assert fills_canvas(viewer, layers)
        viewer.scene.camera.zoom *= 9
        viewer.reset_view()
        assert fills_canvas(viewer, layers)
        viewer.scene.camera.center = (900, 900)
        viewer.fit_to_view()
        assert fills_canvas(viewer, layers)


def test_the_extent_is_what_napari_finds(session, layers, viewer):
    open_image(session, make_image("a", (96, 128)), pixel_size=2e-9)
    viewer.add_image(np.zeros((40, 600)))
    for rotation in (0, 45):
        layers.image_layer.rotate = rotation
        found = viewer._get_scene_parameters()
        expected = ViewerModel._get_scene_parameters(viewer, layers=[layers.image_layer])
        for own, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, theirs)


def test_a_named_layer_is_still_fitted(session, layers, viewer):
    open_image(session, make_image("a", (96, 128)))
    big = viewer.add_image(np.zeros((960, 1280)))
    viewer.reset_view(layers=[big])
    assert viewer.scene.camera.center[-2:] == pytest.approx((479.5, 639.5))
    layers.release()
    viewer.reset_view()
    assert viewer.scene.camera.center[-2:] == pytest.approx((479.5, 639.5))


def test_a_size_by_hand_moves_nothing_on_the_screen(session, layers, viewer):
    open_image(session, make_image())
    viewer.scene.camera.center, viewer.scene.camera.zoom = (30, 40), 12.0
    session.update_image(pixel_size=2e-9)
    assert viewer.scene.camera.center[-2:] == pytest.approx((0.06, 0.08))
    assert viewer.scene.camera.zoom == pytest.approx(6000)


@pytest.mark.parametrize("metres", [None, 2e-9])
def test_a_part_is_looked_at_in_the_middle_of_the_view(session, layers, viewer, metres):
    open_image(session, make_image())
    session.update_image(pixel_size=metres)
    viewer.canvas.size = (200, 400)
    layers.layout.look_at((40, 10, 60, 90))
    camera, edge = viewer.scene.camera, layers.layout.placement.edge
    centre = layers.layout.placement.pixel(camera.center[-2:])
    assert tuple(centre) == pytest.approx((49.5, 49.5))
    # 80 columns fill half of the canvas.
    assert 80 * edge * camera.zoom == pytest.approx(200)
    layers.layout.look_at((40, 10, 41, 11))
    assert edge * camera.zoom == pytest.approx(200 / 8 / 2)
    layers.layout.look_at(None)
    assert fills_canvas(viewer, layers)


def test_the_view_stays_fitted_while_the_canvas_changes(session, layers, viewer):
    open_image(session, make_image())
    viewer.canvas.size = (200, 150)
    assert fills_canvas(viewer, layers)
    session.update_image(pixel_size=2e-9)
    viewer.canvas.size = (500, 700)
    assert fills_canvas(viewer, layers)
    viewer.scene.camera.zoom = zoom = 3000.0
    viewer.canvas.size = (300, 300)
    assert viewer.scene.camera.zoom == zoom


def test_layers_of_others_get_the_units_and_their_place_back(session, layers, viewer):
    image = make_image()
    open_image(session, image, pixel_size=2e-9)
    mask = viewer.add_labels(np.zeros((96, 128), np.uint8))
    part = viewer.add_labels(np.zeros((10, 10), np.uint8), translate=(50, 60))
    other = viewer.add_image(np.zeros((20, 20)), scale=(7, 7), units="nm")
    clicks = viewer.add_points(np.zeros((1, 2)))
    assert share_units(viewer)
    np.testing.assert_allclose(on_picture(layers, mask), PLACE)
    np.testing.assert_allclose(on_picture(layers, clicks), PLACE)
    np.testing.assert_allclose(on_picture(layers, part), (100, 80))
    np.testing.assert_allclose(other.scale, 0.007)
    session.update_image(pixel_size=None)
    assert share_units(viewer)
    np.testing.assert_allclose(on_picture(layers, part), (100, 80))
    assert layers.layout.placement_of(other).pixel_size == pytest.approx(7e-9)
    # Another unit would make napari use none at all.
    clicks.units = "um"
    assert share_units(viewer)
    # Moved by a person, it stays there.
    part.translate = (0, 0)
    session.update_image(pixel_size=3e-9)
    np.testing.assert_allclose(on_picture(layers, part), PLACE)


def seen(viewer, layers):
    """Return the pixel in the middle of the canvas, and how large a pixel is there."""
    camera, placement = viewer.scene.camera, layers.layout.placement
    return (*placement.pixel(camera.center[-2:]), placement.edge * camera.zoom)


def test_the_view_stays_on_images_of_one_size_if_a_person_wishes(session, layers, viewer):
    viewer.canvas.size = (500, 700)
    for metres in (2e-9, None):
        session.keep_view = True
        open_image(session, make_image("a"), pixel_size=3e-9)
        layers.layout.look_at((10, 20, 40, 60))
        before = seen(viewer, layers)
        open_image(session, make_image("b"), pixel_size=metres)
        np.testing.assert_allclose(seen(viewer, layers), before)
        open_image(session, make_image("c", (96, 120)), pixel_size=metres)
        assert fills_canvas(viewer, layers)
        # What was fitted stays so, and Home shows all of it at any time.
        open_image(session, make_image("d", (96, 120)), pixel_size=3e-9)
        assert fills_canvas(viewer, layers)
        layers.layout.look_at((10, 20, 40, 60))
        viewer.reset_view()
        assert fills_canvas(viewer, layers)
        layers.layout.look_at((10, 20, 40, 60))
        session.keep_view = False
        open_image(session, make_image("e", (96, 120)), pixel_size=metres)
        assert fills_canvas(viewer, layers)


def test_a_picture_that_was_hidden_is_in_view_at_its_new_size(viewer, session, layers):
    small, colour, large = (make_image(name, (20 * n, 30 * n)) for n, name in enumerate("abc", 1))
    colour = replace(colour, pixels=np.dstack([colour.gray] * 3))
    for image in (small, colour, large):
        entry = Entry(image.name, image, None, ReviewRecord(image.name, "Anna"))
        open_image(session, image, entry=entry)
    assert fills_canvas(viewer, layers)
