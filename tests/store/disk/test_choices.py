import json

import pytest

from napari_semxai.store.disk.preferences import read_choices, write_choice
from napari_semxai.types import InputError


def test_a_choice_is_found_again_beside_the_others(tmp_path):
    path = tmp_path / "config/choices.json"
    assert read_choices(path) == {}
    write_choice(path, "algorithm", "paper")
    write_choice(path, "other", "one")
    write_choice(path, "algorithm", "robust")
    assert read_choices(path) == {"algorithm": "robust", "other": "one"}


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"choices": 3})])
def test_a_damaged_file_is_named_and_the_next_choice_replaces_it(tmp_path, text):
    path = tmp_path / "choices.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"choices\.json"):
        read_choices(path)
    write_choice(path, "algorithm", "paper")
    assert read_choices(path) == {"algorithm": "paper"}
