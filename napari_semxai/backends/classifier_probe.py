"""One run of a network on an empty image: whether it works, and where its last map is made."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_semxai.backends.architectures import token_layer
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_semxai.types import ClassifierInfo

_FAILURES = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.MaxPool2d, nn.Dropout)


def probe(network: nn.Module, info: ClassifierInfo) -> str:
    """Run the network once, so that what cannot work is refused before anybody needs it.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    info : ClassifierInfo
        Its description.

    Returns
    -------
    str
        Dotted name of the layer to explain by default: the block that makes the last map
        before the global pool; the last block's first norm in transformers.

    Raises
    ------
    InputError
        When the network does not run, or has not one logit a class.
    """
    size = (1, info.channels, *info.input_size)
    maps = _Maps()
    try:
        with torch.inference_mode(), maps.watched(network):
            logits = network(torch.zeros(size))
    except _FAILURES as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{info.name}: does not run on an input of shape {size} ({reason}); "
            "correct input_size and channels in its JSON file"
        ) from error
    wanted = (1, len(info.class_names))
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != wanted:
        raise InputError(
            f"{info.name}: answers with {found} where its {wanted[1]} class names need {wanted}; "
            "correct class_names in its JSON file"
        )
    return token_layer(name for name, _ in network.named_modules()) or maps.last_block(info.name)


class _Maps:
    """Which modules made which maps, in the order of the run."""

    def __init__(self) -> None:
        self._made: list[tuple[str, nn.Module, Tensor]] = []

    def watched(self, network: nn.Module) -> ExitStack:
        """Return a context in which every map that `network` makes is noted."""
        stack = ExitStack()
        for name, module in network.named_modules():
            if name and not isinstance(module, _POOLS):
                handle = module.register_forward_hook(self._note(name))
                stack.callback(handle.remove)
        return stack

    def _note(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, _: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) > 1:
                self._made.append((name, module, output))

        return note

    def last_block(self, network: str) -> str:
        """Return the innermost module with parts that returned the last map, or its maker."""
        if not self._made:
            raise InputError(f"{network}: makes no maps that could be explained")
        last = self._made[-1][2]
        times = Counter(name for name, _, _ in self._made)
        makers = [
            (name, any(True for _ in module.children()))
            for name, module, output in self._made
            if output is last and times[name] == 1
        ]
        blocks = [name for name, has_parts in makers if has_parts]
        return blocks[0] if blocks else makers[-1][0]
