import numpy as np
import pytest

from training.robust_scenes import FIT_STREAM, KINDS, REPORT_STREAM, kind_spec
from training.samples import TRAINING_STREAM
from training.scenes import HELD_OUT_STREAM, VALIDATION_STREAM


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_what_it_is_called(kind):
    for seed in range(20):
        spec = kind_spec(kind, np.random.default_rng(seed))
        assert (spec.label == 6) == (spec.defects == 0) == kind.startswith("no defect")
        assert kind != "small defect" or spec.radius <= 13
        assert kind != "several defects" or spec.defects >= 2
        framed = any(spec.strip) or spec.info_bar
        assert kind != "strip or info bar" or framed
        assert kind != "plain surface" or not framed
        if kind != "no defect":
            assert ("patterned" in kind) == (spec.pattern != "none")


def test_no_stream_shares_its_seeds():
    streams = (FIT_STREAM, REPORT_STREAM, TRAINING_STREAM, HELD_OUT_STREAM, VALIDATION_STREAM)
    assert len(set(streams)) == len(streams)
