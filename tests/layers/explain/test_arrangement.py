from napari_semxai.layers.explain.arrangement import Arrangement, arrange
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


def tiles(arranged):
    return [(heatmap.target, tile) for heatmap, tile in arranged.heatmaps]


def test_over_each_other_the_active_map_and_the_concepts_are_on_show():
    arranged = arrange(explained(), side_by_side=False)
    assert (tiles(arranged), arranged.concepts) == ([(1, (0, 0))], (0, 0))
    assert arranged.copies == ()
    assert arrange(explained(0, concepts=False), side_by_side=False) == Arrangement()


def test_one_without_the_other():
    arranged = arrange(explained(alone=HEAT_MAP), side_by_side=False)
    assert (tiles(arranged), arranged.concepts) == ([(1, (0, 0))], None)
    arranged = arrange(explained(alone=CONCEPTS), side_by_side=False)
    assert (tiles(arranged), arranged.concepts) == ([], (0, 0))
    # What is not there hides nothing.
    arranged = arrange(explained(concepts=False, alone=CONCEPTS), side_by_side=False)
    assert tiles(arranged) == [(1, (0, 0))]
    assert arrange(explained(0, alone=HEAT_MAP), side_by_side=False).concepts == (0, 0)


def test_side_by_side_each_has_a_tile_and_the_first_is_looked_at():
    arranged = arrange(explained(), side_by_side=True)
    assert (tiles(arranged), arranged.concepts) == ([(1, (0, 0)), (0, (0, 1))], (1, 0))
    assert arranged.copies == ((0, 1), (1, 0))
    arranged = arrange(explained(alone=CONCEPTS), side_by_side=True)
    assert (tiles(arranged), arranged.concepts) == ([(1, (0, 1)), (0, (1, 0))], (0, 0))
    arranged = arrange(explained(0), side_by_side=True)
    assert (arranged.concepts, arranged.copies) == ((0, 0), ())
    arranged = arrange(explained(concepts=False), side_by_side=True)
    assert (arranged.concepts, arranged.copies) == (None, ((0, 1),))
