"""ACNN-Seg: a segmenter kept near a learnt code of plausible label maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
    UNetBody,
    channels_last,
    fold,
    folded_shape,
    score_layer,
    unfold,
    use_channels_last,
)
from baselines.label_code import CellAutoencoder, HeatAutoencoder, one_hot
from benchmark.contract import Batch, Stage, segmentation_loss

PRETRAINING_SHARE = 0.2
CODE_WEIGHT = 0.2
"""Weight of the distance in code space; published is .01."""


class ACNNSeg(nn.Module):
    """O. Oktay, E. Ferrante, K. Kamnitsas, M. Heinrich, W. Bai, J. Caballero, S. A. Cook, et al.,
    "Anatomically constrained neural networks (ACNNs): application to cardiac image enhancement and
    segmentation", IEEE Transactions on Medical Imaging 37(2), 2018.

    Kept: an autoencoder of label maps with a 64-value code, trained first on the reference maps;
    its encoder f frozen; then a segmenter trained with its own loss + weight * ||f(softmax) -
    f(y)||^2. The published weight decay is the suite's, the same for all methods.

    Deviations and choices

    * No code is published. The segmenter is the 3D U-Net of this suite, so that the pair differs in
      the code alone; the original's is a 3D network of similar form.
    * Label maps are coarse heat maps of the lesions of LAD, LCX and RCA
      (:class:`baselines.label_code.HeatAutoencoder`), and the autoencoder is linear. Hearts have a
      shape, lesions have none: one-hot cells, as published, gave a code that tells how much calcium
      there is and hardly whose or where. ``labels="cells"`` has them, with a convolutional
      autoencoder whose cross entropy weighs the four classes equally in sum.
    * Published is a weight of .01, which gives the code next to no share of the gradient in the
      segmenter's trunk; the default is .2. The board shows the share, suite ``parts`` the pair with
      and without the code. That it helps the masks has not been shown.
    * Outside the candidates a cell is background by definition, for the softmax as for the
      reference.
    * A fifth of the budget goes to the autoencoder, with ``code_weight=0`` as well: the pair with
      and without the code then differs in the term alone. How well label maps are given back is
      measured in training and reported (``diagnostics``).

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels at the end of the segmenter's first level.
    labels : "heat" or "cells"
        What the autoencoder sees and gives back.
    code_weight : float
        Weight of the distance between codes; .01 as published, 0 without it.

    Raises
    ------
    ValueError
        If ``labels`` is another.
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "segmenter: the suite's 3D U-Net (no code was published)",
        "code of coarse heat maps of each artery's lesions (12 x 16 x 16 mm on the quick grid), "
        "not of cells",
        "code weight .2, not .01, which leaves the term next to no share of the gradient; that the "
        "code helps the mask has not been shown (suite parts has the pair)",
        "a fifth of the budget goes to the label autoencoder (label reconstruction), with or "
        "without the code",
        "softmax outside the candidates is set to background before the encoder",
        FOLD_NOTE,
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        labels: str = "heat",
        code_weight: float = CODE_WEIGHT,
    ) -> None:
        super().__init__()
        if labels not in ("heat", "cells"):
            raise ValueError(f"labels must be 'heat' or 'cells', not {labels!r}")
        self.code_weight = code_weight
        self.body = UNetBody(4 * in_channels, max(width // 2, 4), folded_shape(grid))
        self.score = score_layer(3, self.body.out_channels)
        if labels == "heat":
            self.autoencoder = HeatAutoencoder(grid)
        else:
            self.autoencoder = CellAutoencoder(grid, max(width, 8))
        use_channels_last(self.body, 3)
        use_channels_last(self.score, 3)
        self._frozen = False

    @property
    def diagnostics(self) -> dict[str, float]:
        """How well the autoencoder gives back the label maps of training scans."""
        return self.autoencoder.diagnostics

    def train(self, mode: bool = True) -> ACNNSeg:
        """As of ``nn.Module``, but a frozen encoder keeps its batch statistics."""
        super().train(mode)
        if self._frozen:
            self.autoencoder.eval()
        return self

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Logits, (B, 4, Z, Y, X), of an image (B, C, Z, Y, X)."""
        features = self.body(channels_last(fold(image)))
        return {"logits": unfold(self.score(features), image.shape[2:])}

    def stages(self) -> list[Stage]:
        """The label autoencoder, then the segmenter with the encoder frozen."""
        segmenter = [*self.body.parameters(), *self.score.parameters()]
        return [
            Stage(
                "autoencoder",
                PRETRAINING_SHARE,
                self._autoencoder_losses,
                list(self.autoencoder.parameters()),
                apart=PRETRAINING_SHARE / (1 - PRETRAINING_SHARE),
            ),
            Stage("segmentation", 1 - PRETRAINING_SHARE, self._segmentation_losses, segmenter),
        ]

    def _autoencoder_losses(self, batch: Batch) -> dict[str, Tensor]:
        if self._frozen:
            self._set_frozen(False)
        return {"label reconstruction": self.autoencoder.error(batch.target)}

    def _segmentation_losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self._frozen:
            self._set_frozen(True)
        logits = self(batch.image)["logits"]
        terms = {"segmentation": segmentation_loss(logits, batch)}
        if self.code_weight:
            terms["code"] = self.code_weight * self._code_distance(logits, batch)
        return terms

    def _code_distance(self, logits: Tensor, batch: Batch) -> Tensor:
        """||f(softmax) - f(y)||^2, mean over the scans."""
        background = torch.zeros_like(logits[:1, :, :1, :1, :1], dtype=torch.float32)
        background[:, 0] = 1
        shares = logits.float().softmax(dim=1)
        shares = torch.where(batch.candidate[:, None], shares, background)
        distance = self.autoencoder.code(shares) - self.autoencoder.code(one_hot(batch.target))
        return distance.float().square().sum(dim=1).mean()

    def _set_frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        self.autoencoder.requires_grad_(not frozen)
        self.autoencoder.train(self.training and not frozen)
