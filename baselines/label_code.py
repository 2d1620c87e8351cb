"""Learnt codes of label maps: an autoencoder of coarse heat maps, and one of the cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.blocks import conv, fold, folded_shape, halvings, unfold
from benchmark.contract import CLASSES, device_count, sum_over_devices

CODE_SIZE = 64
"""Values of a code, as published."""

ARTERIES = ("LAD", "LCX", "RCA")

HEAT_SMALLEST = 8
"""Positions of a heat map along an axis, at the least: an axis is halved while it keeps as many."""

HEAT_SCALE = 32.0
"""Heat of a position filled with lesion, before the logarithm."""

MEMORY = 0.9
"""Of a running mean, kept from one step to the next."""


def one_hot(target: Tensor) -> Tensor:
    """(B, Z, Y, X) classes to (B, 4, Z, Y, X) zeros and ones."""
    return F.one_hot(target, CLASSES).movedim(-1, 1).float()


class HeatAutoencoder(nn.Module):
    """Coarse heat maps of each artery's lesions to a code and back, linear both ways.

    A heat map is ln(1 + 32 share) where ``share`` is what lesions of the artery fill of a position
    (12 x 16 x 16 mm on the suite's quick grid), smoothed by (1, 2, 1) / 4 along each axis, so that
    lesions some cells apart look alike and lesions of two arteries never do. Encoder and decoder
    start as one orthogonal matrix and its transpose: distances between codes are then near those
    between heat maps from the first step on.

    Parameters
    ----------
    grid : (Z, Y, X)
        Cells of the training grid.
    """

    def __init__(self, grid: tuple[int, int, int]) -> None:
        super().__init__()
        step = [1, 1, 1]
        for stride in halvings(grid, max(grid).bit_length(), HEAT_SMALLEST):
            step = [a * b for a, b in zip(step, stride, strict=True)]
        self.step = tuple(step)
        self.shape = tuple(-(-n // k) for n, k in zip(grid, step, strict=True))
        self.missing = [m * k - n for m, k, n in zip(self.shape, step, grid, strict=True)]
        positions = len(ARTERIES) * self.shape[0] * self.shape[1] * self.shape[2]
        self.to_code = nn.Linear(positions, CODE_SIZE)
        self.from_code = nn.Linear(CODE_SIZE, positions)
        nn.init.orthogonal_(self.to_code.weight)
        with torch.no_grad():
            self.from_code.weight.copy_(self.to_code.weight.T)
        self.register_buffer("fit", torch.full((len(ARTERIES),), float("nan")))

    @property
    def diagnostics(self) -> dict[str, float]:
        """Share of each artery's heat (its squares) that the decoded maps of training scans hold, a
        running mean over the last steps with lesions of the artery; NaN before the first."""
        return {f"autoencoder_fit_{a}": float(v) for a, v in zip(ARTERIES, self.fit, strict=True)}

    def maps(self, labels: Tensor) -> Tensor:
        """(B, 4, Z, Y, X), one-hot or softmax, to heat maps (B, 3, z, y, x)."""
        z, y, x = self.missing
        heat = F.avg_pool3d(F.pad(labels[:, 1:], (0, x, 0, y, 0, z)), self.step)
        for axis in (2, 3, 4):
            heat = _smoothed(heat, axis)
        return torch.log1p(HEAT_SCALE * heat)

    def code(self, labels: Tensor) -> Tensor:
        """(B, 4, Z, Y, X), one-hot or softmax, to (B, 64)."""
        return self.to_code(self.maps(labels).flatten(1))

    def forward(self, labels: Tensor) -> Tensor:
        """(B, 4, Z, Y, X) to decoded heat maps, (B, 3, z, y, x)."""
        return self.from_code(self.code(labels)).unflatten(1, (len(ARTERIES), *self.shape))

    def error(self, target: Tensor) -> Tensor:
        """Squared error of the decoded maps of (B, Z, Y, X) classes, over the squares of the true
        ones, mean over the arteries: each counts the same, however rare."""
        truth = one_hot(target)
        heat = self.maps(truth)
        wrong = (self(truth).float() - heat).square().sum(dim=(0, 2, 3, 4))
        wrong = sum_over_devices(wrong)
        whole = sum_over_devices(heat.square().sum(dim=(0, 2, 3, 4)))
        with torch.no_grad():
            fit = 1 - wrong / whole
            known = torch.where(self.fit.isnan(), fit, MEMORY * self.fit + (1 - MEMORY) * fit)
            self.fit.copy_(torch.where(whole > 0, known, self.fit))
        return (wrong / whole.clamp(min=1)).mean()


def _smoothed(heat: Tensor, axis: int) -> Tensor:
    """(1, 2, 1) / 4 along an axis, zero beyond its ends."""
    inner = heat.shape[axis] - 1
    edge = torch.zeros_like(heat.narrow(axis, 0, 1))
    before = torch.cat([edge, heat.narrow(axis, 0, inner)], dim=axis)
    after = torch.cat([heat.narrow(axis, 1, inner), edge], dim=axis)
    return heat / 2 + (before + after) / 4


class CellAutoencoder(nn.Module):
    """One-hot cells to a code and back: strided 3x3x3 convolutions, a linear code, the way back.

    Parameters
    ----------
    grid : (Z, Y, X)
    width : int
        Channels of every level; an axis is halved until 4 positions or four halvings.
    """

    def __init__(self, grid: tuple[int, int, int], width: int) -> None:
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
        self.to_code = nn.Linear(down[-1] * volume, CODE_SIZE)
        self.from_code = nn.Linear(CODE_SIZE, width * volume)
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
        self.register_buffer("dice", torch.tensor(float("nan")))

    @property
    def diagnostics(self) -> dict[str, float]:
        """Dice over lesion cells of training scans, a running mean over the last steps; NaN before
        it was trained or if it never saw a lesion."""
        return {"autoencoder_dice": float(self.dice)}

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

    def error(self, target: Tensor) -> Tensor:
        """Cross entropy of (B, Z, Y, X) classes; the classes weigh the same in sum, each over its
        own cells."""
        reference = one_hot(target)
        logits = self(reference)
        own = reference.sum(dim=(0, 2, 3, 4))
        cells = sum_over_devices(own)
        present = cells > 0
        weight = torch.where(present, cells.sum() / (present.sum() * cells.clamp(min=1)), cells)
        with torch.no_grad():
            self._record_dice(logits.argmax(dim=1), target)
        error = F.cross_entropy(logits.float(), target, weight=weight)
        if device_count() > 1:  # the mean's divisor is that of the whole batch as well
            error = sum_over_devices(error * (weight * own).sum()) / (weight * cells).sum()
        return error

    def _record_dice(self, predicted: Tensor, target: Tensor) -> None:
        lesion = target > 0
        lesions = sum_over_devices(lesion.sum())
        size = lesions + sum_over_devices((predicted > 0).sum())
        hit = sum_over_devices((lesion & (predicted == target)).sum())
        if not bool(lesions > 0):
            return
        dice = 2 * hit / size
        self.dice.copy_(
            torch.where(self.dice.isnan(), dice, MEMORY * self.dice + (1 - MEMORY) * dice)
        )
