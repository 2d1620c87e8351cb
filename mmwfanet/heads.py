"""The two heads: labels of every cell, and the twelve scores of the scan."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmwfanet.blocks import concatenate
from mmwfanet.encoders import to_slices

CLASSES = 4
SCORES = 12
HEAD_SUMS = ("scores", "logarithms")


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
    head_sum : "scores" or "logarithms"
        ``scores``: softplus of each slice's outputs; their sum is y, and its log1p is compared.
        ``logarithms``: the plain outputs' sum is ln(y + 1).
    pooled : int
        The slice is max-pooled to ``pooled`` x ``pooled`` cells; 0 flattens the whole slice.
    norm : bool
        Batch norm on the hidden layer.
    dropout : float
        On the hidden layer. The paper gives 0.5 without saying where.
    scale : float
        A slice's softplus of 1 stands for this score; near the size of a typical slice's score, so
        that the last layer's weights stay near their initial size.
    """

    hidden = 128

    def __init__(
        self,
        channels: int,
        slice_size: tuple[int, int],
        head_sum: str = "scores",
        pooled: int = 5,
        norm: bool = True,
        dropout: float = 0.0,
        scale: float = 20.0,
    ) -> None:
        super().__init__()
        if head_sum not in HEAD_SUMS:
            raise ValueError(f"head_sum must be one of {', '.join(HEAD_SUMS)}, not {head_sum!r}")
        self.head_sum = head_sum
        self.pooled = pooled
        self.scale = scale
        cells = pooled**2 if pooled else slice_size[0] * slice_size[1]
        self.first = nn.Linear(channels * cells, self.hidden)
        self.norm = nn.BatchNorm1d(self.hidden) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.second = nn.Linear(self.hidden, SCORES)
        if head_sum == "scores":
            # start near an empty slice: most slices hold no calcium
            nn.init.constant_(self.second.bias, -3.0)

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
            ``scores`` (B, 12); where scores are summed also ``slice_scores`` (B, Z, 12).
        """
        batch, slices = gathered.shape[:2]
        x = self.first(gathered.reshape(batch * slices, -1))
        x = self.second(self.dropout(F.relu(self.norm(x))))
        x = x.reshape(batch, slices, SCORES).float()
        if self.head_sum == "logarithms":
            return {"scores": x.sum(dim=1)}
        parts = self.scale * F.softplus(x)
        return {"scores": torch.log1p(parts.sum(dim=1)), "slice_scores": torch.log1p(parts)}
