"""SSLLN: simultaneous segmentation and landmark localisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    FOLD,
    FOLD_NOTE,
    channels_last,
    conv,
    crop,
    fold,
    folded_shape,
    halvings,
    slices_of,
    unfold,
    use_channels_last,
    volume_of,
)
from baselines.layers import WideTransposedConv2d
from benchmark.contract import (
    CLASSES,
    Batch,
    candidate_cross_entropy,
    device_count,
    sum_over_devices,
)
from mmwfanet.blocks import concatenate

ARTERIES = 3
WIDE = 8
"""Stride from which a transposed convolution is done as a product of matrices: at 8 it takes half
the time, at 4 as long, at 2 twice as long."""

NEIGHBOURS = 2
"""Slices on either side that are stacked as channels."""

LANDMARK_SIGMA = 2.0
"""Width of a landmark's Gaussian, cells."""


class SSLLN(nn.Module):
    """J. Duan, G. Bello, J. Schlemper, W. Bai, T. J. W. Dawes, C. Biffi, et al., "Automatic 3D
    bi-ventricular segmentation of cardiac images by a shape-refined multi-task deep learning
    approach", IEEE Transactions on Medical Imaging 38(9), 2019.

    Kept: 2.5D input, each axial slice with its neighbours as channels; the trunk of the released
    network (j-duan/4Dsegment): 3x3 convolutions with batch norm, 16, 16 | stride 2: 32, 32 |
    64 x 3 | 128 x 3 | 256 x 3; the last map of each scale through a 3x3 convolution (64 channels at
    the finest, 32 below) and one transposed convolution back to full size; all concatenated (192);
    64 -> 64 -> output; segmentation and landmark localisation learnt jointly with class weights.

    Deviations and choices

    * Landmarks of calcified arteries do not exist as in the ventricles; here the centroid of each
      artery's lesions in the reference, as a Gaussian heat map of 2 cells. An artery without
      lesions has an empty map. (The released network has an edge channel in their place.)
    * The landmark loss is a sigmoid cross entropy in which the cells near landmarks and the others
      weigh the same; the segmentation loss counts candidates, as for all networks.
    * The atlas propagation that refines the shape afterwards is dropped: lesions have no atlas.
    * Two neighbours on either side (the text's number is not known to us).
    * The input is folded 2 x 2 in plane, and a scale with fewer than 3 positions across is left out
      (at 40 cells the fifth): it sees nothing that the one before does not.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale (16 in the released network); the others scale with it.
    """

    outputs = ("mask",)
    notes = (
        "atlas refinement dropped: lesions have no atlas",
        "landmarks: centroid of each artery's lesions, a Gaussian of 2 cells; none without lesions",
        "two neighbouring slices on either side as channels",
        FOLD_NOTE,
        "a scale with fewer than 3 positions across the slice is left out",
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        inside = in_channels * FOLD**2 * (2 * NEIGHBOURS + 1)
        self.trunk, self.sides, self.enlarge = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        steps = halvings(folded_shape(grid)[1:], 4)
        scales = 1 + sum(max(step) > 1 for step in steps)
        for level, depth in enumerate((2, 2, 3, 3, 3)[:scales]):
            outside = width * 2**level
            layers = [
                conv(2, inside if i == 0 else outside, outside, stride=2 if level and i == 0 else 1)
                for i in range(depth)
            ]
            self.trunk.append(nn.Sequential(*layers))
            side = 4 * width if level == 0 else 2 * width
            self.sides.append(conv(2, outside, side))
            if level:
                step = 2**level
                kind = WideTransposedConv2d if step >= WIDE else nn.ConvTranspose2d
                self.enlarge.append(
                    kind(
                        side,
                        side,
                        2 * step - 1,
                        stride=step,
                        padding=step // 2,
                        output_padding=1 if step == 2 else 0,
                    )
                )
            inside = outside
        self.joint = nn.Sequential(
            conv(2, (2 * scales + 2) * width, 4 * width, kernel=1),
            conv(2, 4 * width, 4 * width, kernel=1),
        )
        self.score = nn.Conv2d(4 * width, CLASSES * FOLD**2, 1)
        self.landmark = nn.Conv2d(4 * width, ARTERIES * FOLD**2, 1)
        nn.init.constant_(self.landmark.bias, -4.0)
        use_channels_last(self, 2)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``logits`` (B, 4, Z, Y, X), and ``landmarks`` (B, 3, Z, Y, X), the logits of the heat
            maps of LAD, LCX and RCA.
        """
        batch, slices = image.shape[0], image.shape[2]
        folded = fold(image)
        # repeat the end slices, then stack each slice with its neighbours as channels
        padded = F.pad(folded, (0, 0, 0, 0, NEIGHBOURS, NEIGHBOURS), mode="replicate")
        stacked = torch.cat(
            [padded[:, :, k : k + slices] for k in range(2 * NEIGHBOURS + 1)], dim=1
        )
        tensor = channels_last(slices_of(stacked))
        size, merged = tensor.shape[2:], []
        for level, block in enumerate(self.trunk):
            tensor = block(tensor)
            side = self.sides[level](tensor)
            if level:
                enlarge = self.enlarge[level - 1]
                wide = isinstance(enlarge, WideTransposedConv2d)
                side = enlarge(side, size) if wide else enlarge(side)
            merged.append(_fit(side, size))
        features = self.joint(concatenate(merged))
        return {
            "logits": unfold(volume_of(self.score(features), batch), image.shape[2:]),
            "landmarks": unfold(volume_of(self.landmark(features), batch), image.shape[2:]),
        }

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the candidates, and the balanced one of the landmarks."""
        return {
            "segmentation": candidate_cross_entropy(output["logits"], batch),
            "landmarks": landmark_loss(output["landmarks"], landmark_maps(batch.target)),
        }


def _fit(tensor: Tensor, size: torch.Size) -> Tensor:
    """Pad with zeros or crop at the far end to ``size``."""
    missing = [max(0, s - n) for s, n in zip(size, tensor.shape[2:], strict=True)]
    if any(missing):
        tensor = F.pad(tensor, (0, missing[1], 0, missing[0]))
    return crop(tensor, size)


def landmark_maps(target: Tensor, sigma: float = LANDMARK_SIGMA) -> Tensor:
    """Gaussian heat maps at the centroid of each artery's lesion cells.

    Parameters
    ----------
    target : Tensor, (B, Z, Y, X), int64
    sigma : float
        Cells.

    Returns
    -------
    Tensor, (B, 3, Z, Y, X)
        0 to 1; all zero for an artery without lesions.
    """
    mine = (
        target[:, None] == torch.arange(1, ARTERIES + 1, device=target.device).view(1, -1, 1, 1, 1)
    ).float()
    count = mine.sum(dim=(2, 3, 4))
    heat = None
    for axis in range(3):
        length = target.shape[axis + 1]
        place = torch.arange(length, device=target.device, dtype=torch.float32)
        others = [a for a in (2, 3, 4) if a != axis + 2]
        centre = (mine.sum(dim=others) * place).sum(dim=-1) / count.clamp(min=1)
        line = torch.exp(-((place - centre[..., None]) ** 2) / (2 * sigma**2))
        shape = [*line.shape[:2], 1, 1, 1]
        shape[axis + 2] = length
        line = line.view(shape)
        heat = line if heat is None else heat * line
    return heat * (count > 0).float()[:, :, None, None, None]


def landmark_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Sigmoid cross entropy; heat and its absence weigh the same over the batch."""
    hot = sum_over_devices(heat.sum())
    share = (hot / (heat.numel() * device_count())).clamp(1e-6, 1 - 1e-6)
    logits = logits.float()
    present = F.logsigmoid(logits)
    absent = present - logits  # log sigmoid(-x) = log sigmoid(x) - x: one slow function, not two
    positive = present * heat / share
    negative = absent * (1 - heat) / (1 - share)
    return -0.5 * (positive + negative).mean()
