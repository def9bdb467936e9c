"""How many prompts are decoded at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from napari_semxai.backends.sam2.batches import CPU_SIZES, BatchSizer, lanes, side_by_side


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


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_parts_meet_in_threads_of_one_core_and_others_keep_theirs():
    met = threading.Barrier(2)

    def work(part):
        met.wait(20)
        return part, torch.get_num_threads()

    assert lanes(torch.device("cpu")) == 2
    for _ in range(2):
        assert side_by_side(work, ["a", "b"]) == [("a", 1), ("b", 1)]
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == 2


@pytest.mark.usefixtures("two_threads")
def test_an_error_of_one_part_is_raised():
    def work(part):
        if part == "b":
            raise RuntimeError("out of memory")
        return part

    with pytest.raises(RuntimeError, match="out of memory"):
        side_by_side(work, ["a", "b"])
    assert side_by_side(work, ["a", "c"]) == ["a", "c"]


def test_one_part_stays_in_its_thread():
    assert side_by_side(lambda _: threading.get_ident(), ["a"]) == [threading.get_ident()]
    assert lanes(torch.device("cuda")) == 1
