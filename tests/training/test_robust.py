from pathlib import Path

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1 import suspects
from napari_semxai.algorithms.algorithm1.evidence import SAID
from napari_semxai.algorithms.algorithm1.suspects import LOOKS, SHOWN, Model

training = pytest.importorskip("training.robust", reason="scikit-learn fits the numbers")


@pytest.mark.parametrize("name", ["PLAIN", "SEEN", "COMPARED"])
def test_numbers_are_written_into_the_module(name):
    code = Path(suspects.__file__).read_text()
    for text in (code, training.with_model(code, name, getattr(suspects, name))):
        values: dict[str, object] = {"__name__": suspects.__name__}
        exec(training.with_model(text, name, Model((1.5, 2.0), -2.5, (0.25, 0.75))), values)
        assert values[name] == Model((1.5, 2.0), -2.5, (0.25, 0.75))
        for other in {"PLAIN", "SEEN", "COMPARED"} - {name}:
            assert values[other] == getattr(suspects, other)


def test_the_numbers_are_all_there():
    widths = np.cumsum([len(LOOKS), len(SAID), len(SHOWN)])
    for model, width in zip(
        (suspects.PLAIN, suspects.SEEN, suspects.COMPARED), widths, strict=True
    ):
        assert len(model.coefficients) == width
        assert any(model.coefficients)
        assert model.presence[0] > 0
