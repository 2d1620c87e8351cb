"""What a scan is made of, coarsely: soft tissue, lung, and neither, on cells of some 4 mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SAMPLE_MM = 2.0
"""Every so many mm a voxel is looked at; eight of them make a cell."""
THICKEST_CELL_MM = 5.0
"""Slices thicker than half of it are not joined."""
SOFT_HU = (-300.0, -150.0)
"""From air to fat, the lightest soft tissue (-100 HU): below it is none, above it is all."""
LUNG_HU = (-500.0, -300.0)
"""From lung (-950 to -600 HU as we breathe in) to its edge with tissue."""
DARK_HU = -950.0
"""Air of the room has -1000 HU; a lung hardly has so little over a whole neighbourhood."""


@dataclass(frozen=True)
class Tissue:
    """A scan on coarse cells, axes (z, y, x) as in `benchmark.cohorts.base.Scan`.

    Attributes
    ----------
    lung, soft : ndarray of float32, (Z, Y, X)
        Share of each cell, 0 to 1.
    cell : ndarray, (3,), mm
    first : ndarray, (3,), mm
        Middle of the first cell, from the middle of the scan's first voxel.
    """

    lung: np.ndarray
    soft: np.ndarray
    cell: np.ndarray
    first: np.ndarray


def tissue_of(voxels: np.ndarray, spacing: tuple[float, float, float]) -> Tissue:
    """Tell lung and soft tissue on coarse cells.

    Air round the body and what fills the corners of a round field are neither: they are dark, and
    reach a side of the slice. In a scan cut to the heart a lung reaches it too, but is not as dark.

    Parameters
    ----------
    voxels : ndarray of int16, (z, y, x), HU
    spacing : (z, y, x), mm
    """
    mean, cell, first = _coarse(voxels, spacing)
    dark, count = ndimage.label(ndimage.maximum_filter(mean, 3) < DARK_HU)
    lung = 1 - _ramp(mean, LUNG_HU)
    if count:
        room = np.zeros(count + 1, bool)
        for side in (dark[:, 0], dark[:, -1], dark[:, :, 0], dark[:, :, -1]):
            room[side] = True
        room[0] = False
        # the filter took a cell off each surface
        lung[ndimage.maximum_filter(room[dark], 3) & (mean < LUNG_HU[1])] = 0
    return Tissue(lung, _ramp(mean, SOFT_HU), cell, first)


def _coarse(voxels: np.ndarray, spacing: tuple[float, float, float]):
    """Means of cells, (Z, Y, X) float32; their size and the middle of the first, mm."""
    taken, pooled, cell, first = [], [], [], []
    for count, step in zip(voxels.shape, spacing, strict=True):
        stride = min(max(1, round(SAMPLE_MM / step)), count)
        begin = (stride - 1) // 2
        samples = len(range(begin, count, stride))
        group = 2 if 2 * stride * step <= THICKEST_CELL_MM and samples > 1 else 1
        taken.append(slice(begin, begin + samples // group * group * stride, stride))
        pooled += [samples // group, group]
        cell.append(group * stride * step)
        first.append((begin + (group - 1) / 2 * stride) * step)
    samples = voxels[tuple(taken)].astype(np.float32)
    return samples.reshape(pooled).mean(axis=(1, 3, 5)), np.array(cell), np.array(first)


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    low, high = ends
    return np.clip((values - low) * np.float32(1 / (high - low)), 0, 1)
