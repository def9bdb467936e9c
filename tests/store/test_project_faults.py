"""Nothing is lost: two writers, kills at any moment, full, read-only and vanished disks."""

import errno
import os
import random
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from filelock import FileLock

from napari_semxai.store.disk.digests import array_digest
from napari_semxai.store.disk.safety_net import list_recoveries, load_recovery
from napari_semxai.store.project.create import create_project
from napari_semxai.store.project.index.open_project import write_kept
from napari_semxai.store.project.project import open_project
from napari_semxai.types import InputError, ReviewChange, ReviewState
from tests.store.project_writer import mask_of

SHAPE = (48, 64)
WRITER = Path(__file__).with_name("project_writer.py")


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("state", "cache"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    images = tmp_path / "images"
    images.mkdir()
    for index in range(5):
        tifffile.imwrite(images / f"{index}.tif", np.full(SHAPE, index, dtype=np.uint8))
    project = create_project(tmp_path / "project", images)
    yield project
    project.close()


def start(project, annotator, first, count, *other):
    numbers = (str(first), str(count))
    command = [sys.executable, str(WRITER), str(project.folder), annotator, *numbers, *other]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def environment():
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def acknowledged(lines):
    """Numbers of the writes that were said to be done, by image."""
    done = defaultdict(list)
    for line in lines:
        image, number, digest = line.split()
        assert digest == array_digest(mask_of(int(number), SHAPE))
        done[image].append(int(number))
    return done


@pytest.mark.parametrize("edits", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_two_processes_lose_no_edit_and_see_each_others(project, edits):
    """Both hold an index, one file in the user's cache folder."""
    pairs = (("anna", "ben"), ("ben", "anna"))
    writers = {name: start(project, name, 0, edits // 2, other) for name, other in pairs}
    lines = {name: writer.communicate()[0].splitlines() for name, writer in writers.items()}
    assert [writer.returncode for writer in writers.values()] == [0, 0]
    assert [lines[name].pop() for name, _ in pairs] == ["all of ben", "all of anna"]
    assert sum(map(len, lines.values())) == edits
    for name, said in lines.items():
        for image, numbers in acknowledged(said).items():
            record = project.record(image, name)
            comments = [event.comment for event in record.history]
            assert comments == [f"edit {number}" for number in numbers]
            np.testing.assert_array_equal(project.mask(image, name), mask_of(numbers[-1], SHAPE))


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_kills_damage_nothing(project, kills):
    moments = random.Random(5)
    first = 0
    done = defaultdict(list)
    for _ in range(kills):
        writer = start(project, "anna", first, 10_000)
        lines = [writer.stdout.readline() for _ in range(moments.randint(1, 12))]
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(timeout=moments.uniform(0, 0.02))
        writer.kill()
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        for image, numbers in acknowledged(lines).items():
            done[image] += numbers
        first = max(map(max, done.values())) + 1
        check_after_kill(project, done, first)
        # The write that the kill interrupted may be there as a whole, and is then repeated.


def check_after_kill(project, done, interrupted):
    for image in project.images:
        numbers = done.get(image.id, [])
        record = project.record(image.id, "anna")
        if record is None:
            assert not numbers
            continue
        comments = [event.comment for event in record.history]
        lost = [number for number in numbers if f"edit {number}" not in comments]
        assert lost == []
        mask = project.mask(image.id, "anna")
        expected = (interrupted, *numbers[-1:])
        assert any((mask == mask_of(number, SHAPE)).all() for number in expected)
        assert record.mask_sha256 == array_digest(mask)


def test_largest_file_allowed_is_too_small(project, tmp_path):
    """The system refuses the write, as a full disk does: the last good mask stays."""
    project.write_review("0", "anna", ReviewChange(ReviewState.CORRECTED, mask_of(1, SHAPE)))
    before = project.record("0", "anna")
    project.close()
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "from tests.store.project_writer import main\n"
        "main(sys.argv[1], 'anna', '5', '1')\n"
    )
    command = [sys.executable, "-B", "-c", code, str(project.folder)]
    environ = {**environment(), "XDG_STATE_HOME": str(tmp_path / "state")}
    answer = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
    assert answer.returncode == 1
    (line,) = answer.stderr.splitlines()
    assert "0.png: cannot be written (File too large)" in line
    assert "in memory only" in line
    assert project.record("0", "anna") == before
    np.testing.assert_array_equal(project.mask("0", "anna"), mask_of(1, SHAPE))
    assert list(project.folder.rglob("*.tmp")) == []


FULL = "dd if=/dev/zero of={drive}/filler bs=1k 2>/dev/null"
FAULTS = {
    "full": (FULL, "No space left on device"),
    "read-only": ("mount -o remount,ro {drive}", "Read-only file system"),
    "vanished": (":", "is its drive there"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_drive_fails(project, tmp_path, fault):
    """A real small drive, mounted where only the writing process sees it."""
    drive, state = tmp_path / "drive", tmp_path / "state"
    drive.mkdir()
    break_it, reason = FAULTS[fault]
    python = f"{sys.executable} {WRITER} {drive}/project"
    script = (
        f"mount -t tmpfs -o size=256k none {drive} || exit 77\n"
        f"cp -r {project.folder} {drive}/project && cp -r {tmp_path}/images {drive}/ || exit 77\n"
        f"{python} anna 0 1 && {break_it.format(drive=drive)}\n"
        f"{python} anna 5 1 && exit 78\n"
        f"cp -r {drive} {tmp_path}/left\n"
    )
    if fault == "vanished":
        script = script.replace(f"{python} anna 5 1", vanishing(drive))
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script]
    environ = {**environment(), "XDG_STATE_HOME": str(state), "DRIVE": str(drive)}
    try:
        answer = subprocess.run(command, check=False, capture_output=True, text=True, env=environ)
    except FileNotFoundError:
        pytest.skip("unshare is not here")
    if answer.returncode == 77 or "unshare failed" in answer.stderr:
        pytest.skip("this machine lets nobody mount a drive")
    assert answer.returncode == 0, answer.stderr
    (line,) = [line for line in answer.stderr.splitlines() if "mask" in line]
    assert reason in line
    assert "the mask is kept in" in line
    (copy,) = list_recoveries(state / "napari-semxai" / "recovery")
    np.testing.assert_array_equal(load_recovery(copy.path)[0], mask_of(5, SHAPE))
    if fault != "vanished":
        left = open_project(tmp_path / "left" / "project")
        np.testing.assert_array_equal(left.mask("0", "anna"), mask_of(0, SHAPE))


def vanishing(drive):
    """Open the project first, then take the drive away under it."""
    code = (
        "import subprocess, sys; from tests.store.project_writer import *\n"
        f"project = open_project('{drive}/project')\n"
        f"subprocess.run(['umount', '{drive}'], check=True)\n"
        "try: write(project, 'anna', 5)\n"
        "except InputError as error: sys.exit(str(error))\n"
    )
    return f'{sys.executable} -c "{code}"'


@contextmanager
def dead_drive(folder, number):
    """Make every look at a file below fail, as a drive that hangs or is away does."""
    look = Path.stat

    def stat(path, **options):
        if folder in (path, *path.parents):
            raise OSError(number, os.strerror(number), str(path))
        return look(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        yield


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.EACCES])
def test_a_change_is_kept_however_a_drive_is_dead(project, number):
    project.write_review("0", "anna", ReviewChange(ReviewState.CORRECTED, mask_of(1, SHAPE)))
    with dead_drive(project.folder, number):
        change = ReviewChange(ReviewState.ACCEPTED, mask_of(5, SHAPE))
        with pytest.raises(InputError, match=rf"images\.csv.*{os.strerror(number)}.*is kept in"):
            project.write_review("0", "anna", change)
        for ask in (project.record, project.mask):
            with pytest.raises(InputError, match=r"anna.*is the drive there"):
                ask("0", "anna")
        with pytest.raises(InputError, match="is the drive there"):
            project.claim("ben")
        with pytest.raises(InputError, match="is the drive there"):
            open_project(project.folder)
        records, failed = write_kept(project, "anna")
        assert records == []
    assert "is the drive there" in failed["0"]
    (record,), _ = write_kept(project, "anna")
    assert record == project.record("0", "anna")
    np.testing.assert_array_equal(project.mask("0", "anna"), mask_of(5, SHAPE))


def test_a_drive_that_dies_after_the_lock(project, monkeypatch):
    """The record cannot be looked at: the change is kept just as well."""
    project.claim("anna")
    look = Path.exists

    def exists(path):
        if path.suffix == ".json":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return look(path)

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(InputError, match=r"0\.json: cannot be read.*the mask is kept in"):
        project.write_review("0", "anna", ReviewChange(mask=mask_of(5, SHAPE)))


def test_a_project_on_a_dead_drive_closes(project, monkeypatch):
    def release(lock, force=False):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    for annotator in ("anna", "ben"):
        project.claim(annotator)
    with monkeypatch.context() as patch:
        patch.setattr(FileLock, "release", release)
        project.close()


def test_drive_back_again(project):
    """The same window goes on writing when the drive is back."""
    project.write_review("0", "anna", ReviewChange(mask=mask_of(1, SHAPE)))
    away = project.folder.with_name("away")
    project.folder.rename(away)
    with pytest.raises(InputError, match="is its drive there"):
        project.write_review("0", "anna", ReviewChange(mask=mask_of(2, SHAPE)))
    assert not project.folder.exists()
    away.rename(project.folder)
    project.write_review("0", "anna", ReviewChange(mask=mask_of(2, SHAPE)))
    np.testing.assert_array_equal(project.mask("0", "anna"), mask_of(2, SHAPE))
