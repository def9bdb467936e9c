from pathlib import Path

import numpy as np
import pytest

from napari_semxai.algorithms.algorithm1 import suspects
from napari_semxai.algorithms.algorithm1.evidence import BESIDE, SAID
from napari_semxai.algorithms.algorithm1.suspects import LOOKS, SHOWN, Model

training = pytest.importorskip("training.robust", reason="scikit-learn fits the numbers")


@pytest.mark.parametrize("name", ["PLAIN", "SEEN"])
def test_numbers_are_written_into_the_module(name):
    code = Path(suspects.__file__).read_text()
    for text in (code, training.with_model(code, name, getattr(suspects, name))):
        values: dict[str, object] = {"__name__": suspects.__name__}
        exec(training.with_model(text, name, Model((1.5, 2.0), -2.5, (0.25, 0.75))), values)
        assert values[name] == Model((1.5, 2.0), -2.5, (0.25, 0.75))
        for other in {"PLAIN", "SEEN"} - {name}:
            assert values[other] == getattr(suspects, other)


def test_the_numbers_are_all_there():
    compared = suspects.COMPARED
    assert len(compared.hidden.weights) == len((*LOOKS, *SAID, *SHOWN, *BESIDE))
    for model, width in (
        (suspects.PLAIN, len(LOOKS)),
        (suspects.SEEN, len((*LOOKS, *SAID))),
        (compared, compared.hidden.bias.size),
    ):
        assert len(model.coefficients) == width
        assert any(model.coefficients)
        assert model.presence[0] > 0


def test_a_perceptron_learns_what_no_line_tells():
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(40, 2)) for _ in range(20)]
    wanted = [0.1 + 0.8 * (np.prod(own, axis=1) > 0) for own in rows]
    line, bent = (fit(rows, wanted) for fit in (training.expected_iou, training.perceptron))
    corners = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    assert np.abs(line.logits(corners)).max() < 0.5
    assert (np.sign(bent.logits(corners)) == [1, 1, -1, -1]).all()
    # What is not known counts as the mean.
    unknown = bent.logits(np.array([[np.nan, 1.0]]))
    assert unknown == bent.logits(np.array([[bent.hidden.mean[0], 1.0]]))
    # As text the numbers have half the digits.
    again = suspects.unpacked(suspects.packed(bent), 2)
    np.testing.assert_allclose(again.logits(corners), bent.logits(corners), atol=0.02)


def test_numbers_of_a_perceptron_are_written_into_the_module():
    code, values = Path(suspects.__file__).read_text(), {"__name__": suspects.__name__}
    assert training.with_model(code, "COMPARED", suspects.COMPARED) == code
    lower = suspects.COMPARED._replace(intercept=-2.5)
    exec(training.with_model(code, "COMPARED", lower), values)
    assert values["COMPARED"].intercept == -2.5
    assert values["COMPARED"].coefficients == suspects.COMPARED.coefficients
    assert values["SEEN"] == suspects.SEEN
