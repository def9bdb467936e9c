from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QApplication

from napari_semxai.algorithms.algorithm1.reference import Difference
from napari_semxai.controllers.explain import explain
from napari_semxai.controllers.explain.explain import ExplanationMaskController, make_sources
from napari_semxai.controllers.explain.heatmap_source import HeatmapSource
from napari_semxai.controllers.explain.sources import hex_color
from napari_semxai.layers.explain.explanations import ExplanationLayers, Look, arrange
from napari_semxai.layers.explain.float_layers import CLASSIFIER, DIFFERENCE, fitted, shortened
from napari_semxai.layers.mask.step_layers import DIFFERENCE as DIFFERENCE_LAYER
from napari_semxai.layers.mask.step_layers import REFERENCE
from napari_semxai.state.explanation import CONCEPTS, HEAT_MAP, Explanation, Focus, Heatmaps
from tests import explanations as make
from tests.open_images import make_image, open_image

CONCEPT_MASKS, HEAT_MASK = "concept masks", "heat map mask"


@pytest.fixture
def masks(session):
    controller = ExplanationMaskController(session, make.NowJobs(), print, print)
    yield controller
    controller.release()


@pytest.fixture
def shown(qapp, viewer, session, layers, masks):
    shown = ExplanationLayers(viewer, session, layers)
    open_image(session, make_image())
    yield shown
    shown.release()


def show_heat(session, *heatmaps):
    session.explanation.heatmaps = Heatmaps(heatmaps[0] if heatmaps else None, heatmaps)


def show_concepts(session, concepts):
    session.explanation.concepts = concepts
    # Their layers come in the next turn of the event loop, the legend in that after it.
    QApplication.processEvents()
    QApplication.processEvents()


def test_a_heat_map_in_its_own_unit_with_holes(viewer, session, shown):
    found = make.heatmap(raw_maximum=3.5)
    show_heat(session, found)
    layer = viewer.layers["Grad-CAM: Class 3"]
    assert isinstance(layer, Image)
    np.testing.assert_array_equal(np.isnan(layer.data), found.values == 0)
    np.testing.assert_allclose(np.nan_to_num(layer.data), found.values * 3.5)
    assert tuple(layer.contrast_limits) == pytest.approx((0, 3.5))
    # Values are told beside the image, nothing lies over it.
    QApplication.processEvents()
    (entry,) = shown.legend
    assert (entry.name, entry.maximum) == ("Grad-CAM: Class 3", pytest.approx(3.5))
    assert len(entry.colors) > 8
    assert not layer.colorbar.visible
    assert layer.colormap.map(np.array([0.0]))[0, 3] == 0
    # It lies over the picture and below the mask, which stays the one that is painted.
    assert [viewer.layers.index(name) for name in ("a", layer.name)] == [0, 1]
    assert viewer.layers.selection.active.name == "defect mask"


def test_a_mean_over_layers_goes_from_0_to_1(viewer, session, shown):
    found = replace(make.heatmap(raw_maximum=3.5), layers=("layer3", "layer4"))
    show_heat(session, found)
    layer = viewer.layers["Grad-CAM: Class 3"]
    np.testing.assert_allclose(np.nan_to_num(layer.data), found.values)
    assert tuple(layer.contrast_limits) == pytest.approx((0, 1))


def test_another_family_has_layers_of_its_own(qapp, viewer, session, layers, monkeypatch):
    own = (*explain.SOURCES, make.OwnFamily)
    monkeypatch.setattr(explain, "SOURCES", own)
    masks = ExplanationMaskController(session, make.NowJobs(), print, print)
    shown = ExplanationLayers(viewer, session, layers)
    open_image(session, make_image())
    show_heat(session, make.heatmap())
    session.explanation.advice = object()
    QApplication.processEvents()
    for name in ("edges, strong", "edges, weak", "edges masks"):
        assert viewer.layers[name].visible
        assert viewer.layers[name].metadata[CLASSIFIER] == "own"
    labels = viewer.layers["edges masks"]
    np.testing.assert_array_equal(labels.data, session.explanation.masks.labels["edges"])
    np.testing.assert_allclose(labels.colormap.map(2), [9 / 255, 8 / 255, 8 / 255, 1], atol=1e-6)
    shown.set_look(Look(side_by_side=True))
    places = [viewer.layers[n].extent.world for n in ("Grad-CAM: Class 3", "edges, weak")]
    assert not np.array_equal(*places)
    session.explanation.advice = None
    QApplication.processEvents()
    assert np.isnan(viewer.layers["edges, weak"].data).all()
    assert not viewer.layers["edges masks"].data.any()
    shown.release()
    masks.release()


def test_layers_say_which_classifier_they_explain(viewer, session, shown, masks):
    show_heat(session, replace(make.heatmap(), sha256="one"))
    show_concepts(session, replace(make.concept_maps(), sha256="two"))
    expected = {
        "Grad-CAM: Class 3": "one",
        HEAT_MASK: "one",
        "concept 1": "two",
        CONCEPT_MASKS: "two",
    }
    assert {name: viewer.layers[name].metadata[CLASSIFIER] for name in expected} == expected
    show_heat(session, replace(make.heatmap(), sha256="three"))
    for name in ("Grad-CAM: Class 3", HEAT_MASK):
        assert viewer.layers[name].metadata[CLASSIFIER] == "three"
    show_concepts(session, None)
    assert CLASSIFIER not in viewer.layers["concept 1"].metadata


def test_no_evidence_shows_nothing(viewer, session, shown):
    show_heat(session, make.heatmap(raw_maximum=0))
    assert np.isnan(viewer.layers["Grad-CAM: Class 3"].data).all()


def test_one_layer_serves_every_image_and_method(viewer, session, shown):
    show_heat(session, make.heatmap())
    layer = viewer.layers["Grad-CAM: Class 3"]
    show_heat(session, make.heatmap(4, "layercam", 7.0))
    assert layer.name == "LayerCAM: Class 5"
    assert tuple(layer.contrast_limits) == pytest.approx((0, 7.0))
    open_image(session, make_image("b"))
    show_heat(session)
    assert not layer.visible
    show_heat(session, make.heatmap())
    assert layer.visible
    assert layer in viewer.layers


def test_a_heat_map_lies_over_the_picture_of_every_image(viewer, session, shown):
    show_heat(session, make.heatmap())
    open_image(session, make_image("b"))
    show_heat(session, make.heatmap())
    names = [layer.name for layer in viewer.layers if layer.visible]
    assert names == ["b", "Grad-CAM: Class 3", "heat map mask", "defect mask"]


def test_maps_lie_over_the_reference_of_every_image(viewer, session, layers, shown):
    layers.references.show(frozenset((REFERENCE, DIFFERENCE_LAYER)))
    for name in ("b", "c", "d"):
        open_image(session, make_image(name))
        shape = session.image.gray.shape
        found = np.full(shape, 7, np.float32), np.zeros(shape, np.int32)
        session.difference = Difference(*found, 0.9, picture=np.zeros(shape, np.uint8))
        show_heat(session, make.heatmap())
        show_concepts(session, make.concept_maps())
        names = [layer.name for layer in viewer.layers if layer.visible]
        assert names[:3] == [name, REFERENCE, DIFFERENCE_LAYER]
        assert "Grad-CAM: Class 3" in names
    # The key shows the reference again, below a map that is on show.
    layers.references.blink()
    layers.references.blink()
    names = [layer.name for layer in viewer.layers if layer.visible]
    assert names[:2] == ["d", REFERENCE]


def test_concepts_have_one_fixed_colour_each(viewer, session, shown, masks):
    masks.set_masks(concepts=frozenset((0, 2)), concept_tau=0.5)
    concepts = make.concept_maps()
    show_concepts(session, concepts)
    for number in (0, 2):
        layer = viewer.layers[f"concept {number + 1}"]
        assert layer.visible
        top = layer.colormap.map(np.array([1.0]))[0]
        np.testing.assert_allclose(top[:3], concepts.colors[number] / 255, atol=1e-6)
        # All concepts over one another, and their masks, leave the picture to be seen.
        assert top[3] * layer.opacity <= 0.3
        np.testing.assert_allclose(np.nan_to_num(layer.data), concepts.maps[number])
    told = [(entry.name, entry.colors) for entry in shown.legend]
    names = {hex_color(concepts.colors[n]): f"concept {n + 1}" for n in (0, 2)}
    assert told == [(name, (color,)) for color, name in names.items()]
    labels = viewer.layers[CONCEPT_MASKS]
    assert labels.opacity <= 0.3
    color = labels.colormap.map(np.array([3], np.uint8))[0]
    np.testing.assert_allclose(color[:3], concepts.colors[2] / 255, atol=1e-3)
    masks.set_masks(concepts=frozenset((2,)))
    # Empty, but not hidden: that would cost several times as much.
    first = viewer.layers["concept 1"]
    assert first.visible
    assert np.isnan(first.data).all()
    QApplication.processEvents()
    QApplication.processEvents()
    assert [entry.name for entry in shown.legend] == ["concept 3"]
    assert set(np.unique(labels.data)) == {0, 3}
    # More important concepts lie above less important ones.
    masks.set_masks(concepts=frozenset((0, 2)))
    assert viewer.layers.index("concept 1") > viewer.layers.index("concept 3")
    np.testing.assert_allclose(np.nan_to_num(first.data), concepts.maps[0])
    QApplication.processEvents()
    QApplication.processEvents()
    assert [entry.name for entry in shown.legend] == ["concept 1", "concept 3"]


def test_a_class_without_maps_empties_the_layers(viewer, session, shown, masks):
    show_heat(session, make.heatmap())
    show_concepts(session, make.concept_maps())
    show_heat(session)
    show_concepts(session, None)
    for name in ("Grad-CAM: Class 3", "concept 1"):
        assert np.isnan(viewer.layers[name].data).all()
    for name in (HEAT_MASK, CONCEPT_MASKS):
        # Empty, but not hidden: that would cost many times as much.
        assert viewer.layers[name].visible
        assert not viewer.layers[name].data.any()
        assert CLASSIFIER not in viewer.layers[name].metadata
    shown.set_look(Look(visible=False))
    assert not viewer.layers["concept 1"].visible
    shown.set_look(Look())
    show_heat(session, make.heatmap())
    assert viewer.layers["Grad-CAM: Class 3"].visible
    assert np.nanmax(viewer.layers["Grad-CAM: Class 3"].data) > 0


def test_masks_follow_the_sliders(viewer, session, shown, masks):
    show_heat(session, make.heatmap())
    layer = viewer.layers[HEAT_MASK]
    for tau in (0.2, 0.6, 0.9):
        masks.set_masks(tau=tau)
        np.testing.assert_array_equal(layer.data != 0, make.peak() > np.float32(tau))
    shown.set_look(Look(masks=False))
    assert not layer.visible
    masks.set_masks(tau=0.3)
    shown.set_look(Look())
    assert layer.visible
    np.testing.assert_array_equal(layer.data != 0, make.peak() > np.float32(0.3))


def test_everything_is_hidden_and_back(viewer, session, shown):
    show_heat(session, make.heatmap())
    show_concepts(session, make.concept_maps())
    names = ("Grad-CAM: Class 3", "concept 1", HEAT_MASK, CONCEPT_MASKS)
    shown.set_look(Look(visible=False))
    assert not any(viewer.layers[name].visible for name in names)
    shown.set_look(Look())
    assert all(viewer.layers[name].visible for name in names)


def test_maps_that_are_added_make_napari_show_no_controls(viewer, session, shown):
    active = viewer.layers.selection.events.active
    told = []
    active.connect(told.append)
    show_heat(session, make.heatmap(), make.heatmap(method="layercam"))
    shown.set_look(Look(side_by_side=True))
    assert len(viewer.layers) == 7
    assert told == []
    # What a person adds is active, as ever.
    assert viewer.add_image(np.zeros(make.SHAPE)) is viewer.layers.selection.active
    active.disconnect(told.append)


def test_methods_side_by_side_on_copies_of_the_image(viewer, session, shown):
    show_heat(session, make.heatmap(), make.heatmap(method="layercam"), make.heatmap(1))
    assert "LayerCAM: Class 3" not in viewer.layers
    shown.set_look(Look(side_by_side=True))
    copies = [viewer.layers[f"image, copy {number}"] for number in (1, 2)]
    beside = viewer.layers["LayerCAM: Class 3"]
    assert corner(copies[0]) == corner(beside)
    assert corner(beside)[1] > make.SHAPE[1]
    assert corner(viewer.layers["Grad-CAM: Class 2"])[0] > make.SHAPE[0]
    assert corner(viewer.layers["Grad-CAM: Class 3"]) == (0, 0)
    session.update_image(pixel_size=2e-6)
    np.testing.assert_array_equal(copies[0].scale, beside.scale)
    assert corner(copies[0]) == corner(beside)
    shown.set_look(Look())
    assert not any("copy" in layer.name for layer in viewer.layers)
    assert not beside.visible
    assert corner(beside) == (0, 0)


def test_tiles_that_come_later_are_in_sight(viewer, session, shown):
    shown.set_look(Look(side_by_side=True))
    camera = viewer.scene.camera
    for number in (2, 5):
        show_heat(session, *(make.heatmap(target) for target in range(number)))
        tiles = [layer for layer in viewer.layers if layer.name.startswith("image, copy")]
        assert len(tiles) == number - 1
        ends = np.concatenate([layer.extent.world for layer in tiles])
        half = np.array(viewer.canvas.size) / camera.zoom / 2
        assert (np.abs(ends - camera.center[-2:]) <= half).all()
    # Where a person has moved the view, it stays.
    camera.zoom = zoom = 2 * camera.zoom
    methods = ("gradcam", "layercam")
    show_heat(session, *(make.heatmap(n, method=method) for n in range(5) for method in methods))
    assert camera.zoom == zoom


def test_heat_maps_are_compared_by_one_scale(viewer, session, shown):
    one = make.heatmap()
    other = replace(make.heatmap(raw_maximum=9.0, place=(60, 90)), sha256="cd" * 32)
    # Where a map was moved, its maximum is no longer 1.
    other = replace(other, values=other.values * np.float32(0.8))
    shown.set_look(Look(side_by_side=True))
    show_heat(session, one, replace(other, classifier="own"))
    names = [f"Grad-CAM, {name}: Class 3" for name in (one.sha256[:8], "own")]
    limits = [viewer.layers[name].contrast_limits for name in names]
    assert limits == [[0, 3.5], [0, pytest.approx(7.2)]]
    session.explanation.compare = True
    assert [viewer.layers[name].contrast_limits for name in names] == [[0, 1], [0, 1]]
    np.testing.assert_allclose(
        np.nan_to_num(viewer.layers[names[1]].data), other.values / 0.8, rtol=1e-6
    )
    difference = viewer.layers[f"{names[0]} − {names[1]}"]
    np.testing.assert_allclose(difference.data, one.values - other.values / 0.8, atol=1e-6)
    assert difference.contrast_limits == [-1, 1]
    assert tile_of(viewer, difference) == (1, 0)
    # Each tile has its name above it.
    titles = viewer.layers["titles"]
    texts = dict(zip(titles.text.values.tolist(), titles.data.tolist(), strict=True))
    assert [text.replace("\n", " ") for text in texts] == [*names, DIFFERENCE, ""]
    for place, name in zip(texts.values(), [*names, difference.name], strict=False):
        np.testing.assert_allclose(titles.data_to_world(place), corner(viewer.layers[name]))
    # Nothing is drawn where they agree, and the two signs have colours of their own.
    low, middle, high = difference.colormap.map([0, 0.5, 1])
    assert (low[3], middle[3], high[3]) == (1, 0, 1)
    assert low[2] > low[0]
    assert high[0] > high[2]
    session.explanation.compare = False
    assert viewer.layers[names[1]].contrast_limits == [0, pytest.approx(7.2)]
    assert not difference.visible
    assert titles.visible
    shown.set_look(Look())
    assert not titles.visible


def test_titles_keep_to_their_tiles_at_every_zoom(viewer, session, shown):
    shown.set_look(Look(side_by_side=True))
    deep = replace(make.heatmap(), layers=("features.expand4", "features.head"))
    show_heat(session, deep, make.heatmap())
    names = [layer.name for layer in viewer.layers if layer.name.startswith("Grad-CAM")]
    titles, camera = viewer.layers["titles"], viewer.scene.camera
    for width in (40, 100, 200, 300, 1000):
        camera.zoom = width / make.SHAPE[1]
        lines = [line for text in titles.text.values for line in text.split("\n")]
        assert max(map(len, lines)) * 9 <= width
    assert sorted(titles.text.values) == sorted(["", *names])
    # Known by their pixels, whatever these are worth.
    session.update_image(pixel_size=2e-6)
    assert sorted(titles.text.values) == sorted(["", *names])
    camera.zoom /= 30
    assert set(titles.text.values) == {""}
    # A view that shows no tiles is followed no longer.
    shown.set_look(Look())
    camera.zoom *= 30
    assert set(titles.text.values) == {""}


def test_titles_of_the_first_row_are_in_sight(viewer, session, shown):
    shown.set_look(Look(side_by_side=True))
    show_heat(session, make.heatmap(), make.heatmap(1))
    viewer.fit_to_view(margin=0)
    camera = viewer.scene.camera
    top = camera.center[-2] - viewer.canvas.size[0] / camera.zoom / 2
    beneath, above = viewer.layers["a"].extent.world[0], viewer.layers["titles"].extent.world[0]
    assert above[0] <= beneath[0] - make.SHAPE[1] / 10
    assert top <= above[0]
    shown.set_look(Look())
    viewer.fit_to_view(margin=0)
    assert camera.center[-2:] == pytest.approx(np.array(make.SHAPE) / 2 - 0.5)


def test_fewer_titles_than_before_can_be_drawn(viewer, session, shown):
    shown.set_look(Look(side_by_side=True))
    show_heat(session, *(make.heatmap(target) for target in range(5)))
    titles = viewer.layers["titles"]
    drawn = []
    # As napari's canvas does, also while the layer is hidden.
    for changed in (titles.text.events, titles.events.set_data):
        changed.connect(lambda: drawn.append(list(titles._view_text)))
    show_heat(session)
    show_heat(session, make.heatmap(0), make.heatmap(1))
    assert drawn[-1] == ["Grad-CAM: Class 1", "Grad-CAM: Class 2", ""]


def test_maps_lie_over_the_copies_of_every_image(viewer, session, shown):
    shown.set_look(Look(side_by_side=True))
    for name in "ab":
        if name == "b":
            open_image(session, make_image(name=name))
            show_heat(session)
        show_heat(session, make.heatmap(0), make.heatmap(1))
        copy = viewer.layers.index("image, copy 1")
        assert viewer.layers.index("Grad-CAM: Class 2") > copy
        assert viewer.layers.index("Grad-CAM: Class 1") > viewer.layers.index(name)


def test_a_title_has_two_lines():
    name = "Grad-CAM++, features.expand4, bundled: particle"
    assert fitted(name, 50) == name
    assert fitted(name, 30) == "Grad-CAM++, features.expand4,\nbundled: particle"
    assert fitted(name, 20) == "Grad-CAM++,\nfea…4, bun…d: par…le"
    assert fitted(name, 8) == "Grad…++,\nfeat…cle"
    assert fitted(name, 7) == ""
    assert shortened("features.head", 20) == "features.head"
    assert shortened("features.head", 6) == "fea…ad"


def test_a_map_is_compared_with_its_like_of_another_classifier():
    active = make.heatmap()
    others = [
        make.heatmap(method="layercam"),
        replace(make.heatmap(method="layercam"), sha256="cd" * 32),
        replace(make.heatmap(), layers=("features.expand4",)),
        replace(make.heatmap(), sha256="cd" * 32),
    ]
    explanation = Explanation(compare=True)
    explanation.heatmaps = Heatmaps(active, (*others, active))
    tiles = [stack[0].key for stack in HeatmapSource().layers(explanation)]
    order = (active, others[3], others[2], others[0], others[1])
    assert tiles[:-1] == [(found, "share") for found in order]
    assert tiles[-1] == (active, others[3])


def corner(layer):
    """Return where the first pixel of a layer lies in the world."""
    return tuple(layer.data_to_world((0, 0)))


def tile_of(viewer, layer):
    """Return row and column of a layer in the grid."""
    picture = viewer.layers["a"]
    size = np.asarray(make.SHAPE) * picture.scale
    return tuple(np.round(np.subtract(corner(layer), corner(picture)) / (1.1 * size)).astype(int))


def test_maps_of_one_method_have_names_of_their_own(viewer, session, shown):
    found = make.heatmap()
    deeper, inside = replace(found, layers=("layer3",)), replace(found, inside_mask=True)
    shown.set_look(Look(side_by_side=True))
    show_heat(session, found, deeper, inside)
    tiles = {
        "Grad-CAM, layer4: Class 3": (0, 0),
        "Grad-CAM, layer3: Class 3": (0, 1),
        "Grad-CAM, layer4, inside the mask: Class 3": (1, 0),
    }
    assert {name: tile_of(viewer, viewer.layers[name]) for name in tiles} == tiles


def test_maps_that_change_places_keep_their_names(viewer, session, shown):
    one = make.heatmap()
    other = replace(make.heatmap(place=(60, 90)), method="layercam")
    shown.set_look(Look(side_by_side=True))
    told = []
    shown.legend_changed.connect(told.append)
    for maps in ((one, other), (other, one)):
        show_heat(session, *maps)
        QApplication.processEvents()
        QApplication.processEvents()
        names = [f"{title}: Class 3" for title in ("Grad-CAM", "LayerCAM")]
        assert {layer.name for layer in viewer.layers if "Class 3" in layer.name} == set(names)
        assert sorted(entry.name for entry in told[-1]) == names
    assert tile_of(viewer, viewer.layers["LayerCAM: Class 3"]) == (0, 0)


def test_concepts_have_a_tile_of_their_own(viewer, session, shown, masks):
    show_heat(session, make.heatmap(), make.heatmap(method="layercam"))
    show_concepts(session, make.concept_maps())
    concepts = [viewer.layers[name] for name in ("concept 1", "concept 3", CONCEPT_MASKS)]
    shown.set_look(Look(side_by_side=True))
    assert {tile_of(viewer, layer) for layer in concepts} == {(1, 0)}
    assert tile_of(viewer, viewer.layers["image, copy 2"]) == (1, 0)
    assert tile_of(viewer, viewer.layers["LayerCAM: Class 3"]) == (0, 1)
    heat = viewer.layers["Grad-CAM: Class 3"], viewer.layers[HEAT_MASK]
    assert {tile_of(viewer, layer) for layer in heat} == {(0, 0)}
    session.update_image(pixel_size=2e-6)
    assert {tile_of(viewer, layer) for layer in concepts} == {(1, 0)}
    # Another concept comes there, and one that is put away stays in the grid.
    masks.set_masks(concepts=frozenset((0, 4)))
    more = [viewer.layers["concept 5"], *concepts]
    assert {tile_of(viewer, layer) for layer in more} == {(1, 0)}
    # What is looked at lies over the image itself.
    session.explanation.alone = CONCEPTS
    assert {tile_of(viewer, layer) for layer in more} == {(0, 0)}
    assert {tile_of(viewer, layer) for layer in heat} == {(0, 1)}
    # One heat map less: its tile goes, and all follow.
    session.explanation.alone = ""
    show_heat(session, make.heatmap())
    assert {tile_of(viewer, layer) for layer in more} == {(0, 1)}
    assert "image, copy 2" not in viewer.layers
    show_concepts(session, None)
    assert not any("copy" in layer.name for layer in viewer.layers)
    show_concepts(session, make.concept_maps())
    assert tile_of(viewer, more[0]) == (0, 1)
    shown.set_look(Look())
    assert {tile_of(viewer, layer) for layer in (*more, *heat)} == {(0, 0)}
    assert not any("copy" in layer.name for layer in viewer.layers)


def is_empty(layer):
    return not layer.visible or not np.nan_to_num(layer.data).any()


def test_heat_map_and_concepts_one_without_the_other(viewer, session, shown, masks):
    show_heat(session, make.heatmap())
    show_concepts(session, make.concept_maps())
    heat = viewer.layers["Grad-CAM: Class 3"], viewer.layers[HEAT_MASK]
    concepts = viewer.layers["concept 1"], viewer.layers[CONCEPT_MASKS]
    for alone, empty, full in (
        (CONCEPTS, heat, concepts),
        (HEAT_MAP, concepts, heat),
        ("", (), heat + concepts),
    ):
        session.explanation.alone = alone
        assert all(map(is_empty, empty))
        assert not any(map(is_empty, full))
        # Sliders bring nothing back that is put away.
        masks.set_masks(tau=0.3, concept_tau=0.3)
        assert all(map(is_empty, empty))
        masks.set_masks(tau=0.5, concept_tau=0.5)
    session.explanation.alone = CONCEPTS
    show_concepts(session, None)
    assert not any(map(is_empty, heat))


def test_layers_follow_the_pixel_size(viewer, session, shown):
    show_heat(session, make.heatmap())
    session.update_image(pixel_size=4e-9)
    layer = viewer.layers["Grad-CAM: Class 3"]
    np.testing.assert_array_equal(layer.scale, viewer.layers["a"].scale)
    assert layer.units == viewer.layers["a"].units


def test_a_layer_removed_by_hand_comes_back_with_the_next_map(viewer, session, shown):
    show_heat(session, make.heatmap())
    viewer.layers.remove("Grad-CAM: Class 3")
    show_heat(session, make.heatmap())
    assert viewer.layers["Grad-CAM: Class 3"].visible


def test_a_crop_is_looked_at_where_it_lies(viewer, session, shown):
    other = make_image("b")
    session.explanation.focus = Focus(other, (10, 30, 20, 50))
    before = viewer.scene.camera.center
    open_image(session, other)
    assert viewer.scene.camera.center != before
    assert viewer.scene.camera.center[-2:] == pytest.approx((14.5, 39.5))
    assert session.explanation.focus is None


def test_a_crop_is_found_in_an_image_that_was_read_again(session, shown, tmp_path):
    image = make_image("b")
    file = tmp_path / "b.tif"
    known, again = (replace(image, path=file, page=2) for _ in range(2))
    open_image(session, replace(image, path=file))
    session.explanation.focus = Focus(known, (10, 30, 20, 50))
    # Another page of the file is another image.
    assert session.explanation.focus is not None
    open_image(session, again)
    assert session.explanation.focus is None


def explained(heatmaps=2, concepts=True, alone=""):
    found = tuple(make.heatmap(number) for number in range(heatmaps))
    active = found[-1] if found else None
    return Explanation(
        heatmaps=Heatmaps(active, found),
        concepts=make.concept_maps() if concepts else None,
        alone=alone,
    )


def laid(explanation, **settings):
    return arrange(make_sources(), explanation, **settings)


def tiles(arranged):
    return [(shown.key.target, tile) for shown, tile in arranged.maps.get(HEAT_MAP, ())]


def concepts(arranged):
    return arranged.tiles.get(CONCEPTS)


def test_over_each_other_the_active_map_and_the_concepts_are_on_show():
    arranged = laid(explained(), side_by_side=False)
    assert (tiles(arranged), concepts(arranged)) == ([(1, (0, 0))], (0, 0))
    assert arranged.copies == ()
    assert laid(explained(0, concepts=False), side_by_side=False).tiles == {}


def test_one_without_the_other():
    arranged = laid(explained(alone=HEAT_MAP), side_by_side=False)
    assert (tiles(arranged), concepts(arranged)) == ([(1, (0, 0))], None)
    arranged = laid(explained(alone=CONCEPTS), side_by_side=False)
    assert (tiles(arranged), concepts(arranged)) == ([], (0, 0))
    # What is not there hides nothing.
    arranged = laid(explained(concepts=False, alone=CONCEPTS), side_by_side=False)
    assert tiles(arranged) == [(1, (0, 0))]
    assert concepts(laid(explained(0, alone=HEAT_MAP), side_by_side=False)) == (0, 0)


def test_side_by_side_each_has_a_tile_and_the_first_is_looked_at():
    arranged = laid(explained(), side_by_side=True)
    assert (tiles(arranged), concepts(arranged)) == ([(1, (0, 0)), (0, (0, 1))], (1, 0))
    assert arranged.copies == ((0, 1), (1, 0))
    arranged = laid(explained(alone=CONCEPTS), side_by_side=True)
    assert (tiles(arranged), concepts(arranged)) == ([(1, (0, 1)), (0, (1, 0))], (0, 0))
    arranged = laid(explained(0), side_by_side=True)
    assert (concepts(arranged), arranged.copies) == ((0, 0), ())
    arranged = laid(explained(concepts=False), side_by_side=True)
    assert (concepts(arranged), arranged.copies) == (None, ((0, 1),))
