"""3D ResNet for segmentation."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
    channels_last,
    conv,
    fold,
    folded_shape,
    halvings,
    resize,
    score_layer,
    unfold,
    use_channels_last,
)
from baselines.layers import PointwiseConv3d


class ResNet3D(nn.Module):
    """K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016,
    in three dimensions and with a light decoder.

    Kept: ResNet-18's plan, two basic blocks (two 3x3x3 convolutions with batch norm and an identity
    shortcut; a 1x1x1 projection where the size changes) at each of four scales, channels doubling.
    The blocks are torchvision's (``torchvision.models.video``, the R3D-18 of Tran et al., CVPR
    2018, which is this network inflated to 3D).

    The comparison's text names neither depth nor decoder for its "3D ResNet"; chosen here:

    * ResNet-18's depth: the deeper ones cost more steps than they gain in a short budget.
    * A decoder of 1x1x1 lateral convolutions (batch norm), upsampled and summed from the coarsest
      scale to the finest, then one 3x3x3 convolution: the least that gives a dense
      output of full resolution.

    Deviations, with their reasons

    * The stem is a 3x3x3 convolution on the input folded 2 x 2 in plane (a 3x6x6 convolution of
      in-plane stride 2) in place of 7x7 stride 2 and a 3x3 max pooling: lesions of one cell must
      not be lost.
    * An axis is reduced only while 3 positions are left of it: the grids differ in size.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale (64 in the original).
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "depth of ResNet-18 (the text names none)",
        "own light decoder: 1x1x1 laterals, upsampled and summed (the text names none)",
        "stem: 3x3x3 convolution without max pooling instead of 7x7 and pooling",
        FOLD_NOTE,
        "an axis is reduced only while 3 positions are left of it",
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        self.stem = conv(3, 4 * in_channels, width)
        self.scales, self.laterals = nn.ModuleList(), nn.ModuleList()
        inside = width
        for level, step in enumerate([(1, 1, 1), *halvings(folded_shape(grid), 3)]):
            outside = width * 2**level
            shortcut = None
            if level:
                shortcut = nn.Sequential(
                    nn.Conv3d(inside, outside, 1, stride=step, bias=False), nn.BatchNorm3d(outside)
                )
            self.scales.append(
                nn.Sequential(
                    BasicBlock(inside, outside, Conv3DSimple, step, shortcut),
                    BasicBlock(outside, outside, Conv3DSimple),
                )
            )
            self.laterals.append(
                nn.Sequential(PointwiseConv3d(outside, width, bias=False), nn.BatchNorm3d(width))
            )
            inside = outside
        self.smooth = conv(3, width, width)
        self.score = score_layer(3, width)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        use_channels_last(self, 3)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits, (B, 4, Z, Y, X), of an image (B, C, Z, Y, X)."""
        tensor = self.stem(channels_last(fold(image)))
        maps = []
        for scale in self.scales:
            tensor = scale(tensor)
            maps.append(tensor)
        merged = None
        for lateral, features in zip(reversed(self.laterals), reversed(maps), strict=True):
            mapped = lateral(features)
            merged = mapped if merged is None else mapped + resize(merged, mapped.shape[2:])
        return {"logits": unfold(self.score(self.smooth(merged)), image.shape[2:])}
