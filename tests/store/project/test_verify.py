"""What was changed outside the program is found, each kind of it."""

import json
import shutil
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_semxai.cli import main
from napari_semxai.store.disk import digests
from napari_semxai.store.disk.atomic import write_json
from napari_semxai.store.disk.digests import broken_seals, file_sha256
from napari_semxai.store.project import review_list
from napari_semxai.store.project.certificates import take_back
from napari_semxai.store.project.create import name_classes
from napari_semxai.store.project.exports import export
from napari_semxai.store.project.files import with_digest
from napari_semxai.store.project.images import write_images
from napari_semxai.store.project.masks import chosen_masks
from napari_semxai.store.project.project import open_project
from napari_semxai.store.project.records import record_of, record_values
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
    assert all(text.startswith(("history", "record", "review")) for text in found)


def unlisted(values):
    """Make a record as it was before there were lists."""
    del values["list_sha256"], values["sha256"]


def remove(project, annotator, image_id):
    folder = project.folder / "reviews" / annotator
    (folder / f"records/{image_id}.json").unlink()
    (folder / f"masks/{image_id}.png").unlink()


def test_a_review_removed_with_its_mask_is_found(project):
    time = project.record("a", "Anna").time
    remove(project, "anna", "a")
    expected = f"review: “corrected” of {time} is missing: its record is gone"
    assert verify_project(project).changed == (("a (anna)", expected),)
    # What is written in its place hides nothing.
    project.write_review("a", "Anna", ReviewChange(ReviewState.ACCEPTED, square()))
    assert said(project) == [expected.replace("record is gone", "history has no such line")]


def test_lines_removed_from_the_end_of_a_history_are_found(project):
    def shortened(values):
        record = record_of(values)
        record = replace(record, history=record.history[:-1])
        last = record.history[-1]
        record = replace(
            record, state=last.state, label=last.label, comment=last.comment, time=last.time,
            mask_sha256=last.mask_sha256, recipe=None,
        )  # fmt: skip
        listed = values["list_sha256"]
        values |= with_digest(record_values(record, "") | {"list_sha256": listed})

    # All digests are made anew.
    edited(record_path(project), shortened)
    assert any("“corrected”" in text and "no such line" in text for text in said(project))


def test_lines_removed_from_the_list_of_reviews_are_found(project):
    path = project.folder / "reviews/anna/reviews.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 5
    path.write_text("".join(lines[1:]))
    assert "line 1 does not follow from the line before it" in said(project)
    path.write_text(lines[0].replace("candidate", "accepted") + "".join(lines[1:]))
    assert said(project)[:1] == ["line 1 was changed"]
    # With the review, and nothing written since: exports know of it.
    remove(project, "anna", "b")
    path.write_text("".join(lines[:-1]))
    name, text = verify_project(project).changed[0]
    assert name == "reviews.jsonl (anna)"
    assert text.startswith("reviews that were there at the export of")
    assert len(verify_project(project).changed) == 1
    # So does what was written after it.
    path.write_text("".join(lines[:3]))
    assert "record: follows a line that is missing in reviews.jsonl" not in said(project)
    path.write_text("".join(lines[:2]))
    assert "record: follows a line that is missing in reviews.jsonl" in said(project)
    shutil.rmtree(path.parent)
    assert [name for name, _ in verify_project(project).changed] == ["reviews.jsonl (anna)"]


def test_reviews_from_before_there_was_a_list_are_listed_by_the_next_one(project):
    for name in ("exports.jsonl", "seals.json", "reviews/anna/reviews.jsonl"):
        (project.folder / name).unlink()
    for name in "ab":
        edited(project.folder / f"reviews/anna/records/{name}.json", unlisted)
    assert said(project) == []
    project.write_review("c", "Anna", ReviewChange(ReviewState.ACCEPTED, square()))
    assert said(project) == []
    # An earlier program writes records without listing them.
    listed = project.folder / "reviews/anna/reviews.jsonl"
    before = listed.read_bytes()
    project.write_review("b", "Anna", ReviewChange(ReviewState.UNSURE))
    edited(project.folder / "reviews/anna/records/b.json", unlisted)
    listed.write_bytes(before)
    assert said(project) == []
    remove(project, "anna", "a")
    assert [text.partition(" of ")[0] for text in said(project)] == ["review: “corrected”"]


def test_what_the_program_does_itself_is_no_alarm(project, tmp_path):
    # A crash in the middle of a line, and an editor that takes the end of the last one away.
    listed = project.folder / "reviews/anna/reviews.jsonl"
    whole = listed.read_text()
    listed.write_text(whole + whole[:40])
    assert said(project) == []
    project.write_review("c", "Anna", ReviewChange(mask=square()))
    assert listed.read_text().startswith(whole)
    listed.write_text(listed.read_text().removesuffix("\n"))
    project.write_review("c", "Anna", ReviewChange(ReviewState.BY_RULE, rule="0001"))
    take_back(project, "Anna")
    project.write_review("c", "Bert", ReviewChange(ReviewState.NO_DEFECT))
    assert said(project) == []
    # Images that are no longer in the project, with their reviews or without.
    write_images(project.folder, [image for image in project.images if image.id != "a"])
    with closing(open_project(project.folder)) as smaller:
        assert said(smaller) == []
    remove(project, "anna", "a")
    moved = tmp_path / "moved/project"
    shutil.copytree(project.folder, moved)
    shutil.copytree(tmp_path / "images", tmp_path / "moved/images")
    shutil.rmtree(project.folder)
    with closing(open_project(moved)) as again:
        assert said(again) == []


def test_a_list_that_cannot_be_written_loses_no_review(project, monkeypatch):
    def fail(*_):
        raise OSError("full")

    with monkeypatch.context() as full:
        full.setattr(review_list, "append_line", fail)
        project.write_review("c", "Anna", ReviewChange(mask=square()))
    assert project.record("c", "Anna") is not None
    assert said(project) == []


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
        del values["history_sha256"], values["sha256"], values["list_sha256"]
        for event in values["history"]:
            del event["previous"], event["image_sha256"], event["recipe_sha256"]

    edited(record_path(project), old)
    for name in ("exports.jsonl", "seals.json", "reviews/anna/reviews.jsonl"):
        (project.folder / name).unlink()
    edited(project.folder / "reviews/anna/records/b.json", unlisted)
    found = verify_project(project)
    assert (found.changed, found.unchained) == ((), 1)
    # It goes on with digests; what was there before cannot be told.
    project.write_review("a", "Anna", ReviewChange(comment="later"))
    found = verify_project(project)
    assert (found.changed, found.unchained) == ((), 1)
    edited(record_path(project), lambda values: values["history"][-2].update(comment="other"))
    assert said(project)[0] == "history: line 5 does not follow from the lines before it"
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
    # Of the certificate nothing is there.
    assert said(project) == ["certificate: 0001, which accepted the mask, is missing"]
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
