"""Explanations without a network: values as the engine answers, and an engine that is told."""

from functools import partial
from pathlib import Path

import numpy as np

from napari_semxai.algorithms.explanations.masks import PAPER_COLORS
from napari_semxai.controllers.explain.sources import MapSource, NamedMap
from napari_semxai.types import (
    CAM_METHODS,
    Checks,
    Classification,
    ClassifierInfo,
    ConceptBank,
    ConceptMaps,
    Heatmap,
    InputError,
    LayerNode,
    Nearest,
    NetworkLayers,
    Sanity,
)

NAMES = tuple(f"Class {number}" for number in range(1, 7))
INFO = ClassifierInfo("bundled", "ab" * 32, "lite0", NAMES, (224, 224), synthetic=True)
SHAPE = (96, 128)


class Engine:
    """Stands in for the engine process: the tests are about what is done with its answers."""

    def __init__(self):
        self.jobs, self.cancelled = {}, []

    def submit(self, request, *, destination, background=False, **callbacks):
        self.jobs[destination] = (request, callbacks)

    def cancel(self, destination):
        self.cancelled.append(destination)
        self.jobs.pop(destination, None)

    forget = cancel

    def request(self, kind):
        """Return the newest waiting request of a type, and None where there is none."""
        found = [request for request, _ in self.jobs.values() if isinstance(request, kind)]
        return found[-1] if found else None

    def answer(self, kind, *answers, done=True):
        """Answer the newest waiting request of a type."""
        waiting = [name for name, (request, _) in self.jobs.items() if isinstance(request, kind)]
        assert waiting, f"nobody asked for {kind.__name__}"
        destination = waiting[-1]
        callbacks = self.jobs[destination][1]
        if done:
            del self.jobs[destination]
        for answer in answers:
            callbacks["on_update"](answer)
        if done:
            callbacks["on_done"]()

    def fail(self, kind, message):
        for destination, (request, callbacks) in list(self.jobs.items()):
            if isinstance(request, kind):
                del self.jobs[destination]
                callbacks["on_failed"](message)


class NowJobs:
    """Runs a function where it is asked for."""

    def __init__(self, say=print):
        self._say = say

    def run(self, destination, function, on_done=None, on_failed=None):
        try:
            result = function()
        except InputError as error:
            (on_failed or self._say)(str(error))
        else:
            if on_done is not None:
                on_done(result)

    def deliver(self, function):
        function()

    def forget(self, destination):
        pass


def classification(predicted=2, n=6):
    probabilities = np.full(n, 0.1 / (n - 1), np.float32)
    probabilities[predicted] = 0.9
    return Classification(probabilities, NAMES, INFO)


def nearest(files):
    crops = np.zeros((len(files), 64, 64), np.uint8)
    return Nearest(tuple(files), np.linspace(0.9, 0.5, len(files), dtype=np.float32), crops)


def network(seconds_per_pass=0.05):
    layers = (
        LayerNode("layer3", "Sequential", (128, 14, 14), True, True),
        LayerNode("layer3.0", "BasicBlock", (128, 14, 14), True, True),
        LayerNode("layer4", "Sequential", (256, 7, 7), True, True),
        LayerNode("layer4.0.conv1", "Conv2d", (256, 7, 7), True, False, "inside a block"),
        LayerNode("fc", "Linear", (), False, False, "its output is no map"),
    )
    return NetworkLayers(layers, "layer4", "layer3", CAM_METHODS, seconds_per_pass, "", INFO)


def peak(shape=SHAPE, place=(40, 50), width=12.0):
    """Return a bump from 0 to 1."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    square = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    return np.clip(1 - square / width**2, 0, 1).astype(np.float32)


def heatmap(target=2, method="gradcam", raw_maximum=3.5, place=(40, 50), shape=SHAPE):
    values = peak(shape, place)
    return Heatmap(
        values if raw_maximum else np.zeros_like(values),
        raw_maximum,
        method,
        target,
        f"Class {target + 1}",
        ("layer4",),
        INFO.sha256,
    )


def checks(randomised=0.05, deletion=0.2):
    areas = {"grey": (0.7, deletion), "blurred": (0.6, 0.3)}
    return Checks(areas, Sanity(randomised, 0.1, 0.97))


def colors_of(k):
    more = np.random.default_rng(0).integers(0, 256, (max(k - 5, 0), 3))
    return np.concatenate([np.array(PAPER_COLORS)[:k], more]).astype(np.uint8)


def bank(k=6, target=2, key="bank", path=Path("bank.safetensors")):
    crops = np.random.default_rng(0).integers(0, 256, (k, 10, 64, 64), dtype=np.uint8)
    boxes = np.tile(np.array([8, 16, 40, 48], np.int32), (k, 10, 1))
    return ConceptBank(
        path,
        key,
        target,
        f"Class {target + 1}",
        "layer3",
        k,
        64,
        0,
        INFO.sha256,
        np.linspace(0.5, 0.02, k, dtype=np.float32),
        colors_of(k),
        crops,
        np.arange(10, dtype=np.int32)[None].repeat(k, axis=0) % 2,
        boxes,
        0.91,
        0.97,
        2,
    )


def concept_maps(k=6, target=2, key="bank", shape=SHAPE):
    places = [(20 + 10 * number, 20 + 15 * number) for number in range(k)]
    maps = np.stack([(number + 1) * peak(shape, place) for number, place in enumerate(places)])
    colors = colors_of(k)
    rendering = np.zeros((*shape, 3), np.uint8)
    for number in reversed(range(min(k, 5))):
        rendering[maps[number] > 0] = colors[number]
    return ConceptMaps(
        maps,
        maps[:, ::8, ::8],
        np.linspace(0.5, 0.02, k, dtype=np.float32),
        np.linspace(0.02, 0.5, k, dtype=np.float32),
        colors,
        rendering,
        target,
        ("layer3",),
        INFO.sha256,
        key,
    )


class OwnFamily(MapSource):
    """Another family of explanations, with nothing but its maps and what made them."""

    family, field, mask_title = "edges", "advice", "edges masks"

    def maps(self, explanation):
        if explanation.advice is None:
            return []
        places = {"edges, strong": (40, 50), "edges, weak": (60, 80)}
        return [
            NamedMap(name, (name, place), partial(peak, place=place), "own", (9, 8, 7 + number))
            for number, (name, place) in enumerate(places.items())
        ]

    def details(self, explanation, name):
        return {"method": "edges", "name": name}
