import pytest

from napari_semxai.store.disk.preferences import last_folder, remember_folder


def test_each_kind_has_its_own(tmp_path):
    file = tmp_path / "config" / "last_folders.json"
    assert last_folder(file, "truth") is None
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    remember_folder(file, "truth", tmp_path / "one")
    remember_folder(file, "export", tmp_path / "two")
    assert last_folder(file, "truth") == tmp_path / "one"
    assert last_folder(file, "export") == tmp_path / "two"
    assert last_folder(file, "weights") is None


def test_a_folder_that_is_gone_is_no_proposal(tmp_path):
    file = tmp_path / "last_folders.json"
    remember_folder(file, "truth", tmp_path / "gone")
    assert last_folder(file, "truth") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"folders": 3}', "\x00"])
def test_a_damaged_file_knows_none_and_is_replaced(tmp_path, text):
    file = tmp_path / "last_folders.json"
    file.write_text(text)
    assert last_folder(file, "truth") is None
    remember_folder(file, "truth", tmp_path)
    assert last_folder(file, "truth") == tmp_path


def test_where_it_cannot_be_written_nothing_happens(tmp_path):
    file = tmp_path / "a file" / "last_folders.json"
    file.parent.write_text("")
    remember_folder(file, "truth", tmp_path)
    assert last_folder(file, "truth") is None
