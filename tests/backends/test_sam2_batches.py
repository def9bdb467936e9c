"""How many prompts are decoded at once."""

import torch

from napari_semxai.backends.sam2_batches import CPU_SIZES, BatchSizer


def test_the_fastest_size_is_kept_to():
    sizer = BatchSizer(torch.device("cpu"))
    for _ in range(20):
        size = sizer.size()
        sizer.record(size, 0.01 * size if size != 2 else 0.001)
    assert sizer.size() == 2


def test_a_steady_one_does_not_depend_on_time():
    sizer = BatchSizer(torch.device("cpu"), steady=True)
    sizes = []
    for seconds in (3.0, 0.001, 0.5):
        sizes.append(sizer.size())
        sizer.record(sizes[-1], seconds)
    assert sizes == [CPU_SIZES[2]] * 3
    assert sizer.halve(4) == 2
    assert sizer.size() == 2
