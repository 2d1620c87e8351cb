"""ARM-MTL in style: multitask learning with an adversarial reverse mapping."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
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
from benchmark.contract import SCORE_COUNT, Batch, Stage, score_error, segmentation_loss
from benchmark.score_head import HEAD_SAMPLES, SliceSum, kept_note
from mmwfanet.blocks import concatenate
from mmwfanet.dependency import ReverseMapping

CELLS = 5
HIDDEN = 128
JOINT_SHARE = 0.75


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
      of each slice to 128 (batch norm) to 12, in the suite's form.
    * The reverse network maps the 12 indices to the scan's map of features (the maximum of the 5 x
      5 maps over the slices), not to voxels: lesions are smaller than any image it could draw.
    * Pairs: (features of the image, estimated indices) against (reversed features, true indices);
      the discriminator is told them apart, both networks are trained to confuse it (weight 0.5),
      and the reverse network to come near the features (weight 0.1). The features are drawn towards
      the reversed ones as well (``attached``), else the reverse mapping teaches it nothing.
    * The discriminator learns from the pairs of the step before, which saves a second pass;
      spectral normalisation and features of norm 1 keep it from outweighing the two tasks. The
      reverse network has layer norm, for batches of one scan.
    * The suite's losses of masks and of scores, the latter with weight 0.1 while the trunk learns
      (0.3 in MMWFAnet): already at 0.3 their gradient in this trunk is three times that of the
      segmentation, and the mask does without the LCX.
    * The last quarter of the budget trains the two matrices, forwards and in reverse, on kept
      features; the adversary is there in both stages.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels of the first scale.
    omega_qua : float
        Weight of the scores while the trunk learns.
    lambda_reverse, lambda_adversarial : float
        Weights of the reverse network's distance and of the adversarial term.
    attached : bool
        See :class:`mmwfanet.dependency.ReverseMapping`.
    """

    outputs = ("mask", "head")
    tunable = TUNED_WIDTHS
    notes = (
        "ARM-style: layers and loss weights of the original are not known to us",
        "trunk: residual encoder-decoder on axial slices, three scales",
        "the reverse network maps the 12 indices to 5 x 5 features of the scan, not to voxels",
        "pairs (features, estimate) against (reversed features, truth), adversarial weight 0.5, "
        "reverse weight 0.1 with features that are drawn to their reversal",
        "slices add up as scores: a probability of calcium times an amount",
        "scores weigh 0.1 while the trunk learns",
        kept_note("the head, forwards and in reverse,"),
        FOLD_NOTE,
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        omega_qua: float = 0.1,
        lambda_reverse: float = 0.1,
        lambda_adversarial: float = 0.5,
        attached: bool = True,
    ) -> None:
        super().__init__()
        self.omega_qua = omega_qua
        self.lambda_reverse, self.lambda_adversarial = lambda_reverse, lambda_adversarial
        self.trunk = SliceTrunk(folded_shape(grid)[1:], 4 * in_channels, width)
        self.score = score_layer(2, width)
        # the two matrices that the forward and the reverse network share
        self.to_hidden = nn.Parameter(torch.empty(HIDDEN, width * CELLS**2))
        self.to_scores = nn.Parameter(torch.empty(SCORE_COUNT, HIDDEN))
        nn.init.kaiming_uniform_(self.to_hidden, a=5**0.5)
        self.bias = nn.Parameter(torch.empty(SCORE_COUNT))
        self.sum = SliceSum(HIDDEN, grid[0])
        self.sum.initialise(self.to_scores, self.bias)
        self.forward_norm = nn.BatchNorm1d(HIDDEN)
        self.mapping = ReverseMapping(width * CELLS**2, HIDDEN, SCORE_COUNT, attached)
        use_channels_last(self.trunk, 2)

    def _maps(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the slices, (B * Z, width, y, x), and the logits."""
        features = self.trunk(channels_last(slices_of(fold(image))))
        logits = unfold(volume_of(self.score(features), image.shape[0]), image.shape[2:])
        return features, logits

    def _gather(self, features: Tensor, batch: int) -> Tensor:
        """What the head sees of each slice: (B * Z, width, y, x) to (B, Z, width * 25)."""
        return F.adaptive_max_pool2d(features, CELLS).flatten(1).unflatten(0, (batch, -1))

    def _scores(self, gathered: Tensor) -> dict[str, Tensor]:
        """(B, Z, width * 25) to scores of the scan and of its slices."""
        hidden = F.linear(gathered.flatten(0, 1), self.to_hidden)
        hidden = F.leaky_relu(self.forward_norm(hidden), 0.1)
        codes = hidden.unflatten(0, gathered.shape[:2])
        return self.sum(codes, F.linear(codes, self.to_scores, self.bias))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Maps and scores of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``logits`` (B, 4, Z, Y, X), ``scores`` (B, 12), ``slice_scores`` (B, Z, 12).
        """
        features, logits = self._maps(image)
        return {"logits": logits, **self._scores(self._gather(features, len(image)))}

    def reverse(self, scores: Tensor) -> Tensor:
        """Features (B, width * 25) from ln(1 + score) (B, 12), through the transposed matrices."""
        return self.mapping(scores, self.to_hidden, self.to_scores)

    def stages(self) -> list[Stage]:
        """Both tasks, then the head alone on kept features; the adversary is there throughout."""
        rival = self.mapping.opponent_parameters()
        apart = {id(p) for p in rival}
        own = [p for p in self.parameters() if id(p) not in apart]
        trunk = {id(p) for part in (self.trunk, self.score) for p in part.parameters()}
        adversary = {"opponent_parameters": rival, "opponent_losses": self._opponent_losses}
        return [
            Stage("joint", JOINT_SHARE, self._joint_losses, own, **adversary),
            Stage(
                "score head",
                1 - JOINT_SHARE,
                self._head_losses,
                [p for p in own if id(p) not in trunk],
                batch_scale=2,
                keep=self._keep,
                apart=HEAD_SAMPLES,
                **adversary,
            ),
        ]

    def _joint_losses(self, batch: Batch) -> dict[str, Tensor]:
        features, logits = self._maps(batch.image)
        gathered = self._gather(features, len(batch.image))
        terms = self._score_losses(gathered, batch)
        terms["scores"] = self.omega_qua * terms["scores"]
        return {"segmentation": segmentation_loss(logits, batch), **terms}

    def _keep(self, image: Tensor) -> dict[str, Tensor]:
        features, _ = self._maps(image)
        return {"gathered": self._gather(features, len(image))}

    def _head_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self._score_losses(batch.kept["gathered"], batch)

    def _score_losses(self, gathered: Tensor, batch: Batch) -> dict[str, Tensor]:
        scored = self._scores(gathered)
        # the scan's map of features: the maximum over its slices
        reverse, adversarial = self.mapping.losses(
            gathered.amax(dim=1), scored["scores"], batch.scores, self.to_hidden, self.to_scores
        )
        return {
            "scores": score_error(scored, batch),
            "reverse": self.lambda_reverse * reverse,
            "adversarial": self.lambda_adversarial * adversarial,
        }

    def _opponent_losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self.mapping.ready:
            with torch.no_grad():
                self._joint_losses(batch)
        return {"discriminator": self.mapping.opponent_loss()}


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
            tensor = merge(concatenate([resize(tensor, skip.shape[2:]), skip]))
        return tensor
