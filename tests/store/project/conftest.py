import pytest

from tests.store.project.projects import three_images


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with three_images(tmp_path) as project:
        yield project
