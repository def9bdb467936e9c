import numpy as np
import pytest
import torch

training = pytest.importorskip("training.defects")

from napari_semxai.backends.sam2.dense import Head, bundled_head, pixels_of  # noqa: E402
from napari_semxai.store.weights.models import DEFECT_WEIGHTS  # noqa: E402


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


def test_patterned_scenes_are_those_that_are_compared_too():
    for number in (3, 4):
        scene, found = training.drawn(number, patterned=True)
        compared, differences = training.drawn(number, compared=True)
        assert training.draw_patterned(number)[0].pattern != "none"
        np.testing.assert_array_equal(scene.image, compared.image)
        assert not found
        assert differences


def test_scenes_beside_a_reference_come_once_for_each_way_to_compare(tmp_path):
    training.look(tmp_path, 3, 2, compared=True)
    scenes, views = training.Scenes(tmp_path), []
    for number in (3, 4):
        scene, found = training.draw_compared(number)
        views += [(scene, difference) for difference in found]
    assert len(scenes.views) == len(views) > 2
    for view, (scene, difference) in zip(scenes.views, views, strict=True):
        np.testing.assert_array_equal(view.gray, scene.image)
        np.testing.assert_array_equal(view.labels, scene.defect)
        pixels = scenes.pixels(view)
        expected = pixels_of(scene.image, *training.GREY, difference)
        assert pixels.shape == (1, 4, *scene.image.shape)
        torch.testing.assert_close(pixels, expected, atol=2e-3, rtol=0)
        # What the encoder sees of the image, then of how it differs.
        shapes = [level.shape[1:] for level in scenes.levels(view)]
        assert shapes == [*training.SHAPES] * 2
    # A head that knows no reference says the same until it has learned of one.
    head = training.begun(scenes, [DEFECT_WEIGHTS]).eval()
    alone, _ = bundled_head()
    levels = scenes.levels(scenes.views[0])
    pixels = scenes.pixels(scenes.views[0])
    with torch.inference_mode():
        torch.testing.assert_close(head(pixels, levels), alone(pixels[:, :2], levels[:3]))


def write(state, file):
    packed = {name: value.contiguous() for name, value in state.items()}
    training.save_file(packed | {"grey": torch.tensor(training.GREY)}, file)
    return file


def test_training_goes_on_from_other_weights_and_from_their_mean(folder, tmp_path):
    scenes = training.Scenes(folder)
    trained = training.train(scenes, 1e-4, [], 0)
    Head().load_state_dict(trained)
    assert all(torch.isfinite(value).all() for value in trained.values())
    file = write(trained, tmp_path / "head.safetensors")
    # No time left: what it began from.
    same = training.train(scenes, 0, [file], 0)
    assert all(torch.equal(same[name], trained[name]) for name in trained)
    other = training.train(scenes, 1e-4, [], 1)
    assert any(not torch.equal(other[name], trained[name]) for name in trained)
    files = [file, write(other, tmp_path / "other.safetensors")]
    mean = training.train(scenes, 0, files, 0)
    for name, value in mean.items():
        torch.testing.assert_close(value, (trained[name] + other[name]) / 2)
