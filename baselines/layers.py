"""Layers that compute what PyTorch's do, as products of matrices: faster where the kernel is odd.

Their parameters bear PyTorch's names, shapes and first values. They take any layout, and give
channels last.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PointwiseConv3d(nn.Conv3d):
    """A 1 x 1 x 1 convolution of stride 1 as a product of matrices.

    On a CPU PyTorch sends it to a loop of its own that wants another layout, and copies to and fro.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, volume: Tensor) -> Tensor:
        """(B, in, Z, Y, X) to (B, out, Z, Y, X)."""
        rows = volume.movedim(1, -1)
        return F.linear(rows, self.weight.flatten(1), self.bias).movedim(-1, 1)


class WideTransposedConv2d(nn.ConvTranspose2d):
    """A transposed convolution whose kernel is wide, by :func:`transposed_convolution`."""

    def forward(self, image: Tensor, size: Sequence[int]) -> Tensor:
        """(B, in, Y, X) to (B, out, y, x), cut at the far end to ``size`` (y, x) at most."""
        return transposed_convolution(self, image, size)


class WideTransposedConv3d(nn.ConvTranspose3d):
    """The same in three dimensions."""

    def forward(self, volume: Tensor, size: Sequence[int]) -> Tensor:
        """(B, in, Z, Y, X) to (B, out, z, y, x), cut at the far end to ``size`` at most."""
        return transposed_convolution(self, volume, size)


def transposed_convolution(
    layer: nn.ConvTranspose2d | nn.ConvTranspose3d, tensor: Tensor, size: Sequence[int]
) -> Tensor:
    """A transposed convolution as one product of matrices and a shuffle.

    With stride s, the s outputs an axis that share their inputs are a dense convolution of
    ceil(kernel / s) taps to s times the channels, per axis. PyTorch's own is half as fast for a
    stride of 8, and as fast or faster for 4 and 2 unless there are few channels.

    Parameters
    ----------
    layer : nn.ConvTranspose2d or nn.ConvTranspose3d
        Without dilation and groups.
    tensor : Tensor, (B, in, *positions)
    size : sequence of int
        The output is cut to it at the far end of each axis, before and not after it is computed.

    Returns
    -------
    Tensor, (B, out, *outputs)
    """
    kernel, stride, padding = layer.kernel_size, layer.stride, layer.padding
    axes = range(len(kernel))
    outputs = [
        min(wanted, (n - 1) * s - 2 * p + k + extra)
        for wanted, n, s, p, k, extra in zip(
            size, tensor.shape[2:], stride, padding, kernel, layer.output_padding, strict=True
        )
    ]
    # output o of an axis is place o + padding of the whole: block (o + padding) // stride
    first = [p // s for p, s in zip(padding, stride, strict=True)]
    blocks = [
        -(-(p + o) // s) - f for p, o, s, f in zip(padding, outputs, stride, first, strict=True)
    ]
    taps = [-(-k // s) for k, s in zip(kernel, stride, strict=True)]
    rows = tensor.movedim(1, -1)
    margins = [0, 0]
    for a in reversed(axes):
        margins += [taps[a] - 1 - first[a], first[a] + blocks[a] - tensor.shape[2 + a]]
    rows = F.pad(rows, margins)
    # tap t of block q meets input q - t
    shifted = [
        rows[
            (
                slice(None),
                *(slice(taps[a] - 1 - t[a], taps[a] - 1 - t[a] + blocks[a]) for a in axes),
            )
        ]
        for t in itertools.product(*(range(n) for n in taps))
    ]
    product = torch.cat(shifted, dim=-1).flatten(0, -2) @ _matrix(layer.weight, taps, stride)
    # (B, blocks..., strides..., out) -> (B, block, stride, block, stride, ..., out)
    product = product.view(len(rows), *blocks, *stride, -1)
    order = [place for a in axes for place in (1 + a, 1 + len(axes) + a)]
    opened = product.permute(0, *order, -1).reshape(
        len(rows), *(n * s for n, s in zip(blocks, stride, strict=True)), -1
    )
    within = [p % s for p, s in zip(padding, stride, strict=True)]
    opened = opened[(slice(None), *(slice(f, f + o) for f, o in zip(within, outputs, strict=True)))]
    if layer.bias is not None:
        opened = opened + layer.bias
    return opened.movedim(-1, 1)


def _matrix(weight: Tensor, taps: Sequence[int], stride: Sequence[int]) -> Tensor:
    """(in, out, *kernel) to (taps * in, strides * out), the kernel filled up with zeros."""
    margins: list[int] = []
    for n, s, k in zip(reversed(taps), reversed(stride), reversed(weight.shape[2:]), strict=True):
        margins += [0, n * s - k]
    weight = F.pad(weight, margins)
    parts = [length for n, s in zip(taps, stride, strict=True) for length in (n, s)]
    weight = weight.reshape(*weight.shape[:2], *parts)
    of_taps, of_strides = range(2, weight.dim(), 2), range(3, weight.dim(), 2)
    weight = weight.permute(*of_taps, 0, *of_strides, 1)
    return weight.flatten(len(taps) + 1).flatten(0, len(taps))
