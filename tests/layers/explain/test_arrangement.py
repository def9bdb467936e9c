from napari_semxai.controllers.explain.explain import make_sources
from napari_semxai.layers.explain.arrangement import arrange
from napari_semxai.state.explanation import CONCEPTS, HEAT_MAP, Explanation, Heatmaps
from tests import explanations as make


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
