"""ARM-MTL in style: multitask learning with an adversarial reverse mapping."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torchvision.models.resnet import BasicBlock

from baselines.blocks import (
    FOLD_NOTE,
    LAST_LAYER_SD,
    SliceSum,
    channels_last,
    conv,
    fold,
    folded_shape,
    halvings,
    resize,
    score_layer,
    slices_of,
    unfold,
    use_channels_last,
    volume_of,
)
from benchmark.contract import SCORE_COUNT, Batch, Stage, candidate_cross_entropy, score_error

CELLS = 5
HIDDEN = 128
ADVERSARIAL_WEIGHT = 0.05
REVERSE_WEIGHT = 0.1
SCORE_UNIT = 8.0
"""ln(1 + score) is divided by this before it meets features: 8 stands for a score of 3000."""


class ARMMTL(nn.Module):
    """After C. Yu, Z. Gao, W. Zhang, G. Yang, S. Zhao, H. Zhang, Y. Zhang, S. Li, "Multitask
    learning for estimating multitype cardiac indices in MRI and CT based on adversarial
    reverse mapping", IEEE Transactions on Neural Networks and Learning Systems, 2020.

    Kept: a forward network from image to indices, a reverse one from indices back towards the
    image; parameters shared in both directions (the head's two matrices serve the reverse network
    transposed); a discriminator that sees pairs, so that the reverse mapping's knowledge of how the
    tasks depend on each other reaches the forward network by adversarial training.

    The layers and the weights of the losses are not known to us: this is an ARM-*style* network,
    and all of the following are choices.

    * Trunk: a residual encoder-decoder on axial slices (torchvision's 2D basic blocks), three
      scales, for the 2D MRI slices of the original; folded 2 x 2 in plane.
    * The segmentation head is a 1x1 convolution; the head of scores goes from 5 x 5 in-plane maxima
      of each slice to 128 (batch norm) to 12 (softplus), summed over the slices.
    * The reverse network maps the 12 indices to the scan's map of features (the maximum of the 5 x
      5 maps over the slices), not to voxels: lesions are smaller than any image it could draw.
    * Pairs: (features of the image, estimated indices) against (reversed features, true indices);
      the discriminator is told them apart, both networks are trained to confuse it (weight 0.05),
      and the reverse network to come near the features (weight 0.1).
    * The discriminator learns from the pairs of the step before, which saves a second pass;
      spectral normalisation and features of norm 1 keep it from outweighing the two tasks.
    * The suite's loss of scores, of the scan and slice by slice, and its cross entropy.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale.
    """

    outputs = ("mask", "head")
    notes = (
        "ARM-style: layers and loss weights of the original are not known to us",
        "trunk: residual encoder-decoder on axial slices, three scales",
        "the reverse network maps the 12 indices to 5 x 5 features of the scan, not to voxels",
        "pairs (features, estimate) against (reversed features, truth), adversarial weight 0.05",
        "slices add up as scores (softplus), not as logarithms; the suite's losses for both heads",
        FOLD_NOTE,
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        self.trunk = SliceTrunk(folded_shape(grid)[1:], 4 * in_channels, width)
        self.score = score_layer(2, width)
        # the two matrices that the forward and the reverse network share
        self.to_hidden = nn.Parameter(torch.empty(HIDDEN, width * CELLS**2))
        self.to_scores = nn.Parameter(torch.empty(SCORE_COUNT, HIDDEN))
        nn.init.kaiming_uniform_(self.to_hidden, a=5**0.5)
        nn.init.normal_(self.to_scores, std=LAST_LAYER_SD)
        self.sum = SliceSum(grid[0])
        self.bias = nn.Parameter(torch.full((SCORE_COUNT,), self.sum.start_bias))
        self.forward_norm = nn.BatchNorm1d(HIDDEN)
        self.reverse_norm = nn.BatchNorm1d(HIDDEN)
        self.reverse_bias = nn.Parameter(torch.zeros(width * CELLS**2))
        self.discriminator = nn.Sequential(
            spectral_norm(nn.Linear(width * CELLS**2 + SCORE_COUNT, HIDDEN)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(HIDDEN, HIDDEN)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(HIDDEN, 1)),
        )
        self._pairs: tuple[Tensor, Tensor] | None = None
        use_channels_last(self.trunk, 2)

    def _maps(self, image: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Logits, scores of the scan and its slices, the scan's map of features (B, width * 25)."""
        batch = image.shape[0]
        features = self.trunk(channels_last(slices_of(fold(image))))
        logits = unfold(volume_of(self.score(features), batch), image.shape[2:])
        pooled = F.adaptive_max_pool2d(features, CELLS).flatten(1)
        hidden = F.leaky_relu(self.forward_norm(F.linear(pooled, self.to_hidden)), 0.1)
        each = F.linear(hidden, self.to_scores, self.bias).unflatten(0, (batch, -1))
        return logits, self.sum(each), pooled.unflatten(0, (batch, -1)).amax(dim=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps and scores of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``logits`` (B, 4, Z, Y, X), ``scores`` (B, 12), ``slice_scores`` (B, Z, 12).
        """
        logits, scored, _ = self._maps(image)
        return {"logits": logits, **scored}

    def reverse(self, scores: Tensor) -> Tensor:
        """Features (B, width * 25) from ln(1 + score) (B, 12), through the transposed matrices."""
        hidden = F.linear(scores / SCORE_UNIT, self.to_scores.t())
        hidden = F.leaky_relu(self.reverse_norm(hidden), 0.1)
        return F.relu(F.linear(hidden, self.to_hidden.t(), self.reverse_bias))

    def stages(self) -> list[Stage]:
        """One adversarial stage; the discriminator has the opponent's optimiser."""
        rival = list(self.discriminator.parameters())
        own = [p for n, p in self.named_parameters() if not n.startswith("discriminator.")]
        return [
            Stage(
                "adversarial",
                1.0,
                self._own_losses,
                own,
                opponent_parameters=rival,
                opponent_losses=self._opponent_losses,
            )
        ]

    def _own_losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, scored, features = self._maps(batch.image)
        scores = scored["scores"]
        reversed_features = self.reverse(batch.scores)
        ahead, back = _pair(features, scores), _pair(reversed_features, batch.scores)
        self._pairs = ahead.detach(), back.detach()
        # both networks try to have their pairs taken for the other's
        confusion = _told_apart(self.discriminator(back), self.discriminator(ahead))
        return {
            "segmentation": candidate_cross_entropy(logits, batch),
            "scores": score_error(scored, batch),
            "reverse": REVERSE_WEIGHT * F.l1_loss(reversed_features, features.detach()),
            "adversarial": ADVERSARIAL_WEIGHT * confusion,
        }

    def _opponent_losses(self, batch: Batch) -> dict[str, Tensor]:
        if self._pairs is None:
            with torch.no_grad():
                self._own_losses(batch)
        ahead, back = self._pairs
        return {"discriminator": _told_apart(self.discriminator(ahead), self.discriminator(back))}


def _pair(features: Tensor, scores: Tensor) -> Tensor:
    """What the discriminator sees: features of mean 0 and norm 1 a scan, and scaled scores."""
    flat = features.float()
    flat = F.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
    return torch.cat([flat, scores / SCORE_UNIT], dim=1)


def _told_apart(first: Tensor, second: Tensor) -> Tensor:
    """Cross entropy of calling the first 1 and the second 0."""
    return (F.softplus(-first.float()).mean() + F.softplus(second.float()).mean()) / 2


class SliceTrunk(nn.Module):
    """Residual encoder-decoder on slices: (B * Z, C, Y, X) to (B * Z, width, Y, X)."""

    def __init__(self, shape: tuple[int, int], in_channels: int, width: int) -> None:
        super().__init__()
        steps = halvings(shape, 3)
        self.stem = conv(2, in_channels, width)
        self.down, self.merge = nn.ModuleList(), nn.ModuleList()
        inside = width
        for level, step in enumerate([(1, 1), *steps]):
            outside = width * 2**level
            shortcut = None
            if level:
                shortcut = nn.Sequential(
                    nn.Conv2d(inside, outside, 1, stride=step, bias=False), nn.BatchNorm2d(outside)
                )
            self.down.append(BasicBlock(inside, outside, step, shortcut))
            inside = outside
        for level in reversed(range(len(steps))):
            self.merge.append(conv(2, 3 * width * 2**level, width * 2**level))

    def forward(self, slices: Tensor) -> Tensor:
        tensor, skips = self.stem(slices), []
        for block in self.down:
            tensor = block(tensor)
            skips.append(tensor)
        skips.pop()
        for merge in self.merge:
            skip = skips.pop()
            tensor = merge(torch.cat([resize(tensor, skip.shape[2:]), skip], dim=1))
        return tensor
