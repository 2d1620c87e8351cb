"""Two 3D convolutions: how far what is near a candidate goes, without a network worth the name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.blocks import channels_last, conv, use_channels_last
from benchmark.contract import CLASSES

CHANNELS = 32
"""The same in all tiers, whatever their width: a reference that grew would say something else."""


class TwoConvolutions(nn.Module):
    """Two 3 x 3 x 3 convolutions, batch norm and ReLU between them: 5 x 5 x 5 cells in sight.

    It is trained as every method is, and stands on a board as a reference: where a network is not
    told apart from it, the scans do not show what the network is more than this.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Not used, see `CHANNELS`.
    coordinates : bool
        Three more input channels: each cell's place in the grid, -1 to 1 along z, y and x. What
        that gives is what a look at a position in the grid gives.
    """

    outputs = ("mask",)

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        coordinates: bool = False,
    ) -> None:
        super().__init__()
        self.coordinates = coordinates
        self.notes = (
            f"a reference: two 3 x 3 x 3 convolutions, {CHANNELS} channels in every tier",
            *["each cell's place in the grid is three more channels"] * coordinates,
        )
        self.first = conv(3, in_channels + 3 * coordinates, CHANNELS)
        self.second = nn.Conv3d(CHANNELS, CLASSES, 3, padding=1)
        use_channels_last(self, 3)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits, (B, 4, Z, Y, X), of an image (B, C, Z, Y, X)."""
        if self.coordinates:
            places = places_of(image.shape[2:], image)
            image = torch.cat([image, places.expand(len(image), -1, -1, -1, -1)], dim=1)
        return {"logits": self.second(self.first(channels_last(image)))}


def places_of(shape: Sequence[int], like: Tensor) -> Tensor:
    """Place of each cell, (1, 3, Z, Y, X): -1 to 1 along each axis, 0 at the grid's centre."""
    axes = [
        torch.linspace(-1, 1, size, device=like.device, dtype=like.dtype)
        if size > 1
        else torch.zeros(1, device=like.device, dtype=like.dtype)
        for size in shape
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)
