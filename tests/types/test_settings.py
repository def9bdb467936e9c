import json

import pytest

from napari_semxai.types import (
    AlgorithmSettings,
    FilterSettings,
    GenerateSettings,
    InputError,
    MaskSettings,
)
from napari_semxai.types.settings import ALGORITHMS, usual_filters

EVERYTHING = MaskSettings(
    "sam2.1_hiera_tiny",
    "cpu",
    GenerateSettings(16, 0.4, 1),
    FilterSettings(0.7, 0.9, 2.0, 0.6),
    AlgorithmSettings(3.0, 0.1, 4, 5, "paper"),
)
# As a project of version 0.1 holds it.
STORED = {
    "model": {"name": "sam2.1_hiera_tiny", "sha256": "ab"},
    "points_per_side": 16,
    "pred_iou_floor": 0.4,
    "crop_n_layers": 1,
    "pred_iou_thresh": 0.7,
    "stability_score_thresh": 0.9,
    "stability_score_offset": 2.0,
    "box_nms_thresh": 0.6,
    "alpha": 3.0,
    "beta": 0.1,
    "connectivity": 4,
    "algorithm": "paper",
    "ignore_border": {"requested": 5, "top_right_bottom_left": [5, 5, 5, 5]},
}


def test_the_file_format_stays():
    values = EVERYTHING.to_json("ab", (5, 5, 5, 5))
    assert json.dumps(values) == json.dumps(STORED)
    assert MaskSettings().to_json("", (0, 3, 0, 0))["ignore_border"] == {
        "requested": "auto",
        "top_right_bottom_left": [0, 3, 0, 0],
    }


@pytest.mark.parametrize("settings", [EVERYTHING, MaskSettings()])
def test_what_was_written_is_read(settings):
    values = json.loads(json.dumps(settings.to_json("ab", (1, 2, 3, 4))))
    assert MaskSettings.from_json(values, settings.device) == settings


def test_old_recipes_lack_what_was_added_later():
    later = "algorithm", "crop_n_layers", "stability_score_offset", "pred_iou_floor"
    old = {name: value for name, value in STORED.items() if name not in later}
    settings = MaskSettings.from_json(old, "cpu")
    assert settings.algorithm.algorithm == "paper"
    assert settings.generate == GenerateSettings(16)
    assert settings.filters == FilterSettings(0.7, 0.9, box_nms_thresh=0.6)


def test_a_reference_is_written_where_one_is_wanted():
    wanted = MaskSettings(algorithm=AlgorithmSettings(reference="/lots/golden"))
    values = json.loads(json.dumps(wanted.to_json("ab", (0, 0, 0, 0))))
    assert values["reference"] == "/lots/golden"
    assert MaskSettings.from_json(values, "auto") == wanted
    assert wanted.to_arguments()["reference"] == "/lots/golden"
    assert MaskSettings().to_arguments()["reference"] == "none"
    assert "reference" not in MaskSettings().to_json("ab", (0, 0, 0, 0))


def test_the_paper_compares_with_nothing():
    assert not AlgorithmSettings().compares
    assert AlgorithmSettings(reference="auto").compares
    assert not AlgorithmSettings(algorithm="paper", reference="auto").compares


def test_settings_that_lack_something():
    with pytest.raises(InputError, match="settings lack 'alpha'"):
        MaskSettings.from_json({key: STORED[key] for key in STORED if key != "alpha"}, "cpu")


def test_strips_are_ignored_unless_a_width_was_chosen():
    assert AlgorithmSettings().border((1, 2, 3, 4)) == (1, 2, 3, 4)
    assert AlgorithmSettings(ignore_border=0).border((1, 2, 3, 4)) == (0, 0, 0, 0)
    assert AlgorithmSettings(ignore_border=7).border((1, 2, 3, 4)) == (7, 7, 7, 7)


def test_the_default_variant_stands_first():
    assert AlgorithmSettings().algorithm == ALGORITHMS[0] == "robust"


def test_every_network_has_thresholds_of_its_own():
    assert MaskSettings().filters == usual_filters("bundled")
    # SAM 2's own, also for a checkpoint by its path.
    for model in ("sam2.1_hiera_tiny", "folder/weights.pt"):
        assert usual_filters(model) == FilterSettings(0.8, 0.95, 1.0, 0.7)
    assert usual_filters("bundled").stability_score_thresh == 0
    told = usual_filters("bundled", pred_iou_thresh=None, box_nms_thresh=0.0)
    assert told == FilterSettings(0.5, 0.0, box_nms_thresh=0.0)
