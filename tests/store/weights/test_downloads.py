"""Downloads, from a server on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_semxai.store.weights import downloads
from napari_semxai.store.weights.downloads import DownloadCancelled, download_model
from napari_semxai.types import InputError
from tests.store.weights.serving import CONTENT, GOOD, entry, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("sha256", [GOOD, None])
@pytest.mark.parametrize("announced", [None, -1])
def test_download(tmp_path: Path, sha256: str | None, announced: int | None) -> None:
    steps: list[tuple[int, int]] = []
    with serving(CONTENT, announced=announced) as address:
        path = download_model(
            entry(address, sha256), tmp_path / "m", progress=lambda *step: steps.append(step)
        )
    assert path == tmp_path / "m" / "tiny.pt"
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert steps == sorted(steps)
    assert [file.name for file in path.parent.iterdir()] == ["tiny.pt"]


def test_no_name_before_the_end(tmp_path: Path) -> None:
    seen: set[str] = set()

    def look(done: int, total: int) -> None:
        seen.update(file.name for file in tmp_path.iterdir())

    with serving(CONTENT) as address:
        download_model(entry(address, GOOD), tmp_path, progress=look)
    assert seen == {"tiny.pt.part"}


def test_what_lies_on_the_disk_is_checked(tmp_path: Path) -> None:
    """Another program may write the same file meanwhile."""

    def meddle(done: int, total: int) -> None:
        if done == total:
            with (tmp_path / "tiny.pt.part").open("r+b") as file:
                file.write(b"x")

    with serving(CONTENT) as address, pytest.raises(InputError, match="other contents"):
        download_model(entry(address, GOOD), tmp_path, progress=meddle)
    assert list(tmp_path.iterdir()) == []


def test_cancel_leaves_nothing(tmp_path: Path) -> None:
    received: list[int] = []
    with serving(CONTENT) as address, pytest.raises(DownloadCancelled):
        download_model(
            entry(address, GOOD),
            tmp_path,
            progress=lambda done, total: received.append(done),
            cancel=lambda: len(received) >= 2,
        )
    assert len(received) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        (b"<html>proxy says no</html>", {}, "gave 26 bytes instead of 1,048,576"),
        (CONTENT[:1000], {"announced": len(CONTENT)}, "could not be downloaded|gave 1,000 bytes"),
        (CONTENT[:1000], {"announced": -1}, "gave 1,000 bytes"),
        (CONTENT * 2, {"announced": -1}, "instead of 1,048,576"),
        (CONTENT[::-1], {}, "answered with other contents"),
        (b"", {"status": 404}, r"could not be downloaded.*Not Found.*models import FILE"),
    ],
)
def test_failures_keep_the_good_file(
    tmp_path: Path, body: bytes, options: dict[str, int], message: str
) -> None:
    (tmp_path / "tiny.pt").write_bytes(b"earlier")
    with serving(body, **options) as address, pytest.raises(InputError, match=message):
        download_model(entry(address, GOOD), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.pt"]
    assert (tmp_path / "tiny.pt").read_bytes() == b"earlier"


def test_no_network(tmp_path: Path) -> None:
    with serving(b"") as address:
        pass
    with pytest.raises(InputError, match=r"could not be downloaded.*HTTPS_PROXY"):
        download_model(entry(address), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="0 MB free, tiny needs 1 MB"):
        download_model(entry("http://127.0.0.1:9/tiny.pt"), tmp_path)
