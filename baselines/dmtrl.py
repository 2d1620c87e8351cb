"""DMTRL: deep multitask relationship learning."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    TUNED_WIDTHS,
    channels_last,
    slices_of,
    use_channels_last,
)
from benchmark.contract import SCORE_COUNT, Batch, Stage, score_error
from benchmark.score_head import HEAD_SAMPLES, SliceSum, kept_note
from mmwfanet.dependency import RelationPrior

UPDATE_EVERY = 10
"""Optimiser steps between two closed-form updates of Omega."""

JOINT_SHARE = 0.75
LOWEST = 5


class DMTRL(nn.Module):
    """W. Xue, G. Brahm, S. Pandey, S. Leung, S. Li, "Full left ventricle quantification via deep
    multitask relationships learning", Medical Image Analysis 43, 2018.

    Kept: a CNN of each slice (5x5 convolutions of 20, 40, 40 channels with poolings, a 5x5
    convolution to 1000, a layer of 100), an LSTM of 100 units from slice to slice, a linear layer
    to the indices; its weights W (12 x 100) have a matrix-normal prior whose relationship matrix
    Omega (12 x 12) is learnt: the loss holds tr(W^T Omega^-1 W), and Omega is set in closed form to
    (W W^T)^(1/2) / tr((W W^T)^(1/2)), in turn with the optimiser's steps.

    Deviations and choices

    * Frames of a cine become axial slices; the second recurrent network and the cardiac phase have
      no counterpart here and are dropped.
    * The linear layer serves every slice, as it serves every frame in the original, each slice
      is supervised with its own scores, and what the slices add up to is a scan's scores, in the
      suite's form (``head_sum``; its probabilities of calcium are no part of W).
    * The last map before the 5x5 convolution to 1000 is max-pooled to 5 x 5, for grids of any size.
    * Batch norm after each convolution and the layer of 100, no dropout: the published dropout of
      0.6 needs more steps than the budget has.
    * Omega is mixed with 1 % of the identity / 12, so that it can be inverted; the penalty's weight
      (0.001) and the interval (10 steps) are ours, the text of the original was not at hand.
    * The last quarter of the budget trains LSTM and linear layer alone, on the kept 100 values of
      each slice: many cheap steps in place of few dear ones.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        16 gives the published channels; all but the 100 of the last layers scale with it.
    head_sum : "presence", "scores" or "logarithms"
        See :class:`benchmark.score_head.SliceSum`.
    relation_weight : float
        Of the penalty.
    """

    outputs = ("head",)
    tunable = TUNED_WIDTHS
    notes = (
        "LSTM over axial slices; the phase network and its task are dropped",
        "one linear layer serves every slice; slices add up as scores: a probability of calcium "
        "times an amount",
        "batch norm in the CNN, no dropout",
        "relation term: Omega every 10 steps, mixed with 1 % identity; penalty weight 0.001",
        kept_note("LSTM and linear layer"),
        "the suite's loss of scores, of the scan and slice by slice",
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        head_sum: str = "presence",
        relation_weight: float = 1e-3,
    ) -> None:
        super().__init__()
        self.relation_weight = relation_weight
        first, second, wide = 5 * width // 4, 5 * width // 2, 125 * width // 2
        self.features = nn.Sequential(
            _scale(in_channels, first), _scale(first, second), _scale(second, second)
        )
        self.wide = nn.Sequential(
            nn.Conv2d(second, wide, LOWEST, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True)
        )
        self.narrow = nn.Sequential(
            nn.Linear(wide, 100, bias=False), nn.BatchNorm1d(100), nn.LeakyReLU(0.1)
        )
        self.along = nn.LSTM(100, 100, batch_first=True)
        self.last = nn.Linear(100, SCORE_COUNT)
        self.sum = SliceSum(100, grid[0], head_sum)
        self.sum.initialise(self.last.weight, self.last.bias)
        self.prior = RelationPrior(SCORE_COUNT, UPDATE_EVERY)
        use_channels_last(self.features, 2)
        use_channels_last(self.wide, 2)

    def _codes(self, image: Tensor) -> Tensor:
        """(B, C, Z, Y, X) to 100 values of each slice, (B, Z, 100)."""
        tensor = self.features(channels_last(slices_of(image)))
        tensor = self.wide(F.adaptive_max_pool2d(tensor, LOWEST)).flatten(1)
        return self.narrow(tensor).unflatten(0, (image.shape[0], -1))

    def _scores(self, codes: Tensor) -> dict[str, Tensor]:
        """(B, Z, 100) to scores of the scan and of its slices."""
        along, _ = self.along(codes)
        return self.sum(along, self.last(along))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Scores of an image (B, C, Z, Y, X).

        Returns
        -------
        dict
            ``scores`` (B, 12), and ``slice_scores`` (B, Z, 12) unless logarithms are summed.
        """
        return self._scores(self._codes(image))

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Error of the scores, of the scan and slice by slice, and the relationship penalty."""
        return {
            "scores": score_error(output, batch),
            "relation": self.relation_weight * self.relation_penalty(),
        }

    @property
    def relation(self) -> Tensor:
        """Omega, (12, 12)."""
        return self.prior.omega

    def relation_penalty(self) -> Tensor:
        """tr(W^T Omega^-1 W) for the linear layer's W, (12, 100)."""
        return self.prior(self.last.weight)

    def after_step(self) -> None:
        """Every few steps, Omega in closed form from the present W."""
        self.prior.update(self.last.weight)

    def stages(self) -> list[Stage]:
        """Joint training, then LSTM and linear layer alone on kept slice features."""

        def joint(batch: Batch) -> dict[str, Tensor]:
            return self.losses(self(batch.image), batch)

        def last(batch: Batch) -> dict[str, Tensor]:
            return self.losses(self._scores(batch.kept["codes"]), batch)

        return [
            Stage("joint", JOINT_SHARE, joint, list(self.parameters())),
            Stage(
                "relations",
                1 - JOINT_SHARE,
                last,
                [*self.along.parameters(), *self.last.parameters(), *self.sum.parameters()],
                batch_scale=2,
                keep=self._keep,
                apart=HEAD_SAMPLES,
            ),
        ]

    def _keep(self, image: Tensor) -> dict[str, Tensor]:
        return {"codes": self._codes(image)}


def _scale(inside: int, outside: int) -> nn.Sequential:
    """5x5 convolution, batch norm, ReLU, 2x2 max pooling."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 5, padding=2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, ceil_mode=True),
    )
