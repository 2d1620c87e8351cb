"""Building blocks of the encoders: convolution, residual block, pyramid pooling, fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Concatenation(torch.autograd.Function):
    """Concatenation along the channels whose gradients are dense, in the layout of its output.

    Autograd's own are slices of one tensor. With channels last these are full of holes, and most
    backward passes that meet one (interpolation, ReLU, pooling) leave their fast path.
    """

    @staticmethod
    def forward(ctx, *tensors: Tensor) -> Tensor:
        ctx.channels = [tensor.shape[1] for tensor in tensors]
        return torch.cat(tensors, dim=1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        layout = torch.channels_last if gradient.dim() == 4 else torch.channels_last_3d
        if not gradient.is_contiguous(memory_format=layout):
            layout = torch.contiguous_format
        parts = gradient.split(ctx.channels, dim=1)
        return tuple(part.contiguous(memory_format=layout) for part in parts)


def concatenate(tensors: Sequence[Tensor]) -> Tensor:
    """Feature maps (N, C_i, ...) of one size as one map (N, sum of C_i, ...)."""
    return _Concatenation.apply(*tensors)


class ConvNormReLU(nn.Sequential):
    """3 x 3 (or ``kernel``) convolution, batch norm, ReLU on (N, C, H, W); the size is kept."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel,
                stride,
                dilation * (kernel // 2),
                dilation,
                bias=False,
            ),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class ResidualBlock(nn.Module):
    """Basic residual block of He et al. (CVPR 2016): two 3 x 3 convolutions and a shortcut.

    torchvision's ``BasicBlock`` is the same thing but refuses a dilation above 1, which the last
    block of the paper's axial encoder needs.

    Parameters
    ----------
    in_channels, out_channels : int
    stride : int
        Of the first convolution and of the shortcut.
    dilation : int
        Of both convolutions ("all vanilla convolutions in the last residual block").
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.first = ConvNormReLU(in_channels, out_channels, stride=stride, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(out_channels, out_channels, 3, 1, dilation, dilation, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return F.relu(self.second(self.first(x)) + self.shortcut(x), inplace=True)


class PyramidPooling(nn.Module):
    """Pyramid pooling of Zhao et al. (CVPR 2017) with the paper's levels 1, 2, 3 and 6.

    Each level is pooled, reduced to a quarter of the channels, brought back to the input's size and
    concatenated with it; a convolution merges them.
    """

    levels = (1, 2, 3, 6)

    def __init__(self, channels: int) -> None:
        super().__init__()
        reduced = max(1, channels // len(self.levels))
        self.reduce = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, reduced, 1), nn.ReLU(inplace=True))
            for _ in self.levels
        )
        self.merge = ConvNormReLU(channels + reduced * len(self.levels), channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        size = x.shape[-2:]
        parts = [x]
        for level, reduce in zip(self.levels, self.reduce, strict=True):
            pooled = reduce(F.adaptive_avg_pool2d(x, level))
            parts.append(F.interpolate(pooled, size=size, mode="bilinear", align_corners=False))
        return self.merge(concatenate(parts))


class Fusion(nn.Module):
    """Upsample to the skip's size, concatenate, convolve."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolve = ConvNormReLU(in_channels + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, h, w), (N, skip, H, W) -> (N, out, H, W)."""
        x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
        return self.convolve(concatenate([x, skip]))
