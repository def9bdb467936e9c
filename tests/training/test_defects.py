import numpy as np
import pytest
import torch

training = pytest.importorskip("training.defects")

from napari_semxai.backends.sam2.dense import Head  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    training.look(folder, 5, 2)
    return folder


def test_scenes_are_those_of_the_stream_with_what_the_encoder_sees(folder):
    scenes = training.Scenes(folder)
    assert len(scenes.views) == 2
    for number, view in enumerate(scenes.views, 5):
        scene = training.draw_scene(number)
        np.testing.assert_array_equal(view.gray, scene.image)
        np.testing.assert_array_equal(view.labels, scene.defect)
        assert [level.shape[1:] for level in scenes.levels(view)] == [*training.SHAPES]


def test_training_goes_on_from_other_weights(folder, tmp_path):
    scenes = training.Scenes(folder)
    trained = training.train(scenes, 1e-4, None)
    Head().load_state_dict(trained)
    assert all(torch.isfinite(value).all() for value in trained.values())
    file = tmp_path / "head.safetensors"
    training.save_file(
        {name: value.contiguous() for name, value in trained.items()}
        | {"grey": torch.tensor(training.GREY)},
        file,
    )
    # No time left: what it began from.
    same = training.train(scenes, 0, file)
    assert all(torch.equal(same[name], trained[name]) for name in trained)
