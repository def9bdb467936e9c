"""How a mask was made, read from what lies beside it."""

import json

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1.automatic import automatic_mask
from napari_semxai.cli.works.masks import MaskResult, mask_record
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import auto_border
from napari_semxai.store.project.imports import ImportChoices, import_masks
from napari_semxai.store.project.masks import recipe_beside
from napari_semxai.types import (
    CandidatePool,
    InputError,
    LeftOut,
    MaskSettings,
    ModelInfo,
    ReviewState,
)
from tests.store.project.projects import MIXED, mixed_project


@pytest.fixture
def project(tmp_path):
    with mixed_project(tmp_path) as project:
        yield project


@pytest.fixture
def folder(project, tmp_path):
    """What the command writes of one image, with a mask that nothing else makes."""
    image = project.read_image("a")
    settings, strips = MaskSettings(), auto_border(image)
    pool = CandidatePool.empty(image.gray.shape)
    truth = automatic_mask(pool, image, settings.algorithm, LeftOut(strips, None))
    truth.mask[2:5, 3:7] = True
    info = ModelInfo("bundled", "ab" * 32, "cpu")
    result = MaskResult(image, pool, truth, LeftOut(strips, None), info, {})
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks/a_mask.png", truth.mask)
    record = mask_record(result, settings, "a.png")
    (tmp_path / "masks/a.json").write_text(json.dumps(record))
    return tmp_path / "masks"


def changed(folder, change):
    """Change the record as a person or a defect might."""
    values = json.loads((folder / "a.json").read_text())
    change(values)
    (folder / "a.json").write_text(json.dumps(values))


def test_a_mask_brings_its_settings_along(project, folder):
    changed(
        folder, lambda values: values.update(compared={"reference": "r.png", "correlation": 1})
    )
    failed = {}
    assert import_masks(project, folder, "bert", failed=failed).brought == 1
    assert failed == {}
    record = project.record("a", "bert")
    recipe, settings = record.recipe, record.recipe.settings
    assert (recipe.base, recipe.base_sha256) == ("automatic", record.mask_sha256)
    assert recipe.image_sha256 == project.image("a").sha256
    assert settings["model"] == {"name": "bundled", "sha256": "ab" * 32}
    assert settings["compared"]["reference"] == "r.png"
    assert settings["overridden"] is False
    assert "python" not in recipe.versions
    assert MaskSettings.from_json(settings, "auto") == MaskSettings()
    # The same again is nothing.
    import_masks(project, folder, "bert")
    assert len(project.record("a", "bert").history) == 1


def test_an_earlier_import_gets_them_when_it_is_replaced(project, folder):
    (folder / "a.json").rename(folder / "away")
    import_masks(project, folder, "bert")
    assert project.record("a", "bert").recipe.base == "mask"
    (folder / "away").rename(folder / "a.json")
    import_masks(project, folder, "bert", ImportChoices(replace=True))
    assert project.record("a", "bert").recipe.base == "automatic"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda values: values["image"].update(sha256="ff"), "is of other pixels than"),
        (lambda values: values.pop("alpha"), r"is damaged \('alpha'\)"),
        (lambda values: values.update(beta="much"), "is damaged"),
        (lambda values: values.update(model=None), "is damaged"),
    ],
)
def test_a_bad_record_is_named_and_the_mask_comes_in(project, folder, change, why):
    changed(folder, change)
    failed = {}
    assert import_masks(project, folder, "bert", failed=failed).brought == 1
    assert list(failed) == ["a, settings"]
    with pytest.raises(InputError, match=rf"a\.json: {why}"):
        raise InputError(failed["a, settings"])
    assert project.record("a", "bert").recipe.base == "mask"
    # What does not come in for another reason is named for that alone.
    failed = {}
    with pytest.raises(InputError, match="has a review of bert"):
        import_masks(project, folder, "bert", ImportChoices(ReviewState.UNSURE), failed)
    assert list(failed) == ["a"]


def test_files_of_other_programs_and_changed_masks_say_nothing(project, folder):
    path, image = folder / "a_mask.png", project.image("a")
    mask = np.zeros(MIXED, dtype=bool)
    mask[2:5, 3:7] = True
    assert recipe_beside(path, mask, image).base_sha256 == array_digest(mask)
    assert recipe_beside(path, np.roll(mask, 1), image) is None
    assert recipe_beside(folder / "a.png", mask, image) is None
    # Records once had no digest of the mask.
    changed(folder, lambda values: values["mask"].pop("sha256"))
    assert recipe_beside(path, mask, image) is not None
    changed(folder, lambda values: values.update(command="explain"))
    assert recipe_beside(path, mask, image) is None
    (folder / "a.json").write_text("[]")
    assert recipe_beside(path, mask, image) is None
    (folder / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json: is damaged"):
        recipe_beside(path, mask, image)
