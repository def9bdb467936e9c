"""Masks accepted by rule, in a project of small images on disk."""

import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_semxai.algorithms.statistics.acceptance import AUDITED, LAYERS, Promise, draw_layers
from napari_semxai.store.project.certificates import (
    accept_by_rule,
    audit_sample,
    draw_certificate,
    latest_certificate,
    note_decision,
    promise_text,
    read_audit,
    read_certificate,
    take_back,
)
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.files import annotator_folder, record_path
from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.store.project.masks import chosen_masks, truth_masks
from napari_semxai.store.project.records import imported_state
from napari_semxai.store.project.verify import verify_project
from napari_semxai.types import InputError, QueueFilter, ReviewChange, ReviewState
from tests.store.project.projects import propose

SHAPE = (12, 12)
COUNT = 4 * LAYERS
# Few images prove a loose promise only.
LOOSE = Promise(most_wrong=0.3, confidence=0.8)


def square(row):
    mask = np.zeros(SHAPE, bool)
    mask[row : row + 5, 3:8] = True
    return mask


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    for number in range(COUNT):
        pixels = np.full(SHAPE, number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"i{number:03}.png")
    with closing(create_project(tmp_path / "p", tmp_path / "images")) as project:
        for number, image in enumerate(project.images):
            propose(project, image.id, square(2), number / COUNT)
        yield project


def draw(project, promise=LOOSE):
    return draw_certificate(project, "anna", AUDITED, promise, seed=3)


def audit_all(project, certificate, wrong=()):
    for image_id in certificate.sample:
        change = ReviewChange(ReviewState.ACCEPTED)
        if image_id in wrong:
            change = ReviewChange(ReviewState.CORRECTED, square(6))
        project.write_review(image_id, "anna", change)
    return read_audit(project, certificate)


def accept(project, audit):
    for image_id in audit.images:
        record = project.record(image_id, "anna")
        project.write_review(image_id, "anna", accept_by_rule(audit.certificate, record))


def test_nothing_is_said_before_the_whole_sample_is_audited(project):
    certificate = draw(project)
    assert len(certificate.sample) == AUDITED
    first, *rest = certificate.sample
    project.write_review(first, "anna", ReviewChange(ReviewState.ACCEPTED))
    audit = read_audit(project, certificate)
    assert audit.waiting == tuple(rest)
    assert audit.proof is None
    assert audit.images == ()
    assert str(audit) == f"1 of {AUDITED} images of the sample are audited"
    assert list(audit_sample(project, "anna")) == list(certificate.sample)
    assert audit_sample(project, "anna")[rest[0]] == f"audit 2 of {AUDITED}"


def test_a_sample_from_which_nothing_can_follow_is_not_drawn(project):
    with pytest.raises(InputError, match=r"even if no mask of 30 audited .* none of 80 images"):
        draw_certificate(project, "anna", 2 * AUDITED, Promise(), seed=3)
    assert latest_certificate(project, "anna") is None


def test_what_is_accepted_by_rule_is_apart_everywhere_and_no_truth(project, tmp_path):
    audit = audit_all(project, draw(project))
    assert len(audit.images) == 3 * AUDITED
    accept(project, audit)
    one = audit.images[0]
    record = project.record(one, "anna")
    assert (record.state, record.rule) == (ReviewState.BY_RULE, "0001")
    assert (record.history[-1].kind, record.history[-1].state) == ("rule", ReviewState.BY_RULE)
    assert not record.state.is_reviewed
    assert not record.state.is_truth
    assert truth_masks(project, one, ["anna"]) == {}
    # Not exported unasked, and then as a candidate whose comment names the rule.
    assert len(list(chosen_masks(project, "anna"))) == AUDITED
    told = {each.image.id: each for each in chosen_masks(project, "anna", by_rule=True)}
    assert len(told) == 4 * AUDITED
    assert told[one].state == ReviewState.CANDIDATE
    assert told[one].comment == "accepted by rule 0001"
    with pytest.raises(InputError, match="no part in the consensus"):
        list(chosen_masks(project, "consensus", by_rule=True))
    with closing(ProjectIndex(project, tmp_path / "index")) as index:
        status = index.status()
        assert status.states["anna"][ReviewState.BY_RULE] == 3 * AUDITED
        assert status.reviewed == AUDITED
        asked = QueueFilter("anna", states=frozenset({ReviewState.BY_RULE}))
        assert {row.image for row in index.queue(asked)} == set(audit.images)
        # Nobody has looked at it, so that others' reviews stay hidden.
        project.write_review(one, "bert", ReviewChange(ReviewState.REJECTED))
        index.refresh()
        (row,) = index.queue(QueueFilter("bert", text=one, hidden_from="anna"))
        assert row.annotator == "anna"
        (row,) = index.queue(QueueFilter(None, text=one))
        assert (row.annotator, row.state) == ("bert", ReviewState.REJECTED)


def test_an_earlier_program_reads_a_candidate(project):
    accept(project, audit_all(project, draw(project)))
    certificate = latest_certificate(project, "anna")
    one = next(name for name in certificate.masks if name not in certificate.sample)
    path = record_path(annotator_folder(project.folder, "anna"), one)
    values = json.loads(path.read_text())
    assert "accepted" not in json.dumps({**values, "rule": ""})
    assert values["state"] == "candidate"
    assert {entry["state"] for entry in values["history"]} == {"candidate"}
    assert imported_state(square(2), "accepted by rule") is ReviewState.CANDIDATE


def test_all_is_taken_back_and_a_person_goes_before_a_rule(project):
    audit = audit_all(project, draw(project))
    accept(project, audit)
    first, second, *_ = audit.images
    assert project.write_review(first, "anna", ReviewChange(ReviewState.REJECTED)).rule == ""
    edited = project.write_review(second, "anna", ReviewChange(mask=square(5)))
    assert (edited.state, edited.voided, edited.rule) == (ReviewState.CANDIDATE, None, "")
    records = take_back(project, "anna")
    assert len(records) == len(audit.images) - 2
    assert {record.state for record in records} == {ReviewState.CANDIDATE}
    assert {record.history[-1].kind for record in records} == {"undo"}
    assert np.array_equal(project.mask(records[0].image, "anna"), square(2))
    assert project.record(first, "anna").state is ReviewState.REJECTED
    assert take_back(project, "anna") == []


def test_wrong_masks_among_the_surest_let_nothing_be_accepted(project):
    certificate = draw(project)
    sure = set().union(*certificate.layers[: AUDITED // 2])
    wrong = sure.intersection(certificate.sample)
    audit = audit_all(project, certificate, wrong)
    assert set(audit.wrong) == wrong
    assert audit.images == ()
    assert "No further mask can be accepted" in str(audit)


def test_what_was_reviewed_or_made_anew_since_is_left_alone(project):
    certificate = draw(project)
    others = sorted(set().union(*certificate.layers) - set(certificate.sample))
    propose(project, others[0], square(1), 0.9)
    project.write_review(others[1], "anna", ReviewChange(ReviewState.UNSURE))
    audit = audit_all(project, certificate)
    assert set(audit.images) == set(others[2:])
    with pytest.raises(InputError, match="changed since"):
        accept_by_rule(certificate, project.record(others[0], "anna"))


def test_the_unsure_and_rejected_count_as_wrong_and_no_defect_is_compared(project):
    certificate = draw(project)
    audit_all(project, certificate)
    states = (ReviewState.UNSURE, ReviewState.REJECTED, ReviewState.NO_DEFECT)
    for image_id, state in zip(certificate.sample, states, strict=False):
        project.write_review(image_id, "anna", ReviewChange(state))
    assert set(read_audit(project, certificate).wrong) == set(certificate.sample[:3])


def test_a_sample_that_is_not_the_random_one_is_refused(project):
    certificate = draw(project)
    values = json.loads(certificate.path.read_text())
    chosen = next(name for name in certificate.masks if name not in certificate.sample)
    easy = dict(values["sample"])
    easy[chosen] = easy.pop(certificate.sample[0])
    certificate.path.write_text(json.dumps({**values, "sample": easy}))
    with pytest.raises(InputError, match="not the random one"):
        read_certificate(certificate.path)
    certificate.path.write_text(json.dumps({**values, "seed": values["seed"] + 1}))
    with pytest.raises(InputError, match="not the random one"):
        read_certificate(certificate.path)
    certificate.path.write_text(json.dumps({**values, "promise": {"share": 1}}))
    with pytest.raises(InputError, match="is damaged"):
        read_certificate(certificate.path)
    promise = values["promise"] | {"most_wrong": 0.5}
    certificate.path.write_text(json.dumps({**values, "promise": promise}))
    with pytest.raises(InputError, match="was changed outside the program"):
        read_certificate(certificate.path)
    (changed,) = verify_project(project).changed
    assert changed[0] == "0001.json (anna)"
    assert "was changed outside" in changed[1]
    certificate.path.write_text(json.dumps(values, indent=1))
    assert verify_project(project).changed == ()


def test_a_certificate_of_before_draws_from_all_layers(project):
    path = draw(project).path
    values = json.loads(path.read_text())
    del values["audited"], values["promise"]["part"], values["sha256"]
    path.write_text(json.dumps(values))
    # Its sample is another one than all layers give.
    with pytest.raises(InputError, match="not the random one"):
        read_certificate(path)
    values["sample"] = _sample_of_all(values)
    path.write_text(json.dumps(values))
    found = read_certificate(path)
    assert len(found.layers) == LAYERS
    # What was promised stays what it was.
    assert found.promise == replace(LOOSE, part=1)
    assert set(found.masks) == set().union(*found.layers)


def _sample_of_all(values):
    rows, seed = values["images"], values["seed"]
    drawn = draw_layers(np.array([row[2] for row in rows]), values["count"], seed, LAYERS)[1]
    numbers = [number for part in drawn for number in part]
    order = np.random.default_rng([seed, 1]).permutation(len(numbers))
    return {rows[numbers[place]][0]: "" for place in order}


def test_only_automatic_masks_that_nobody_touched_are_drawn_from(project):
    first, second = (image.id for image in project.images[:2])
    project.write_review(first, "anna", ReviewChange(ReviewState.ACCEPTED))
    project.write_review(second, "anna", ReviewChange(mask=square(1)))
    certificate = draw(project)
    assert {first, second}.isdisjoint(certificate.masks)
    assert latest_certificate(project, "anna").name == "0001"
    assert draw(project).name == "0002"
    assert latest_certificate(project, "bert") is None
    with pytest.raises(InputError, match="too few to draw"):
        draw_certificate(project, "anna", COUNT, LOOSE)
    with pytest.raises(InputError, match="No audit sample"):
        audit_sample(project, "bert")


def test_the_decision_lies_beside_the_sample(project):
    audit = audit_all(project, draw(project))
    note_decision(project, audit)
    decided = json.loads(audit.certificate.path.read_text())["decided"]
    assert decided["images"] == list(audit.images)
    assert decided["proof"]["audited"] == AUDITED
    assert read_audit(project, read_certificate(audit.certificate.path)).images
    assert verify_project(project).changed == ()
    promised = promise_text(project, "anna", audit.certificate.name)
    assert promised.startswith("Certificate 0001 of anna, ")
    assert promised.endswith(str(LOOSE))
