import json
from contextlib import closing

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.algorithms.masks.edits import mask_patch
from napari_semxai.cli import main
from napari_semxai.cli.commands import project_ranked
from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.project.learned import write_features
from napari_semxai.store.project.project import open_project
from napari_semxai.types import MaskRecipe, ReviewChange, ReviewState
from napari_semxai.types.learned import FeaturesRequest
from tests.store.project.projects import propose

SHAPE = (20, 24)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "images"
    folder.mkdir()
    for index, name in enumerate("abc"):
        tifffile.imwrite(folder / f"{name}.tif", np.full(SHAPE, index, dtype=np.uint8))
    return folder


@pytest.fixture
def project(images, tmp_path):
    assert main(["project", "init", str(tmp_path / "p"), "--from", str(images)]) == 0
    with closing(open_project(tmp_path / "p")) as project:
        yield project


def square(side):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:side, :side] = True
    return mask


def run(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main(["project", *map(str, arguments), "--json"]) == code
    answer = capsys.readouterr()
    return json.loads(answer.out) if answer.out else answer.err


def test_init_names_what_fails(images, tmp_path, capsys):
    (images / "bad.png").write_bytes(b"no picture")
    arguments = (tmp_path / "p", "--from", images, "--pixel-size", "2.5")
    answer = run(capsys, "init", *arguments, code=3)
    assert answer["images"] == 3
    assert "cannot be read" in answer["failed"]["bad"]
    assert open_project(tmp_path / "p").images[0].pixel_size == pytest.approx(2.5e-9)
    assert "there is a project already" in run(capsys, "init", *arguments, code=2)


def test_add_and_classes(project, images, tmp_path, capsys):
    project.write_review("b", "anna", ReviewChange(ReviewState.ACCEPTED, square(4)))
    tifffile.imwrite(images / "aa.tif", np.full(SHAPE, 9, dtype=np.uint8))
    tifffile.imwrite(images / "A-2.tif", np.full(SHAPE, 7, dtype=np.uint8))
    answer = run(capsys, "add", project.folder, "--from", images)
    assert (answer["added"], answer["failed"]) == (["A-2", "aa"], {})
    assert run(capsys, "add", project.folder, "--from", images)["added"] == []
    now = open_project(project.folder)
    assert [image.id for image in now.images] == ["a", "b", "c", "A-2", "aa"]
    np.testing.assert_array_equal(now.mask("b", "anna"), square(4))
    status = run(capsys, "status", project.folder)
    assert (status["images"], status["reviewed"]) == (5, 1)
    answer = run(capsys, "classes", project.folder, "3=scratch", "4=pit")
    assert answer["class_names"] == {"3": "scratch", "4": "pit"}
    assert run(capsys, "classes", project.folder, "4=")["class_names"] == {"3": "scratch"}
    assert "LABEL=NAME" in run(capsys, "classes", project.folder, "scratch", code=2)


def test_status_with_agreement(project, capsys):
    project.write_review("a", "anna", ReviewChange(ReviewState.ACCEPTED, square(4), label="1"))
    project.write_review("a", "ben", ReviewChange(ReviewState.ACCEPTED, square(3), label="1"))
    project.write_review("b", "ben", ReviewChange(ReviewState.ACCEPTED, square(2), label="1"))
    project.write_review("b", "ben", ReviewChange(mask=square(3)))
    answer = run(capsys, "status", project.folder)
    assert (answer["images"], answer["reviewed"]) == (3, 1)
    assert answer["states"]["ben"] == {"accepted": 1, "candidate": 1}
    assert answer["voided"]["ben"] == 1
    (pair,) = answer["agreement"]
    assert pair["dice_mean"] == pytest.approx(2 * 9 / (9 + 16))
    assert main(["project", "status", str(project.folder)]) == 0
    text = capsys.readouterr().out
    assert "1 of 3 images reviewed" in text
    assert "ben: 1 accepted, 1 candidate; 1 void after a later edit" in text
    next(project.folder.rglob("ben/records/a.json")).write_text("{")
    assert run(capsys, "status", project.folder, code=3)["damaged"]


def test_export_and_import(project, tmp_path, capsys):
    project.write_review("a", "anna", ReviewChange(ReviewState.ACCEPTED, square(4)))
    project.write_review("b", "anna", ReviewChange(ReviewState.NO_DEFECT))
    project.write_review("c", "anna", ReviewChange(ReviewState.UNSURE, square(2)))
    for form, name in (("coco-rle", "coco.json"), ("png", "masks"), ("carinthia-s", "set")):
        target = tmp_path / name
        answer = run(capsys, "export", project.folder, "-o", target, "--format", form,
                     "--annotator", "anna")  # fmt: skip
        assert answer["masks"] == 2
        answer = run(capsys, "import", project.folder, target, "--annotator", form)
        assert (answer["imported"], answer["failed"]) == (2, {})
        np.testing.assert_array_equal(project.mask("a", form), square(4))
        assert project.record("b", form).state is ReviewState.NO_DEFECT
    sizes = tmp_path / "sizes.csv"
    run(capsys, "export", project.folder, "-o", sizes, "--format", "measurements",
        "--annotator", "anna", "--every-state")  # fmt: skip
    assert len(sizes.read_text().splitlines()) == 4
    assert "name one" in run(capsys, "export", project.folder, "-o", tmp_path / "x", code=2)


def recipe(project, base, edits, kind="empty", **settings):
    image = project.image("a")
    return MaskRecipe(kind, array_digest(base), image.sha256, settings, tuple(edits))


def test_replay_of_edits(project, capsys):
    empty, first, second = np.zeros(SHAPE, dtype=bool), square(5), square(7)
    edits = [mask_patch(empty, first, "stroke"), mask_patch(first, second, "grow")]
    good = recipe(project, empty, edits)
    project.write_review("a", "anna", ReviewChange(ReviewState.CORRECTED, second, good))
    answer = run(capsys, "replay", project.folder)
    assert answer["replayed"] == [
        {"image": "a", "annotator": "anna", "edits": 2, "network_steps": {}}
    ]
    lost = recipe(project, empty, edits[:1])
    project.write_review("a", "ben", ReviewChange(ReviewState.CORRECTED, second, lost))
    answer = run(capsys, "replay", project.folder, code=3)
    assert "the stored edits do not lead to the mask" in answer["failed"]["a (ben)"]
    assert run(capsys, "replay", project.folder, "--annotator", "ben", code=2)["replayed"] == []


def test_replay_without_recipes(project, capsys):
    assert "no mask with a recipe" in run(capsys, "replay", project.folder, code=2)


def test_import_keeps_reviews_and_restore_brings_them_back(project, tmp_path, capsys):
    for folder, side in (("good", 4), ("other", 7)):
        (tmp_path / folder).mkdir()
        Image.fromarray(square(side).astype(np.uint8)).save(tmp_path / folder / "a.png")
    arguments = ("import", project.folder, tmp_path / "good", "--annotator", "Anna")
    assert run(capsys, *arguments)["foreground"] == {"not 0": 1}
    other = ("import", project.folder, tmp_path / "other", "--annotator", "Anna")
    said = run(capsys, *other, code=2)
    assert "a: has a review of Anna (accepted); --replace puts" in said
    np.testing.assert_array_equal(project.mask("a", "anna"), square(4))
    restore = ("restore", project.folder, "--annotator", "Anna")
    assert "nothing of Anna was replaced" in run(capsys, *restore, code=2)
    assert run(capsys, *other, "--replace")["imported"] == 1
    np.testing.assert_array_equal(project.mask("a", "anna"), square(7))
    assert run(capsys, *restore)["restored"] == ["a"]
    np.testing.assert_array_equal(project.mask("a", "anna"), square(4))
    answer = run(capsys, *restore, "--image", "a", "--image", "b", code=3)
    assert (answer["restored"], list(answer["failed"])) == (["a"], ["b"])


def test_masks_that_come_with_a_table(images, tmp_path, capsys):
    lines = ["image_path,mask_path"]
    for name, mask in (("a", 2 * square(5)), ("b", 255 * ~square(5)), ("c", 255 * square(0))):
        Image.fromarray(mask.astype(np.uint8)).save(images / f"{name}.png")
        lines.append(f"{name}.tif,{name}.png")
    (images / "list.csv").write_text("\n".join(lines))
    answer = run(capsys, "init", tmp_path / "p", "--from", images / "list.csv", code=3)
    assert (answer["masks"], answer["empty"], answer["full"]) == (2, 1, 0)
    assert "b.png: most of it" in answer["failed"]["b mask"]
    arguments = (tmp_path / "q", "--from", images / "list.csv", "--foreground", "zero")
    answer = run(capsys, "init", *arguments)
    assert (answer["empty"], answer["full"], answer["foreground"]) == (0, 1, {"zero": 3})
    said = run(capsys, "init", *arguments[:3], "--foreground", "x", code=2)
    assert "is none of nonzero, zero" in said


def test_similar_and_next_make_the_features_they_need(project, monkeypatch, capsys):
    asked = []

    def ask(request, output):
        asked.append(request)
        write_features(
            project.folder,
            {
                image.sha256: np.array([np.cos(n**2), np.sin(n**2)], np.float16)
                for n, image in enumerate(project.images)
            },
        )

    monkeypatch.setattr(project_ranked, "ask_engine", ask)
    project.write_review("b", "anna", ReviewChange(ReviewState.ACCEPTED, square(4)))
    answer = run(capsys, "similar", project.folder, "a", "-n", "1")
    assert [row["id"] for row in answer["images"]] == ["b"]
    assert answer["images"][0]["reason"].startswith("similarity")
    answer = run(capsys, "next", project.folder)
    assert {row["id"] for row in answer["images"]} == {"a", "c"}
    assert answer["annotator"] == "anna"
    answer = run(capsys, "check", project.folder)
    assert answer["images"] == [{"id": "b", "name": "b", "reason": "nothing unusual"}]
    # The other commands found them in the project.
    assert asked == [FeaturesRequest(project.folder)]
    project.write_review("b", "bert", ReviewChange(ReviewState.ACCEPTED, square(4)))
    assert "name one" in run(capsys, "next", project.folder, code=2)


def test_certify_draws_audits_accepts_and_takes_back(images, tmp_path, capsys):
    for number in range(50):
        tifffile.imwrite(images / f"n{number:02}.tif", np.full(SHAPE, number, dtype=np.uint8))
    assert main(["project", "init", str(tmp_path / "q"), "--from", str(images)]) == 0
    with closing(open_project(tmp_path / "q")) as project:
        assert "nobody has masks" in run(capsys, "certify", project.folder, code=2)
        for image in project.images:
            propose(project, image.id, square(5))
        assert "--draw makes one" in run(capsys, "certify", project.folder, code=2)
    loose = ("--draw", 15, "--most-wrong", 0.4, "--confidence", 0.8, "--seed", 1)
    waiting = run(capsys, "certify", project.folder, *loose)["waiting"]
    assert len(waiting) == 15
    refused = run(capsys, "certify", project.folder, "--accept", code=2)
    assert "0 of 15 images of the sample are audited" in refused
    with closing(open_project(tmp_path / "q")) as project:
        for image_id in waiting:
            project.write_review(image_id, "anna", ReviewChange(ReviewState.ACCEPTED))
    assert run(capsys, "certify", project.folder)["can_be_accepted"] == 28
    assert run(capsys, "certify", project.folder, "--accept")["accepted"] == 28
    states = run(capsys, "status", project.folder)["states"]["anna"]
    assert states == {"accepted": 15, "accepted by rule": 28, "candidate": 10}
    export = ("export", project.folder, "-o")
    assert run(capsys, *export, tmp_path / "truth")["masks"] == 15
    assert run(capsys, *export, tmp_path / "all", "--by-rule")["masks"] == 43
    assert run(capsys, "certify", project.folder, "--take-back")["taken_back"] == 28
    assert run(capsys, "status", project.folder)["states"]["anna"]["candidate"] == 38


@pytest.mark.parametrize("command", ["import", "restore", "--accept", "--take-back"])
def test_what_another_window_refuses_is_not_kept_to_be_written_later(
    images, tmp_path, capsys, monkeypatch, command
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for number in range(37):
        tifffile.imwrite(images / f"n{number:02}.tif", np.full(SHAPE, number, dtype=np.uint8))
    assert main(["project", "init", str(tmp_path / "q"), "--from", str(images)]) == 0
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in "ab":
        Image.fromarray(square(6)).save(masks / f"{name}.png")
    brought = ("import", tmp_path / "q", masks, "--annotator", "anna", "--replace")
    with closing(open_project(tmp_path / "q")) as project:
        for image in project.images:
            propose(project, image.id, square(5))
    loose = ("--draw", 15, "--most-wrong", 0.5, "--confidence", 0.7, "--seed", 1)
    waiting = run(capsys, "certify", tmp_path / "q", *loose)["waiting"]
    with closing(open_project(tmp_path / "q")) as project:
        for image_id in waiting:
            project.write_review(image_id, "anna", ReviewChange(ReviewState.ACCEPTED))
    if command == "restore":
        run(capsys, *brought)
    elif command == "--take-back":
        run(capsys, "certify", tmp_path / "q", "--accept")
    arguments = {
        "import": brought,
        "restore": ("restore", tmp_path / "q", "--annotator", "anna"),
    }.get(command, ("certify", tmp_path / "q", command))
    with closing(open_project(tmp_path / "q")) as project:
        project.claim("anna")
        refused = run(capsys, *arguments, code=2)
    assert "another program is writing reviews as 'anna'" in refused
    assert "kept" not in refused
    assert not list((tmp_path / "state").rglob("*.npz"))
