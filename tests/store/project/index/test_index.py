import errno
import os
import shutil
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields, replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_semxai.state.queue import Queue
from napari_semxai.store.images.masks import write_mask
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.index import database as index_database
from napari_semxai.store.project.index.index import ProjectIndex
from napari_semxai.store.project.project import open_project
from napari_semxai.types import (
    QUEUE_COLUMNS,
    InputError,
    QueueFilter,
    QueueRow,
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
    assert ids(index, where={"label": frozenset(["1"])}) == "d"
    assert ids(index, where={"label": frozenset(["5", "0"])}) == "abc"
    assert ids(index, where={"confidence": (0.2, 0.6)}) == "bc"
    assert ids(index, annotator="anna", where={"score": (2.0, 4.0)}) == "a"
    assert ids(index, text="lot2") == "c"
    assert ids(index, where={"lot": frozenset(["LOT1", "LOT3"])}) == "bd"
    assert ids(index, where={"wafer": frozenset(["7"])}) == ""
    assert ids(index, annotator="anna", where={"area": (2, inf)}) == "b"
    assert ids(index, annotator="anna", where={"area": (0, 1)}) == "a"
    assert ids(index, annotator="anna", order="area", descending=True) == "bacd"
    assert ids(index, text="%") == ""
    assert ids(index, annotator="anna", order="confidence") == "bacd"
    assert ids(index, annotator="anna", order="confidence", descending=True) == "abcd"
    assert ids(index, order="image", descending=True) == "dcba"
    assert ids(index, annotator="anna", order="time", descending=True) == "bacd"


def test_comments_are_found_in_any_case_and_script(project, index):
    project.write_review("b", "Anna", ReviewChange(comment="KRATZER über 100%"))
    project.write_review("c", "Ben", ReviewChange(comment="kratzer"))
    index.refresh()
    assert ids(index, text="Über") == "b"
    assert ids(index, text="0%") == "b"
    assert ids(index, text="Kratzer") == "bc"
    assert ids(index, text="kratzer", annotator="anna") == "b"
    # What others say stays hidden from whoever is blind.
    assert ids(index, text="kratzer", hidden_from="anna") == "b"


def test_rows_say_what_is_shown(project, index):
    fill(project)
    index.refresh()
    first, second, third, fourth = index.queue(QueueFilter(annotator="anna"))
    assert (first.number, first.annotator, first.state) == (1, "anna", ReviewState.ACCEPTED)
    assert (first.has_mask, first.label, first.score) == (True, "0", 3.0)
    assert (second.voided, second.label) == (ReviewState.CORRECTED, "5")
    assert (third.annotator, third.state, third.has_mask) == ("", ReviewState.CANDIDATE, False)
    assert (fourth.label, fourth.confidence, fourth.time) == ("1", None, "")
    assert (first.area, second.area, third.area, fourth.lot) == (1, 3, None, "LOT3")


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
    settle(project)
    assert index.refresh() == {"a", "b", "c"}
    listed = watched(monkeypatch)
    assert index.refresh() == set()
    assert listed() == []


def settle(project):
    """Let all folders have been written a while ago."""
    past = time.time() - 60
    for folder in project.folder.rglob("*/"):
        os.utime(folder, (past, past))


def watched(monkeypatch):
    """Return the annotators' folders that are listed from now on."""
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    return lambda: [path for path in listed if path.endswith(("records", "masks"))]


def same_as_fresh(project, index, folder):
    with closing(ProjectIndex(project, folder)) as fresh:
        for annotator in (None, "anna", "ben", "zoe"):
            wanted = QueueFilter(annotator=annotator)
            assert index.queue(wanted) == fresh.queue(wanted)
        assert index.status() == fresh.status()


def test_own_reviews_need_no_look_at_the_folder(project, index, tmp_path, monkeypatch):
    fill(project)
    settle(project)
    index.refresh()
    listed = watched(monkeypatch)
    for state in (ReviewState.UNSURE, ReviewState.CORRECTED, ReviewState.NO_DEFECT):
        index.put(project.write_review("c", "Anna", ReviewChange(state, mask(4), label="8")))
        assert index.refresh() == set()
        assert ids(index, annotator="anna", where={"label": frozenset("8")}, states={state}) == "c"
    # The first review of somebody new.
    index.put(project.write_review("d", "Zoe ", ReviewChange(ReviewState.UNSURE)))
    assert index.refresh() == set()
    assert listed() == []
    same_as_fresh(project, index, tmp_path / "other")


def test_what_others_write_beside_own_reviews_is_seen(project, index, tmp_path):
    fill(project)
    index.refresh()
    # By another annotator, and by another program into this one's folder.
    with closing(open_project(project.folder)) as other:
        other.write_review("d", "Zoe", ReviewChange(ReviewState.REJECTED))
    write_mask(project.folder / "reviews" / "anna" / "masks" / "a.png", mask(9))
    index.put(project.write_review("c", "Anna", ReviewChange(ReviewState.UNSURE)))
    assert ids(index, annotator="anna", states=frozenset([ReviewState.UNSURE])) == "c"
    assert index.refresh() == {"a", "d"}
    same_as_fresh(project, index, tmp_path / "other")


def test_reviews_may_be_put_late_and_in_any_order(project, index, tmp_path):
    fill(project)
    index.refresh()
    first = project.write_review("c", "Anna", ReviewChange(ReviewState.UNSURE))
    second = project.write_review("d", "Anna", ReviewChange(ReviewState.REJECTED))
    third = project.write_review("c", "Anna", ReviewChange(comment="later"))
    index.put(second)
    index.put(first)
    assert index.refresh() == set()
    index.put(third)
    same_as_fresh(project, index, tmp_path / "other")
    project.write_review("a", "Anna", ReviewChange(ReviewState.REJECTED))
    index.put(project.write_review("b", "Anna", ReviewChange(ReviewState.REJECTED)))
    assert index.refresh() == {"a"}
    same_as_fresh(project, index, tmp_path / "another")


def test_a_record_that_could_not_be_read_is_looked_at_again(project, index, monkeypatch):
    fill(project)
    look = Path.exists

    def exists(path):
        if path.name == "a.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return look(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", exists)
        index.refresh()
        assert len(index.status().damaged) == 2
    index.refresh(every_file=True)
    assert index.status().damaged == ()
    assert index.status().reviewed == 2


def test_a_file_written_in_place_is_seen_at_opening_and_when_every_file_is_looked_at(
    project, index, tmp_path
):
    fill(project)
    settle(project)
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


@pytest.mark.parametrize("damage", ["missing", "garbage", "blocked"])
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
    else:
        shutil.rmtree(cache)
        cache.write_text("a file where the folder should be")
    with closing(ProjectIndex(project, cache)) as index:
        assert index.queue(QueueFilter()) == before


def test_an_index_of_other_columns_is_made_again(project, tmp_path, monkeypatch):
    fill(project)
    with monkeypatch.context() as earlier:
        earlier.setattr(index_database, "LAYOUT", "without scores")
        with closing(ProjectIndex(project, tmp_path / "cache")) as index:
            before = index.queue(QueueFilter(annotator="anna"))
    (file,) = (tmp_path / "cache").glob("*.sqlite")
    with closing(sqlite3.connect(file)) as database:
        database.execute("ALTER TABLE reviews DROP COLUMN score")
    with closing(ProjectIndex(project, tmp_path / "cache")) as index:
        assert index.queue(QueueFilter(annotator="anna")) == before


def test_every_column_of_the_index_is_what_the_record_says(project, index):
    fill(project)
    index.refresh()
    before = index.queue(QueueFilter(annotator="anna"))
    queue = Queue("lot", project.folder, "anna", 4, before)
    for image in "ab":
        record = project.record(image, "anna")
        label = next(each.label for each in project.images if each.id == image)
        told = queue.with_record(record, label)
        assert told.shown == tuple(
            replace(row, annotator="Anna") if row.image == image else row for row in before
        )
    assert [column.name for column in QUEUE_COLUMNS] == [each.name for each in fields(QueueRow)]


def test_an_index_of_other_images_is_made_again(project, index, tmp_path):
    table = project.folder / "images.csv"
    table.write_text(table.read_text().replace("LOT3", "LOT4"))
    with closing(ProjectIndex(open_project(project.folder), tmp_path / "cache")) as again:
        assert (ids(again, text="lot4"), ids(again, text="lot3")) == ("d", "")


def hurt(index, file, fault):
    """Make every further write to the index fail as a bad cache disk does; return what to undo."""
    if fault == "locked":
        other = sqlite3.connect(file)
        other.execute("BEGIN EXCLUSIVE")
        return other.close
    if fault == "no journal":
        file.with_name(f"{file.name}-journal").mkdir()
    else:
        pragma = {"full": "max_page_count = 1", "read-only": "query_only = 1"}[fault]
        with index._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA {pragma}")
    return lambda: None


@pytest.mark.parametrize("fault", ["full", "read-only", "locked", "no journal"])
@pytest.mark.parametrize("own", [False, True])
def test_a_bad_cache_disk_does_not_stop_the_project(project, tmp_path, monkeypatch, fault, own):
    monkeypatch.setattr(index_database, "_LOCK_SECONDS", 0.05)
    long = ReviewChange(ReviewState.UNSURE, label="x" * 20_000)
    with closing(ProjectIndex(project, tmp_path / "cache")) as index:
        (file,) = (tmp_path / "cache").glob("*.sqlite")
        undo = hurt(index, file, fault)
        record = project.write_review("d", "Zoe", long)
        if own:
            index.put(record)
        else:
            assert index.refresh() == {"d"}
        assert ids(index, states=frozenset([ReviewState.UNSURE])) == "d"
        index.put(project.write_review("a", "Zoe", long))
        assert index.refresh() == set()
        assert ids(index, states=frozenset([ReviewState.UNSURE])) == "ad"
        assert index.status().reviewed == 2
        undo()


def test_threads_share_an_index_in_memory(project, tmp_path):
    """Readers never undo what is being written."""
    (tmp_path / "cache").write_text("a file where the folder should be")
    with (
        closing(ProjectIndex(project, tmp_path / "cache")) as index,
        ThreadPoolExecutor(4) as threads,
    ):
        readers = []
        for number in range(20):
            record = project.write_review("a", "Zoe", ReviewChange(comment=str(number)))
            readers += [threads.submit(ids, index) for _ in range(8)]
            index.put(record)
            (row,) = index.queue(QueueFilter(annotator="zoe", text="a"))[:1]
            assert row.time == record.time
        assert {reader.result() for reader in readers} == {"abcd"}


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
