"""How the features of three views become one: the paper's gate, and what it is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightedFusion(nn.Module):
    """Multi-view weighted fusion attention, eqs. 1 to 3.

    ``(sigmoid(F_coronal) + sigmoid(F_sagittal) + 1) * F_axial`` at each position and channel,
    without any normalisation between the gates.
    """

    views = ("axial", "coronal", "sagittal")

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view, each (B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        gate = torch.sigmoid(features["coronal"]) + torch.sigmoid(features["sagittal"]) + 1
        return gate * features["axial"]


class SummedFusion(nn.Module):
    """Plain sum of the three views (the paper's MVL)."""

    views = ("axial", "coronal", "sagittal")

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view, each (B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        return features["axial"] + features["coronal"] + features["sagittal"]


class AxialOnly(nn.Module):
    """The axial features alone (the paper's AVL); the other encoders are then not built."""

    views = ("axial",)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view -> the axial ones, (B, C, Z, Y, X)."""
        return features["axial"]


FUSIONS: dict[str, type[nn.Module]] = {
    "weighted": WeightedFusion,
    "sum": SummedFusion,
    "axial": AxialOnly,
}
