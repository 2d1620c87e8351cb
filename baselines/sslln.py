"""SSLLN: simultaneous segmentation and landmark localisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    FOLD,
    FOLD_NOTE,
    TUNED_WIDTHS,
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
from baselines.landmarks import ARTERIES, FORMS, landmark_loss, landmark_maps
from baselines.layers import WideTransposedConv2d
from benchmark.contract import CLASSES, Batch, segmentation_loss
from mmwfanet.blocks import concatenate

WIDE = 8
"""Stride from which a transposed convolution is done as a product of matrices: at 8 it takes half
the time, at 4 as long, at 2 twice as long."""

NEIGHBOURS = 2
"""Slices on either side that are stacked as channels."""

LANDMARK_WEIGHT = 0.3
"""Of the landmarks' loss beside the segmentation's."""


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
      lesion in the reference, as a Gaussian of 2 cells in a heat map of its artery. An artery
      without lesions has an empty map. (The released network has an edge channel in their place.)
      ``landmarks="centroid"`` has one landmark for an artery, amid all of its lesions, where there
      may be nothing to see; ``"slices"`` one for each slice with lesions of the artery.
    * The landmark loss is a sigmoid cross entropy in which the cells near landmarks and the others
      weigh the same; the segmentation loss counts candidates, as for all networks.
    * The weight is not published; .3 is ours. The board shows the landmarks' share of the gradient,
      suite ``parts`` the pair with and without them. That they help the masks has not been shown.
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
    landmarks : "lesions", "slices" or "centroid"
        See :func:`baselines.landmarks.landmark_maps`.
    landmark_weight : float
        Weight of the landmarks' loss; 0 leaves out the loss and its layer.

    Raises
    ------
    ValueError
        If ``landmarks`` is another.
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "atlas refinement dropped: lesions have no atlas",
        "landmarks: centroid of each lesion, a Gaussian of 2 cells in the heat map of its artery; "
        "weight .3",
        "that landmarks help the mask has not been shown (suite parts has the pair)",
        "two neighbouring slices on either side as channels",
        FOLD_NOTE,
        "a scale with fewer than 3 positions across the slice is left out",
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        landmarks: str = "lesions",
        landmark_weight: float = LANDMARK_WEIGHT,
    ) -> None:
        super().__init__()
        if landmarks not in FORMS:
            raise ValueError(f"landmarks must be one of {', '.join(FORMS)}, not {landmarks!r}")
        self.form, self.landmark_weight = landmarks, landmark_weight
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
        self.landmark = None
        if landmark_weight:  # made last: without it the other layers start from the same numbers
            self.landmark = nn.Conv2d(4 * width, ARTERIES * FOLD**2, 1)
            nn.init.constant_(self.landmark.bias, -4.0)
        use_channels_last(self, 2)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``logits`` (B, 4, Z, Y, X), and ``landmarks`` (B, 3, Z, Y, X), the logits of the heat
            maps of LAD, LCX and RCA, unless their weight is 0.
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
        layers = {"logits": self.score}
        if self.landmark is not None:
            layers["landmarks"] = self.landmark
        return {
            name: unfold(volume_of(layer(features), batch), image.shape[2:])
            for name, layer in layers.items()
        }

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The suite's loss of masks, and the balanced cross entropy of the landmarks."""
        terms = {"segmentation": segmentation_loss(output["logits"], batch)}
        if self.landmark is not None:
            heat = landmark_maps(batch.target, self.form)
            terms["landmarks"] = self.landmark_weight * landmark_loss(output["landmarks"], heat)
        return terms


def _fit(tensor: Tensor, size: torch.Size) -> Tensor:
    """Pad with zeros or crop at the far end to ``size``."""
    missing = [max(0, s - n) for s, n in zip(size, tensor.shape[2:], strict=True)]
    if any(missing):
        tensor = F.pad(tensor, (0, missing[1], 0, missing[0]))
    return crop(tensor, size)
