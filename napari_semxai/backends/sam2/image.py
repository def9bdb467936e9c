"""From an image to what SAM 2's decoder reads, remembered for the images last used."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_semxai.backends.sam2.decoder.decoder import SharedImage, SharedImageDecoder
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

Value = TypeVar("Value")


FEATURES_BYTES = 128 * 2**20
"""Memory for what the encoder said of the images last used: 7 of official networks, 60 bundled."""
SEEN_LEVELS, SEEN_BYTES = 3, 8 * 2**20
"""What the trunk saw in them: its finest levels, and memory for two images (bundled)."""
SHARED_BYTES = 32 * 2**20
"""Memory for those that the decoder reads at once, four times as large; the others take it 20 ms
to prepare again (bundled)."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the encoder says of one image, or one crop of it.

    Attributes
    ----------
    shape : tuple of int
        (M, N) of what was encoded.
    embedding : Tensor, shape (1, D, h, w)
        The lowest resolution.
    high_resolution : list of Tensor
        Finer features, finest first.
    """

    shape: tuple[int, int]
    embedding: Tensor
    high_resolution: list[Tensor]

    @property
    def nbytes(self) -> int:
        """Memory in bytes; the few weights of the network in it count too."""
        return _tensor_bytes(self)


@dataclass(frozen=True, slots=True, eq=False)
class Embedding(Features):
    """The same with all that the decoder needs of it.

    Attributes
    ----------
    shared : SharedImage
        What prompts without a mask have in common.
    """

    shared: SharedImage


def _tensor_bytes(value: object) -> int:
    """Memory of the tensors in a value, however deep."""
    if isinstance(value, Tensor):
        return value.nbytes
    if is_dataclass(value):
        return sum(_tensor_bytes(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, list | tuple):
        return sum(_tensor_bytes(each) for each in value)
    return 0


def image_digest(image: NDArray[np.uint8]) -> str:
    """Hexadecimal digest of an image's shape and pixels."""
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def check_image(image: NDArray[Any]) -> None:
    """Raise `InputError` unless `image` is uint8 (M, N) or (M, N, 3)."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise InputError(
            f"SAM 2 needs 8-bit pixels (M, N) or (M, N, 3), got {image.dtype} {image.shape}; "
            "scale the image to 8 bits first."
        )
    if image.ndim == 3 and image.shape[2] != 3:
        raise InputError(f"SAM 2 needs 1 or 3 channels, got {image.shape[2]}.")


def network_input(channels: Tensor, side: int) -> Tensor:
    """Return what an image encoder sees of values from 0 to 1.

    The functions of torchvision do the same; to import it takes 90 MB and seconds.

    Parameters
    ----------
    channels : Tensor of float32, shape (1, M, N) or (3, M, N)
        The image.
    side : int
        Edge of the encoder's input.

    Returns
    -------
    Tensor of float32, shape (1, 3, side, side)
    """
    small = functional.interpolate(channels[None], (side, side), mode="bilinear", antialias=True)
    mean, deviation = (small.new_tensor(each).view(-1, 1, 1) for each in (MEAN, DEVIATION))
    return (small.expand(-1, 3, -1, -1) - mean) / deviation


@torch.no_grad()
def encode(
    network: Any, image: NDArray[np.uint8], device: torch.device
) -> tuple[Features, list[Tensor]]:
    """Run the image encoder as the ``sam2`` package's image predictor does.

    Returns also what its trunk saw at strides 4, 8 and 16, as float16.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        The network; the sizes of its feature maps are its own.
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        Grey images are encoded as three equal channels.
    device : torch.device
        Where the network is.
    """
    # A copy: images are read-only, which torch does not like.
    pixels = torch.from_numpy(np.array(image, order="C")).to(device)
    channels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    given = network_input(channels.float().div(255), network.image_size)
    seen: list[Tensor] = []

    def keep(_trunk: object, _given: object, levels: list[Tensor]) -> None:
        seen.extend(level.half().cpu() for level in levels[:SEEN_LEVELS])

    hook = network.image_encoder.trunk.register_forward_hook(keep)
    try:
        answer = network.forward_image(given)
    finally:
        hook.remove()
    count = network.num_feature_levels
    levels = [level.contiguous() for level in answer["backbone_fpn"][-count:]]
    if network.directly_add_no_mem_embed:
        levels[-1] = levels[-1] + network.no_mem_embed.reshape(1, -1, 1, 1)
    return Features((image.shape[0], image.shape[1]), levels[-1], levels[:-1]), seen


class Recent(Generic[Value]):
    """The values last used, as many as fit.

    Parameters
    ----------
    limit : int
        Bytes to keep; the newest value is kept whatever its size.
    size_of : callable
        Bytes of one value.
    """

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        self._limit = limit
        self._size_of = size_of
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Hashable) -> Value | None:
        """Return the value of `key`, which becomes the newest, or None."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Remember `value`, and forget the oldest ones beyond the limit."""
        self._values[key] = value
        self._values.move_to_end(key)
        sizes = [self._size_of(each) for each in self._values.values()]
        while len(self._values) > 1 and sum(sizes) > self._limit:
            self._values.popitem(last=False)
            del sizes[0]


class Embeddings:
    """Embeddings of images, known by their content and remembered for the images last used.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        The network.
    decoder : SharedImageDecoder
        Its decoder.
    last_only : bool
        Remember nothing but the last image.
    """

    def __init__(
        self, network: Any, decoder: SharedImageDecoder, *, last_only: bool = False
    ) -> None:
        self._network, self._decoder = network, decoder
        known, ready = (0, 0) if last_only else (FEATURES_BYTES, SHARED_BYTES)
        self._known = Recent[Features](known, lambda value: value.nbytes)
        self._ready = Recent[Embedding](ready, lambda value: value.nbytes)
        self._seen = Recent[list[Tensor]](SEEN_BYTES, _tensor_bytes)

    @torch.no_grad()
    def of(self, image: NDArray[np.uint8]) -> Embedding:
        """Encode an image, or recall it."""
        check_image(image)
        # By content: the same picture under another name, or opened again, is encoded already.
        key = image_digest(image)
        features = self._known.get(key)
        if features is None:
            features, seen = encode(self._network, image, self._network.device)
            self._known.put(key, features)
            self._seen.put(key, seen)
        ready = self._ready.get(key)
        if ready is None:
            levels = features.embedding, features.high_resolution
            ready = Embedding(features.shape, *levels, self._decoder.share(*levels))
            self._ready.put(key, ready)
        return ready

    def seen(self, image: NDArray[np.uint8]) -> list[Tensor] | None:
        """Return what the trunk saw in an image at strides 4, 8 and 16, if it was of the last."""
        return self._seen.get(image_digest(image))

    def remember(self, image: NDArray[np.uint8]) -> bool:
        """Return whether an image was encoded and is still in memory."""
        return self._known.get(image_digest(image)) is not None
