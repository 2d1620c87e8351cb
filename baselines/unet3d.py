"""3D U-Net."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
    UNetBody,
    channels_last,
    fold,
    folded_shape,
    score_layer,
    unfold,
    use_channels_last,
)


class UNet3D(nn.Module):
    """O. Cicek, A. Abdulkadir, S. S. Lienkamp, T. Brox, O. Ronneberger, "3D U-Net: learning dense
    volumetric segmentation from sparse annotation", MICCAI 2016.

    Kept: four levels; per level two 3x3x3 convolutions with batch norm and ReLU; channels doubled
    before the pooling; max pooling by 2; 2x2x2 up-convolutions; concatenated skips; cross entropy
    on the annotated cells alone (the candidates, where Cicek et al. have their labelled slices).

    Deviations, with their reasons

    * Padded convolutions instead of valid ones: the grid is small and each of its cells is needed.
    * The input is folded 2 x 2 in plane and unfolded at the output, for the short budget.
    * An axis is pooled only while 3 positions are left of it: the grids differ in size.
    * The first convolution has half of ``width`` channels and the first level ends in ``width``
      (32 and 64 in the original, met with ``width`` 64).

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels at the end of the first level.
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "padded instead of valid convolutions",
        FOLD_NOTE,
        "an axis is pooled only while 3 positions are left of it",
        "width is that of the end of the first level, the first convolution has half of it",
        "the suite's loss (cross entropy and generalised Dice) in place of weighted cross entropy",
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        self.body = UNetBody(4 * in_channels, max(width // 2, 4), folded_shape(grid))
        self.score = score_layer(3, self.body.out_channels)
        use_channels_last(self, 3)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits, (B, 4, Z, Y, X), of an image (B, C, Z, Y, X)."""
        features = self.body(channels_last(fold(image)))
        return {"logits": unfold(self.score(features), image.shape[2:])}
