"""How the features of three views become one: the paper's gate, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmwfanet.attention import ChannelAttention, DualAttention, PerSlice, ResidualAttention

GATES = ("coronal", "sagittal")
"""The views whose features gate the axial ones."""


class WeightedFusion(nn.Module):
    """Multi-view weighted fusion attention, eqs. 1 to 3.

    ``(sigmoid(F_coronal) + sigmoid(F_sagittal) + 1) * F_axial`` at each position and channel,
    without any normalisation between the gates.

    Parameters
    ----------
    gates : sequence of str
        Views whose gate is in use; a gate that is not in use is 0. The encoders of all views are
        built all the same, so that weights trained with both gates load into a network without
        one.
    """

    views = ("axial", *GATES)

    def __init__(self, gates: Sequence[str] = GATES) -> None:
        super().__init__()
        self.gates = tuple(gates)
        self.used = ("axial", *self.gates)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view, each (B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        gate = sum(torch.sigmoid(features[view]) for view in self.gates) + 1
        return gate * features["axial"]


class SummedFusion(nn.Module):
    """Plain sum of the three views (the paper's MVL)."""

    views = used = ("axial", *GATES)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view, each (B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        return features["axial"] + features["coronal"] + features["sagittal"]


class AxialOnly(nn.Module):
    """The axial features alone (the paper's AVL); the other encoders are then not built.

    Parameters
    ----------
    attention : nn.Module, optional
        Attention on the axial slices, (slices, C, Y, X) to the same shape: the networks that the
        paper's Table 3 puts in the gate's place. The text does not say which views they see; it
        faults them for not fusing several, so they see the axial one.
    """

    views = used = ("axial",)

    def __init__(self, attention: nn.Module | None = None) -> None:
        super().__init__()
        self.attention = nn.Identity() if attention is None else PerSlice(attention)

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view -> the axial ones, (B, C, Z, Y, X)."""
        return self.attention(features["axial"])


FUSIONS: dict[str, Callable[[int, Sequence[str]], nn.Module]] = {
    "weighted": lambda channels, gates: WeightedFusion(gates),
    "sum": lambda channels, gates: SummedFusion(),
    "axial": lambda channels, gates: AxialOnly(),
    "res-att": lambda channels, gates: AxialOnly(ResidualAttention(channels)),
    "senet": lambda channels, gates: AxialOnly(ChannelAttention(channels)),
    "danet": lambda channels, gates: AxialOnly(DualAttention(channels)),
}
"""Fusion by name, from the channels of the shared features and the gates in use."""

FUSION_NOTES: dict[str, tuple[str, ...]] = {
    "res-att": (
        "residual attention on the axial features alone, in the gate's place",
        "its trunk has 2 residual blocks, its mask branch 2 poolings; post-activation blocks",
    ),
    "senet": (
        "squeeze and excitation on the axial features alone, in the gate's place",
        "the squeeze is a slice's mean; reduction 16, or less to keep 4 squeezed channels",
    ),
    "danet": (
        "dual attention on the axial features alone, in the gate's place; slice by slice",
        "its auxiliary classifiers are dropped",
    ),
}
"""What differs from the published form of the fusions that are others' work."""
