"""The two heads: labels of every cell, and the twelve scores of the scan."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.score_head import SliceSum
from mmwfanet.blocks import concatenate
from mmwfanet.encoders import to_slices

CLASSES = 4
SCORES = 12


class SegmentationHead(nn.Module):
    """Upsample, concatenate the stem's map before pooling, convolve, upsample (section 3.3).

    Parameters
    ----------
    width : int
        Channels of the shared features and of the stem's map.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(2 * width, CLASSES, 3, padding=1)

    def forward(self, features: Tensor, stem: Tensor, size: tuple[int, int]) -> Tensor:
        """Class logits.

        Parameters
        ----------
        features : Tensor, (B, C, Z, y, x)
            Shared features.
        stem : Tensor, (B * Z, C, Y', X')
            The stem's map before its pooling.
        size : (Y, X)
            In-plane size of the network's input.

        Returns
        -------
        Tensor, (B, 4, Z, Y, X)
        """
        batch = features.shape[0]
        x = to_slices(features, "axial")
        x = F.interpolate(x, size=stem.shape[-2:], mode="bilinear", align_corners=False)
        x = self.convolve(concatenate([x, stem]))
        if x.shape[-2:] != tuple(size):
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        # (B * Z, 4, Y, X) -> (B, 4, Z, Y, X)
        return x.reshape(batch, -1, CLASSES, *size).transpose(1, 2)


class ScoreHead(nn.Module):
    """Per-slice fully connected layers (128, then 12), summed over the slices (section 3.3).

    The printed form (``head_sum="logarithms"``, ``pooled=0``, ``norm=False``) flattens the slice:
    FC 128, ReLU, dropout, FC 12, and the sum over slices is ln(y + 1). It cannot express its own
    idea: scores add up over slices, their logarithms do not, and a head of that form learns nothing
    within a small budget (docs/recipe.md). Each of its three points is a switch.

    Parameters
    ----------
    channels : int
        Of the shared features.
    slice_size : (Y, X)
        In-plane size of the shared features.
    slices : int
        Z of the training grid.
    head_sum : "presence", "scores" or "logarithms"
        How slices add up; see :class:`benchmark.score_head.SliceSum`. ``logarithms`` is printed.
    pooled : int
        The slice is max-pooled to ``pooled`` x ``pooled`` cells; 0 flattens the whole slice.
    norm : bool
        Batch norm on the hidden layer, and a leaky ReLU after it, as in every other head of the
        suite; without, the printed ReLU.
    dropout : float
        On the hidden layer. The paper gives 0.5 without saying where.
    """

    hidden = 128

    def __init__(
        self,
        channels: int,
        slice_size: tuple[int, int],
        slices: int,
        head_sum: str = "presence",
        pooled: int = 5,
        norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.pooled = pooled
        cells = pooled**2 if pooled else slice_size[0] * slice_size[1]
        # a bias before a batch norm does nothing, and Adam moves it by rounding alone
        self.first = nn.Linear(channels * cells, self.hidden, bias=not norm)
        self.norm = nn.BatchNorm1d(self.hidden) if norm else nn.Identity()
        self.activation = nn.LeakyReLU(0.1) if norm else nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(self.hidden, SCORES)
        self.sum = SliceSum(self.hidden, slices, head_sum)
        if head_sum != "logarithms":  # the printed form starts as torch does
            self.sum.initialise(self.second.weight, self.second.bias)

    def gather(self, features: Tensor) -> Tensor:
        """What the layers see of each slice: (B, C, Z, Y, X) -> (B, Z, C * cells)."""
        batch, _, slices = features.shape[:3]
        x = to_slices(features, "axial")
        if self.pooled:
            x = F.adaptive_max_pool2d(x, self.pooled)
        return x.reshape(batch, slices, -1)

    def forward(self, gathered: Tensor) -> dict[str, Tensor]:
        """Estimated ln(1 + score) from what :meth:`gather` gave, (B, Z, C * cells).

        Returns
        -------
        dict
            As :meth:`benchmark.score_head.SliceSum.forward` has it.
        """
        codes = self.norm(self.first(gathered.flatten(0, 1)))
        codes = self.dropout(self.activation(codes)).unflatten(0, gathered.shape[:2])
        return self.sum(codes, self.second(codes))
