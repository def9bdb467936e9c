import csv
import json

import numpy as np
import pytest
from PIL import Image

import napari_semxai as sx
from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.cam import evaluation
from napari_semxai.cli import main
from napari_semxai.cli.works import explainers
from napari_semxai.cli.works.explainers import Explainer
from napari_semxai.store.images.masks import read_mask, write_mask
from napari_semxai.store.images.read import read_image


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


def test_truths_of_other_programs(dataset, capsys):
    for number in range(10):
        path = dataset / f"masks/{number}.png"
        truth = read_mask(path)
        values = 255 - 255 * truth.astype(np.uint8) if number == 0 else 2 * truth.astype(np.uint8)
        Image.fromarray(values).save(path)
    moved = ("--explanations", f"Moved={dataset}/shifted")
    assert evaluate(dataset, *moved) == 3
    assert "0.png: most of it and of its border" in capsys.readouterr().err
    rows = [row for row in _rows(dataset / "out/images.csv") if row["method"] == "Moved"]
    found = [float(row["dice"]) for row in rows if row["image"] != "9"]
    assert found == pytest.approx([7 / 8] * 8)
    assert evaluate(dataset, *moved, "--foreground", "nonzero") == 0


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


def test_all_missing_maps_are_named_those_of_the_tuning_split_too(dataset, capsys):
    for number in range(3, 9):
        (dataset / f"maps/{number}.npy").unlink()
    assert evaluate(dataset, "--explanations", dataset / "maps") == 3
    said = capsys.readouterr().err
    tuned_on = json.loads((dataset / "out/evaluation.json").read_text())["tuned_on"]
    assert set(tuned_on) & set("345678")
    for number in range(3, 9):
        assert f"has no {number}.npy" in said


def test_the_run_is_described(dataset):
    assert evaluate(dataset, "--explanations", dataset / "shifted", "--tau", "0.4") == 0
    values = json.loads((dataset / "out/evaluation.json").read_text())
    assert values["settings"]["tau"] == 0.4
    assert values["settings"]["dataset"] == str(dataset)
    assert values["versions"]["napari-semxai"]


def test_each_class_has_its_summary_and_means_have_an_interval(dataset):
    assert evaluate(dataset, "--explanations", dataset / "shifted") == 0
    rows, classes = _rows(dataset / "out/summary.csv"), _rows(dataset / "out/classes.csv")
    (dice,) = (row for row in rows if (row["method"], row["score"]) == ("shifted", "dice"))
    assert float(dice["low"]) <= float(dice["mean"]) <= float(dice["high"])
    own = [row for row in classes if (row["method"], row["score"]) == ("shifted", "dice")]
    assert sum(int(row["images"]) for row in own) == int(dice["images"])
    mean = sum(float(row["mean"]) * int(row["n"]) for row in own) / int(dice["n"])
    assert mean == pytest.approx(float(dice["mean"]))


def test_faithfulness_is_for_maps(dataset, capsys):
    arguments = ["--explanations", dataset / "shifted", "--faithfulness"]
    assert evaluate(dataset, *arguments, "--masks-from", "renderings") == 2
    assert "--masks-from" in capsys.readouterr().err


def test_nothing_to_evaluate_is_bad_input(dataset, capsys):
    assert evaluate(dataset) == 2
    assert "--explanations" in capsys.readouterr().err
    assert evaluate(dataset, "--explanations", dataset / "nowhere") == 2


def leave(dataset, count):
    """Take all but the first images away: the network needs a third of a second for each."""
    for number in range(count, 10):
        for name in (f"images/{number}.png", f"masks/{number}.png"):
            (dataset / name).unlink()


def test_own_masks(dataset, quick):
    leave(dataset, 5)
    assert evaluate(dataset, "--method", "paper", *quick) == 0
    assert (dataset / "out/paper/4_mask.png").is_file()
    assert _rows(dataset / "out/images.csv")[0]["method"] == "paper"


def test_the_robust_algorithm_has_a_row_of_its_own(dataset, quick):
    leave(dataset, 5)
    assert evaluate(dataset, "--method", "paper", "--method", "robust", *quick) == 0
    rows = _rows(dataset / "out/images.csv")
    assert {row["method"] for row in rows} >= {"paper", "robust"}
    for algorithm in ("paper", "robust"):
        record = json.loads((dataset / f"out/{algorithm}/4.json").read_text())
        assert record["algorithm"] == algorithm
    # A row is what its name says: nothing else chooses the algorithm.
    assert evaluate(dataset, "--method", "paper", "--algorithm", "robust", *quick) == 2


def rendered(dataset):
    """CRAFT-like renderings of the truth in its first colour, and heat maps in red."""
    for number in range(10):
        truth = read_mask(dataset / f"masks/{number}.png")
        for folder, color in (("craft", (39, 205, 255)), ("cam", (255, 0, 0))):
            (dataset / folder).mkdir(exist_ok=True)
            rgb = np.zeros((*truth.shape, 3), np.uint8)
            # The colours come near the nominal ones and never reach them.
            rgb[truth] = np.array(color) * 0.8
            rgb[np.roll(truth, 9, axis=1) & ~truth] = np.array(color) * 0.5
            Image.fromarray(rgb).save(dataset / f"{folder}/{number}_rendering.png")
        record = {"explanation": {"colors": [[39, 205, 255], [250, 0, 81]]}}
        (dataset / f"craft/{number}.json").write_text(json.dumps(record))


def test_the_published_algorithms_with_thresholds_from_a_split_of_their_own(dataset):
    rendered(dataset)
    arguments = ["--masks-from", "renderings", "--tune-share", "0.3"]
    for name in ("craft", "cam"):
        arguments += ["--explanations", dataset / name]
    assert evaluate(dataset, *arguments) == 0
    values = json.loads((dataset / "out/evaluation.json").read_text())
    assert len(values["tuned_on"]) == 3
    assert set(values["tuned_on"]).isdisjoint(
        row["image"] for row in _rows(dataset / "out/images.csv")
    )
    delta, tau = values["tau"]["craft (Algorithm 3)"], values["tau"]["cam (Algorithm 2)"]
    assert 0.2 * 332 < delta < 0.5 * 332
    assert 0.5 / 0.8 <= tau < 1
    for row in _rows(dataset / "out/images.csv"):
        if "Algorithm" in row["method"] and row["image"] != "9":
            assert float(row["dice"]) == 1
    assert evaluate(dataset, *arguments, "--tau", "0.1", "--delta", "250") == 0
    values = json.loads((dataset / "out/evaluation.json").read_text())
    assert values["tuned_on"] == []
    with Image.open(dataset / "craft/0_rendering.png") as picture:
        masks = sx.concept_masks(np.array(picture), [(39, 205, 255), (250, 0, 81)], 250)
    row = _rows(dataset / "out/images.csv")[0]
    assert (row["image"], row["method"]) == ("0", "craft (Algorithm 3)")
    assert int(row["area_px"]) == np.count_nonzero(masks.any(axis=0))


def test_the_true_class_is_explained_beside_the_predicted_one(tmp_path, capsys):
    rows = ["image_path,mask_path,label"]
    labels = {"a": "pit", "b": "3"}
    for number, (name, label) in enumerate(labels.items()):
        scene = scene_of_class(number + 2, 5, (96, 96))
        Image.fromarray(scene.image).save(tmp_path / f"{name}.png")
        write_mask(tmp_path / f"{name}_truth.png", scene.defect)
        rows.append(f"{name}.png,{name}_truth.png,{label}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows))
    command = ["evaluate", str(table), "-o", str(tmp_path / "out"), "--method", "gradcam"]
    command += ["--tau", "0.5", "--explained-class"]
    assert main([*command, "both", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["methods"]
    assert [one["method"] for one in tables][:2] == ["gradcam", "gradcam, true class"]
    for name, target in (("a", "pit"), ("b", "scratch")):
        records = [
            json.loads((tmp_path / "out" / folder / f"{name}.json").read_text())
            for folder in ("gradcam", "gradcam, true class")
        ]
        assert records[0]["target"] == records[0]["predicted"]
        assert records[1]["target"] == target
    assert main([*command, "true", "--target", "pit"]) == 2
    assert "--target asks for one class" in capsys.readouterr().err
    table.write_text(table.read_text().replace("pit", "crack"))
    assert main([*command, "true"]) == 2
    assert "label 'crack': not a class of the classifier" in capsys.readouterr().err


def test_own_explanations_of_synthetic_scenes_with_faithfulness(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "ROAD_PERCENTILES", (97,))
    command = ["evaluate", "synthetic:1", "-o", "out", "--method", "gradcam++", "--tau", "0.4"]
    command += ["--masks-from", "both", "--faithfulness", "--json"]
    assert main(command) == 0
    values = json.loads(capsys.readouterr().out)
    tables = {table["method"]: table for table in values["methods"]}
    assert list(tables)[:2] == ["gradcam++", "gradcam++ (Algorithm 2)"]
    for score in ("auroc", "top_k", "insertion", "deletion", "road"):
        assert tables["gradcam++"]["summaries"][score]["n"] == 1
        assert score not in tables["Otsu"]["summaries"]
    assert "| Insertion |" in (tmp_path / "out/table.md").read_text()
    row = _rows(tmp_path / "out/images.csv")[0]
    classifier = sx.load_classifier()
    image = read_image(tmp_path / f"out/scenes/images/{row['image']}.png").gray
    heatmap = sx.gradcam(image, classifier, method="gradcam++")
    found = evaluation.faithfulness(image, heatmap.values, classifier, heatmap.target)
    assert float(row["insertion"]) == pytest.approx(found.insertion, rel=1e-3)
    truth = read_mask(tmp_path / f"out/scenes/masks/{row['image']}.png")
    expected = sx.scores(heatmap.values > 0.4 * heatmap.values.max(), truth)
    assert float(row["iou"]) == pytest.approx(expected.iou, rel=1e-3)
    # All answers are there: nobody is asked again.
    monkeypatch.setattr(explainers, "faithfulness", None)
    monkeypatch.setattr(Explainer, "answer", None)
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == values


@pytest.mark.slow
def test_the_rows_of_the_published_table(tmp_path, capsys):
    """As docs/evaluation.md documents the command, with fewer scenes and without masks of SAM."""
    out = tmp_path / "out"
    command = ["evaluate", "synthetic:4", "-o", str(out), "--method", "craft", "--json"]
    command += ["--method", "gradcam", "--masks-from", "both", "--tune-share", "0.3"]
    assert main(command) == 0
    values = json.loads(capsys.readouterr().out)
    rows = [line.split(" | ")[0] for line in (out / "table.md").read_text().splitlines()]
    assert rows[2:9] == [
        *("| craft", "| craft (Algorithm 3)", "| gradcam", "| gradcam (Algorithm 2)"),
        *("| empty", "| centre disc", "| Otsu"),
    ]
    tuned = {"craft", "craft (Algorithm 3)", "gradcam", "gradcam (Algorithm 2)"}
    assert set(values["tau"]) == tuned
    assert {table["n"] for table in values["methods"]} == {4 - len(values["tuned_on"])}
    assert (out / "table.tex").read_text().count(r" \\") == 8


def test_alpha_and_beta_from_a_split_of_their_own(dataset, quick):
    assert evaluate(dataset, "--method", "paper", "--tune-alpha-beta", *quick) == 0
    values = json.loads((dataset / "out/evaluation.json").read_text())
    alpha, beta = values["alpha_beta"]["paper"]
    assert len(values["tuned_on"]) == 2
    made = {path.name.removesuffix("_mask.png") for path in (dataset / "out/paper").glob("*.png")}
    assert made == {str(n) for n in range(10)} - set(values["tuned_on"])
    record = json.loads((dataset / f"out/paper/{min(made)}.json").read_text())
    assert (record["alpha"], record["beta"]) == (alpha, beta)
    assert sorted(path.stem for path in (dataset / "out/pools").iterdir()) == values["tuned_on"]


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_is_ignored_beside_a_true_mask_is_not_counted(dataset):
    for number in range(10):
        truth, moved = (
            read_mask(dataset / place)
            for place in (f"masks/{number}.png", f"shifted/{number}_mask.png")
        )
        write_mask(dataset / f"masks/{number}_ignored.png", truth != moved)
    code = evaluate(
        dataset, "--explanations", f"Moved={dataset}/shifted", "--explanations", dataset / "maps"
    )
    assert code == 0
    rows = [row for row in _rows(dataset / "out/images.csv") if row["method"] == "Moved"]
    assert {float(row["dice"]) for row in rows} == {1.0}
    pixels = {sum(int(row[name]) for name in ("tp", "fp", "fn", "tn")) for row in rows}
    assert pixels == {24 * 32 - 16}


@pytest.mark.parametrize("one_for_all", [True, False])
def test_what_the_command_ignores_is_not_counted(dataset, one_for_all):
    folder = dataset / "not counted"
    folder.mkdir()
    top = np.zeros((24, 32), bool)
    top[:10] = True
    names = ["all"] if one_for_all else [f"{number}_ignored" for number in range(10)]
    for name in names:
        write_mask(folder / f"{name}.png", top)
    # What lies beside a true mask is left out as well.
    bottom = np.zeros_like(top)
    bottom[-1] = True
    write_mask(dataset / "masks/0_ignored.png", bottom)
    given = folder / "all.png" if one_for_all else folder
    maps = ("--explanations", f"Moved={dataset}/shifted")
    assert evaluate(dataset, *maps, "--ignore", given) == 0
    pixels = {
        (row["image"], sum(int(row[name]) for name in ("tp", "fp", "fn", "tn")))
        for row in _rows(dataset / "out/images.csv")
        if row["method"] == "Moved"
    }
    assert pixels == {(str(n), 14 * 32 - 32 * (n == 0)) for n in range(10)}


def test_a_folder_that_ignores_nothing_is_refused(dataset, capsys):
    (dataset / "none").mkdir()
    code = evaluate(
        dataset, "--explanations", f"Moved={dataset}/shifted", "--ignore", dataset / "none"
    )
    assert code == 2
    assert "_ignored.png or the like" in capsys.readouterr().err
