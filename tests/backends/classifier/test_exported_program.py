"""Exported programs: the same answer as the network, and nothing in the file is run."""

from __future__ import annotations

import io
import json
import os
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torchvision import models

import napari_semxai as sx
from napari_semxai.backends.classifier.exported_program import read_program
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
MODEL = "models/model.json"


class Tiny(torch.nn.Module):
    """Convolution, batch normalisation, a branch, two heads of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.block = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(inplace=True)
        )
        self.fc = torch.nn.Linear(8, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        left, right = self.block(image).chunk(2, 1)
        maps = torch.cat([torch.nn.functional.gelu(right, approximate="tanh"), left], 1)
        return self.fc(maps.mean((2, 3)) * torch.tensor([2.0]))


def export(network: torch.nn.Module, path: Path, *, dynamic: bool = False) -> Path:
    shapes = {0: torch.export.Dim.DYNAMIC} if dynamic else None
    program = torch.export.export(network, (torch.zeros(2, 3, 64, 64),), dynamic_shapes=(shapes,))
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def tiny() -> torch.nn.Module:
    torch.manual_seed(0)
    return Tiny().eval()


@pytest.fixture(scope="module")
def tiny_file(tiny: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tiny, tmp_path_factory.mktemp("programs") / "tiny.pt2", dynamic=True)


def rewrite(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Copy an archive; `change` gets each file's name below the root, and its bytes."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change(name.partition("/")[2], old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def test_tiny_gives_the_same_logits(tiny: torch.nn.Module, tiny_file: Path) -> None:
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(read_program(tiny_file)(image), tiny(image))


def test_resnet_as_a_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = models.resnet18(num_classes=3).eval()
    path = tmp_path / "resnet.pt2"
    program = torch.export.export(network, (torch.zeros(1, 3, 64, 64),))
    torch.export.save(program, path)
    path.with_suffix(".json").write_text(
        json.dumps({"class_names": ["a", "b", "c"], "input_size": 64})
    )
    classifier = sx.load_classifier(path)
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    with torch.inference_mode():
        want = torch.softmax(network(classifier.to_input(image))[0], 0).numpy()
    np.testing.assert_allclose(classifier.predict(image), want, atol=1e-6)
    assert classifier.info.architecture == "pt2"
    assert classifier.default_layer.startswith("layer4.1.relu.")


def test_gradients_reach_the_default_layer(tiny: torch.nn.Module, tiny_file: Path) -> None:
    network = read_program(tiny_file)
    kept: list[torch.Tensor] = []
    name = next(name for name, _ in network.named_modules() if name.startswith("block.0.op_"))
    layer = network.get_submodule(name)
    layer.register_forward_hook(lambda _m, _i, output: kept.append(output.requires_grad_()))
    network(torch.randn(1, 3, 64, 64))[0, 1].backward(inputs=kept)
    assert kept[0].grad is not None
    assert kept[0].grad.abs().max() > 0


class Hostile:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_for_a_weight_is_refused(tiny_file: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(Hostile(tmp_path / "mark"), buffer)

    def change(name: str, data: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true')
        return buffer.getvalue() if "/weight_" in name else data

    path = rewrite(tiny_file, tmp_path / "evil.pt2", change)
    with pytest.raises(InputError, match=r"evil\.pt2.* is a pickle.*nothing in it ran"):
        read_program(path)
    assert not (tmp_path / "mark").exists()
    with suppress(RuntimeError, OSError):  # torch's own reader runs it, once a weight
        torch.export.load(path)
    assert (tmp_path / "mark").exists()


def test_a_pickle_for_sample_inputs_is_never_opened(tiny_file: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save((Hostile(tmp_path / "mark"),), buffer)
    path = rewrite(
        tiny_file,
        tmp_path / "evil.pt2",
        lambda name, data: buffer.getvalue() if name.startswith("data/sample") else data,
    )
    assert read_program(path)(torch.zeros(1, 3, 64, 64)).shape == (1, 3)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.mkdir",
        "torch.hub.load",
        "_operator.call",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.__class__.default",
        "torch.ops.aten.relu.__class__",
        "torch.ops.aten.relu.nothing",
        "torch.ops.aten.set_.source_Tensor",
        "torch.ops.higher_order.cond",
        "math.sin",
    ],
)
def test_only_operators_of_aten(tiny_file: Path, tmp_path: Path, target: str) -> None:
    def change(name: str, data: bytes) -> bytes:
        return data.replace(b"torch.ops.aten.linear.default", target.encode())

    path = rewrite(tiny_file, tmp_path / "evil.pt2", change)
    with pytest.raises(InputError, match=r"evil\.pt2: .* calls .* no operator of torch's aten"):
        read_program(path)


def test_names_are_never_code(tiny: torch.nn.Module, tiny_file: Path, tmp_path: Path) -> None:
    """Names with line breaks and calls in them are names all the same."""
    code = f"x);__import__('os').mkdir('{tmp_path / 'mark'}')\\n#"

    def change(name: str, data: bytes) -> bytes:
        return data.replace(b'"linear"', json.dumps(code).encode()) if name == MODEL else data

    image = torch.randn(1, 3, 64, 64)
    network = read_program(rewrite(tiny_file, tmp_path / "odd.pt2", change))
    with torch.inference_mode():
        torch.testing.assert_close(network(image), tiny(image))
    assert not (tmp_path / "mark").exists()


def test_text_arguments_are_refused(tiny_file: Path, tmp_path: Path) -> None:
    path = rewrite(
        tiny_file, tmp_path / "odd.pt2", lambda _, data: data.replace(b'"tanh"', b'"/etc/x"')
    )
    with pytest.raises(InputError, match="'as_string' is not understood"):
        read_program(path)


@pytest.mark.parametrize("missing", [MODEL, "data/weights/model_weights_config.json"])
def test_other_archives(tiny_file: Path, tmp_path: Path, missing: str) -> None:
    path = rewrite(
        tiny_file, tmp_path / "old.pt2", lambda name, data: None if name == missing else data
    )
    with pytest.raises(InputError, match=r"old\.pt2: .*torch 2\.8 or later"):
        read_program(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_cut_off(tiny_file: Path, tmp_path: Path, share: float) -> None:
    data = tiny_file.read_bytes()
    (tmp_path / "cut.pt2").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"cut\.pt2: (cut off|.* not written by)"):
        read_program(tmp_path / "cut.pt2")


def test_short_weights(tiny_file: Path, tmp_path: Path) -> None:
    path = rewrite(
        tiny_file,
        tmp_path / "cut.pt2",
        lambda name, data: data[:8] if "weight_0" in name else data,
    )
    with pytest.raises(InputError, match=r"cut\.pt2: cut off"):
        read_program(path)
