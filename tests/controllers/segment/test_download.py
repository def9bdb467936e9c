"""Downloads that the window asks for, from a server on this machine."""

import threading

import pytest

from napari_semxai.controllers.segment import download
from napari_semxai.controllers.segment.download import DownloadController
from napari_semxai.state.session import ModelChoice
from tests.store.weights.serving import CONTENT, GOOD, entry, serving


class Segment:
    """Stands in for the segment controller: the test is about what it is told."""

    def __init__(self):
        self.chosen = []

    def choose_model(self, choice):
        self.chosen.append(choice)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMXAI_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "PACE_SECONDS", 0.0)
    return tmp_path


@pytest.fixture
def segment():
    return Segment()


@pytest.fixture
def downloads(session, jobs, segment):
    return DownloadController(session, jobs, segment)


def until(session, act, *states):
    """Act and wait until the download is in one of the states; return all that was seen."""
    seen, done = [], threading.Event()

    def look(value):
        seen.append(value)
        if value.state in states:
            done.set()

    session.events.download.connect(look)
    act()
    assert done.wait(30)
    session.events.download.disconnect(look)
    return seen


def test_a_download_is_shown_and_then_used(session, downloads, segment, folder):
    session.choice = ModelChoice("bundled", "cpu")
    with serving(CONTENT) as address:
        model = entry(address, GOOD)
        seen = until(session, lambda: downloads.download(model), "done")
    assert [value.done for value in seen] == sorted(value.done for value in seen)
    assert (seen[-1].done, seen[-1].total) == (len(CONTENT), len(CONTENT))
    assert seen[-1].message == f"tiny: downloaded, sha256 {GOOD}, verified"
    assert (folder / "tiny.pt").read_bytes() == CONTENT
    assert segment.chosen == [ModelChoice("tiny", "cpu")]


def test_an_unknown_digest_is_said_and_shown(session, downloads):
    with serving(CONTENT) as address:
        until(session, lambda: downloads.download(entry(address)), "done")
    assert f"sha256 {GOOD}, not known beforehand" in session.download.message


def test_cancel_keeps_nothing_and_it_can_start_again(session, downloads, segment, folder):
    release = threading.Event()
    with serving(CONTENT, pause=release) as address:
        model = entry(address, GOOD)
        until(session, lambda: downloads.download(model), "running")
        downloads.cancel()
        assert session.download.message == "Stopping …"
        until(session, release.set, "cancelled")
        assert list(folder.iterdir()) == []
        assert segment.chosen == []
        until(session, lambda: downloads.download(model), "done")
    assert (folder / "tiny.pt").read_bytes() == CONTENT


def test_only_one_at_a_time(session, downloads, folder):
    release = threading.Event()
    with serving(CONTENT, pause=release) as address:
        model = entry(address, GOOD)
        until(session, lambda: downloads.download(model), "running")
        running = session.download
        downloads.download(model)
        assert session.download is running
        until(session, release.set, "done")


def test_behind_a_proxy_one_clear_message(session, downloads, monkeypatch):
    monkeypatch.delenv("no_proxy")
    with serving(b"") as address:
        pass
    monkeypatch.setenv("http_proxy", address)
    until(session, lambda: downloads.download(entry("http://example.invalid/tiny.pt")), "failed")
    assert "HTTPS_PROXY" in session.download.message
    assert "\n" not in session.download.message
