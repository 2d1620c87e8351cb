"""Indices-Net: joint representation (autoencoder) and regression learning."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
    SliceSumHead,
    channels_last,
    conv,
    fold,
    folded_shape,
    slices_of,
    use_channels_last,
)
from benchmark.contract import Batch, Stage, score_error
from benchmark.score_head import HEAD_SAMPLES, kept_note

LOWEST = 5
"""The encoder halves a slice while this many positions are left (80 to 5 in the original)."""

MOST_SCALES = 5
JOINT_SHARE = 0.75


class IndicesNet(nn.Module):
    """W. Xue, A. Islam, M. Bhaduri, S. Li, "Direct multitype cardiac indices estimation via joint
    representation and regression learning", IEEE Transactions on Medical Imaging 36(10), 2017.

    Kept: a deep convolutional autoencoder of each slice (two 3x3 convolutions with batch norm and a
    2x2 max pooling per scale, 16, 32, 64, ... channels, halved down to 5 positions; the way back by
    max *unpooling* with the saved places); the decoder's full-size output, not the code, feeds a
    regressor of two 5x5 convolutions and a convolution over the whole map; reconstruction and
    regression are learnt jointly; every slice is supervised with its own scores.

    Deviations and choices

    * The cardiac slice becomes each axial slice; what the slices add up to is a scan's scores, in
      the suite's form (``head_sum``).
    * The 5x5 convolution to a 1x1 code of 512 and its inverse are left out, the code is the 5 x 5
      map: one vector for a whole slice leaves little room for a lesion of one cell.
    * The convolution over the whole map is one over its 5 x 5 grid of maxima, with a hidden layer
      of 128 and batch norm, which leaves the constant sooner than one weight for each place.
    * The last quarter of the budget trains the layers after the grid alone, on features kept from
      the joint stage: many cheap steps in place of few dear ones.
    * The input is folded 2 x 2 in plane, and it is the folded image that is reconstructed.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale (16 in the original).
    head_sum : "presence", "scores" or "logarithms"
        See :class:`benchmark.score_head.SliceSum`.
    reconstruction_weight : float
        Of the image's reconstruction.
    """

    outputs = ("head",)
    tunable = TUNED_WIDTHS
    notes = (
        "per axial slice; slices add up as scores: a probability of calcium times an amount",
        "the code is the lowest 5 x 5 map; the 1x1 code of 512 values is left out",
        "regressor: 5x5 convolutions, then a 5 x 5 grid of maxima, 128 hidden units, 12 outputs",
        kept_note("the layers after that grid"),
        "the suite's loss of scores, of the scan and slice by slice; reconstruction weight 10",
        FOLD_NOTE,
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        head_sum: str = "presence",
        reconstruction_weight: float = 10.0,
    ) -> None:
        super().__init__()
        self.reconstruction_weight = reconstruction_weight
        size = min(folded_shape(grid)[1:])
        inside, outside = 4 * in_channels, width
        self.encoder, channels = nn.ModuleList(), []
        while True:
            self.encoder.append(nn.Sequential(conv(2, inside, outside), conv(2, outside, outside)))
            channels.append(outside)
            inside = outside
            if size // 2 < LOWEST or len(channels) == MOST_SCALES:
                break
            size, outside = size // 2, 2 * outside
        self.decoder = nn.ModuleList()
        for outside in [*channels[-2::-1], channels[0]]:
            self.decoder.append(nn.Sequential(conv(2, inside, inside), conv(2, inside, outside)))
            inside = outside
        self.image = nn.Conv2d(width, 4 * in_channels, 1)
        self.regressor = nn.Sequential(
            conv(2, width, width, kernel=5), conv(2, width, width, kernel=5)
        )
        self.head = SliceSumHead(width, grid[0], head_sum)
        use_channels_last(self, 2)

    def _decode(self, slices: Tensor) -> Tensor:
        """(B * Z, 4 C, Y, X) to the decoder's output, (B * Z, width, Y, X)."""
        tensor, kept = slices, []
        for block in self.encoder[:-1]:
            tensor = block(tensor)
            size = tensor.shape[2:]
            tensor, places = F.max_pool2d(tensor, 2, return_indices=True)
            kept.append((places, size))
        tensor = self.decoder[0](self.encoder[-1](tensor))
        for block, (places, size) in zip(self.decoder[1:], reversed(kept), strict=True):
            tensor = block(F.max_unpool2d(tensor, places, 2, output_size=size))
        return tensor

    def _gathered(self, decoded: Tensor, batch: int) -> Tensor:
        return self.head.gather(self.regressor(decoded), batch)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Scores of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``scores`` (B, 12), ``slice_scores`` (B, Z, 12) unless logarithms are summed, and
            ``reconstruction`` (B * Z, 4 C, Y', X'), the folded slices.
        """
        decoded = self._decode(channels_last(slices_of(fold(image))))
        return {
            **self.head(self._gathered(decoded, image.shape[0])),
            "reconstruction": self.image(decoded),
        }

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Error of the scores, of the scan and slice by slice, and of the reconstruction."""
        wanted = slices_of(fold(batch.image))
        return {
            "scores": score_error(output, batch),
            "reconstruction": self.reconstruction_weight
            * F.mse_loss(output["reconstruction"], wanted),
        }

    def stages(self) -> list[Stage]:
        """Joint training, then the last layers alone on kept features."""

        def joint(batch: Batch) -> dict[str, Tensor]:
            return self.losses(self(batch.image), batch)

        def last(batch: Batch) -> dict[str, Tensor]:
            return {"scores": score_error(self.head(batch.kept["gathered"]), batch)}

        return [
            Stage("joint", JOINT_SHARE, joint, list(self.parameters())),
            Stage(
                "regressor",
                1 - JOINT_SHARE,
                last,
                list(self.head.parameters()),
                batch_scale=2,
                keep=self._keep,
                apart=HEAD_SAMPLES,
            ),
        ]

    def _keep(self, image: Tensor) -> dict[str, Tensor]:
        decoded = self._decode(channels_last(slices_of(fold(image))))
        return {"gathered": self._gathered(decoded, image.shape[0])}
