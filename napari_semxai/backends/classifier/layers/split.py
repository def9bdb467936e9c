"""Cutting a network f behind a layer into g and h, so that f(x) = h(g(x)).

The cut is made in the network's graph and tried on an image. It is refused where a connection
passes the cut by, since h would then not see all that the network sees.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn

from napari_semxai.backends.classifier.layers.outputs import layout_of
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOLERANCE = 1e-4
_RELUS = (torch.relu, torch.relu_, nn.functional.relu, nn.functional.relu6, "relu", "relu_")


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


def head_weights(h: nn.Module, channels: int, target: int) -> Tensor:
    """Return the weight of each channel's mean in a logit, for a linear `h`; shape (D,)."""
    with torch.no_grad():
        zero = torch.zeros(1, channels, 1, 1)
        # Of an affine function the differences from 0 are the weights, whatever code computes it.
        unit = torch.eye(channels)[..., None, None]
        weights: Tensor = h(unit)[:, target] - h(zero)[:, target]
    return weights


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
