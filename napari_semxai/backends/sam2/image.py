"""From an image to what SAM 2's decoder reads, remembered for the images last used."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from napari_semxai.backends.sam2.decoder.decoder import SharedImage, SharedImageDecoder
from napari_semxai.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One image, or one crop of it, as the encoder sees it.

    Attributes
    ----------
    shape : tuple of int
        (M, N) of what was encoded.
    embedding : Tensor, shape (1, D, h, w)
        The lowest resolution.
    high_resolution : list of Tensor
        Finer features, finest first.
    shared : SharedImage
        What prompts without a mask have in common.
    """

    shape: tuple[int, int]
    embedding: Tensor
    high_resolution: list[Tensor]
    shared: SharedImage

    @property
    def nbytes(self) -> int:
        """Memory in bytes; the few weights of the network in it count too."""
        return _tensor_bytes(self)


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


@torch.no_grad()
def encode(
    network: Any, decoder: SharedImageDecoder, image: NDArray[np.uint8], device: torch.device
) -> Embedding:
    """Run the image encoder as the ``sam2`` package's image predictor does.

    Parameters
    ----------
    network : sam2.modeling.sam2_base.SAM2Base
        The network; the sizes of its feature maps are its own.
    decoder : SharedImageDecoder
        Its decoder.
    image : ndarray of uint8, shape (M, N) or (M, N, 3)
        Grey images are encoded as three equal channels.
    device : torch.device
        Where the network is.
    """
    # A copy: images are read-only, which torch does not like.
    pixels = torch.from_numpy(np.array(image, order="C")).to(device)
    channels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    side = int(network.image_size)
    small = transforms.resize(channels.float().div(255), [side, side], antialias=True)
    batch = transforms.normalize(small.expand(3, -1, -1), list(MEAN), list(DEVIATION))[None]
    answer = network.forward_image(batch)
    count = network.num_feature_levels
    levels = [level.contiguous() for level in answer["backbone_fpn"][-count:]]
    if network.directly_add_no_mem_embed:
        levels[-1] = levels[-1] + network.no_mem_embed.reshape(1, -1, 1, 1)
    shared = decoder.share(levels[-1], levels[:-1])
    return Embedding((image.shape[0], image.shape[1]), levels[-1], levels[:-1], shared)


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
