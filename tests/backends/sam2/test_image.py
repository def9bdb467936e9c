from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_semxai.algorithms.synthetic import scene_of_class
from napari_semxai.backends.sam2 import image as sam2_image
from napari_semxai.backends.sam2.checkpoints import build_bundled
from napari_semxai.backends.sam2.decoder.decoder import SharedImageDecoder
from napari_semxai.backends.sam2.image import (
    DEVIATION,
    MEAN,
    Embeddings,
    Recent,
    network_input,
)


def test_what_was_used_longest_ago_is_forgotten_first():
    recent = Recent[bytes](10, len)
    for key, size in (("a", 4), ("b", 4)):
        recent.put(key, bytes(size))
    assert recent.get("a") is not None
    recent.put("c", bytes(4))
    assert recent.get("b") is None
    assert recent.get("a") == recent.get("c") == bytes(4)


def test_the_newest_value_is_kept_whatever_its_size():
    recent = Recent[bytes](10, len)
    recent.put("small", bytes(3))
    recent.put("large", bytes(50))
    assert len(recent) == 1
    assert recent.get("large") == bytes(50)


@pytest.mark.parametrize("shape", [(1, 48, 70), (3, 48, 70), (3, 64, 64), (1, 300, 200)], ids=str)
def test_the_network_sees_what_torchvision_would_show_it(shape):
    from torchvision.transforms.v2 import functional

    values = torch.rand(shape, generator=torch.manual_seed(0))
    small = functional.resize(values, [64, 64], antialias=True).expand(3, -1, -1)
    wanted = functional.normalize(small, list(MEAN), list(DEVIATION))
    torch.testing.assert_close(network_input(values, 64)[0], wanted, rtol=0, atol=0)


def test_masks_take_no_torchvision():
    script = (
        "import sys, numpy as np\n"
        "from napari_semxai.engine import segment\n"
        "segmenter = segment._segmenter('bundled', 'cpu')\n"
        "segmenter.predict(np.zeros((32, 32), np.uint8), [[3, 3]], [1])\n"
        "print([name for name in ('torchvision', 'torch._dynamo') if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_images_are_known_when_the_decoders_maps_of_them_were_forgotten(monkeypatch):
    network = build_bundled()
    monkeypatch.setattr(sam2_image, "SHARED_BYTES", 0)
    encoded = []
    encode = sam2_image.encode
    monkeypatch.setattr(sam2_image, "encode", lambda *values: encoded.append(1) or encode(*values))
    embeddings = Embeddings(network, SharedImageDecoder(network))
    images = [scene_of_class(1, seed, shape=(64, 80)).image for seed in range(3)]
    first = [embeddings.of(image) for image in images]
    again = [embeddings.of(image) for image in images]
    assert len(encoded) == 3
    assert all(embeddings.remember(image) for image in images)
    for before, after in zip(first, again, strict=True):
        assert after is not before
        torch.testing.assert_close(
            after.shared.upscale.fine, before.shared.upscale.fine, rtol=0, atol=0
        )


def test_official_networks_remember_several_images():
    # Of 1024 pixels and 256 channels: maps at strides 16, 8 and 4.
    values = 256 * 64**2 + 64 * 128**2 + 32 * 256**2
    assert sam2_image.FEATURES_BYTES // (values * np.dtype(np.float32).itemsize) >= 5
