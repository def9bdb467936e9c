import numpy as np

from napari_semxai.backends.classifier.described import features_steps
from napari_semxai.store.project.features import known_features
from napari_semxai.store.project.ranked import without_features
from napari_semxai.types.learned import FeaturesRequest
from tests.learned import reviewed_project


def test_features_are_kept_when_stopped_and_made_for_the_rest_only(tmp_path):
    with reviewed_project(tmp_path, count=1) as project:
        steps = features_steps(FeaturesRequest(project.folder))
        assert [next(steps).done for _ in range(2)] == [0, 1]
        steps.close()
        assert without_features(project) == 2
        (tmp_path / "images" / "i02.png").unlink()
        steps = list(features_steps(FeaturesRequest(project.folder)))
        assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3)]
        # One cannot be read.
        images, features = known_features(project)
        assert [image.id for image in images] == ["i00", "i01"]
        assert features.shape == (2, 2016)
        assert np.isfinite(features).all()
