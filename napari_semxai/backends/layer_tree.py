"""The layers of a classifier's network as the dock shows them, and where to begin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import nn

from napari_semxai.backends.network_layers import cam_fault, layers_of
from napari_semxai.backends.network_split import cut_of, is_relu, trace
from napari_semxai.backends.xplique_import import craft_missing
from napari_semxai.types import CAM_METHODS, InputError, LayerNode, NetworkLayers

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.backends.classifiers import Classifier
    from napari_semxai.backends.network_layers import LayerOutput
    from napari_semxai.types import CamMethod

NEGATIVE_SHARE = 1e-3
"""Values this much below 0, as a share of the largest, are taken for rounding and clamped."""
FINE, DETAIL = 1 / 8, 1 / 4
"""Sides of the maps, as parts of the input's, of the finest bank that tuning tries and of the
layer that sharpens concept maps."""


def describe_layers(classifier: Classifier) -> NetworkLayers:
    """Return the layers of a classifier, what each can be used for, and what a pass costs.

    Parameters
    ----------
    classifier : Classifier
        Whose network is run and traced.

    Returns
    -------
    NetworkLayers
    """
    known, faults = layers_of(classifier), concept_faults(classifier)
    nodes = []
    for name, module in classifier.network.named_modules():
        if not name:
            continue
        output = known.get(name)
        cam, concepts = cam_fault(output), faults.get(name, "its output is no map")
        shape = () if output is None else output.map_shape
        kind = type(module).__name__
        nodes.append(LayerNode(name, kind, shape, not cam, not concepts, cam or concepts))
    return NetworkLayers(
        layers=tuple(nodes),
        cam_default=classifier.default_layer,
        concepts_default=default_concept_layer(classifier),
        methods=tuple(method for method in CAM_METHODS if _runs(method, classifier)),
        seconds_per_pass=_seconds_per_pass(classifier),
        craft_missing=craft_missing(),
        info=classifier.info,
    )


_faults: WeakKeyDictionary[Classifier, dict[str, str]] = WeakKeyDictionary()


def concept_faults(classifier: Classifier) -> dict[str, str]:
    """Say of every layer that gives a map why CRAFT cannot use it; "" when it can.

    The layers come in the order in which they end.
    """
    if classifier not in _faults:
        known = {name: output for name, output in layers_of(classifier).items() if output.layout}
        try:
            fault_of = _judge(classifier)
        except InputError as error:
            _faults[classifier] = dict.fromkeys(known, str(error))
        else:
            _faults[classifier] = {name: fault_of(name, output) for name, output in known.items()}
    return _faults[classifier]


def default_concept_layer(classifier: Classifier) -> str:
    """Name the layer that a bank is made from unless another is asked for; "" for none.

    Grad-CAM's, or the last one that can be used: its concepts stand for the class most, and they
    are made fine afterwards; see the documentation.
    """
    usable = usable_layers(classifier)
    return classifier.default_layer if classifier.default_layer in usable else (usable or [""])[-1]


def fine_layer(classifier: Classifier, share: float) -> str:
    """Name the last usable layer whose map has this share of the input's side; "" for none."""
    known, least = layers_of(classifier), share * min(classifier.info.input_size)
    fine = [n for n in usable_layers(classifier) if min(known[n].map_shape[1:]) >= least]
    return (fine or [""])[-1]


def usable_layers(classifier: Classifier) -> list[str]:
    """Name the layers that CRAFT can use, in the order in which they end."""
    return [name for name, fault in concept_faults(classifier).items() if not fault]


def check_concept_layer(classifier: Classifier, layer: str) -> str:
    """Return `layer`, or the default for "", when CRAFT can use it.

    Raises
    ------
    InputError
        When it cannot; the nearest layer that can is named.
    """
    faults = concept_faults(classifier)
    layer = layer or default_concept_layer(classifier)
    if not layer:
        raise InputError(f"{classifier.info.name}: CRAFT can use none of its layers")
    fault = faults.get(layer, "the network has no such layer, or its output is no map")
    if not fault:
        return layer
    names = list(faults)
    here = names.index(layer) if layer in faults else len(names)
    usable = sorted(usable_layers(classifier), key=lambda name: abs(names.index(name) - here))
    instead = f"; the nearest one that works is {usable[0]}" if usable else ""
    raise InputError(f"layer {layer}: {fault}{instead}")


def _judge(classifier: Classifier) -> Callable[[str, LayerOutput], str]:
    """Trace the network and return what tells the fault of a layer."""
    graph = trace(classifier.network)

    def fault_of(name: str, output: LayerOutput) -> str:
        if output.layout != "channels_first":
            return "its map has channels last"
        try:
            cut = cut_of(graph, name)
        except InputError as error:
            return str(error).removeprefix(f"{name}: ")
        if output.minimum < -NEGATIVE_SHARE * output.maximum and not is_relu(cut):
            return "its values can be negative, which the factorization does not allow"
        return ""

    return fault_of


def _runs(method: CamMethod, classifier: Classifier) -> bool:
    if method.name == "finercam":
        return len(classifier.class_names) > 1
    if method.whole_network:
        return any(
            isinstance(module, nn.Conv2d | nn.BatchNorm2d) and module.bias is not None
            for module in classifier.network.modules()
        )
    return True


def _seconds_per_pass(classifier: Classifier) -> float:
    rows, columns = classifier.info.input_size
    image = torch.zeros(1, classifier.info.channels, rows, columns)
    with classifier.lock, torch.no_grad():
        start = time.perf_counter()
        classifier.network(image)
        return time.perf_counter() - start
