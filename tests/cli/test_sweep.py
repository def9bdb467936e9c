import csv
import json

import numpy as np
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.cli.pipeline import Pipeline
from napari_semxai.store.masks import write_mask
from napari_semxai.store.sweeps import read_sweep


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
    command += ["--alpha", "0:8:5", "--beta", "0:0.9:4"]
    assert main(command) == 3
    first = json.loads(capsys.readouterr().out)
    assert first["images"] == 2
    assert "2 images" in first["advice"]
    with (tmp_path / "out/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    best = max(float(row["mean_dice"]) for row in rows)
    assert first["mean_dice"] == best
    assert (tmp_path / "out/sweep.svg").is_file()
    kept = read_sweep(tmp_path / "out/sweep.npz")
    assert (kept.alpha, kept.beta) == (first["alpha"], first["beta"])
    assert sorted(asked) == ["0", "1"]
    assert main(command) == 3
    assert sorted(asked) == ["0", "1"]
    assert json.loads(capsys.readouterr().out) == first


def test_axes_are_checked(tmp_path, capsys):
    assert main(["sweep", str(tmp_path), "-o", str(tmp_path), "--alpha", "1:2"]) == 2
    assert "FIRST:LAST:NUMBER" in capsys.readouterr().err
