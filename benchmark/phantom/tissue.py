"""Measure tissues and noise in a finished scan, as one would with regions of interest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 6  # pixels a side


@dataclass(frozen=True)
class Tissue:
    """Tissues of one scan, HU; NaN where none was found.

    Attributes
    ----------
    soft, fat, lung : float
        Mean HU of homogeneous blocks: blood and muscle of the heart, fat, lung.
    noise : float
        Median SD of homogeneous soft-tissue blocks.
    correlation : float
        Correlation of in-plane neighbours there.
    """

    soft: float
    fat: float
    lung: float
    noise: float
    correlation: float


def measure_tissue(voxels: np.ndarray) -> Tissue:
    """Return the tissues of a scan from square regions of 6 x 6 pixels.

    Parameters
    ----------
    voxels : ndarray of int16, shape (Z, Y, X)
        HU. Only the middle 60 % of each axis is used for soft tissue: there lies the heart.
    """
    depth, height, width = voxels.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    cut = voxels[:, : rows * _BLOCK, : columns * _BLOCK].astype(np.float64)
    # (Z, rows, 6, columns, 6) -> (Z, rows, columns, 6, 6)
    blocks = cut.reshape(depth, rows, _BLOCK, columns, _BLOCK).transpose(0, 1, 3, 2, 4)
    mean, sd = blocks.mean((3, 4)), blocks.std((3, 4), ddof=1)
    central = np.zeros(mean.shape, bool)
    central[tuple(slice(round(0.2 * n), round(0.8 * n)) for n in mean.shape)] = True
    soft = central & (mean > 15) & (mean < 70)
    quiet = 1.25 * np.median(sd[soft]) if soft.any() else 0.0
    soft &= sd < quiet

    def middle(mask: np.ndarray, values: np.ndarray) -> float:
        return float(np.median(values[mask])) if mask.any() else float("nan")

    chosen = blocks[soft]
    centred = chosen - chosen.mean((1, 2), keepdims=True)
    power = (centred * centred).mean() if chosen.size else float("nan")
    beside = (centred[:, :, 1:] * centred[:, :, :-1]).mean() if chosen.size else float("nan")
    return Tissue(
        soft=middle(soft, mean),
        fat=middle((mean > -135) & (mean < -75) & (sd < quiet), mean),
        lung=middle((mean < -750) & (mean > -975) & (sd < quiet), mean),
        noise=middle(soft, sd),
        correlation=float(beside / power),
    )
