"""Atomic writes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from napari_semxai.store.disk.atomic import atomic_write, write_json
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_the_file_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["c.bin"]


def test_a_failing_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["c.bin"]


def test_the_old_file_is_there_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "c.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no call for folders")
def test_file_and_name_are_on_the_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.bin"
    path.write_bytes(b"before")
    waits = []

    def wait(descriptor: int) -> None:
        found = os.fstat(descriptor)
        waits.append((found.st_ino, path.read_bytes()))
        if len(waits) == 1:
            assert found.st_size == len(b"new")

    monkeypatch.setattr(os, "fsync", wait)
    with atomic_write(path) as file:
        file.write(b"new")
    assert waits == [(path.stat().st_ino, b"before"), (tmp_path.stat().st_ino, b"new")]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to(tmp_path / "real.bin")
    with atomic_write(tmp_path / "link.bin") as file:
        file.write(b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="no such permissions on Windows")
def test_others_may_read_what_the_user_mask_allows(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "c.bin") as file:
        file.write(b"x")
    (tmp_path / "plain.bin").write_bytes(b"x")
    assert (tmp_path / "c.bin").stat().st_mode == (tmp_path / "plain.bin").stat().st_mode


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"file.c\.bin: cannot be written"):
        write_json(tmp_path / "file" / "c.bin", {})


def test_json_is_readable_and_free_of_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"α": 2.0, "winner": None})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"α": 2.0, "winner": None}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert "winner" in (tmp_path / "a.json").read_text("utf-8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """As root a rename over /dev/null would succeed, and break every program on the machine."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="not an ordinary file"), atomic_write(path) as file:
            file.write(b"new")
    assert (tmp_path / "pipe").is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]
