import pytest
import torch

from napari_semxai.backends.sam2.checkpoints import choose_device
from napari_semxai.types import InputError


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_there_is(monkeypatch, cuda, mps, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device().type == expected


def test_unknown_devices_are_refused():
    with pytest.raises(InputError, match="abacus"):
        choose_device("abacus")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="No cuda device"):
        choose_device("cuda:0")
