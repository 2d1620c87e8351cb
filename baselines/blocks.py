"""Parts that several of the networks share: folding, the U-Net, the head of scores.

Axes are (B, C, Z, Y, X) for volumes and (B * Z, C, Y, X) for stacks of axial slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.layers import PointwiseConv3d
from benchmark.contract import CLASSES, SCORE_COUNT
from benchmark.score_head import SliceSum
from mmwfanet.blocks import concatenate

FOLD = 2
"""Cells per side of the in-plane square that becomes one position with 4 times the channels."""

FOLD_NOTE = (
    "in-plane squares of 2 x 2 cells are folded into channels at the input and unfolded at the "
    "output (no cell is lost), which makes a step about four times cheaper"
)

TUNED_WIDTHS = {"width": [0.75, 1.0, 1.5]}
"""What ``--tune`` may try of these networks beside the learning rate: multiples of the width."""


def fold(image: Tensor) -> Tensor:
    """Fold in-plane squares of 2 x 2 cells into channels.

    Parameters
    ----------
    image : Tensor, (B, C, Z, Y, X)
        Odd Y and X are padded at the far end by repeating the last cell.

    Returns
    -------
    Tensor, (B, 4 C, Z, ceil(Y / 2), ceil(X / 2))
    """
    y, x = image.shape[-2:]
    if y % FOLD or x % FOLD:
        image = F.pad(image, (0, x % FOLD, 0, y % FOLD, 0, 0), mode="replicate")
    # (B, C, Z, Y, X) -> (B, Z, C, Y, X) -> (B, Z, 4 C, Y/2, X/2) -> (B, 4 C, Z, Y/2, X/2)
    return F.pixel_unshuffle(image.transpose(1, 2), FOLD).transpose(1, 2)


def unfold(folded: Tensor, size: Sequence[int]) -> Tensor:
    """Undo :func:`fold`: (B, 4 C, Z, Y', X') to (B, C, Z, Y, X) of the given (Z, Y, X)."""
    opened = F.pixel_shuffle(folded.transpose(1, 2), FOLD).transpose(1, 2)
    return opened[..., : size[-2], : size[-1]]


def folded_shape(grid: Sequence[int]) -> tuple[int, int, int]:
    """(Z, Y, X) after :func:`fold`."""
    return grid[0], -(-grid[1] // FOLD), -(-grid[2] // FOLD)


def halvings(
    shape: Sequence[int], levels: int, smallest: int = 3, largest_step: int = 2
) -> list[tuple[int, ...]]:
    """Strides of ``levels`` successive reductions; an axis stays once it would fall too low.

    Parameters
    ----------
    shape : sequence of int
        Size of the first level.
    levels : int
    smallest : int
        An axis is not reduced below this many positions.
    largest_step : int
        The stride of an axis that is reduced.

    Returns
    -------
    list of tuple
        One stride per axis and level, 1 or ``largest_step``; sizes are rounded up.
    """
    sizes = list(shape)
    strides = []
    for _ in range(levels):
        step = tuple(largest_step if -(-s // largest_step) >= smallest else 1 for s in sizes)
        sizes = [-(-s // k) for s, k in zip(sizes, step, strict=True)]
        strides.append(step)
    return strides


def conv(
    dims: int, inside: int, outside: int, kernel: int = 3, stride: int | tuple[int, ...] = 1
) -> nn.Sequential:
    """Convolution (same padding), batch norm and ReLU, in 2 or 3 dimensions."""
    norm = (nn.BatchNorm2d, nn.BatchNorm3d)[dims - 2]
    if dims == 3 and kernel == 1 and stride == 1:
        layer = PointwiseConv3d(inside, outside, bias=False)
    else:
        kind = (nn.Conv2d, nn.Conv3d)[dims - 2]
        layer = kind(inside, outside, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(
        layer,
        norm(outside),
        nn.ReLU(inplace=True),
    )


def use_channels_last(module: nn.Module, dims: int) -> None:
    """Store the weights channels last: on a CPU the thin layers are then up to 3 times faster."""
    module.to(memory_format=(torch.channels_last, torch.channels_last_3d)[dims - 2])


def channels_last(tensor: Tensor) -> Tensor:
    """The tensor in the layout that the weights of :func:`use_channels_last` want."""
    layout = torch.channels_last_3d if tensor.dim() == 5 else torch.channels_last
    return tensor.contiguous(memory_format=layout)


def resize(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """Linear interpolation to ``size``, one figure per spatial axis."""
    if tensor.shape[2:] == torch.Size(size):
        return tensor
    mode = "trilinear" if tensor.dim() == 5 else "bilinear"
    return F.interpolate(tensor, size=tuple(size), mode=mode, align_corners=False)


def crop(tensor: Tensor, size: Sequence[int]) -> Tensor:
    """The near corner of ``tensor`` with the spatial ``size``."""
    return tensor[(..., *(slice(0, s) for s in size))]


def slices_of(volume: Tensor) -> Tensor:
    """(B, C, Z, Y, X) to the stack of its axial slices, (B * Z, C, Y, X)."""
    return volume.transpose(1, 2).flatten(0, 1)


def volume_of(slices: Tensor, batch: int) -> Tensor:
    """(B * Z, C, Y, X) back to (B, C, Z, Y, X)."""
    return slices.unflatten(0, (batch, -1)).transpose(1, 2)


class UNetBody(nn.Module):
    """The 3D U-Net of Cicek et al. (MICCAI 2016) up to its last feature map.

    Each level has two 3x3x3 convolutions, of which the second doubles the channels *before* the
    pooling; max pooling by 2; a 2x2x2 up-convolution; concatenated skips; two more convolutions.

    Parameters
    ----------
    in_channels : int
    first : int
        Channels of the first convolution; the levels end in 2, 4, 8 and 16 times as many.
    shape : (Z, Y, X)
        Size of the input the poolings are planned for; an axis below 6 positions is not pooled.
    """

    def __init__(self, in_channels: int, first: int, shape: Sequence[int], levels: int = 4) -> None:
        super().__init__()
        self.strides = halvings(shape, levels - 1)
        self.out_channels = 2 * first
        self.down = nn.ModuleList()
        inside = in_channels
        for level in range(levels):
            single = first * 2**level
            self.down.append(nn.Sequential(conv(3, inside, single), conv(3, single, 2 * single)))
            inside = 2 * single
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(levels - 1)):
            skip, step = 2 * first * 2**level, self.strides[level]
            self.up.append(nn.ConvTranspose3d(inside, inside, step, stride=step))
            self.merge.append(nn.Sequential(conv(3, inside + skip, skip), conv(3, skip, skip)))
            inside = skip

    def forward(self, tensor: Tensor) -> Tensor:
        """(B, in_channels, Z, Y, X) to (B, 2 * first, Z, Y, X)."""
        skips = []
        for level, block in enumerate(self.down):
            if level:
                step = self.strides[level - 1]
                tensor = F.max_pool3d(tensor, step, stride=step, ceil_mode=True)
            tensor = block(tensor)
            skips.append(tensor)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            skip = skips.pop()
            tensor = merge(concatenate([crop(up(tensor), skip.shape[2:]), skip]))
        return tensor


class SliceSumHead(nn.Module):
    """Twelve scores from feature maps of the axial slices.

    A 5 x 5 grid of in-plane maxima per slice, a hidden layer with batch norm, 12 outputs per slice,
    then :class:`benchmark.score_head.SliceSum`. The coarse grid and the batch norm keep the head
    from collapsing to a constant when the budget is short.

    Parameters
    ----------
    channels : int
    slices : int
    head_sum : "presence", "scores" or "logarithms"
    hidden : int
    """

    cells = 5

    def __init__(
        self, channels: int, slices: int, head_sum: str = "presence", hidden: int = 128
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(channels * self.cells**2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(0.1),
        )
        self.last = nn.Linear(hidden, SCORE_COUNT)
        self.sum = SliceSum(hidden, slices, head_sum)
        self.sum.initialise(self.last.weight, self.last.bias)

    def gather(self, slices: Tensor, batch: int) -> Tensor:
        """What the layers see of each slice: (B * Z, C, Y, X) to (B, Z, C * 25)."""
        return F.adaptive_max_pool2d(slices, self.cells).flatten(1).unflatten(0, (batch, -1))

    def forward(self, gathered: Tensor) -> dict[str, Tensor]:
        """(B, Z, C * 25), from :meth:`gather`, to what `SliceSum` gives."""
        codes = self.hidden(gathered.flatten(0, 1)).unflatten(0, gathered.shape[:2])
        return self.sum(codes, self.last(codes))


def score_layer(dims: int, channels: int) -> nn.Module:
    """1x1 convolution to the logits of the 4 cells of a folded position."""
    if dims == 3:
        return PointwiseConv3d(channels, CLASSES * FOLD**2)
    return nn.Conv2d(channels, CLASSES * FOLD**2, 1)
