from dataclasses import replace

from napari_semxai.controllers.explain.heatmap_source import heat_names
from tests import explanations as make


def names(*heatmaps, **settings):
    return list(heat_names(heatmaps, **settings).values())


def test_the_method_is_enough_where_there_is_no_other_of_it():
    assert names(make.heatmap(), make.heatmap(method="layercam")) == ["Grad-CAM", "LayerCAM"]
    inside = replace(make.heatmap(), inside_mask=True)
    assert names(inside) == ["Grad-CAM, inside the mask"]
    assert names(replace(inside, as_drawn=True)) == ["Grad-CAM, inside the mask, as drawn"]
    assert names(make.heatmap(), inside) == ["Grad-CAM", "Grad-CAM, inside the mask"]


def test_layers_and_classes_tell_maps_of_one_method_apart():
    first, other = make.heatmap(), replace(make.heatmap(), layers=("layer2", "layer3"))
    assert names(first, other) == ["Grad-CAM, layer4", "Grad-CAM, layer2 + layer3"]
    whole = replace(make.heatmap(), layers=())
    assert names(first, whole) == ["Grad-CAM, layer4", "Grad-CAM, all layers"]
    assert names(first, make.heatmap(4)) == ["Grad-CAM: Class 3", "Grad-CAM: Class 5"]
    assert names(first, with_class=True) == ["Grad-CAM: Class 3"]


def test_no_name_comes_twice():
    assert names(make.heatmap(), make.heatmap()) == ["Grad-CAM", "Grad-CAM (2)"]
