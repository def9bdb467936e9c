"""Where a network can be cut into g and h with f(x) = h(g(x)), and what its layers are good for.

A cut is made in the network's graph and tried on an image. It is refused where a connection passes
the cut by, since h would then not see all that the network sees. The dock gets every layer with
what it can be used for, and the one to begin with.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn

from napari_semxai.backends.classifier.layers.outputs import cam_fault, layers_of, layout_of
from napari_semxai.backends.runtime.libraries import craft_missing
from napari_semxai.types import CAM_METHODS, InputError, LayerNode, NetworkLayers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_semxai.backends.classifier.classifier import Classifier
    from napari_semxai.backends.classifier.layers.outputs import LayerOutput
    from napari_semxai.types import CamMethod

_TOLERANCE = 1e-4
_RELUS = (torch.relu, torch.relu_, nn.functional.relu, nn.functional.relu6, "relu", "relu_")
NEGATIVE_SHARE = 1e-3
"""Values this much below 0, as a share of the largest, are taken for rounding and clamped."""
FINE, DETAIL = 1 / 8, 1 / 4
"""Sides of the maps, as parts of the input's, of the finest bank that tuning tries and of the
layer that sharpens concept maps."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A network in two parts that share nothing with the network they were cut from.

    Attributes
    ----------
    layer : str
        Dotted name of the layer behind which the network is cut.
    g, h : nn.Module
        Image (B, C, H, W) to latent (B, D, m, n), and latent to logits (B, classes).
    minimum : float
        Smallest latent value on the image that the cut was tried on.
    linear : bool
        Whether h is global average and one linear layer.
    """

    layer: str
    g: nn.Module
    h: nn.Module
    minimum: float
    linear: bool


def trace(network: nn.Module) -> fx.Graph:
    """Return the graph of a network.

    Raises
    ------
    InputError
        When its code depends on its input in a way that no graph can hold.
    """
    try:
        return fx.symbolic_trace(network).graph
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(
            f"the network cannot be cut for CRAFT, its code depends on its input ({reason})"
        ) from error


def cut_of(graph: fx.Graph, layer: str) -> fx.Node:
    """Return the node behind which the network is cut.

    A rectifier that is not a layer of its own, as after a DenseNet's last one, belongs to the
    layer before it.

    Raises
    ------
    InputError
        When there is no such layer, or a connection passes it by.
    """
    inside = [node for node in graph.nodes if layer in _layers_of(node)]
    if not inside:
        raise InputError(f"{layer}: the network has no such layer, or does not use it")
    cut: fx.Node = inside[-1]
    users = list(cut.users)
    # With its rectifier, where that is all that reads the map: concepts need values from 0 on.
    if len(users) == 1 and is_relu(users[0]):
        cut = users[0]
    passing = sorted({str(node) for node in _passing(graph, cut)})
    if passing:
        raise InputError(
            f"{layer}: the network cannot be cut here, {passing[0]} passes it by (a skip "
            f"connection); choose a layer that ends a whole block"
        )
    return cut


def is_relu(node: fx.Node) -> bool:
    """Whether a node is a rectifier that is no layer of its own."""
    return node.op in ("call_function", "call_method") and node.target in _RELUS


def _layers_of(node: fx.Node) -> Iterator[str]:
    # A layer's second call goes by "name@1".
    return (name.split("@")[0] for name in node.meta.get("nn_module_stack", {}))


def _passing(graph: fx.Graph, cut: fx.Node) -> Iterator[fx.Node]:
    """Nodes before the cut that are read after it."""
    before = _ancestors(cut)
    for node in before - {cut}:
        if any(user not in before for user in node.users):
            yield node


def _ancestors(cut: fx.Node) -> set[fx.Node]:
    found, waiting = {cut}, [cut]
    while waiting:
        for node in waiting.pop().all_input_nodes:
            if node not in found:
                found.add(node)
                waiting.append(node)
    return found


def split_network(network: nn.Module, layer: str, image: Tensor) -> Split:
    """Cut a copy of a network.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    layer : str
        Dotted name of the layer behind which to cut.
    image : Tensor, shape (1, C, H, W)
        To try the cut on.

    Returns
    -------
    Split

    Raises
    ------
    InputError
        When the network cannot be cut there, or the parts together do not give its answer.
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    graph = trace(network)
    cut = cut_of(graph, layer)
    g = fx.GraphModule(network, _first_part(graph, cut)).eval()
    h = fx.GraphModule(network, _second_part(graph, cut)).eval()
    with torch.no_grad():
        latent = g(image)
        if not isinstance(latent, Tensor) or layout_of(latent.shape) != "channels_first":
            raise InputError(f"{layer}: gives no map with channels first, so CRAFT cannot use it")
        whole, parts = network(image), h(latent)
    # Tried on an image, because a traced copy is silent about what it leaves out.
    if not torch.allclose(
        whole, parts, rtol=_TOLERANCE, atol=_TOLERANCE * float(whole.abs().max())
    ):
        raise InputError(f"{layer}: cut here, the network's parts do not give its own answer")
    return Split(layer, g, h, float(latent.min()), _is_linear(h, latent))


def _first_part(graph: fx.Graph, cut: fx.Node) -> fx.Graph:
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    before = _ancestors(cut)
    for node in graph.nodes:
        # Inputs that it does not use, too: it is called as the network is.
        if node in before or node.op == "placeholder":
            copies[node] = part.node_copy(node, lambda other: copies[other])
    part.output(copies[cut])
    return part


def _second_part(graph: fx.Graph, cut: fx.Node) -> fx.Graph:
    part = fx.Graph()
    before = _ancestors(cut)
    copies = {cut: part.placeholder("latent")}
    for node in graph.nodes:
        if node not in before and node.op != "placeholder":
            copies[node] = part.node_copy(node, lambda other: copies[other])
    return part


def _is_linear(h: nn.Module, latent: Tensor) -> bool:
    """Try whether `h` is affine in the mean of each channel and nothing else."""
    generator = torch.Generator().manual_seed(0)
    scale = latent.abs().max().clamp_min(1.0)
    one, other = (
        torch.rand(latent.shape, generator=generator).to(latent) * scale for _ in range(2)
    )
    # Equal answers for a map and its mean, and sums that add up: linear for all that matters.
    flat = one.mean((2, 3), keepdim=True).expand_as(one)
    with torch.no_grad():
        try:
            zero, first, second = h(torch.zeros_like(one)), h(one), h(other)
            of_mean, of_sum = h(flat.contiguous()), h(0.5 * one + 2 * other)
        except RuntimeError:
            return False
    limit = _TOLERANCE * float(torch.stack([first, second, of_sum]).abs().max())
    expected = zero + 0.5 * (first - zero) + 2 * (second - zero)
    return bool(
        torch.allclose(of_mean, first, atol=limit) and torch.allclose(of_sum, expected, atol=limit)
    )


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
            _costed(cam_method, classifier)
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


def _costed(method: CamMethod, classifier: Classifier) -> CamMethod:
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
