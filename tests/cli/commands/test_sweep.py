import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.explanations.masks import threshold_mask
from napari_semxai.algorithms.masks.metrics import scores
from napari_semxai.cli import main
from napari_semxai.cli.commands.sweep import _left_out
from napari_semxai.cli.works.masks import Pipeline
from napari_semxai.store.datasets.dataset import read_sweep
from napari_semxai.store.images.masks import read_mask, write_mask


def test_a_set_is_swept_and_the_network_asked_once(tmp_path, quick, monkeypatch, capsys):
    for number in range(2):
        pixels = np.random.default_rng(number).integers(40, 200, (40, 56), dtype=np.uint8)
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", pixels > 150)
    (tmp_path / "images/broken.png").write_bytes(b"")
    write_mask(tmp_path / "masks/broken.png", np.ones((4, 4)))
    asked = []
    run = Pipeline.run
    monkeypatch.setattr(
        Pipeline, "run", lambda self, image: asked.append(image.name) or run(self, image)
    )
    command = ["sweep", str(tmp_path), "-o", str(tmp_path / "out"), *quick, "--json"]
    command += ["--alpha", "0:8:5", "--beta", "0:0.9:4", "--algorithm", "paper"]
    assert main(command) == 3
    first = json.loads(capsys.readouterr().out)
    assert first["images"] == 2
    assert "2 images" in first["advice"]
    with (tmp_path / "out/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    best = max(float(row["mean_dice"]) for row in rows)
    assert first["mean_dice"] == best
    tied = sum(float(row["mean_dice"]) == best for row in rows)
    assert f"{tied} of 20 points are as good" in first["advice"]
    settings = json.loads((tmp_path / "out/sweep.json").read_text())["settings"]
    assert settings["dataset"] == str(tmp_path)
    assert len(settings["alpha"]) == len(settings["beta"]) == 3
    assert (tmp_path / "out/sweep.svg").is_file()
    with (tmp_path / "out/images.csv").open() as file:
        images = list(csv.DictReader(file))
    for row, (alpha, beta) in zip(
        images, read_sweep(tmp_path / "out/sweep.npz").left_out_at, strict=True
    ):
        assert (float(row["alpha_left_out"]), float(row["beta_left_out"])) == (alpha, beta)
    kept = read_sweep(tmp_path / "out/sweep.npz")
    assert (kept.alpha, kept.beta) == (first["alpha"], first["beta"])
    assert sorted(asked) == ["0", "1"]
    assert main(command) == 3
    assert sorted(asked) == ["0", "1"]
    assert json.loads(capsys.readouterr().out) == first


def test_candidates_of_another_network_are_not_taken_for_its_own(tmp_path, quick, monkeypatch):
    """The name of the network stays the same, what it holds does not."""
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(40, 200, (40, 56), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images/0.png")
    write_mask(tmp_path / "masks/0.png", pixels > 150)
    command = ["sweep", str(tmp_path), "-o", str(tmp_path / "out"), *quick]
    asked = []
    run, load = Pipeline.run, Pipeline.load
    monkeypatch.setattr(
        Pipeline, "run", lambda self, image: asked.append(image.name) or run(self, image)
    )
    assert main(command) == 0
    assert main([*command, "--alpha", "0:2:2", "--connectivity", "4"]) == 0
    assert len(asked) == 1

    def other(self):
        return replace(load(self), sha256="another")

    monkeypatch.setattr(Pipeline, "load", other)
    assert main(command) == 0
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("alpha", "1:2", "FIRST:LAST:NUMBER"),
        ("alpha", "-5:5:3", "does not lie between 0 and inf"),
        ("beta", "0:1.5:3", "does not lie between 0 and 1"),
    ],
)
def test_axes_are_checked(tmp_path, capsys, option, text, message):
    assert main(["sweep", str(tmp_path), "-o", str(tmp_path), f"--{option}={text}"]) == 2
    assert message in capsys.readouterr().err


def test_the_threshold_for_a_left_out_image_is_the_middle_of_the_others_plateau():
    thresholds = np.array([0.0, 0.25, 0.5, 0.75])
    curves = np.array([[0.9, 0.9, 0.9, 0.1], [0.2, 0.6, 0.3, 0.3]])
    # The first image asks for 0.25 as the second's plateau is 0.25 alone, and the other way.
    assert _left_out(thresholds, curves) == pytest.approx((0.9 + 0.6) / 2)
    assert np.isnan(_left_out(thresholds, curves[:1]))


@pytest.fixture
def explained(tmp_path):
    """Three images with a map and a rendering of two concepts; the last has no map."""
    rng = np.random.default_rng(0)
    for folder in ("images", "deep"):
        (tmp_path / folder).mkdir()
    for number in range(3):
        truth = np.zeros((20, 30), bool)
        truth[4:12, 5 + number : 15 + number] = True
        Image.fromarray(np.full(truth.shape, 90, np.uint8)).save(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", truth)
        if number < 2:
            values = (truth * 0.6 + rng.random(truth.shape) * 0.4).astype(np.float32)
            np.save(tmp_path / f"deep/{number}.npy", values)
        rgb = np.where(truth[..., None], (240, 10, 70), (0, 0, 0)).astype(np.uint8)
        Image.fromarray(rgb).save(tmp_path / f"deep/{number}_rendering.png")
        record = {"explanation": {"colors": [[250, 0, 81], [39, 205, 255]]}}
        (tmp_path / f"deep/{number}.json").write_text(json.dumps(record))
    return tmp_path


def test_thresholds_of_explanations_are_swept(explained, capsys):
    command = ["sweep", str(explained), "-o", str(explained / "out")]
    assert main([*command, "--explanations", str(explained / "deep"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["thresholds"]
    assert list(found) == ["deep", "deep (Algorithm 3)"]
    tau, delta = found.values()
    assert (tau["parameter"], tau["images"]) == ("tau", 2)
    assert (delta["parameter"], delta["images"], delta["mean_dice"]) == ("delta", 3, 1.0)
    assert np.hypot(np.hypot(10, 10), 11) <= delta["threshold"] < 250
    assert delta["interval"] == [1.0, 1.0]
    assert delta["mean_dice_left_out"] == 1.0
    with (explained / "out/thresholds.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "deep"]
    for row in rows[::10]:
        dice = [
            scores(
                threshold_mask(np.load(explained / f"deep/{n}.npy"), float(row["threshold"])),
                read_mask(explained / f"masks/{n}.png"),
            ).dice
            for n in range(2)
        ]
        assert float(row["mean_dice"]) == pytest.approx(np.mean(dice))
        assert float(row["worst_dice"]) == pytest.approx(min(dice))
    assert tau["mean_dice"] == pytest.approx(max(float(row["mean_dice"]) for row in rows))
    assert (explained / "out/thresholds.svg").is_file()


def test_explanations_that_lie_deeper_are_not_passed_over_in_silence(explained, capsys):
    (explained / "deep").rename(explained / "images_of_it")
    (explained / "deep").mkdir()
    (explained / "images_of_it").rename(explained / "deep/images")
    command = ["sweep", str(explained), "-o", str(explained / "out"), "--explanations"]
    assert main([*command, str(explained / "deep")]) == 2
    error = capsys.readouterr().err
    assert f"{explained / 'deep'} has nothing of the images, such as 0.npy" in error
    found = ["--explanations", f"own={explained / 'deep/images'}"]
    assert main([*command, str(explained / "deep"), *found]) == 3
    swept = json.loads((explained / "out/thresholds.json").read_text())
    assert list(swept) == ["own", "own (Algorithm 3)"]


def test_explanations_without_thresholds_are_named(explained, capsys):
    command = ["sweep", str(explained), "-o", str(explained / "out")]
    assert main([*command, "--explanations", str(explained / "masks")]) == 2
    assert "neither maps" in capsys.readouterr().err
