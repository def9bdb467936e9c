from pathlib import Path

import pytest

from napari_semxai.algorithms.algorithm1 import robust

training = pytest.importorskip("training.robust", reason="scikit-learn fits the numbers")


def test_numbers_are_written_into_the_module(monkeypatch):
    code = Path(robust.__file__).read_text()
    assert training.with_numbers(code) == code
    monkeypatch.setattr(robust, "COEFFICIENTS", (1.5,))
    monkeypatch.setattr(robust, "INTERCEPT", -2.5)
    monkeypatch.setattr(robust, "PRESENCE", (0.25, 0.75))
    values: dict[str, object] = {}
    exec(training.with_numbers(code), values)
    assert values["COEFFICIENTS"] == (1.5,)
    assert values["INTERCEPT"] == -2.5
    assert values["PRESENCE"] == (0.25, 0.75)
