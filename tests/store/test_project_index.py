import os
import shutil
import stat
import time
from contextlib import closing

import numpy as np
import pytest
import tifffile

from napari_semxai.store.project import open_project
from napari_semxai.store.project_create import create_project
from napari_semxai.store.project_index import ProjectIndex
from napari_semxai.types import (
    InputError,
    QueueFilter,
    QueueOrder,
    ReviewChange,
    ReviewState,
)

SHAPE = (6, 8)


@pytest.fixture
def project(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    rows = ["path,label,lot"]
    for index, name in enumerate("abcd"):
        tifffile.imwrite(images / f"{name}.tif", np.full(SHAPE, index, dtype=np.uint8))
        rows.append(f"{name}.tif,{index % 2},LOT{index}")
    (images / "list.csv").write_text("\n".join(rows))
    project = create_project(tmp_path / "project", images / "list.csv")
    yield project
    project.close()


@pytest.fixture
def index(project, tmp_path):
    with closing(ProjectIndex(project, tmp_path / "cache")) as index:
        yield index


def mask(area):
    mask = np.zeros(SHAPE, dtype=bool)
    mask.flat[:area] = True
    return mask


def ids(index, **wanted):
    return "".join(row.image for row in index.queue(QueueFilter(**wanted)))


def fill(project):
    write = project.write_review
    write("a", "Anna", ReviewChange(ReviewState.ACCEPTED, mask(1), confidence=0.9, score=3.0))
    write("b", "Anna", ReviewChange(ReviewState.CORRECTED, mask(2), label="5", confidence=0.2))
    write("b", "Anna", ReviewChange(mask=mask(3)))
    write("c", "Ben", ReviewChange(ReviewState.NO_DEFECT, confidence=0.5))
    write("a", "Ben", ReviewChange(ReviewState.REJECTED))


def test_filters_and_orders(project, index):
    fill(project)
    assert index.refresh() == {"a", "b", "c"}
    assert ids(index) == "abcd"
    assert ids(index, annotator="ANNA", states=frozenset([ReviewState.ACCEPTED])) == "a"
    assert ids(index, annotator="anna", states=frozenset([ReviewState.CANDIDATE])) == "bcd"
    assert ids(index, states=frozenset([ReviewState.CANDIDATE])) == "bd"
    assert ids(index, states=frozenset([ReviewState.REJECTED])) == "a"
    assert ids(index, voided=True) == "b"
    assert ids(index, voided=False, annotator="ben") == "abcd"
    assert ids(index, labels=frozenset(["1"])) == "d"
    assert ids(index, labels=frozenset(["5", "0"])) == "abc"
    assert ids(index, confidence=(0.2, 0.6)) == "bc"
    assert ids(index, annotator="anna", score=(2.0, 4.0)) == "a"
    assert ids(index, text="lot2") == "c"
    assert ids(index, text="%") == ""
    assert ids(index, annotator="anna", order=QueueOrder.CONFIDENCE) == "bacd"
    assert ids(index, annotator="anna", order=QueueOrder.CONFIDENCE, descending=True) == "abcd"
    assert ids(index, order=QueueOrder.NAME, descending=True) == "dcba"
    assert ids(index, annotator="anna", order=QueueOrder.TIME, descending=True) == "bacd"


def test_rows_say_what_is_shown(project, index):
    fill(project)
    index.refresh()
    first, second, third, fourth = index.queue(QueueFilter(annotator="anna"))
    assert (first.number, first.annotator, first.state) == (1, "anna", ReviewState.ACCEPTED)
    assert (first.has_mask, first.label, first.score) == (True, "0", 3.0)
    assert (second.voided, second.label) == (ReviewState.CORRECTED, "5")
    assert (third.annotator, third.state, third.has_mask) == ("", ReviewState.CANDIDATE, False)
    assert (fourth.label, fourth.confidence, fourth.time) == ("1", None, "")


def test_status(project, index):
    fill(project)
    project.write_review("d", "Ben", ReviewChange(mask=mask(1)))
    next(project.folder.rglob("ben/records/d.json")).write_text("{")
    index.refresh()
    status = index.status()
    assert (status.images, status.reviewed) == (4, 2)
    assert status.states == {
        "anna": {ReviewState.ACCEPTED: 1, ReviewState.CANDIDATE: 1},
        "ben": {ReviewState.NO_DEFECT: 1, ReviewState.REJECTED: 1},
    }
    assert status.voided["anna"] == 1
    assert len(status.damaged) == 1
    assert "d.json: is damaged" in status.damaged[0]


def test_what_others_write_appears(project, index):
    other = open_project(project.folder)
    with closing(other):
        other.write_review("d", "Zoe", ReviewChange(ReviewState.UNSURE))
        assert index.refresh() == {"d"}
        assert ids(index, states=frozenset([ReviewState.UNSURE])) == "d"
        other.write_review("d", "Zoe", ReviewChange(ReviewState.REJECTED))
    assert index.refresh() == {"d"}
    shutil.rmtree(project.folder / "reviews" / "zoe")
    assert index.refresh() == {"d"}
    assert ids(index, states=frozenset([ReviewState.CANDIDATE])) == "abcd"
    assert index.refresh() == set()


def test_settled_folders_are_not_listed_again(project, index, monkeypatch):
    fill(project)
    past = time.time() - 60
    for folder in project.folder.rglob("*/"):
        os.utime(folder, (past, past))
    assert index.refresh() == {"a", "b", "c"}
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    assert index.refresh() == set()
    assert [path for path in listed if path.endswith(("records", "masks"))] == []


def test_a_file_written_in_place_is_seen_at_opening_and_when_every_file_is_looked_at(
    project, index, tmp_path
):
    fill(project)
    past = time.time() - 60
    for folder in project.folder.rglob("*/"):
        os.utime(folder, (past, past))
    index.refresh()
    path = project.folder / "reviews" / "anna" / "records" / "a.json"
    text = path.read_text().replace('"accepted"', '"rejected"')
    with path.open("r+") as file:
        file.truncate()
        file.write(text)
    assert index.refresh() == set()
    with closing(ProjectIndex(project, tmp_path / "cache")):
        assert ids(index, annotator="anna", states=frozenset([ReviewState.REJECTED])) == "a"
    path = project.folder / "reviews" / "ben" / "records" / "a.json"
    path.write_text(path.read_text().replace('"rejected"', '"unsure"'))
    assert index.refresh(every_file=True) == {"a"}
    assert ids(index, annotator="ben", states=frozenset([ReviewState.UNSURE])) == "a"


@pytest.mark.parametrize("damage", ["missing", "garbage", "other images", "blocked"])
def test_index_is_rebuilt(project, tmp_path, damage):
    fill(project)
    cache = tmp_path / "cache"
    with closing(ProjectIndex(project, cache)) as index:
        before = index.queue(QueueFilter())
    (file,) = cache.glob("*.sqlite")
    if damage == "missing":
        file.unlink()
    elif damage == "garbage":
        file.write_bytes(b"no database " * 1000)
    elif damage == "other images":
        os.utime(project.folder / "images.csv", (1, 1))
    else:
        shutil.rmtree(cache)
        cache.write_text("a file where the folder should be")
    with closing(ProjectIndex(project, cache)) as index:
        assert index.queue(QueueFilter()) == before


def test_project_on_a_read_only_drive(project, tmp_path):
    fill(project)
    project.close()
    everything = [project.folder, *project.folder.rglob("*")]
    for path in everything:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = {path: path.stat().st_mtime_ns for path in everything}
    again = open_project(project.folder)
    with closing(ProjectIndex(again, tmp_path / "cache")) as index:
        assert index.status().reviewed == 2
        assert again.mask("a", "anna").sum() == 1
    assert {path: path.stat().st_mtime_ns for path in everything} == before
    for path in everything:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_vanished_drive_keeps_what_is_known(project, index):
    fill(project)
    index.refresh()
    project.folder.rename(project.folder.with_name("away"))
    with pytest.raises(InputError, match="is its drive there"):
        index.refresh()
    assert index.status().reviewed == 2


def test_indexes_nobody_uses_any_more_are_removed(project, index, tmp_path):
    cache = tmp_path / "cache"
    (mine,) = cache.glob("*.sqlite")
    for name, days in (("old", 91), ("recent", 89)):
        path = cache / f"{name}.sqlite"
        path.write_bytes(b"")
        os.utime(path, (time.time() - days * 24 * 3600,) * 2)
    os.utime(mine, (0, 0))
    with closing(ProjectIndex(project, cache)):
        assert {path.name for path in cache.glob("*.sqlite")} == {mine.name, "recent.sqlite"}


def test_an_index_may_be_deleted_while_it_is_open(project, index, tmp_path):
    fill(project)
    index.refresh()
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    file.unlink()
    index.refresh()
    assert ids(index, voided=True) == "b"
    assert file.exists()
