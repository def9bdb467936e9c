import pytest

from napari_semxai.store.disk.preferences import read_shortcuts, write_shortcuts
from napari_semxai.types import InputError


def test_keys_round_trip_and_none_is_none(tmp_path):
    path = tmp_path / "config" / "keys.json"
    assert read_shortcuts(path) == {}
    write_shortcuts(path, {"accept": "Alt-K"})
    assert read_shortcuts(path) == {"accept": "Alt-K"}


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 3}', "{"])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"keys\.json"):
        read_shortcuts(path)
