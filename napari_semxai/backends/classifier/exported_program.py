"""Reading programs that ``torch.export.save`` wrote, without running anything in them.

``torch.export.load`` unpickles parts of the file, evaluates its shape expressions as Python and
calls whatever function the file names. Here the description is read as plain JSON and the weights
as plain numbers; only operators of torch's own ``aten`` library are called, none of which takes
text, so that no program can reach a file or a command.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_semxai.backends.runtime.tensor_files import DAMAGED, DamagedFileError
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from pathlib import Path

_MODEL = "models/model.json"
# Where the weights and the constants of a program lie.
_TENSORS = {
    "data/weights/": "model_weights_config.json",
    "data/constants/": "model_constants_config.json",
}
_DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
_OPERATOR = re.compile(r"torch\.ops\.aten\.([a-zA-Z]\w*)\.([a-zA-Z]\w*)")
_PRIVATE = re.compile(
    r"torch\.ops\.aten\.(_softmax|_to_copy|_unsafe_view|_native_batch_norm_legit_no_training)"
    r"\.(default)"
)
# They reach files or memory that is not theirs.
_FORBIDDEN = frozenset({"from_file", "set_", "set_data", "resize_", "resize_as_"})
_WORDS = frozenset({"none", "tanh", "floor", "trunc"})
_PLAIN = ("as_bool", "as_bools", "as_float", "as_floats", "as_int", "as_ints")
# Tensors that a program makes are made on the CPU, in the usual layout.
_PLACES = ("device", "layout", "pin_memory")


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for a value that is known when the program runs."""

    text: str


class Operation(nn.Module):
    """One operator with the arguments the file gives it."""

    def __init__(self, node: dict[str, Any]) -> None:
        super().__init__()
        self._operator = _operator(node["target"])
        self.target = str(node["target"])
        given = [entry for entry in node["inputs"] if entry["name"] not in _PLACES]
        self._args = [_argument(entry["arg"]) for entry in given if entry["kind"] != 2]
        self._kwargs = {
            str(entry["name"]): _argument(entry["arg"]) for entry in given if entry["kind"] == 2
        }
        self.results = [_result(entry) for entry in node["outputs"]]

    def values(self, known: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments with names replaced by what is `known`."""
        return (
            [_known(value, known) for value in self._args],
            {key: _known(value, known) for key, value in self._kwargs.items()},
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the operator."""
        return self._operator(*args, **kwargs)


class ProgramNetwork(nn.Module):
    """The program as a network: one module an operator, in the tree of the original modules.

    Parameters
    ----------
    graph : dict
        Nodes, inputs and outputs.
    signature : dict
        Which input is which weight.
    tensors : dict of str to Tensor
        Weights and constants by name.
    """

    def __init__(
        self, graph: dict[str, Any], signature: dict[str, Any], tensors: dict[str, Tensor]
    ) -> None:
        super().__init__()
        self._weights: dict[str, str] = {}
        self._input = ""
        for number, spec in enumerate(signature["input_specs"]):
            self._take(number, spec, tensors)
        (output,) = graph["outputs"]
        self._output = str(output["as_tensor"]["name"])
        self._operations: list[Operation] = []
        for node in graph["nodes"]:
            operation = Operation(node)
            _parent(self, node).add_module(_leaf(node), operation)
            self._operations.append(operation)

    def _take(self, number: int, spec: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Register the weight that an input of the graph stands for, or note the image."""
        ((kind, value),) = spec.items()
        if kind == "user_input":
            if self._input:
                raise InputError("it takes more than one input")
            self._input = str(value["arg"]["as_tensor"]["name"])
            return
        key = {
            "parameter": "parameter_name",
            "buffer": "buffer_name",
            "tensor_constant": "tensor_constant_name",
        }.get(kind)
        if key is None:
            raise InputError(f"it needs a {kind}")
        tensor = tensors[value[key]]
        name = f"weight_{number}"
        if kind == "parameter":
            self.register_parameter(name, nn.Parameter(tensor, tensor.is_floating_point()))
        else:
            self.register_buffer(name, tensor)
        self._weights[str(value["arg"]["name"])] = name

    def forward(self, image: Tensor) -> Tensor:
        """Run the program on images (B, C, M, N)."""
        known: dict[str, Any] = {key: getattr(self, name) for key, name in self._weights.items()}
        known[self._input] = image
        for operation in self._operations:
            args, kwargs = operation.values(known)
            _assign(known, operation.results, operation(*args, **kwargs))
        output: Tensor = known[self._output]
        return output


def read_program(path: Path) -> ProgramNetwork:
    """Read an exported program.

    Parameters
    ----------
    path : Path
        Written by ``torch.export.save`` of torch 2.8 or later.

    Raises
    ------
    InputError
        When it is damaged, of an older format, or holds anything but tensors and operators of
        torch's own library.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: name for name in archive.namelist()}
            if _MODEL not in members:
                raise InputError("it was not written by torch.export.save of torch 2.8 or later")
            module = json.loads(archive.read(members[_MODEL]))["graph_module"]
            tensors = _read_tensors(archive, members)
        return ProgramNetwork(module["graph"], module["signature"], tensors)
    except InputError as error:
        raise InputError(f"{path}: this program cannot be used: {error}") from error
    except (*DAMAGED, zipfile.BadZipFile) as error:
        raise DamagedFileError(f"{path}: cut off, or not an exported program") from error


def _read_tensors(archive: zipfile.ZipFile, members: dict[str, str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for folder, listing in _TENSORS.items():
        if f"{folder}{listing}" not in members:
            raise InputError("it was not written by torch.export.save of torch 2.8 or later")
        config = json.loads(archive.read(members[f"{folder}{listing}"]))["config"]
        for name, entry in config.items():
            if entry["use_pickle"] or entry["tensor_meta"] is None:
                raise InputError(f"{name} is a pickle, which could run code; nothing in it ran")
            data = archive.read(members[f"{folder}{entry['path_name']}"])
            found[str(name)] = _tensor(data, entry["tensor_meta"])
    return found


def _tensor(data: bytes, meta: dict[str, Any]) -> Tensor:
    sizes, strides = ([int(side["as_int"]) for side in meta[key]] for key in ("sizes", "strides"))
    dtype = _DTYPES[meta["dtype"]]
    if prod(sizes) == 0:
        return torch.zeros(sizes, dtype=dtype)
    flat = torch.frombuffer(bytearray(data), dtype=dtype)
    return flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"])).clone()


def _operator(target: str) -> Any:
    """Return an operator of torch's own library; nothing else can be named."""
    found = _OPERATOR.fullmatch(target) or _PRIVATE.fullmatch(target)
    if found and found[1] not in _FORBIDDEN:
        operator = getattr(getattr(torch.ops.aten, found[1], None), found[2], None)
        if isinstance(operator, torch._ops.OpOverload):
            return operator
    raise InputError(f"it calls {target!r}, which is no operator of torch's aten library")


def _argument(entry: dict[str, Any]) -> Any:
    ((kind, value),) = entry.items()
    if kind in _PLAIN:
        return value
    if kind == "as_none":
        return None
    if kind in ("as_tensor", "as_sym_int"):
        return _named(value)
    if kind in ("as_tensors", "as_sym_ints"):
        return [_named(part) for part in value]
    if kind == "as_optional_tensors":
        return [_argument(part) for part in value]
    if kind == "as_scalar_type":
        return _DTYPES[value]
    if kind == "as_memory_format":
        return _FORMATS[value]
    if kind == "as_string" and value in _WORDS:
        return value
    raise InputError(f"an argument of the kind {kind!r} is not understood")


def _named(value: dict[str, Any]) -> Any:
    if "as_int" in value:
        return value["as_int"]
    return _Name(str(value["name"] if "name" in value else value["as_name"]))


def _result(entry: dict[str, Any]) -> Any:
    ((kind, value),) = entry.items()
    if kind == "as_tensors":
        return [_named(part) for part in value]
    if kind in ("as_tensor", "as_sym_int"):
        return _named(value)
    raise InputError(f"a result of the kind {kind!r} is not understood")


def _known(value: Any, known: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_known(part, known) for part in value]
    return known[value.text] if isinstance(value, _Name) else value


def _assign(known: dict[str, Any], results: list[Any], value: Any) -> None:
    """Give what an operator returned its names."""
    values = [value] if len(results) == 1 else value
    for result, part in zip(results, values, strict=True):
        if isinstance(result, list):
            _assign(known, result, part)
        elif isinstance(result, _Name):
            known[result.text] = part


def _parent(network: nn.Module, node: dict[str, Any]) -> nn.Module:
    """Return the place in the tree of modules where an operator belongs, made as needed."""
    stack = str(node["metadata"].get("nn_module_stack", "")).split(";")[-1].split(",")
    path = stack[1] if len(stack) > 2 else ""
    place = network
    for part in (part for part in path.split(".") if re.fullmatch(r"\w+", part)):
        name = f"{part}_" if hasattr(place, part) and part not in place._modules else part
        if name not in place._modules:
            place.add_module(name, nn.Module())
        place = place.get_submodule(name)
    return place


def _leaf(node: dict[str, Any]) -> str:
    """Name of an operator among its siblings; the name of its first result is unique."""
    ((_, value),) = node["outputs"][0].items()
    first = value[0] if isinstance(value, list) else value
    return "op_" + re.sub(r"\W", "_", str(first.get("name", first.get("as_name"))))
