"""The three encoders: the axial residual dilated network and the dilated U-Net of the other views.

Both take 2D slices and give features of their input's size; neither holds a 3D convolution
(paper, section 3.2 and figure 3).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmwfanet.blocks import ConvNormReLU, Fusion, PyramidPooling, ResidualBlock


class ResidualDilatedNetwork(nn.Module):
    """Axial encoder (RDN): three residual blocks, a dilated one, pyramid pooling, three fusions.

    Parameters
    ----------
    in_channels : int
    width : int
        Channels of the first block and of the output; later blocks have 2, 4 and 8 times as many
        (figure 3's channel numbers are not legible in the text, so this doubling is ours).
    dilation : int
        Of all convolutions of the last block. The paper states no rate for it; 2 is the rate that
        it gives for its other dilated convolutions.
    """

    def __init__(self, in_channels: int, width: int, dilation: int = 2) -> None:
        super().__init__()
        self.block1 = ResidualBlock(in_channels, width)
        self.block2 = ResidualBlock(width, 2 * width, stride=2)
        self.block3 = ResidualBlock(2 * width, 4 * width, stride=2)
        self.dilated = ResidualBlock(4 * width, 8 * width, dilation=dilation)
        self.pyramid = PyramidPooling(8 * width)
        self.fuse3 = Fusion(8 * width, 4 * width, 4 * width)
        self.fuse2 = Fusion(4 * width, 2 * width, 2 * width)
        self.fuse1 = Fusion(2 * width, width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(slices, in, H, W) -> (slices, width, H, W)."""
        x1 = self.block1(x)
        x2 = self.block2(x1)
        x3 = self.block3(x2)
        top = self.pyramid(self.dilated(x3))
        return self.fuse1(self.fuse2(self.fuse3(top, x3), x2), x1)


class DilatedUNet(nn.Module):
    """Coronal or sagittal encoder: a U-Net whose skips pass through a convolution of dilation 2.

    Parameters
    ----------
    in_channels : int
    width : int
        Channels at full size and of the output; 2 and 4 times as many below.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.down1 = ConvNormReLU(in_channels, width)
        self.down2 = ConvNormReLU(width, 2 * width)
        self.bottom = ConvNormReLU(2 * width, 4 * width)
        self.skip1 = ConvNormReLU(width, width, dilation=2)
        self.skip2 = ConvNormReLU(2 * width, 2 * width, dilation=2)
        self.up2 = Fusion(4 * width, 2 * width, 2 * width)
        self.up1 = Fusion(2 * width, width, width)
        # the gate is a sigmoid of the last convolution, which therefore has no ReLU
        self.last = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(slices, in, H, W) -> (slices, width, H, W)."""
        x1 = self.down1(x)
        x2 = self.down2(F.max_pool2d(x1, 2, ceil_mode=True))
        x3 = self.bottom(F.max_pool2d(x2, 2, ceil_mode=True))
        up = self.up2(x3, self.skip2(x2))
        return self.last(self.up1(up, self.skip1(x1)))


def to_slices(volume: Tensor, view: str) -> Tensor:
    """Cut a volume into the 2D slices of a view.

    Parameters
    ----------
    volume : Tensor, (B, C, Z, Y, X)
    view : "axial", "coronal" or "sagittal"

    Returns
    -------
    Tensor
        (B * Z, C, Y, X), (B * Y, C, Z, X) or (B * X, C, Z, Y).
    """
    order = {"axial": (0, 2, 3, 4, 1), "coronal": (0, 3, 2, 4, 1), "sagittal": (0, 4, 2, 3, 1)}[
        view
    ]
    # One copy at most, into the layout that oneDNN and cuDNN run fastest: (slices, H, W, C) in
    # memory. The axial slices of features that are in it already need none.
    moved = volume.permute(order).contiguous()
    return moved.flatten(0, 1).movedim(-1, 1)


def from_slices(slices: Tensor, view: str, batch: int) -> Tensor:
    """The inverse of :func:`to_slices`: (B, C, Z, Y, X)."""
    moved = slices.movedim(1, -1).unflatten(0, (batch, -1))
    order = {"axial": (0, 1, 2, 3, 4), "coronal": (0, 2, 1, 3, 4), "sagittal": (0, 2, 3, 1, 4)}[
        view
    ]
    # all views in one layout: sums and products of mixed ones walk through memory in jumps
    return moved.permute(order).contiguous().movedim(-1, 1)
