import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.backends.learned import learn
from napari_semxai.cli import main
from napari_semxai.cli.batch import workers
from napari_semxai.cli.commands import learn as command
from napari_semxai.cli.works.masks import Pipeline, mask_record
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.learned import version_in_use
from napari_semxai.types import MaskRecipe, MaskSettings, ReviewChange, ReviewState
from tests.engine.local import LocalEngine
from tests.learned import QUICK, reviewed_project


class Engine(LocalEngine):
    """Learns in this process, which keeps its priority."""

    pid = None

    def lower_priority(self):
        """Leave it as it is."""


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return a project with one version that is in use, and what the command printed."""
    folder = tmp_path_factory.mktemp("learned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "features_folder", lambda: folder / "cache")
        patch.setattr(learn, "todays_mask", lambda _, image, _s: ~np.zeros(image.gray.shape, bool))
        patch.setattr(workers, "EngineClient", Engine)
        patch.setattr(command, "_USUAL", replace(QUICK, batch=4))
        with reviewed_project(folder) as project:
            arguments = ["--folds", "2", "--steps", "40", "-o", str(folder / "copy.safetensors")]
            assert main(["learn", str(project.folder), *arguments]) == 0
    return project


def test_the_version_is_in_use_and_listed(learned, capsys):
    version = version_in_use(learned.folder)
    assert version is not None
    assert version.name == "0001"
    assert main(["learn", str(learned.folder), "--use", "list"]) == 0
    assert f"* 0001 {version.created}, 12 masks: {version.verdict.reason}" in (
        capsys.readouterr().out
    )
    assert (learned.folder.parent / "copy.safetensors").read_bytes() == version.path.read_bytes()


def test_one_command_goes_back_and_forth(learned, capsys):
    assert main(["learn", str(learned.folder), "--use", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_use"] == ""
    assert version_in_use(learned.folder) is None
    assert main(["mask", "x.png", "-o", "o", "--algorithm", "learned", "--network",
                 str(learned.folder)]) == 2  # fmt: skip
    assert "no learned network is in use" in capsys.readouterr().err
    assert main(["learn", str(learned.folder), "--use", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_use"] == "0001"
    assert main(["learn", str(learned.folder), "--use", "7"]) == 2
    assert "no version '7'" in capsys.readouterr().err


def test_masks_by_the_learned_network_name_it(learned, tmp_path, capsys):
    version = version_in_use(learned.folder)
    images = learned.folder.parent / "images"
    for given in (learned.folder, version.path):
        output = tmp_path / given.name
        arguments = ["--algorithm", "learned", "--network", str(given), "-o", str(output)]
        assert main(["mask", str(images / "i13.png"), *arguments]) == 0
        record = json.loads((output / "i13.json").read_text("utf-8"))
        assert record["network"] == {"path": str(version.path), "sha256": version.sha256}
        assert record["model"]["sha256"] == version.sha256
        mask = np.asarray(Image.open(output / "i13_mask.png")) > 0
        assert mask.sum() == record["mask"]["area_px"] > 300
    assert "confidence" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algorithm", "learned"], "name the network"),
        (["--network", "x.safetensors"], "needs --algorithm learned"),
        (["--algorithm", "learned", "--network", "x.safetensors"], "no such file"),
    ],
)
def test_network_and_algorithm_belong_together(arguments, message, tmp_path, capsys):
    assert main(["mask", "x.png", "-o", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_learned_mask_is_replayed_by_its_version(learned, capsys):
    version = version_in_use(learned.folder)
    settings = MaskSettings(device="cpu")
    settings = replace(
        settings,
        algorithm=replace(settings.algorithm, algorithm="learned", network=str(version.path)),
    )
    pipeline = Pipeline(settings)
    result = pipeline.run(learned.read_image("i13"))
    record = mask_record(result, settings, "i13.png")
    # Moved with its project: the digest finds it.
    record["network"]["path"] = f"/elsewhere/{version.path.name}"
    recipe = MaskRecipe(
        "automatic", array_digest(result.truth.mask), learned.image("i13").sha256, record
    )
    change = ReviewChange(ReviewState.ACCEPTED, result.truth.mask, recipe)
    learned.write_review("i13", "berta", change)
    replay = ["project", "replay", str(learned.folder), "--annotator", "berta", "--json"]
    assert main(replay) == 0
    (answer,) = json.loads(capsys.readouterr().out)["replayed"]
    assert answer["network_steps"] == {"automatic mask": 0.0}
    record["network"]["sha256"] = "0" * 64
    learned.write_review("i13", "berta", replace(change, recipe=replace(recipe, settings=record)))
    assert main(replay) == 2
    assert "which is neither at" in capsys.readouterr().err
