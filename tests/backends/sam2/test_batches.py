"""How many prompts are decoded at once."""

import torch

from napari_semxai.backends.sam2.batches import CPU_SIZES, BatchSizer, lanes


def test_the_fastest_size_is_kept_to():
    sizer = BatchSizer(torch.device("cpu"))
    best = 2 * lanes(torch.device("cpu"))
    for _ in range(20):
        size = sizer.size()
        sizer.record(size, 0.001 if size == best else 0.01 * size)
    assert sizer.size() == best


def test_a_steady_one_does_not_depend_on_time():
    sizer = BatchSizer(torch.device("cpu"), steady=True)
    sizes = []
    for seconds in (3.0, 0.001, 0.5):
        sizes.append(sizer.size())
        sizer.record(sizes[-1], seconds)
    size = CPU_SIZES[2] * lanes(torch.device("cpu"))
    assert sizes == [size] * 3
    assert sizer.halve(size) == size // 2
    assert sizer.size() == size // 2
