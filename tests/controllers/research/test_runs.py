import json
import os
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from napari_semxai.algorithms.algorithm1.sweep import ImagePlane, advice, sweep_set
from napari_semxai.controllers.research.runs import RunController, read_result
from napari_semxai.state.research import RunState
from napari_semxai.store.datasets.dataset import write_sweep
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.images.read import read_image
from napari_semxai.types import InputError, JobState

SWEEP = ("sweep", "scenes")
THRESHOLDS = ("sweep", "scenes", "--explanations", "deep=maps")
EVALUATE = ("evaluate", "scenes", "--method", "paper", "--tune-alpha-beta")


@pytest.fixture
def runs(session):
    runs = RunController(session, lambda function: function())
    yield runs
    runs.close()


def ended(session, act):
    done = threading.Event()
    session.events.run.connect(lambda run: done.set() if run.state != "running" else None)
    act()
    assert done.wait(60)


def test_a_run_is_followed_to_its_end(session, runs, tmp_path):
    ended(session, lambda: runs.start(["survey", "summary", "--help"], tmp_path))
    assert session.run.state == "done"
    assert any("usage: semxai survey summary" in line for line in session.run.lines)
    ended(session, lambda: runs.start(["survey", "summary", str(tmp_path / "no")], tmp_path))
    assert session.run.state == "failed"
    assert "no: cannot be read" in session.run.lines[-1]


def test_one_run_at_a_time_and_it_can_be_stopped(session, runs, tmp_path):
    runs.start(["demo", "--no-window", "-o", str(tmp_path)], tmp_path)
    first = session.run
    runs.start(["models", "list"], tmp_path)
    assert session.run.command == first.command
    assert "Stop it first" in session.message
    runs.stop()
    assert session.run.state == "cancelled"
    runs.close()
    assert not runs._reader.is_alive()
    assert session.run.state == "cancelled"


@pytest.mark.skipif(os.name == "nt", reason="process groups")
@pytest.mark.parametrize("end", ["stop", "close"])
def test_stopping_ends_the_workers_too(session, runs, tmp_path, monkeypatch, end):
    """A stand-in for semxai that has started a process which knows nothing of its parent."""
    (tmp_path / "napari_semxai").mkdir()
    (tmp_path / "napari_semxai/__init__.py").touch()
    (tmp_path / "napari_semxai/__main__.py").write_text(
        "import subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "print(subprocess.Popen(sleep).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    monkeypatch.chdir(tmp_path)
    started = threading.Event()
    session.events.run.connect(lambda run: started.set() if run.lines else None)
    runs.start([], tmp_path)
    assert started.wait(60)
    worker = psutil.Process(int(session.run.lines[0]))
    getattr(runs, end)()
    worker.wait(30)


@pytest.fixture
def folder(tmp_path):
    """A folder that every kind of run has used."""
    alphas, betas = np.linspace(0, 10, 11), np.linspace(0, 1, 11)
    dice = np.full((11, 11), 0.5)
    found = sweep_set([ImagePlane(np.zeros((11, 11), int), dice, dice)], alphas, betas)
    write_sweep(tmp_path / "sweep.npz", found)
    (tmp_path / "table.md").write_text("| method |\n")
    Image.new("RGB", (90, 30)).save(tmp_path / "scores.png")
    values = {
        "tau": {"gradcam": 0.456},
        "alpha_beta": {"paper": [3.0, 0.2], "robust": None},
        "tuned_on": ["a", "b"],
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(values))
    (tmp_path / "thresholds.json").write_text(json.dumps({"deep": {"advice": "tau 0.5"}}))
    return tmp_path


def read(folder, command, image=None):
    return read_result(RunState(tuple(command), folder, JobState.DONE), image)


def test_what_is_shown_is_what_the_command_found(folder):
    found = read(folder, SWEEP)
    assert found.words == advice(found.sweep)
    assert found.picture is None
    found = read(folder, EVALUATE)
    assert found.words == (
        "| method |\n\npaper: α 3, β 0.2; gradcam: threshold 0.456; "
        "chosen on 2 images that are not scored"
    )
    assert (found.picture, found.sweep) == (folder / "scores.png", None)
    found = read(folder, THRESHOLDS)
    assert found.words == "deep: tau 0.5"
    assert (found.picture, found.sweep) == (folder / "thresholds.png", None)
    assert read(folder, ("mask", "scenes")).words == f"0 results are in {folder}"


def test_without_tuning_only_the_table_is_told(folder):
    (folder / "evaluation.json").write_text(json.dumps({"tuned_on": [], "alpha_beta": {}}))
    assert read(folder, EVALUATE).words == "| method |"


@pytest.mark.parametrize("command", [SWEEP, THRESHOLDS, EVALUATE])
def test_what_is_missing_is_named(tmp_path, command):
    with pytest.raises((InputError, OSError), match=str(tmp_path)):
        read(tmp_path, command)


@pytest.fixture
def images(folder):
    """Three images with masks, the last two with explanations instead."""
    found = []
    for number, name in enumerate("abc"):
        pixels = np.random.default_rng(number).integers(0, 200, (20, 30), dtype=np.uint8)
        (folder / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"images/{name}.png")
        found.append(read_image(folder / f"images/{name}.png"))
        stem = str(folder / "sub" / name)
        write_mask(f"{stem}_mask.png", pixels > 100 + number)
        record = {"image": {"sha256": array_digest(found[-1].pixels)}}
        if name != "a":
            Image.fromarray(pixels).save(f"{stem}_overlay.png")
            np.save(f"{stem}.npy", np.float32(pixels / 255))
            record |= {
                "method": "gradcam",
                "target": "scratch",
                "probabilities": {"bump": 0.2, "scratch": 0.8},
                "layers": ["layer4"],
                "classifier": {"sha256": "abc"},
                "explanation": {"raw_maximum": 2.5},
            }
        Path(f"{stem}.json").write_text(json.dumps(record))
    return found


def test_the_mask_of_the_current_image_is_read(folder, images):
    found = read(folder, ("mask",), images[0])
    assert found.words == (
        f"1 results are in {folder}; that of the current image is {Path('sub/a_mask.png')}"
    )
    assert found.image is images[0]
    np.testing.assert_array_equal(found.mask, images[0].gray > 100)
    found = read(folder, ("mask",), images[1])
    assert f"the first is {Path('sub/a_mask.png')}" in found.words
    assert (found.image, found.mask, found.picture) == (None, None, folder / "sub/a_mask.png")


def test_the_heat_map_of_the_current_image_is_read(folder, images):
    found = read(folder, ("explain",), images[2])
    assert "2 results" in found.words
    assert found.picture == folder / "sub/c_overlay.png"
    assert (found.image, found.mask) == (images[2], None)
    heatmap = found.heatmap
    np.testing.assert_array_equal(heatmap.values, np.float32(images[2].gray / 255))
    assert (heatmap.method, heatmap.target, heatmap.class_name) == ("gradcam", 1, "scratch")
    assert (heatmap.raw_maximum, heatmap.layers, heatmap.sha256) == (2.5, ("layer4",), "abc")
    assert read(folder, ("explain",)).picture == folder / "sub/b_overlay.png"


@pytest.mark.parametrize("damage", ["record", "no map", "map of another size"])
def test_a_damaged_explanation_is_named(folder, images, damage):
    if damage == "record":
        digest = array_digest(images[2].pixels)
        (folder / "sub/c.json").write_text(json.dumps({"image": {"sha256": digest}}))
    elif damage == "no map":
        (folder / "sub/c.npy").write_bytes(b"")
    else:
        np.save(folder / "sub/c.npy", np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match=r"c\.(json|npy): "):
        read(folder, ("explain",), images[2])
