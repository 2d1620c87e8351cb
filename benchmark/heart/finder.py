"""Find the heart in a CT of the chest, from the image alone.

A small network (`benchmark.heart.network`), which learned hearts from the phantom, says of each
cell of 10 mm how likely it is heart. The largest joined part is the heart, its centre of volume the
middle. The same for every method, so that no network is helped more than another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmark.heart.network import CELL_MM, body_box, cells_of, heart_share

FOUND = 0.5
"""Least confidence of a heart."""
SMALLEST_ML = 250.0
"""Of chambers and walls. A part that is seen to be smaller is less surely a heart."""
SMALLEST_MM, THICKEST_MM, LARGEST_MM = 40.0, 12.0, 2200.0
"""A scan that is thinner, has a larger voxel or is longer shows no heart that could be told."""


@dataclass(frozen=True)
class Heart:
    """Where a heart lies; places are (z, y, x) mm from the middle of the scan's first voxel.

    Attributes
    ----------
    centre : tuple of three floats
        Centre of volume of the chambers with their walls; within the scan.
    box : (lowest, highest)
        Two corners, each a place; cut to the scan.
    confidence : float
        0 to 1: mean probability of the cells that were taken for heart, less where they are few.
    """

    centre: tuple[float, float, float]
    box: tuple[tuple[float, float, float], tuple[float, float, float]]
    confidence: float

    @property
    def found(self) -> bool:
        """Whether this is a heart and not merely the best place of a scan without one."""
        return self.confidence >= FOUND


def find_heart(voxels: np.ndarray, spacing: tuple[float, float, float]) -> Heart:
    """Find the heart.

    Parameters
    ----------
    voxels : ndarray, (z, y, x), HU
        In memory's orientation, see `benchmark.cohorts.base.Scan`.
    spacing : (z, y, x), mm

    Returns
    -------
    Heart
        The best place also where no heart was found: see `Heart.found`.
    """
    step = np.array(spacing)
    size = np.array(voxels.shape) * step
    end = size - step
    if size.min() < SMALLEST_MM or size.max() > LARGEST_MM or step.max() > THICKEST_MM:
        return _heart(end / 2, end / 2 - CELL_MM, end / 2 + CELL_MM, 0.0, end)
    cells = cells_of(voxels, spacing)
    box = body_box(cells)
    share = np.zeros(cells.shape[1:], np.float32)
    share[box] = heart_share(cells[(slice(None), *box)])
    parts, count = ndimage.label(share > 0.5)
    if not count:
        best = np.array(np.unravel_index(np.argmax(share), share.shape)) * CELL_MM
        return _heart(best, best - CELL_MM, best + CELL_MM, float(share.max()) * 0.5, end)
    masses = ndimage.sum_labels(share, parts, range(1, count + 1))
    heart = parts == 1 + int(np.argmax(masses))
    # cells about the part that are half heart belong to it
    near = share * ndimage.binary_dilation(heart)
    places = np.stack(np.nonzero(near > 0.05))
    weights = near[tuple(places)]
    middle = (places * weights).sum(1) / weights.sum()
    inside = np.stack(np.nonzero(heart))
    # a cell's middle, from the middle of the first voxel
    shift = 0.5 * CELL_MM - 0.5 * step
    low, high = inside.min(1) * CELL_MM - 0.5 * step, (inside.max(1) + 1) * CELL_MM - 0.5 * step
    seen = float(share[heart].sum()) * CELL_MM**3 / 1000.0
    confidence = float(share[heart].mean()) * min(1.0, seen / SMALLEST_ML)
    return _heart(middle * CELL_MM + shift, low, high, confidence, end)


def _heart(
    centre: np.ndarray, low: np.ndarray, high: np.ndarray, confidence: float, end: np.ndarray
) -> Heart:
    corners = (np.clip(low, 0, end), np.clip(high, 0, end))
    return Heart(
        tuple(np.clip(centre, 0, end).tolist()),
        tuple(tuple(corner.tolist()) for corner in corners),
        confidence,
    )
