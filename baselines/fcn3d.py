"""3D FCN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    FOLD,
    TUNED_WIDTHS,
    channels_last,
    conv,
    fold,
    folded_shape,
    halvings,
    use_channels_last,
)
from baselines.layers import PointwiseConv3d, WideTransposedConv3d
from benchmark.contract import CLASSES


class FCN3D(nn.Module):
    """J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation",
    CVPR 2015, in three dimensions.

    Kept: a VGG backbone (stacks of 3x3x3 convolutions between max poolings, channels doubling); the
    fully connected layers turned convolutions; 1x1x1 score layers on the last three scales; learned
    transposed convolutions that start as linear interpolation; scores *summed* from coarse to fine;
    no convolution after the upsampling, no skip of features.

    Deviations and choices (the original is 2D; its 3D form is not documented)

    * Four scales instead of five, scores at in-plane strides 4, 8 and 16 instead of 8, 16 and 32:
      the grid is ten times smaller than a photograph.
    * Batch norm after each convolution: there is no pretrained VGG in 3D to start from.
    * No dropout and narrower "fully connected" layers (8 times ``width``, 4096 in the original):
      the budget ends long before such a network overfits.
    * The first convolution works on the input folded 2 x 2 in plane (a 3x6x6 convolution of
      in-plane stride 2); depth is reduced less than the plane.
    * An axis is pooled only while 3 positions are left of it: the grids differ in size.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale (64 in VGG).
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "four scales, scores at in-plane strides 4, 8 and 16 cells (8, 16, 32 in the original)",
        "batch norm in the backbone, no pretraining",
        "no dropout; the layers after the backbone have 8 times the width, not 4096 channels",
        "first convolution of in-plane stride 2; depth is reduced less than the plane",
        "an axis is pooled only while 3 positions are left of it",
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        self.strides = halvings(folded_shape(grid), 3)
        self.backbone = nn.ModuleList()
        inside = 4 * in_channels
        # VGG-16 has 2, 2, 3, 3, 3 convolutions a scale
        for level, depth in enumerate((2, 2, 3, 3)):
            outside = width * 2**level
            layers = [conv(3, inside if i == 0 else outside, outside) for i in range(depth)]
            self.backbone.append(nn.Sequential(*layers))
            inside = outside
        self.connected = nn.Sequential(conv(3, inside, inside), conv(3, inside, inside, kernel=1))
        self.scores = nn.ModuleList(
            PointwiseConv3d(width * 2**level, CLASSES) for level in (1, 2, 3)
        )
        # to the next finer score, and the last one to the cells themselves
        z, y, x = self.strides[0]
        steps = [(z, FOLD * y, FOLD * x), self.strides[1], self.strides[2]]
        self.upsampling = nn.ModuleList(LearnedUpsampling(step) for step in steps)
        use_channels_last(self, 3)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits, (B, 4, Z, Y, X), of an image (B, C, Z, Y, X)."""
        tensor = channels_last(fold(image))
        maps = []
        for level, block in enumerate(self.backbone):
            if level:
                step = self.strides[level - 1]
                tensor = F.max_pool3d(tensor, step, stride=step, ceil_mode=True)
            tensor = block(tensor)
            maps.append(tensor)
        scored = self.scores[2](self.connected(maps[3]))
        for level in (1, 0):
            finer = self.scores[level](maps[level + 1])
            scored = finer + self.upsampling[level + 1](scored, finer.shape[2:])
        return {"logits": self.upsampling[0](scored, image.shape[2:])}


class LearnedUpsampling(nn.Module):
    """Transposed convolution over the classes that starts as linear interpolation.

    Parameters
    ----------
    step : (z, y, x)
        Factor per axis; the kernel has twice that size, or 1 where the factor is 1.
    """

    def __init__(self, step: tuple[int, int, int]) -> None:
        super().__init__()
        kernel = [2 * s if s > 1 else 1 for s in step]
        padding = [s // 2 if s > 1 else 0 for s in step]
        self.layer = WideTransposedConv3d(CLASSES, CLASSES, kernel, step, padding, bias=False)
        line = [_triangle(s) for s in step]
        weight = torch.einsum("i,j,k->ijk", *line)
        with torch.no_grad():
            self.layer.weight.zero_()
            for c in range(CLASSES):
                self.layer.weight[c, c] = weight

    def forward(self, scores: Tensor, size: torch.Size) -> Tensor:
        """(B, 4, z, y, x) to (B, 4, *size)."""
        return self.layer(scores, size)


def _triangle(factor: int) -> Tensor:
    """Weights of linear interpolation by an even ``factor``, or of none by 1."""
    if factor == 1:
        return torch.ones(1)
    place = torch.arange(2 * factor, dtype=torch.float32)
    return 1 - (place - (factor - 0.5)).abs() / factor
