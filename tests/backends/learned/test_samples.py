from dataclasses import replace

import pytest

from napari_semxai.backends.learned.samples import folds_of, read_samples
from napari_semxai.types import InputError
from tests.learned import QUICK, reviewed_project


def test_few_reviews_are_refused(tmp_path):
    with reviewed_project(tmp_path, 3) as project, pytest.raises(InputError, match="too few"):
        read_samples(project, QUICK)


def test_wafers_stay_in_one_fold_and_every_fold_has_no_defect(tmp_path):
    with reviewed_project(tmp_path) as project:
        samples = read_samples(project, QUICK)
    folds = folds_of(samples, QUICK)
    assert sorted(number for fold in folds for number in fold) == list(range(12))
    assert all(any(samples[n].empty for n in fold) for fold in folds)
    wafers = [
        replace(one, chosen=replace(one.chosen, image=replace(one.chosen.image, wafer=str(n % 3))))
        for n, one in enumerate(samples)
    ]
    for fold in folds_of(wafers, QUICK):
        inside = {wafers[n].chosen.image.wafer for n in fold}
        outside = {wafers[n].chosen.image.wafer for n in set(range(12)) - set(fold)}
        assert not inside & outside
