"""From a scan to the training grid: physical cells, the same for every method and every scanner.

The grid is centred on the heart (`benchmark.heart`) or on the scan. Its cells have a fixed size in
mm, so that scans of different pixel and slice spacing meet on one scale. A cell keeps three numbers
of its voxels: the mean HU (what tissue is here), the maximum HU (a small bright lesion survives it)
and the share of voxels above 130 HU (how much calcium may be here).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

CHANNELS = 3
MEAN_WINDOW = (-250.0, 250.0)
"""Window of the mean, HU: lung, fat, muscle and calcified cells stay apart."""
MAXIMUM_WINDOW = (-150.0, 650.0)
"""Window of the maximum, HU: all four Agatston weights (130, 200, 300, 400 HU) lie within."""
PADDING_HU = -1000.0
"""Beyond the scan: air."""
ON_SCAN = (0.0, 0.0, 0.0)
"""Where the grid's middle lies from the scan's, (z, y, x) mm, if it is centred on the scan."""
OUTSIDE = -(2**40)
"""Stands for a cell outside the grid: below zero whatever is multiplied or added."""


@dataclass(frozen=True)
class TrainingGrid:
    """Cells of ``cell_mm`` (z, y, x), ``shape`` (Z, Y, X) of them, round some place of a scan."""

    cell_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    @classmethod
    def covering(
        cls,
        cell_mm: tuple[float, float, float],
        scans: Iterable[tuple[tuple[int, int, int], tuple[float, float, float]]],
    ) -> TrainingGrid:
        """The smallest grid that covers every field, rounded up to even Z and multiples of 4.

        Parameters
        ----------
        cell_mm : (z, y, x), mm
        scans : iterable of (shape, spacing)
            Of scans or of the fields within them that matter.
        """
        largest = np.zeros(3)
        for shape, spacing in scans:
            largest = np.maximum(largest, np.asarray(shape) * np.asarray(spacing))
        # a tenth of a cell of slack: 40.02 cells are 40 cells
        cells = np.ceil(largest / np.asarray(cell_mm) - 0.1).astype(int)
        step = np.array([2, 4, 4])
        cells = np.maximum(8, -(-cells // step) * step)
        return cls(tuple(float(c) for c in cell_mm), tuple(int(c) for c in cells))

    def cell_index(
        self, count: int, spacing: float, axis: int, offset: Sequence[float] = ON_SCAN
    ) -> np.ndarray:
        """Cell of each of ``count`` voxels along ``axis``; outside: below 0 or from shape[axis].

        ``offset`` is the place of the grid's middle from the scan's, (z, y, x) mm.
        """
        centre_mm = (np.arange(count) - (count - 1) / 2) * spacing - offset[axis]
        return np.floor(centre_mm / self.cell_mm[axis] + self.shape[axis] / 2).astype(np.int64)


def _blocks(index: np.ndarray, cells: int) -> tuple[int, int, np.ndarray, np.ndarray, slice]:
    """Voxel range and block starts for np.ufunc.reduceat along one axis.

    An empty block (cells smaller than voxels) starts where the next one does; reduceat then gives
    that single voxel, which is nearest-neighbour upsampling.
    """
    inside = np.flatnonzero((index >= 0) & (index < cells))
    first, last = int(inside[0]), int(inside[-1]) + 1
    index = index[first:last]
    low, high = int(index[0]), int(index[-1]) + 1
    wanted = np.arange(low, high)
    starts = np.minimum(np.searchsorted(index, wanted), len(index) - 1)
    ends = np.searchsorted(index, wanted, side="right")
    counts = np.maximum(ends - np.searchsorted(index, wanted), 1)
    return first, last, starts, counts, slice(low, high)


def pool(
    voxels: np.ndarray,
    spacing: tuple[float, float, float],
    grid: TrainingGrid,
    threshold: float = 130.0,
    offset: Sequence[float] = ON_SCAN,
) -> np.ndarray:
    """Mean, maximum and share above the threshold of each cell.

    Parameters
    ----------
    voxels : ndarray, (z, y, x), HU
    spacing : (z, y, x), mm
    grid : TrainingGrid
    threshold : float
        HU.
    offset : (z, y, x), mm
        Of the grid's middle from the scan's; within the scan.

    Returns
    -------
    ndarray, (3, Z, Y, X), float16
        Windowed mean and maximum, each scaled to -1..1 (0..1 plus outside the window is clipped),
        and the share scaled to 0..2 by a square root, so that one voxel of a cell counts visibly.
    """
    axes = []
    for axis in range(3):
        index = grid.cell_index(voxels.shape[axis], spacing[axis], axis, offset)
        axes.append(_blocks(index, grid.shape[axis]))
    # what lies beyond the grid is left out before anything is computed
    voxels = voxels[tuple(slice(first, last) for first, last, *_ in axes)]
    mean = voxels.astype(np.float32)
    maximum = voxels
    share = (voxels > threshold).astype(np.float32)
    place = []
    for axis, (_, _, starts, counts, where) in enumerate(axes):
        scale = counts.reshape((-1,) + (1,) * (2 - axis)).astype(np.float32)
        mean = np.add.reduceat(mean, starts, axis=axis) / scale
        share = np.add.reduceat(share, starts, axis=axis) / scale
        maximum = np.maximum.reduceat(maximum, starts, axis=axis)
        place.append(where)
    out = np.empty((CHANNELS, *grid.shape), np.float32)
    for channel, (values, (low, high)) in enumerate(
        ((mean, MEAN_WINDOW), (maximum, MAXIMUM_WINDOW))
    ):
        full = np.full(grid.shape, PADDING_HU, np.float32)
        full[tuple(place)] = values
        out[channel] = (np.clip(full, low, high) - low) * (2 / (high - low)) - 1
    out[2] = 0
    out[2][tuple(place)] = 2 * np.sqrt(share)
    return out.astype(np.float16)


@dataclass(frozen=True)
class Candidates:
    """The voxels above the threshold of one scan, as lists: a few thousand of a million voxels.

    Attributes
    ----------
    voxel : ndarray of int64
        Flat index in the scan.
    component : ndarray of int32
        1 .. n: its 3D 6-connected component.
    cell : ndarray of int64
        Flat index in the training grid; -1 outside it.
    hu : ndarray of int16
    label : ndarray of uint8
        Reference class, 0 to 3.
    """

    voxel: np.ndarray
    component: np.ndarray
    cell: np.ndarray
    hu: np.ndarray
    label: np.ndarray

    @property
    def count(self) -> int:
        """Number of components."""
        return int(self.component.max(initial=0))


def list_candidates(
    voxels: np.ndarray,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    components: np.ndarray,
    grid: TrainingGrid,
    offset: Sequence[float] = ON_SCAN,
) -> Candidates:
    """Collect the candidate voxels of a scan.

    Parameters
    ----------
    voxels, labels, components : ndarray, (z, y, x)
        HU, reference classes, and the component of each voxel (0: not a candidate).
    spacing : (z, y, x), mm
    grid : TrainingGrid
    offset : (z, y, x), mm
        Of the grid's middle from the scan's.
    """
    flat = np.flatnonzero(components != 0)  # of truth values: four times faster than of numbers
    # In order of the slices, so that no index need be divided: (z, y, x) -> z, (y, x)
    plane = voxels.shape[1] * voxels.shape[2]
    ends = np.searchsorted(flat, plane * np.arange(1, voxels.shape[0] + 1))
    each = np.diff(ends, prepend=0)
    in_plane = flat - np.repeat(plane * np.arange(voxels.shape[0]), each)
    lines = [grid.cell_index(voxels.shape[axis], spacing[axis], axis, offset) for axis in range(3)]
    z, y, x = (
        np.where((line >= 0) & (line < cells), line, OUTSIDE)
        for line, cells in zip(lines, grid.shape, strict=True)
    )
    of_slice = z * (grid.shape[1] * grid.shape[2])
    of_place = (y[:, None] * grid.shape[2] + x).ravel()
    cell = np.repeat(of_slice, each) + of_place[in_plane]
    cell[cell < 0] = -1
    return Candidates(
        flat,
        components.ravel()[flat].astype(np.int32),
        cell,
        voxels.ravel()[flat],
        labels.ravel()[flat],
    )


def cell_targets(candidates: Candidates, grid: TrainingGrid) -> tuple[np.ndarray, np.ndarray]:
    """Class and candidate mask of each cell.

    Returns
    -------
    target : ndarray, (Z, Y, X), uint8
        The class of most candidate voxels of the cell; a tie goes to the artery, since a missed
        lesion costs more than a voxel too many.
    candidate : ndarray, (Z, Y, X), bool
    """
    cells = int(np.prod(grid.shape))
    inside = candidates.cell >= 0
    votes = np.bincount(
        candidates.cell[inside] * 4 + candidates.label[inside], minlength=cells * 4
    ).reshape(cells, 4)
    candidate = votes.any(axis=1)
    # argmax takes the first of equal values: put the background last
    target = (np.argmax(votes[:, [1, 2, 3, 0]], axis=1) + 1) % 4
    target[~candidate] = 0
    return target.astype(np.uint8).reshape(grid.shape), candidate.reshape(grid.shape)
