"""SAM clicks without the network."""

import numpy as np

from napari_semxai.types import ModelInfo, PredictedMask


class Engine:
    """Keeps requests until a test answers them."""

    def __init__(self):
        self.requests = []

    def submit(self, request, *, destination, on_update, on_done, on_failed, background=False):
        assert (destination, background) in (("click", False), ("click preview", True))
        self.requests.append((request, on_update, on_done, on_failed))

    def forget(self, destination):
        self.requests = []

    cancel = forget

    def answer(self, mask, *, end=True):
        request, on_update, on_done, _ = self.requests.pop(0)
        on_update(ModelInfo("fake", "", "cpu"))
        if mask is not None:
            on_update(PredictedMask(mask, 0.9))
        on_done()
        return request


def disc(row, column, radius=8, shape=(96, 128)):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
