"""How the features of three views become one: the paper's gate, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmark.contract import device_count, sum_over_devices
from mmwfanet.attention import ChannelAttention, DualAttention, PerSlice, ResidualAttention

GATES = ("coronal", "sagittal")
"""The views whose features gate the axial ones."""

CLOSED = ("zero", "mean")
"""What may stand for a gate that is not in use."""

MOMENTUM = 0.05
"""Of the running means of the gates."""


class WeightedFusion(nn.Module):
    """Multi-view weighted fusion attention, eqs. 1 to 3.

    ``(sigmoid(F_coronal) + sigmoid(F_sagittal) + 1) * F_axial`` at each position and channel,
    without any normalisation between the gates.

    Parameters
    ----------
    channels : int
    gates : sequence of str
        Views whose gate is in use. The encoders of all views are built all the same, so that
        weights trained with both gates load into a network without one.
    closed : "zero" or "mean"
        What stands for a gate that is not in use: nothing, or its mean over positions and training
        scans, channel by channel (a running mean with momentum `MOMENTUM`). Zero takes away the
        gate's scale as well, which the layers after it were trained with; the mean takes away what
        the gate says of places alone.
    """

    views = ("axial", *GATES)

    def __init__(self, channels: int, gates: Sequence[str] = GATES, closed: str = "zero") -> None:
        super().__init__()
        self.gates, self.closed = tuple(gates), closed
        self.used = ("axial", *self.gates)
        # a sigmoid of nothing, until training says otherwise
        self.register_buffer("means", torch.full((len(GATES), channels), 0.5))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Features by view, each (B, C, Z, Y, X) -> (B, C, Z, Y, X)."""
        gates = {view: torch.sigmoid(features[view]) for view in self.gates}
        if self.training:
            self._follow(gates)
        gate = sum(gates.values()) + 1
        if self.closed == "mean":
            for view, mean in zip(GATES, self.means, strict=True):
                if view not in gates:
                    gate = gate + mean.view(1, -1, 1, 1, 1)
        return gate * features["axial"]

    @torch.no_grad()
    def _follow(self, gates: dict[str, Tensor]) -> None:
        for place, view in enumerate(GATES):
            if view in gates:
                mean = gates[view].float().mean(dim=(0, 2, 3, 4))
                mean = sum_over_devices(mean) / device_count()
                self.means[place].lerp_(mean, MOMENTUM)


class SummedFusion(nn.Module):
    """Plain sum of the three views (the paper's MVL).

    It holds the gates' means, which it does not use, so that weights of a network with gates load.
    """

    views = used = ("axial", *GATES)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.full((len(GATES), channels), 0.5))

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


FUSIONS: dict[str, Callable[[int, Sequence[str], str], nn.Module]] = {
    "weighted": WeightedFusion,
    "sum": lambda channels, gates, closed: SummedFusion(channels),
    "axial": lambda channels, gates, closed: AxialOnly(),
    "res-att": lambda channels, gates, closed: AxialOnly(ResidualAttention(channels)),
    "senet": lambda channels, gates, closed: AxialOnly(ChannelAttention(channels)),
    "danet": lambda channels, gates, closed: AxialOnly(DualAttention(channels)),
}
"""Fusion by name, from the channels of the shared features, the gates in use and what stands
for the others."""

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
