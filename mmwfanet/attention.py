"""Attention of others that the paper's Table 3 puts in the place of its multi-view gate.

Each takes the axial slices, (slices, C, Y, X), and gives features of the same shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from mmwfanet.blocks import ConvNormReLU, ResidualBlock
from mmwfanet.encoders import from_slices, to_slices


class PerSlice(nn.Module):
    """A module of slices, applied to each axial slice of a volume."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, volume: Tensor) -> Tensor:
        """(B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        slices = self.module(to_slices(volume, "axial"))
        return from_slices(slices, "axial", volume.shape[0])


class ResidualAttention(nn.Module):
    """F. Wang et al., "Residual attention network for image classification", CVPR 2017.

    ``(1 + M(x)) * T(x)``: a trunk T of two residual blocks, and a mask M of the same features,
    bottom-up (pooling and residual blocks) and top-down (upsampling, with a skip), that ends in two
    1 x 1 convolutions and a sigmoid. Basic blocks in the place of pre-activated bottlenecks.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            ResidualBlock(channels, channels), ResidualBlock(channels, channels)
        )
        self.down1 = ResidualBlock(channels, channels)
        self.skip = ResidualBlock(channels, channels)
        self.down2 = ResidualBlock(channels, channels)
        self.up = ResidualBlock(channels, channels)
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
        )

    def mask(self, x: Tensor) -> Tensor:
        """(slices, C, Y, X) -> the same, each value between 0 and 1."""
        half = self.down1(F.max_pool2d(x, 2, ceil_mode=True))
        quarter = self.down2(F.max_pool2d(half, 2, ceil_mode=True))
        up = _resize(quarter, half.shape[-2:]) + self.skip(half)
        return torch.sigmoid(self.last(_resize(self.up(up), x.shape[-2:])))

    def forward(self, x: Tensor) -> Tensor:
        """(slices, C, Y, X) -> (slices, C, Y, X)."""
        return (1 + self.mask(x)) * self.trunk(x)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ChannelAttention(SqueezeExcitation):
    """J. Hu et al., "Squeeze-and-excitation networks", IEEE TPAMI 42(8), 2019: torchvision's.

    The squeeze is the mean over a slice, as the encoders see slices. The published reduction is 16;
    it is less where fewer than 4 squeezed channels would be left, since with a single one a dead
    unit makes the whole module a constant.

    Parameters
    ----------
    channels : int
    """

    reduction = 16
    fewest = 4

    def __init__(self, channels: int) -> None:
        super().__init__(channels, max(channels // self.reduction, min(self.fewest, channels)))


class PositionAttention(nn.Module):
    """DANet's spatial attention: every position of a slice attends to every other.

    ``gamma * softmax(Q K^T) V + x`` with gamma 0 at the start; the softmax is not scaled.

    Parameters
    ----------
    channels : int
        Queries and keys have an eighth of it, 1 at least.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query = nn.Conv2d(channels, inner, 1)
        # a bias here adds the same to all logits of a query, and the softmax takes it away again
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(slices, C, Y, X) -> (slices, C, Y, X)."""
        # (slices, c, Y, X) -> (slices, 1 head, Y * X, c)
        query, key, value = (
            layer(x).flatten(2).transpose(1, 2).unsqueeze(1)
            for layer in (self.query, self.key, self.value)
        )
        # zeros change no product, and kernels that never hold all pairs want equal sizes
        missing = (0, value.shape[-1] - query.shape[-1])
        attended = F.scaled_dot_product_attention(
            F.pad(query, missing), F.pad(key, missing), value, scale=1.0
        )
        return self.gamma * attended.squeeze(1).transpose(1, 2).reshape(x.shape) + x


class ChannelSelfAttention(nn.Module):
    """DANet's channel attention: ``beta * A X + x`` with beta 0 at the start.

    A = softmax(rowmax(E) - E), E = X X^T over a slice's positions; there are no other weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(slices, C, Y, X) -> (slices, C, Y, X)."""
        flat = x.flatten(2)
        energy = flat @ flat.transpose(1, 2)  # (slices, C, C)
        attention = (energy.amax(dim=2, keepdim=True) - energy).softmax(dim=2)
        return self.beta * (attention @ flat).reshape(x.shape) + x


class DualAttention(nn.Module):
    """J. Fu et al., "Dual attention network for scene segmentation", CVPR 2019.

    Two branches: a 3 x 3 convolution to a quarter of the channels, attention over positions or over
    channels, another 3 x 3 convolution; their sum, and a 1 x 1 convolution. The auxiliary
    classifiers on each branch are dropped: these features serve two heads, not one classifier.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.position = nn.Sequential(
            ConvNormReLU(channels, inner), PositionAttention(inner), ConvNormReLU(inner, inner)
        )
        self.channel = nn.Sequential(
            ConvNormReLU(channels, inner), ChannelSelfAttention(), ConvNormReLU(inner, inner)
        )
        self.last = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(slices, C, Y, X) -> (slices, C, Y, X)."""
        return self.last(self.position(x) + self.channel(x))
