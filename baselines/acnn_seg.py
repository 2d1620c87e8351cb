"""ACNN-Seg: a segmenter kept near a learnt code of plausible label maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import (
    FOLD_NOTE,
    TUNED_WIDTHS,
    UNetBody,
    channels_last,
    conv,
    fold,
    folded_shape,
    halvings,
    score_layer,
    unfold,
    use_channels_last,
)
from benchmark.contract import (
    CLASSES,
    Batch,
    Stage,
    device_count,
    segmentation_loss,
    sum_over_devices,
)

PRETRAINING_SHARE = 0.2
CODE_WEIGHT = 0.01
"""Weight of the distance in code space, as published."""


class ACNNSeg(nn.Module):
    """O. Oktay, E. Ferrante, K. Kamnitsas, M. Heinrich, W. Bai, J. Caballero, S. A. Cook, et al.,
    "Anatomically constrained neural networks (ACNNs): application to cardiac image enhancement and
    segmentation", IEEE Transactions on Medical Imaging 37(2), 2018.

    Kept: an autoencoder of label maps with a 64-value code, trained first on the reference maps;
    its encoder f frozen; then a segmenter trained with cross entropy + 0.01 * ||f(softmax) -
    f(y)||^2. The published weight decay is the suite's, the same for all methods.

    Deviations and choices

    * No code is published. The segmenter is the 3D U-Net of this suite, so that the pair differs in
      the code alone; the original's is a 3D network of similar form.
    * Label maps are one-hot over background, LAD, LCX and RCA on the training grid. Outside the
      candidates a cell is background by definition, for the softmax as for the reference.
    * The autoencoder's cross entropy weighs the four classes equally in sum, each over its own
      cells: lesions fill less than a thousandth of the grid.
    * A fifth of the budget goes to the autoencoder. Lesions have no canonical shape and many maps
      are empty, so its Dice is measured and reported (``diagnostics``).

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    in_channels : int
    width : int
        Channels at the end of the segmenter's first level.
    """

    outputs = ("mask",)
    tunable = TUNED_WIDTHS
    notes = (
        "segmenter: the suite's 3D U-Net (no code was published)",
        "a fifth of the budget goes to the label autoencoder, its classes weighted to equal sums",
        "softmax outside the candidates is set to background before the encoder",
        "lesions have no canonical shape: see the autoencoder's Dice in the ledger",
        FOLD_NOTE,
    )

    def __init__(self, grid: tuple[int, int, int], in_channels: int, width: int) -> None:
        super().__init__()
        self.body = UNetBody(4 * in_channels, max(width // 2, 4), folded_shape(grid))
        self.score = score_layer(3, self.body.out_channels)
        self.autoencoder = LabelAutoencoder(grid, max(width, 8))
        use_channels_last(self.body, 3)
        use_channels_last(self.score, 3)
        self.register_buffer("autoencoder_dice", torch.tensor(float("nan")))
        self._frozen = False

    @property
    def diagnostics(self) -> dict[str, float]:
        """Dice of the autoencoder over lesion cells of training scans, a running mean over its last
        steps; NaN before it was trained or if it never saw a lesion."""
        return {"autoencoder_dice": float(self.autoencoder_dice)}

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
        reference = one_hot(batch.target)
        logits = self.autoencoder(reference)
        cells = sum_over_devices(reference.sum(dim=(0, 2, 3, 4)))
        present = cells > 0
        weight = torch.where(present, cells.sum() / (present.sum() * cells.clamp(min=1)), cells)
        with torch.no_grad():
            self._record_dice(logits.argmax(dim=1), batch.target)
        error = F.cross_entropy(logits.float(), batch.target, weight=weight)
        if device_count() > 1:  # the mean's divisor is that of the whole batch as well
            part = (weight * reference.sum(dim=(0, 2, 3, 4))).sum()
            error = sum_over_devices(error * part) / (weight * cells).sum()
        return {"label reconstruction": error}

    def _record_dice(self, predicted: Tensor, target: Tensor) -> None:
        lesion = target > 0
        lesions = sum_over_devices(lesion.sum())
        size = lesions + sum_over_devices((predicted > 0).sum())
        hit = sum_over_devices((lesion & (predicted == target)).sum())
        if not bool(lesions > 0):
            return
        dice = 2 * hit / size
        old = self.autoencoder_dice
        self.autoencoder_dice.copy_(torch.where(old.isnan(), dice, 0.9 * old + 0.1 * dice))

    def _segmentation_losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self._frozen:
            self._set_frozen(True)
        logits = self(batch.image)["logits"]
        background = torch.zeros_like(logits[:1, :, :1, :1, :1], dtype=torch.float32)
        background[:, 0] = 1
        shares = logits.float().softmax(dim=1)
        shares = torch.where(batch.candidate[:, None], shares, background)
        distance = self.autoencoder.code(shares) - self.autoencoder.code(one_hot(batch.target))
        return {
            "segmentation": segmentation_loss(logits, batch),
            "code": CODE_WEIGHT * distance.float().square().sum(dim=1).mean(),
        }

    def _set_frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        self.autoencoder.requires_grad_(not frozen)
        self.autoencoder.train(self.training and not frozen)


def one_hot(target: Tensor) -> Tensor:
    """(B, Z, Y, X) classes to (B, 4, Z, Y, X) zeros and ones."""
    return F.one_hot(target, CLASSES).movedim(-1, 1).float()


class LabelAutoencoder(nn.Module):
    """Label map to a code and back: strided 3x3x3 convolutions, a linear code, the way back.

    Parameters
    ----------
    grid : (Z, Y, X)
    width : int
        Channels of every level; an axis is halved until 4 positions or four halvings.
    size : int
        Length of the code (64 as published).
    """

    def __init__(self, grid: tuple[int, int, int], width: int, size: int = 64) -> None:
        super().__init__()
        self.grid = tuple(grid)
        strides = [s for s in halvings(folded_shape(grid), 4) if max(s) > 1]
        sizes = [folded_shape(grid)]
        for step in strides:
            sizes.append(tuple(-(-n // k) for n, k in zip(sizes[-1], step, strict=True)))
        self.lowest, self.width = sizes[-1], width
        volume = self.lowest[0] * self.lowest[1] * self.lowest[2]
        down = [4 * CLASSES, *[width] * len(strides)]
        self.encoder = nn.Sequential(
            *[conv(3, a, width, stride=s) for a, s in zip(down[:-1], strides, strict=True)]
        )
        self.to_code = nn.Linear(down[-1] * volume, size)
        self.from_code = nn.Linear(size, width * volume)
        self.sizes = sizes[-2::-1]
        self.decoder = nn.ModuleList()
        for step in reversed(strides):
            self.decoder.append(
                nn.Sequential(
                    nn.ConvTranspose3d(width, width, step, stride=step, bias=False),
                    nn.BatchNorm3d(width),
                    nn.ReLU(inplace=True),
                )
            )
        self.last = nn.Conv3d(width, 4 * CLASSES, 3, padding=1)

    def code(self, labels: Tensor) -> Tensor:
        """(B, 4, Z, Y, X), one-hot or softmax, to (B, 64)."""
        return self.to_code(self.encoder(fold(labels)).flatten(1))

    def forward(self, labels: Tensor) -> Tensor:
        """(B, 4, Z, Y, X) to logits of the same shape."""
        # (B, 64) -> (B, width, z, y, x)
        tensor = F.relu(self.from_code(self.code(labels))).unflatten(1, (self.width, *self.lowest))
        for block, size in zip(self.decoder, self.sizes, strict=True):
            tensor = block(tensor)[..., : size[0], : size[1], : size[2]]
        return unfold(self.last(tensor), self.grid)
