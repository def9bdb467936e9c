"""EfficientNet-Lite0 as an image trunk, batch normalisation folded into the convolutions.

References
----------
.. [1] M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
   Networks", ICML 2019; the Lite variant has no squeeze-and-excitation and uses ReLU6.
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn import functional

# (repeats, kernel, stride, expansion, channels out) of each stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAPS = (1, 2, 4, 6)


class SameConv(nn.Conv2d):
    """Convolution with bias whose output is ceil(size / stride), padded more at the end."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Pad as far as `input` of shape (B, C, M, N) needs it, then convolve."""
        return _same_conv(input, self.weight, self.bias, self.stride[0], self.groups)


# One step of a traced graph, whose sizes are not known.
@fx.wrap
def _same_conv(
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    groups: int,
) -> torch.Tensor:
    padding, kept = [], []
    for size, kernel in zip(images.shape[2:], weight.shape[2:], strict=True):
        steps = -(-size // stride)
        total = max((steps - 1) * stride + kernel - size, 0)
        # Where it is odd there is one more at the end. A step more at the beginning, which is cut
        # off again, spares the copy of a padded picture.
        padding.append(total // 2 + stride * (total % 2))
        kept.append(slice(total % 2, total % 2 + steps))
    found = functional.conv2d(images, weight, bias, stride, padding, 1, groups)
    return found[:, :, kept[0], kept[1]]


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape allows it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.shortcut = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, hidden, 1) if expand > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of shape (B, outputs, M / stride, N / stride)."""
        hidden = features
        if self.expand is not None:
            hidden = functional.relu6(self.expand(hidden), inplace=True)
        hidden = self.project(functional.relu6(self.depthwise(hidden), inplace=True))
        return features.add(hidden) if self.shortcut else hidden


class Smoothing(nn.Sequential):
    """Two 3 x 3 convolutions with group normalisation."""

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for _ in range(2):
            convolution = nn.Conv2d(channels, channels, 3, padding=1)
            layers += [convolution, nn.GroupNorm(8, channels), nn.ReLU()]
        super().__init__(*layers)


class Refinement(nn.Module):
    """Top-down path: brings what coarse maps know to the outlines that fine maps see.

    The neck of SAM 2 only adds its maps; a noisy picture needs neighbours to find an outline.

    Parameters
    ----------
    inputs : sequence of int
        Channels of the maps at strides 4, 8, 16 and 32.
    """

    channels = (48, 64, 128)

    def __init__(self, inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.across = nn.ModuleList(
            nn.Conv2d(here, width, 1) for here, width in zip(inputs, self.channels, strict=False)
        )
        above = (*self.channels[1:], inputs[-1])
        self.down = nn.ModuleList(
            nn.Conv2d(here, width, 1) for here, width in zip(above, self.channels, strict=True)
        )
        self.smooth = nn.ModuleList(Smoothing(width) for width in self.channels)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return refined maps at strides 4, 8 and 16."""
        above, refined = maps[-1], []
        for level in (2, 1, 0):
            coarse = self.down[level](above)
            coarse = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
            above = self.smooth[level](self.across[level](maps[level]) + coarse)
            refined.append(above)
        return refined[::-1]


class LiteTrunk(nn.Module):
    """Feature maps at strides 4, 8, 16 and 32.

    Attributes
    ----------
    channel_list : list of int
        Channels from the coarsest map to the finest, as the neck wants them: those of the
        network and behind them those of its refinement.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 40, 112, 320)
        self.refinement = Refinement(widths)
        more = (*self.refinement.channels, 0)
        self.channel_list = [a + b for a, b in zip(widths, more, strict=True)][::-1]
        self.stem = SameConv(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        inputs = 32
        for repeats, kernel, stride, expand, outputs in STAGES:
            blocks = []
            for index in range(repeats):
                step = stride if index == 0 else 1
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, step, expand))
                inputs = outputs
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the four maps of `image`, shape (B, 3, M, N), from fine to coarse."""
        # Channels last: convolutions of single channels take half the time.
        features = image.contiguous(memory_format=torch.channels_last)
        features = functional.relu6(self.stem(features), inplace=True)
        maps = []
        for index, stage in enumerate(self.stages):
            features = stage(features)
            if index in _TAPS:
                maps.append(features.contiguous())
        refined = self.refinement(maps)
        both = zip(maps, refined, strict=False)
        return [*(torch.cat(pair, 1) for pair in both), maps[-1]]
