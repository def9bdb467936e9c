"""How many prompts to decode at once: measured, and less when memory runs out."""

from __future__ import annotations

import torch

from napari_semxai.backends.sam2.decoder.one_core_threads import lanes

LONGEST_BATCH = 0.3
"""Seconds after which a batch should be over, so that a cancel is heard."""
TRIALS = 2
CPU_SIZES = (1, 2, 4, 8)
"""For each of the `lanes`."""
GPU_SIZES = (32, 64, 128, 256)


class BatchSizer:
    """Try each batch size on real work, then keep to the fastest.

    Parameters
    ----------
    device : torch.device
        CPUs are fastest with small batches that stay in the cache, GPUs with large ones.
    steady : bool
        Keep to the middle size without a trial.
    """

    def __init__(self, device: torch.device, *, steady: bool = False) -> None:
        count = lanes(device)
        sizes = [count * size for size in (CPU_SIZES if device.type == "cpu" else GPU_SIZES)]
        self._sizes = [sizes[len(sizes) // 2]] if steady else sizes
        self._times: dict[int, list[float]] = {size: [] for size in self._sizes}

    def size(self) -> int:
        """Batch size to use next."""
        tried: list[int] = []
        for size in self._sizes:
            # The next size would take twice as long as the last one did at its best.
            if tried and 2 * tried[-1] * min(self._times[tried[-1]]) > LONGEST_BATCH:
                break
            if len(self._times[size]) < TRIALS:
                return size
            tried.append(size)
        return min(tried, key=lambda size: min(self._times[size]))

    def record(self, size: int, seconds: float) -> None:
        """Note how long a batch of `size` prompts took."""
        self._times.setdefault(size, []).append(seconds / size)

    def halve(self, size: int) -> int:
        """Forbid batches of `size` prompts, for which memory was short; return what to try."""
        smaller = max(1, size // 2)
        self._sizes = [each for each in self._sizes if each <= smaller] or [smaller]
        for each in self._sizes:
            self._times.setdefault(each, [])
        return smaller


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether torch ran out of memory; CPU and MPS have no exception class of their own."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    texts = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)
