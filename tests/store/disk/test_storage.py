import pytest

from napari_semxai.store.disk import folders as module
from napari_semxai.store.disk.folders import clear_caches, stored_files


@pytest.fixture
def folders(tmp_path, monkeypatch):
    names = ("project_index", "concepts", "models", "recovery", "projects")
    for name in names:
        monkeypatch.setattr(module, f"{name}_folder", lambda name=name: tmp_path / name)
    return tmp_path


def test_sizes_are_told_and_only_caches_are_cleared(folders):
    for name, size in (("project_index", 10), ("concepts/deep", 20), ("models", 300)):
        (folders / name).mkdir(parents=True)
        (folders / name / "file").write_bytes(bytes(size))
    assert [(one.size, one.cache) for one in stored_files()] == [
        (10, True),
        (20, True),
        (300, False),
        (0, False),
        (0, False),
    ]
    clear_caches()
    assert [one.size for one in stored_files()] == [0, 0, 300, 0, 0]
