"""Images that a classifier sees as alike, and the file of their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from napari_semxai.backends.classifier import nearest
from napari_semxai.backends.runtime.stepwise import finish
from napari_semxai.store.project.learned import known_features
from napari_semxai.store.project.ranked import without_features
from napari_semxai.types import InputError, ReviewedFile
from napari_semxai.types.learned import FeaturesRequest
from tests.learned import reviewed_project
from tests.networks import random_image, small_classifier

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ReviewedFile]:
    monkeypatch.setattr(nearest, "features_folder", lambda: tmp_path / "cache")
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        # Each is darker than the one before.
        Image.fromarray(random_image(number) // (number + 1)).save(path)
        found.append(ReviewedFile(path, name=path.stem, label="pit", state="accepted"))
    return found


def test_features_are_what_the_last_layer_reads() -> None:
    classifier, image = small_classifier(), random_image()
    found = classifier.features(image)
    assert np.linalg.norm(found) == pytest.approx(1)
    head = classifier.network.fc
    logits = found @ head.weight.detach().numpy().T
    bias = head.bias.detach().numpy()
    expected = np.log(classifier.predict(image))
    # Up to the length and the constant of the softmax.
    scaled = logits - logits.mean()
    rest = expected - bias - (expected - bias).mean()
    assert np.corrcoef(scaled, rest)[0, 1] == pytest.approx(1, abs=1e-4)
    assert not head._forward_pre_hooks


def test_the_files_most_alike_come_first(files: list[ReviewedFile]) -> None:
    classifier = small_classifier()
    steps = nearest.nearest_steps(random_image(2) // 3, classifier, files, 3)
    first = next(steps)
    assert (first.stage, first.done, first.total) == ("features", 0, 4)
    found = finish(steps)
    assert found.files[0] is files[2]
    assert found.similarities[0] == pytest.approx(1, abs=1e-4)
    assert (np.diff(found.similarities) <= 0).all()
    assert found.crops.shape == (3, nearest.SIDE, nearest.SIDE)
    assert found.crops[0].mean() == pytest.approx((random_image(2) // 3).mean(), abs=2)


def test_files_are_looked_at_once(files: list[ReviewedFile]) -> None:
    finish(nearest.nearest_steps(random_image(), small_classifier(), files[:3], 2))
    again = list(nearest.nearest_steps(random_image(), small_classifier(), files, 2))
    assert [(update.done, update.total) for update in again] == [(0, 1)]
    # A file that was written anew is another one, and so is another network.
    Image.fromarray(random_image(9, (70, 64))).save(files[0].path)
    assert len(list(nearest.nearest_steps(random_image(), small_classifier(), files, 2))) == 1


def test_what_cannot_be_read_is_left_out(files: list[ReviewedFile], tmp_path: Path) -> None:
    files[0].path.write_bytes(b"no image")
    gone = ReviewedFile(tmp_path / "gone.png")
    found = finish(nearest.nearest_steps(random_image(), small_classifier(), [gone, *files], 9))
    assert set(found.files) == set(files[1:])
    with pytest.raises(InputError, match="none of the images"):
        finish(nearest.nearest_steps(random_image(), small_classifier(), [gone], 1))


def test_a_damaged_cache_is_made_anew(files: list[ReviewedFile], tmp_path: Path) -> None:
    finish(nearest.nearest_steps(random_image(), small_classifier(), files, 1))
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"nothing")
    assert len(list(nearest.nearest_steps(random_image(), small_classifier(), files, 1))) == 4


def test_features_are_kept_when_stopped_and_made_for_the_rest_only(tmp_path: Path) -> None:
    with reviewed_project(tmp_path, count=1) as project:
        steps = nearest.project_feature_steps(FeaturesRequest(project.folder))
        assert [next(steps).done for _ in range(2)] == [0, 1]
        steps.close()
        assert without_features(project) == 2
        (tmp_path / "images" / "i02.png").unlink()
        steps = list(nearest.project_feature_steps(FeaturesRequest(project.folder)))
        assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3)]
        # One cannot be read.
        images, features = known_features(project)
        assert [image.id for image in images] == ["i00", "i01"]
        assert features.shape == (2, 1344)
        assert np.isfinite(features).all()


def test_images_are_alike_by_their_defects_wherever_these_lie() -> None:
    describer, rng = nearest.Describer(), np.random.default_rng(0)

    def described(row: int, column: int, level: int, radius: int) -> NDArray[np.float32]:
        image = rng.normal(110, 5, (240, 240))
        rows, columns = np.ogrid[:240, :240]
        image[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] += level
        return describer.described(np.clip(image, 0, 255).astype(np.uint8)).astype(np.float32)

    bright, elsewhere = described(60, 70, 90, 14), described(170, 160, 90, 14)
    dark = described(60, 70, -90, 14)
    assert np.linalg.norm(bright - elsewhere) < 0.7 * np.linalg.norm(bright - dark)
