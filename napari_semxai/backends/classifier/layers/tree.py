"""The layers of a classifier's network as the dock shows them, and where to begin."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import nn

from napari_semxai.backends.classifier.layers.outputs import cam_fault, layers_of
from napari_semxai.backends.classifier.layers.split import cut_of, is_relu, trace
from napari_semxai.backends.runtime.libraries import craft_missing
from napari_semxai.types import CAM_METHODS, InputError, LayerNode, NetworkLayers

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.backends.classifier.layers.outputs import LayerOutput
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
    known, uses = layers_of(classifier), concept_uses(classifier)
    nodes = []
    for name, module in classifier.network.named_modules():
        if not name:
            continue
        output = known.get(name)
        cam, use = cam_fault(output), uses.get(name, ConceptUse("its output is no map"))
        shape = () if output is None else output.map_shape
        reason = cam or use.fault or (_clamping(classifier, name) if use.clamped else "")
        kind = type(module).__name__
        nodes.append(LayerNode(name, kind, shape, not cam, not use.fault, reason, use.clamped))
    return NetworkLayers(
        layers=tuple(nodes),
        cam_default=classifier.default_layer,
        concepts_default=default_concept_layer(classifier),
        methods=tuple(
            costed(cam_method, classifier)
            for cam_method in CAM_METHODS
            if _runs(cam_method, classifier)
        ),
        seconds_per_pass=seconds_per_pass(classifier),
        craft_missing=craft_missing(),
        info=classifier.info,
    )


@dataclass(frozen=True, slots=True)
class ConceptUse:
    """What CRAFT can do with a layer.

    Attributes
    ----------
    fault : str
        Why it cannot use it; "" when it can.
    clamped : bool
        Whether values below 0 are taken for 0 there, since the factorization allows none.
    """

    fault: str = ""
    clamped: bool = False


_uses: WeakKeyDictionary[Classifier, dict[str, ConceptUse]] = WeakKeyDictionary()


def concept_uses(classifier: Classifier) -> dict[str, ConceptUse]:
    """Say of every layer that gives a map what CRAFT can do with it, in the order they end."""
    # Tracing a network takes up to a second; it never changes while its classifier lives.
    if classifier not in _uses:
        known = {name: output for name, output in layers_of(classifier).items() if output.layout}
        try:
            use_of = _judge(classifier)
        except InputError as error:
            _uses[classifier] = dict.fromkeys(known, ConceptUse(str(error)))
        else:
            _uses[classifier] = {name: use_of(name, output) for name, output in known.items()}
    return _uses[classifier]


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
    """Name the layers that CRAFT can use, in the order in which they end.

    Those whose values are clamped only where there are no others.
    """
    usable = {name: use for name, use in concept_uses(classifier).items() if not use.fault}
    return [name for name, use in usable.items() if not use.clamped] or list(usable)


def check_concept_layer(classifier: Classifier, layer: str) -> str:
    """Return `layer`, or the default for "", when CRAFT can use it, clamped or not.

    Raises
    ------
    InputError
        When it cannot; the nearest layer that can is named.
    """
    layer = layer or default_concept_layer(classifier)
    if not layer:
        raise InputError(f"{classifier.info.name}: CRAFT can use none of its layers")
    missing = ConceptUse("the network has no such layer, or its output is no map")
    fault = concept_uses(classifier).get(layer, missing).fault
    if not fault:
        return layer
    nearest = _nearest(classifier, layer)
    instead = f"; the nearest one that works is {nearest}" if nearest else ""
    raise InputError(f"layer {layer}: {fault}{instead}")


def _nearest(classifier: Classifier, layer: str) -> str:
    """Name the usable layer that ends next to another one; "" for none."""
    names = list(concept_uses(classifier))
    here = names.index(layer) if layer in names else len(names)
    usable = usable_layers(classifier)
    return min(usable, key=lambda name: abs(names.index(name) - here), default="")


def _clamping(classifier: Classifier, layer: str) -> str:
    nearest = _nearest(classifier, layer)
    instead = "" if nearest == layer else f"; the nearest one without is {nearest}"
    return f"for concepts its values below 0 are taken for 0{instead}"


def _judge(classifier: Classifier) -> Callable[[str, LayerOutput], ConceptUse]:
    """Trace the network and return what tells the use of a layer."""
    graph = trace(classifier.network)

    def use_of(name: str, output: LayerOutput) -> ConceptUse:
        if output.layout != "channels_first":
            return ConceptUse("its map has channels last")
        try:
            cut = cut_of(graph, name)
        except InputError as error:
            return ConceptUse(str(error).removeprefix(f"{name}: "))
        # The factorization takes no negative values; behind a rectifier there are none.
        negative = output.minimum < -NEGATIVE_SHARE * output.maximum
        return ConceptUse(clamped=negative and not is_relu(cut))

    return use_of


def _runs(method: CamMethod, classifier: Classifier) -> bool:
    if method.compares_classes:
        return len(classifier.class_names) > 1
    return not method.whole_network or _biases(classifier) > 0


def costed(method: CamMethod, classifier: Classifier) -> CamMethod:
    """Return a method with what the layers of a classifier add to its cost."""
    if not method.passes_per_bias:
        return method
    return replace(method, passes=method.passes + method.passes_per_bias * _biases(classifier))


def _biases(classifier: Classifier) -> int:
    return sum(
        isinstance(module, nn.Conv2d | nn.BatchNorm2d) and module.bias is not None
        for module in classifier.network.modules()
    )


def seconds_per_pass(classifier: Classifier) -> float:
    """Measure what one forward pass of one image takes here."""
    rows, columns = classifier.info.input_size
    image = torch.zeros(1, classifier.info.channels, rows, columns)
    with classifier.lock, torch.no_grad():
        # One pass here tells what a method of many passes will take on this machine.
        start = time.perf_counter()
        classifier.network(image)
        return time.perf_counter() - start
