"""Explanations of files and folders with the bundled classifier."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.cam.evaluation import sanity
from napari_semxai.backends.classifier import nearest
from napari_semxai.backends.concepts import bank as concept_bank
from napari_semxai.cli import main
from napari_semxai.cli.common.options import add_explain_options
from napari_semxai.cli.common.output import Output
from napari_semxai.cli.common.sources import find_sources
from napari_semxai.cli.works.explain_setup import works_of_classes
from napari_semxai.cli.works.explainers import Explainer
from napari_semxai.store.images.masks import read_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.store.weights.models import BUNDLED_CLASSIFIER
from napari_semxai.types import ReviewChange, ReviewState

if TYPE_CHECKING:
    from pathlib import Path


def save(path: Path, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = scene_of_class(1, seed, (96, 128)).image
    Image.fromarray(image).save(path)
    return image


def test_gradcam_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = save(tmp_path / "lot/a.png")
    save(tmp_path / "lot/sub/b.png", 1)
    command = ["explain", str(tmp_path / "lot"), "-o", str(tmp_path / "out"), "--target", "pit"]
    assert main([*command, "--tau", "0.7", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [entry["image"] for entry in answer["explanations"]] == ["a.png", "sub/b.png"]
    heatmap = sx.gradcam(image, sx.load_classifier(), target=1)
    values = np.load(tmp_path / "out/a.npy")
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, heatmap.values, atol=1e-6)
    mask = read_mask(tmp_path / "out/a_mask.png", (96, 128))
    np.testing.assert_array_equal(mask, values > 0.7 * values.max())
    with Image.open(tmp_path / "out/sub/b_overlay.png") as overlay:
        assert (overlay.size, overlay.mode) == ((128, 96), "RGB")
    record = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert record["target"] == "pit"
    assert record["method"] == "gradcam"
    assert record["classifier"]["trained_on_synthetic_images_only"]
    assert record["explanation"]["raw_maximum"] == pytest.approx(heatmap.raw_maximum, rel=1e-4)
    assert record["mask"] == {"tau": 0.7, "area_px": int(mask.sum())}
    assert record["explanation"]["moved_by"] == {
        "features.head": list(heatmap.registrations[0].shift)
    }
    assert record["explanation"]["registration"][0].endswith("where the library draws it: moved")
    # The rendering, which Algorithm 2 reads, stays as the library draws it.
    with Image.open(tmp_path / "out/a_rendering.png") as rendering:
        np.testing.assert_array_equal(np.asarray(rendering), heatmap.rgb())
    assert main([*command, "--tau", "0.7", "--as-drawn"]) == 0
    drawn = sx.gradcam(image, sx.load_classifier(), target=1, as_drawn=True).values
    np.testing.assert_allclose(np.load(tmp_path / "out/a.npy"), drawn, atol=1e-6)
    assert not np.allclose(drawn, values, atol=0.05)
    record_drawn = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert record_drawn["explanation"]["moved_by"] == {}
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        save(tmp_path / "lot/b.png", 2).tobytes(): "b2",
        save(tmp_path / "lot/a.png").tobytes(): "a",
        save(tmp_path / "lot/b.png", 1).tobytes(): "b",
    }
    command = ["explain", str(tmp_path / "lot"), "-o", str(tmp_path / "out"), "--method", "fem"]
    assert main(command) == 0
    asked = []
    answer = Explainer.answer
    monkeypatch.setattr(
        Explainer,
        "answer",
        lambda own, gray, *rest: asked.append(names[gray.tobytes()]) or answer(own, gray, *rest),
    )
    assert main(command) == 0
    assert asked == []
    (tmp_path / "out/a_rendering.png").unlink()
    save(tmp_path / "lot/b.png", 2)
    assert main(command) == 0
    assert asked == ["a", "b2"]
    assert main([*command, "--tau", "0.6"]) == 0
    assert asked == ["a", "b2"] * 2


def test_the_predicted_class_and_several_layers(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    layers = ["--layer", "features.expand4", "--layer", "features.head"]
    command = ["explain", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), *layers]
    assert main([*command, "--method", "layercam"]) == 0
    record = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert record["target"] == record["predicted"]
    assert record["strange"] or record["predicted"] in record["answer"]
    assert record["layers"] == ["features.expand4", "features.head"]


def test_what_fails_is_named_and_the_rest_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "lot/a.png")
    (tmp_path / "lot/b.png").write_bytes(b"no picture")
    assert main(["explain", str(tmp_path / "lot"), "-o", str(tmp_path / "out")]) == 3
    assert "b.png" in capsys.readouterr().err
    assert (tmp_path / "out/a.npy").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "dragon"], "class dragon: choose one of particle"),
        (["--target", "6"], "class 6"),
        (["--layer", "nope"], "layer nope"),
        (["--classifier", "/nowhere/a.safetensors"], "/nowhere/a.safetensors"),
        (["--method", "craft", "--bank", "/nowhere/a.safetensors"], "no bank of concepts"),
        (["--method", "craft", "--layer", "a", "--layer", "b"], "give --layer once"),
        (["--method", "algorithm2"], "a rendered explanation is"),
        (["--method", "algorithm3", "--crop", "5,5,5,9"], "5,5,5,9 holds no pixel"),
        (["--method", "algorithm3", "--color", "1,2"], "1,2 is not R,G,B"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    save(tmp_path / "a.png")
    assert main(["explain", str(tmp_path / "a.png"), "-o", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_evaluations_say_what_the_classifier_knows(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_explain_options(parser)
    options = parser.parse_args([])
    options.method, options.tau, options.output = "gradcam", 0.5, None
    works_of_classes(options, [], Output())
    assert "trained on synthetic images only" in capsys.readouterr().out


def test_results_are_not_taken_for_images(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    assert main(["explain", str(tmp_path / "a.png"), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "a_overlay.png").is_file()
    assert [source.name for source in find_sources([tmp_path], {})] == ["a.png"]


def test_scores_where_there_are_true_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = scene_of_class(1, 4, (96, 128))
    for folder, pixels in (("images", scene.image), ("masks", scene.defect)):
        (tmp_path / "lot" / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "lot" / folder / "a.png")
    command = ["explain", str(tmp_path / "lot"), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    record = json.loads((tmp_path / "out/images/a.json").read_text("utf-8"))
    values = np.load(tmp_path / "out/images/a.npy")
    found = sx.scores(values > 0.5 * values.max(), scene.defect)
    assert record["scores"]["dice"] == pytest.approx(found.dice)
    assert record["scores"]["accuracy"] == pytest.approx(found.accuracy)
    inside = values[scene.defect].sum() / values.sum()
    assert record["scores"]["relevance_mass"] == pytest.approx(float(inside), rel=1e-4)
    assert f"Dice {found.dice:.3f}" in capsys.readouterr().out
    # Another truth is another result.
    Image.fromarray(~scene.defect).save(tmp_path / "lot/masks/a.png")
    assert main(command) == 2
    assert "black may be the defect" in capsys.readouterr().err
    assert main([*command, "--foreground", "nonzero"]) == 0
    record = json.loads((tmp_path / "out/images/a.json").read_text("utf-8"))
    assert record["scores"]["dice"] == pytest.approx(
        sx.scores(values > 0.5 * values.max(), ~scene.defect).dice
    )


def test_own_masks_are_no_truth(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    command = ["explain", str(tmp_path), "-o", str(tmp_path)]
    assert main(command) == 0
    assert main([*command, "--tau", "0.6"]) == 0
    assert "scores" not in json.loads((tmp_path / "a.json").read_text("utf-8"))


def test_an_edited_description_is_another_classifier(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    weights, beside = tmp_path / "own.safetensors", tmp_path / "own.json"
    shutil.copy(BUNDLED_CLASSIFIER, weights)
    description = json.loads(BUNDLED_CLASSIFIER.with_suffix(".json").read_text("utf-8"))
    del description["familiarity"]
    command = ["explain", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    answers = []
    for size in ([320, 320], [160, 160]):
        beside.write_text(json.dumps(description | {"input_size": size}), "utf-8")
        assert main([*command, "--classifier", str(weights)]) == 0
        answers.append(json.loads((tmp_path / "out/a.json").read_text("utf-8")))
    assert answers[0]["classifier"] == answers[1]["classifier"]
    assert answers[0]["probabilities"] != answers[1]["probabilities"]


def test_sanity_of_a_map(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png")
    command = ["explain", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--sanity"]
    assert main([*command, "--target", "pit"]) == 0
    record = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    expected = sanity(
        image,
        lambda gray, network, target: sx.gradcam(gray, network, target=target).values,
        sx.load_classifier(),
        1,
    )
    assert record["sanity"] == pytest.approx(asdict(expected), abs=1e-4)


def test_the_nearest_images_with_class_and_review(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "features_folder", lambda: tmp_path / "cache")
    for seed, name in enumerate(("pit/a.png", "pit/b.png", "scratch/c.png")):
        save(tmp_path / "known" / name, seed)
    shutil.copy(tmp_path / "known/pit/b.png", tmp_path / "new.png")
    command = ["explain", str(tmp_path / "new.png"), "-o", str(tmp_path / "out"), "--nearest"]
    assert main([*command, str(tmp_path / "known")]) == 0
    record = json.loads((tmp_path / "out/new.json").read_text("utf-8"))
    first, *others = record["nearest"]
    assert (first["image"], first["class"], first["review"]) == ("pit/b", "pit", "")
    assert first["similarity"] == pytest.approx(1, abs=1e-4)
    assert {one["image"] for one in others} == {"pit/a", "scratch/c"}
    # An image is not compared with itself; its review is that of the newest record.
    project = create_project(tmp_path / "p", tmp_path / "known")
    image = project.images[1]
    project.write_review(
        image.id, "ana", ReviewChange(state=ReviewState.REJECTED, label="scratch")
    )
    project.close()
    again = ["explain", str(image.path), "-o", str(tmp_path / "again"), "--nearest"]
    assert main([*again, str(tmp_path / "p")]) == 0
    record = json.loads((tmp_path / f"again/{image.path.stem}.json").read_text("utf-8"))
    assert image.stem not in {one["image"] for one in record["nearest"]}
    assert len(record["nearest"]) == 2
    assert main([*command, str(tmp_path / "p")]) == 0
    record = json.loads((tmp_path / "out/new.json").read_text("utf-8"))
    reviewed = next(one for one in record["nearest"] if one["review"])
    assert (reviewed["class"], reviewed["review"]) == ("scratch", "rejected")


def test_pictures_of_heat_maps_made_elsewhere(tmp_path: Path) -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:30, 20:50] = (0, 0, 255)
    picture[12:20, 22:40] = (200, 0, 0)
    picture[50:] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    command = ["explain", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    command += ["--method", "algorithm2", "--tau", "0.9", "--crop", "10,20,30,50"]
    assert main(command) == 0
    mask = read_mask(tmp_path / "out/a_mask.png", (20, 30))
    expected = np.zeros((20, 30), bool)
    expected[2:10, 2:20] = True
    np.testing.assert_array_equal(mask, expected)
    record = json.loads((tmp_path / "out/a.json").read_text("utf-8"))
    assert record["mask"] == {"tau": 0.9, "area_px": 144}
    assert record["crop"] == [10, 20, 30, 50]


def test_pictures_of_concepts_made_elsewhere(tmp_path: Path) -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[2:6, 3:9] = (250, 10, 10)
    picture[10:12, 3:9] = (10, 250, 10)
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").mkdir()
    Image.fromarray(picture).save(tmp_path / "images/a.png")
    Image.fromarray(picture.any(axis=2)).save(tmp_path / "masks/a.png")
    command = ["explain", str(tmp_path), "-o", str(tmp_path / "out"), "--method", "algorithm3"]
    command += ["--color", "255,0,0", "--color", "0,255,0", "--delta", "30"]
    assert main(command) == 0
    masks = [
        read_mask(tmp_path / "out/images" / f"a{name}_mask.png", (20, 30))
        for name in ("", "_concept1", "_concept2")
    ]
    assert [int(mask.sum()) for mask in masks] == [36, 24, 12]
    record = json.loads((tmp_path / "out/images/a.json").read_text("utf-8"))
    assert record["scores"]["dice"] == 1


@pytest.mark.slow
def test_craft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concept_bank, "concepts_folder", lambda: tmp_path / "cache")
    for seed in range(3):
        save(tmp_path / f"lot/{seed}.png", seed)
    command = ["explain", str(tmp_path / "lot"), "-o", str(tmp_path / "out"), "--method", "craft"]
    command += ["--concepts", "4", "--layer", "features.head", "--refinement", "guided"]
    assert main(command) == 0
    assert np.load(tmp_path / "out/1_concepts.npy").shape == (4, 96, 128)
    assert np.load(tmp_path / "out/1.npy").max() == 1
    record = json.loads((tmp_path / "out/1.json").read_text("utf-8"))
    assert len(record["explanation"]["importances"]) == 4
    assert 0 < record["explanation"]["r2"] <= 1
    assert record["explanation"]["pieces"] == "cells"
    # The same concepts again, in an image that they were not found in.
    save(tmp_path / "new.png", 9)
    [bank] = (tmp_path / "out").glob("concepts_*.safetensors")
    command = ["explain", str(tmp_path / "new.png"), "-o", str(tmp_path / "next")]
    command += ["--method", "craft", "--bank", str(bank)]
    assert main(command) == 0
    again = json.loads((tmp_path / "next/new.json").read_text("utf-8"))
    assert again["explanation"]["bank"] == record["explanation"]["bank"]
    other = "scratch" if record["target"] != "scratch" else "pit"
    assert main([*command, "--target", other]) == 2
