"""Replay of network steps, with the bundled network."""

import json
from contextlib import closing
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.masks.click_edits import prompted_object, take_answer
from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.cli import main
from napari_semxai.cli.works.masks import Pipeline, mask_record
from napari_semxai.sample_data import sample_image
from napari_semxai.store.disk.digests import array_digest, file_sha256
from napari_semxai.store.project.create import create_project
from napari_semxai.types import MaskRecipe, MaskSettings, Prompts, ReviewChange, ReviewState

SETTINGS = {
    "model": {"name": "bundled", "sha256": ""},
    "alpha": 2.0,
    "beta": 0.05,
    "connectivity": 8,
    "ignore_border": {"requested": "auto"},
    "points_per_side": 4,
    "pred_iou_thresh": 0.3,
    "stability_score_thresh": 0.3,
    "box_nms_thresh": 0.7,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    (folder / "images").mkdir()
    pixels = np.asarray(sample_image()[0][0])
    Image.fromarray(pixels).save(folder / "images" / "a.png")
    with closing(create_project(folder / "project", folder / "images")) as project:
        yield project


def click(segmenter, image, mask, point):
    """What a click in the window does, and how it is stored."""
    from napari_semxai.backends.sam2.clicks import answer_prompts

    prompts = Prompts(points=(point,), foreground=(True,))
    known = np.zeros_like(mask)
    answer = answer_prompts(segmenter, image.gray, prompts)
    after = take_answer(mask, known, prompted_object(answer.mask, known, prompts))
    drawn = asdict(mask_patch(known, known, "object"))
    return mask_patch(mask, after, "SAM click", {**asdict(prompts), "object": drawn}), after


@pytest.mark.slow
def test_network_steps_come_out_the_same(project, capsys):
    image = project.read_image("a")
    pipeline = Pipeline(MaskSettings.from_json(SETTINGS, "cpu"))
    result = pipeline.run(image)
    base = result.truth.mask
    stroke = base.copy()
    stroke[5:9, 5:30] ^= True
    edits = [mask_patch(base, stroke, "stroke")]
    edit, mask = click(pipeline.segmenter(), image, stroke, (200.0, 200.0))
    settings = mask_record(result, pipeline.settings, "a.png")
    recipe = MaskRecipe(
        "automatic",
        array_digest(base),
        project.image("a").sha256,
        settings,
        (*edits, edit),
        settings["versions"],
    )
    project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, mask, recipe))
    assert main(["project", "replay", str(project.folder), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["replayed"]
    assert answer["edits"] == 2
    assert answer["network_steps"] == {"automatic mask": 0.0, "edit 2, SAM click": 0.0}

    wrong = replace(recipe, base_sha256=array_digest(~base))
    strange = {**settings, "model": {**settings["model"], "sha256": "0" * 64}}
    for name, bad in (("wrong", wrong), ("strange", replace(recipe, settings=strange))):
        project.write_review("a", name, ReviewChange(ReviewState.CORRECTED, mask, bad))
    arguments = ["--annotator", "wrong"], ["--annotator", "strange"]
    failed = {}
    for one in arguments:
        assert main(["project", "replay", str(project.folder), "--json", *one]) == 2
        failed |= json.loads(capsys.readouterr().out)["failed"]
    assert "do not lead to the mask" in failed["a (wrong)"]
    assert "made with other weights" in failed["a (strange)"]


def test_a_mask_of_a_partial_run_is_no_failure(project, capsys):
    image, base = project.read_image("a"), np.zeros(project.image("a").shape, bool)
    base[5:9, 5:30] = True
    applied = base.copy()
    applied[50:60, 50:60] = True
    settings = {**SETTINGS, "points_done": 4, "points_total": 1024, "winner": 0}
    edit = mask_patch(base, applied, "apply automatic mask", settings)
    digest = array_digest(image.pixels)
    recipe = MaskRecipe("automatic", array_digest(base), digest, settings, (edit,))
    project.write_review("a", "partial", ReviewChange(ReviewState.CORRECTED, applied, recipe))
    arguments = ["project", "replay", str(project.folder), "--annotator", "partial"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "1 edits repeated exactly; automatic mask of 4 of 1,024 points not repeated" in (
        said.out + said.err
    )
    assert main([*arguments, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["replayed"]
    assert list(answer["network_steps"].values()) == [None, None]


def test_a_mask_made_by_another_reference_is_refused(tmp_path, capsys):
    """Changed, or gone, so that the image would be compared with itself; back, it is repeated."""
    (tmp_path / "images").mkdir()
    pixels = np.asarray(sample_image()[0][0])[100:260, 100:260]
    Image.fromarray(pixels).save(tmp_path / "images" / "a.png")
    reference = tmp_path / "images" / "a_reference.png"
    Image.fromarray(pixels).save(reference)
    kept = reference.read_bytes()
    with closing(create_project(tmp_path / "project", tmp_path / "images")) as project:
        settings = {**SETTINGS, "algorithm": "robust", "reference": "auto"}
        pipeline = Pipeline(MaskSettings.from_json(settings, "cpu"))
        result = pipeline.run(project.read_image("a"))
        made = mask_record(result, pipeline.settings, "a.png")
        assert made["compared"]["reference"] == "a_reference.png"
        mask = result.truth.mask
        recipe = MaskRecipe("automatic", array_digest(mask), project.image("a").sha256, made)
        project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, mask, recipe))
    replay = ["project", "replay", str(tmp_path / "project"), "--json"]
    assert main(replay) == 0
    assert "automatic mask" in capsys.readouterr().out

    Image.fromarray(255 - pixels).save(reference)
    assert main(replay) == 2
    said = json.loads(capsys.readouterr().out)["failed"]["a (anna)"]
    digests = made["compared"]["sha256"][:12], file_sha256(reference)[:12]
    assert "another reference (sha256 {}…, here {}…)".format(*digests) in said
    reference.unlink()
    assert main(replay) == 2
    assert "here none" in json.loads(capsys.readouterr().out)["failed"]["a (anna)"]
    # Without the network nothing is compared, and edits are repeated.
    assert main([*replay, "--no-network"]) == 0
    capsys.readouterr()
    reference.write_bytes(kept)
    assert main(replay) == 0


def test_what_is_made_by_command_and_comes_into_a_project_is_verified_and_replayed(
    tmp_path, quick, capsys
):
    random = np.random.default_rng(1)
    scene = random.integers(90, 110, (48, 64), dtype=np.uint8)
    reference = tmp_path / "images/a_reference.png"
    reference.parent.mkdir()
    Image.fromarray(scene).save(reference)
    changed = scene.copy()
    changed[20:28, 30:40] = 200
    Image.fromarray(changed).save(tmp_path / "images/a.png")
    images, project = str(tmp_path / "images/a.png"), str(tmp_path / "project")
    masks_folder = str(tmp_path / "masks")
    assert main(["mask", images, "-o", masks_folder, *quick]) == 0
    assert (
        json.loads((tmp_path / "masks/a.json").read_text())["compared"]["reference"]
        == "a_reference.png"
    )
    assert main(["project", "init", project, "--from", str(tmp_path / "images")]) == 0
    assert main(["project", "import", project, masks_folder, "--annotator", "Anna"]) == 0
    assert main(["project", "verify", project]) == 0
    capsys.readouterr()
    assert main(["project", "replay", project, "--device", "cpu", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["replayed"]
    assert answer["network_steps"] == {"automatic mask": 0.0}
    report = tmp_path / "lot.html"
    assert main(["report", project, "-o", str(report)]) == 0
    assert "Automatic masks were made by" in report.read_text("utf-8")
    assert "a_reference.png (" in report.read_text("utf-8")
    Image.fromarray(np.roll(scene, 1)).save(reference)
    capsys.readouterr()
    assert main(["project", "verify", project]) == 2
    assert "is not the picture that the mask was made with" in capsys.readouterr().out
