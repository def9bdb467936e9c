"""What was changed outside the program is found, each kind of it."""

import json
from contextlib import closing

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.store.disk import digests
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import broken_seals, file_sha256
from napari_semxai.store.project.create import name_classes
from napari_semxai.store.project.exports import export
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.verify import verify_project
from napari_semxai.types import InputError, MaskRecipe, ReviewChange, ReviewState
from tests.store.project.projects import square, three_images


@pytest.fixture
def project(tmp_path):
    """Reviews with a long history, one that was undone, and two exports."""
    with three_images(tmp_path) as project:
        write = project.write_review
        recipe = MaskRecipe("automatic", "b", project.image("a").sha256, {"alpha": 2.0})
        before = write("a", "Anna", ReviewChange(mask=square(), recipe=recipe, score=0.5))
        write("a", "Anna", ReviewChange(ReviewState.ACCEPTED, label="3", comment="first"))
        undone = ReviewChange(mask=square(), back=before)
        write("a", "Anna", undone)
        write("a", "Anna", ReviewChange(ReviewState.CORRECTED, square(side=7)))
        write("b", "Anna", ReviewChange(ReviewState.NO_DEFECT))
        write("b", "Bert", ReviewChange(ReviewState.ACCEPTED, square()))
        for _ in range(2):
            export(project, chosen_masks(project, "Anna"), tmp_path / "out", "png")
        yield project


def record_path(project):
    return project.folder / "reviews/anna/records/a.json"


def edited(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def said(project):
    return [text for _, text in verify_project(project).changed]


def test_what_the_program_wrote_is_as_it_was(project):
    calls = []
    found = verify_project(project, lambda *call: calls.append(call))
    assert found.changed == ()
    assert (found.images, found.records, found.exports, found.unchained) == (3, 3, 2, 0)
    assert calls[-1] == (3, 3)
    record = project.record("a", "Anna")
    assert len(record.history) == 4
    assert {event.image_sha256 for event in record.history} == {project.image("a").sha256}
    # Read and written again it is the same.
    with closing(open_project(project.folder)) as again:
        assert verify_project(again).changed == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v["history"].pop(0), "history: line 1 does not follow"),
        (lambda v: v["history"].pop(), "history: its last line"),
        (lambda v: v["history"][1].update(comment="other"), "history: line 3 does not follow"),
        (lambda v: v["history"][-1].update(time="2020"), "history: its last line"),
        (lambda v: v.update(state="accepted"), "record: state not as"),
        (lambda v: v.update(label="4", comment="x"), "record: label, comment not as"),
        (lambda v: v["recipe"].update(base="empty"), "record: the recipe"),
        (lambda v: v["recipe"]["settings"].update(compared="x"), "record: the recipe"),
        (lambda v: v.pop("label"), "record: "),
        (lambda v: v.update(rule="0001"), "record: holds other values"),
        (lambda v: v.update(score=0.99), "record: holds other values"),
        (lambda v: v.update(ignored="0 5"), "record: holds other values"),
    ],
)
def test_a_record_changed_by_hand_is_found(project, change, expected):
    edited(record_path(project), change)
    found = said(project)
    assert any(text.startswith(expected) for text in found), found
    assert all(text.startswith(("history", "record")) for text in found)


def test_masks_and_images_changed_by_others_are_found(project, tmp_path):
    masks = project.folder / "reviews/anna/masks"
    pixels = np.asarray(Image.open(masks / "a.png"))
    # The same pixels in another file are the same mask.
    Image.fromarray(pixels).save(masks / "a.png", compress_level=0)
    assert said(project) == []
    Image.fromarray(np.roll(pixels, 1, axis=0)).save(masks / "a.png")
    assert said(project) == ["mask: has other pixels than its record says"]
    (masks / "a.png").unlink()
    Image.fromarray(pixels).save(masks / "c.png")
    assert said(project) == ["mask: was removed", "mask: has no record"]
    tifffile.imwrite(tmp_path / "images/c.tif", np.zeros((24, 32), np.uint8))
    (tmp_path / "images/b.tif").unlink()
    found = verify_project(project).changed
    assert [name for name, _ in found] == ["a (anna)", "b", "c", "c (anna)"]
    assert "was replaced" in found[2][1]


def test_a_reference_that_was_replaced_is_found(project, tmp_path):
    golden = tmp_path / "golden.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(golden)
    compared = {"reference": golden.name, "sha256": file_sha256(golden)}
    settings = {"reference": str(golden), "compared": compared}
    recipe = MaskRecipe("automatic", "b", project.image("c").sha256, settings)
    project.write_review("c", "Anna", ReviewChange(mask=square(), recipe=recipe))
    assert said(project) == []
    Image.fromarray(np.ones((4, 4), np.uint8)).save(golden)
    assert said(project) == [
        "reference: golden.png is not the picture that the mask was made with"
    ]
    # Away, it may be in another place.
    golden.unlink()
    assert said(project) == []


def test_a_listed_export_that_was_changed_is_found(project):
    path = project.folder / "exports.jsonl"
    first, second = path.read_text().splitlines()
    assert json.loads(first)["masks_sha256"] == json.loads(second)["masks_sha256"]
    path.write_text(first.replace('"masks": 2', '"masks": 3') + f"\n{second}\n")
    assert said(project) == [
        "line 1 was changed",
        "line 2 does not follow from the line before it",
    ]
    path.write_text(f"{second}\n")
    assert said(project) == ["line 1 does not follow from the line before it"]
    path.write_text(f"{first}\nno json\n")
    assert said(project) == ["line 2 was changed"]
    path.write_bytes(f"{first}\n".encode() + b"\xff\n")
    assert said(project) == ["line 2 was changed"]
    export(project, chosen_masks(project, "Anna"), project.folder.parent / "again", "png")
    # What was put in stays, and the next export goes on from it.
    assert path.read_bytes().splitlines()[1] == b"\xff"
    assert said(project) == ["line 2 was changed"]


def test_an_earlier_history_has_no_digests_and_is_no_error(project, capsys):
    def old(values):
        del values["history_sha256"], values["sha256"]
        for event in values["history"]:
            del event["previous"], event["image_sha256"], event["recipe_sha256"]

    edited(record_path(project), old)
    found = verify_project(project)
    assert (found.changed, found.unchained) == ((), 1)
    # It goes on with digests; what was there before cannot be told.
    project.write_review("a", "Anna", ReviewChange(comment="later"))
    found = verify_project(project)
    assert (found.changed, found.unchained) == ((), 1)
    edited(record_path(project), lambda values: values["history"][-2].update(comment="other"))
    assert said(project) == ["history: line 5 does not follow from the lines before it"]
    assert main(["project", "verify", str(project.folder)]) == 2
    printed = capsys.readouterr().out
    assert "1 histories began before there were digests" in printed
    assert "a (anna): history: line 5" in printed


def test_the_command_ends_with_0_where_nothing_was_changed(project, capsys):
    assert main(["project", "verify", str(project.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == []


def test_what_a_rule_accepted_is_as_it_was_when_it_is_read_again(project):
    rule = ReviewChange(ReviewState.BY_RULE, rule="0001")
    project.write_review("c", "Anna", ReviewChange(mask=square()))
    project.write_review("c", "Anna", rule)
    project.write_review("c", "Anna", ReviewChange(comment="a note"))
    assert said(project) == []
    assert project.record("c", "Anna").state is ReviewState.BY_RULE


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("images.csv", lambda text: text.replace("a.tif", "b.tif", 1)),
        (
            "project.json",
            lambda text: text.replace('"class_names": {', '"class_names": {"1": "x"'),
        ),
        ("exports.jsonl", lambda text: text.splitlines(keepends=True)[0]),
        ("exports.jsonl", lambda _: None),
        ("seals.json", lambda _: "no json"),
    ],
)
def test_a_projects_own_files_changed_by_others_are_found(project, name, change):
    path = project.folder / name
    before, text = path.read_text(), change(path.read_text())
    assert text != before
    path.unlink() if text is None else path.write_text(text)
    if name == "images.csv":
        # Read again it would be another image.
        assert broken_seals(project.folder) == [name]
    else:
        assert verify_project(project).changed == ((name, "was changed or removed"),)
    path.write_text(before)
    assert verify_project(project).changed == ()


def test_what_is_written_later_hides_no_change_of_others(project):
    names = project.folder / "project.json"
    names.write_text(names.read_text().replace('"class_names": {', '"class_names": {"1": "x"'))
    name_classes(project.folder, {"2": "y"})
    assert said(project) == ["was changed or removed"]
    (project.folder / "seals.json").unlink()
    assert said(project) == []
    # From here on it is known again.
    name_classes(project.folder, {"2": "z"})
    assert said(project) == []
    names.write_text(names.read_text().replace("z", "other"))
    assert said(project) == ["was changed or removed"]


def test_a_crash_between_a_file_and_its_digest_is_no_change(project, monkeypatch):
    written = []

    def crash(path, values):
        written.append(path.name)
        if len(written) == 2:
            raise InputError("crashed")
        write_json(path, values)

    monkeypatch.setattr(digests, "write_json", crash)
    with pytest.raises(InputError, match="crashed"):
        name_classes(project.folder, {"2": "y"})
    assert open_project(project.folder).info.class_names["2"] == "y"
    assert said(project) == []
