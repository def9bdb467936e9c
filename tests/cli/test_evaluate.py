import csv
import json

import numpy as np
import pytest
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.store.masks import write_mask


@pytest.fixture
def dataset(tmp_path):
    """Ten images with a bright square; maps that fall off from it; masks one pixel off."""
    rng = np.random.default_rng(0)
    for number in range(10):
        truth = np.zeros((24, 32), bool)
        row, column = rng.integers(2, 12, 2)
        truth[row : row + 8, column : column + 8] = number != 9
        gray = np.where(truth, 200, 60).astype(np.uint8) + rng.integers(0, 9, truth.shape)
        for folder in ("images", "maps/deep"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray.astype(np.uint8)).save(tmp_path / f"images/{number}.png")
        write_mask(tmp_path / f"masks/{number}.png", truth)
        write_mask(tmp_path / f"shifted/{number}_mask.png", np.roll(truth, 1, axis=1))
        values = (truth * 0.7 + rng.random(truth.shape) * 0.3).astype(np.float32)
        np.save(tmp_path / f"maps/{number}.npy", values)
    return tmp_path


def evaluate(dataset, *arguments):
    return main(["evaluate", str(dataset), "-o", str(dataset / "out"), *map(str, arguments)])


def test_masks_maps_and_baselines(dataset, capsys):
    code = evaluate(
        dataset, "--explanations", f"Moved={dataset}/shifted", "--explanations", dataset / "maps"
    )
    assert code == 0
    text = capsys.readouterr().out
    assert "maps: tau 0." in text
    values = json.loads((dataset / "out/evaluation.json").read_text())
    tables = {table["method"]: table for table in values["methods"]}
    assert list(tables) == ["Moved", "maps", "empty", "centre disc", "Otsu"]
    assert len(values["tuned_on"]) == 2
    assert tables["maps"]["n"] == 8
    assert tables["maps"]["summaries"]["pointing_game"]["n"] == tables["maps"]["n"] - sum(
        table["n_empty_truths"] for table in values["methods"][:1]
    )
    assert tables["empty"]["summaries"]["precision"]["mean"] is None
    full = [row for row in _rows(dataset / "out/images.csv") if row["image"] != "9"]
    moved = [float(row["dice"]) for row in full if row["method"] == "Moved"]
    assert moved == pytest.approx([7 / 8] * len(moved))
    exact = [float(row["dice"]) for row in full if row["method"] == "maps"]
    assert min(exact) == 1
    assert "| Moved |" in (dataset / "out/table.md").read_text()
    assert r"Moved & " in (dataset / "out/table.tex").read_text()
    assert ">Dice</text>" in (dataset / "out/scores.svg").read_text()
    (pair,) = [
        row
        for row in _rows(dataset / "out/comparisons.csv")
        if (row["first"], row["second"], row["metric"]) == ("Moved", "maps", "dice")
    ]
    assert float(pair["median_difference"]) == pytest.approx(-1 / 8)


def test_a_given_tau_tunes_on_nothing(dataset):
    assert evaluate(dataset, "--explanations", dataset / "maps", "--tau", "0.5") == 0
    values = json.loads((dataset / "out/evaluation.json").read_text())
    assert values["tuned_on"] == []
    assert values["tau"] == {"maps": 0.5}
    assert values["methods"][0]["n"] == 10
    assert values["methods"][0]["n_empty_truths"] == 1


def test_a_missing_explanation_is_named_and_the_rest_done(dataset, capsys):
    (dataset / "shifted/3_mask.png").unlink()
    assert evaluate(dataset, "--explanations", dataset / "shifted") == 3
    assert "has no 3.npy, 3_mask.png" in capsys.readouterr().err
    assert "3" not in {row["image"] for row in _rows(dataset / "out/images.csv")}


def test_nothing_to_evaluate_is_bad_input(dataset, capsys):
    assert evaluate(dataset) == 2
    assert "--explanations" in capsys.readouterr().err
    assert evaluate(dataset, "--explanations", dataset / "nowhere") == 2


def test_own_masks(dataset, quick):
    assert evaluate(dataset, "--method", "paper", *quick) == 0
    assert (dataset / "out/paper/4_mask.png").is_file()
    assert _rows(dataset / "out/images.csv")[0]["method"] == "paper"


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))
