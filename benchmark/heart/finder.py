"""Find the heart in a CT of the chest: soft tissue between two lungs, of a heart's size and place.

A schematic chest (`benchmark.heart.thorax`) in three sizes is laid over the scan at every place,
and the place is taken where lung and soft tissue agree with it best. What lies beyond the scan
says nothing for or against. Then the middle of the soft tissue between the lungs, slice by slice
at the heart's height, moves the place within the slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from benchmark.heart.thorax import heart_half_mm, scheme
from benchmark.heart.tissue import Tissue, tissue_of

FOUND = 0.28
"""Least confidence of a heart. Real scans, whole and cut, had more than .3; neck, abdomen, a lung's
apex, a scan on its head, water and air had .25 and less."""
SCALES = (0.8, 0.95, 1.1)
"""Sizes of heart that are tried."""
SEARCH_MM = 8.0
"""Cells on which the place is sought; between them a parabola tells."""
FURTHEST_MM = 15.0
"""By how much the tissue between the lungs may move the place."""
SMALLEST_MM, THICKEST_MM, LARGEST_MM = 40.0, 12.0, 2200.0
"""A scan that is thinner, has a larger voxel or is longer shows no heart that could be told."""

_UNSEEN, _UNSEEN_SHARE = 0.15, 0.25
"""What lies beyond the scan counts as this much of the whole, and as agreeing by this share."""
_SLAB_MM = (-10.0, 20.0)
_ROWS_MM, _ASIDE_MM, _AROUND_MM = 20.0, 110.0, 70.0


@dataclass(frozen=True)
class Heart:
    """Where a heart lies; places are (z, y, x) mm from the middle of the scan's first voxel.

    Attributes
    ----------
    centre : tuple of three floats
        Middle of the heart with its sac, not of its calcium; within the scan.
    box : (lowest, highest)
        Two corners, each a place; cut to the scan.
    confidence : float
        0 to 1: how well the chest round this place agrees with the schematic one.
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
    size = np.array(voxels.shape) * np.array(spacing)
    end = size - spacing
    if size.min() < SMALLEST_MM or size.max() > LARGEST_MM or max(spacing) > THICKEST_MM:
        return _heart(end / 2, 1.0, 0.0, end)
    tissue = tissue_of(voxels, spacing)
    step = [max(1, min(round(SEARCH_MM / c), n)) for c, n in zip(
        tissue.cell, tissue.lung.shape, strict=True)]  # fmt: skip
    seen = _pooled(tissue.lung - tissue.soft, step)
    wide = tissue.cell * step
    place, scale, confidence = _search(seen, wide)
    fine = place * step + (np.array(step) - 1) / 2
    fine = _between_lungs(tissue, fine)
    return _heart(fine * tissue.cell + tissue.first, scale, confidence, end)


def _heart(centre: np.ndarray, scale: float, confidence: float, end: np.ndarray) -> Heart:
    centre = np.clip(centre, 0, end)
    half = heart_half_mm() * scale
    corners = (np.clip(centre - half, 0, end), np.clip(centre + half, 0, end))
    return Heart(
        tuple(centre.tolist()), tuple(tuple(c.tolist()) for c in corners), float(confidence)
    )


def _pooled(values: np.ndarray, step: list[int]) -> np.ndarray:
    count = [n // s for n, s in zip(values.shape, step, strict=True)]
    cut = values[tuple(slice(c * s) for c, s in zip(count, step, strict=True))]
    pairs = [number for c, s in zip(count, step, strict=True) for number in (c, s)]
    return cut.reshape(pairs).mean(axis=(1, 3, 5))


def _search(seen: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Place (in cells) and scale where the scheme agrees best, and the confidence there.

    Parameters
    ----------
    seen : ndarray, (Z, Y, X)
        Lung less soft tissue, -1 to 1; 0 where there is neither.
    cell : ndarray, (3,), mm
    """
    schemes = [scheme(cell, scale) for scale in SCALES]
    shape = [
        fft.next_fast_len(a + b - 1, real=True)
        for a, b in zip(seen.shape, schemes[-1][0].shape, strict=True)
    ]
    spectrum = fft.rfftn(seen, shape)
    best = (-np.inf, None, SCALES[0], 0.0)
    for scale, (expected, heart) in zip(SCALES, schemes, strict=True):
        agreement = fft.irfftn(spectrum * np.conj(fft.rfftn(expected, shape)), shape)
        middle = [n // 2 for n in expected.shape]
        agreement = np.roll(agreement, middle, (0, 1, 2))[tuple(map(slice, seen.shape))]
        top = np.unravel_index(agreement.argmax(), agreement.shape)
        place = np.array([_peak(agreement, top, axis) for axis in range(3)])
        confidence = _confidence(seen, place, expected, heart)
        # a small heart fits into a large one: of two that agree alike the larger is right
        value = confidence * scale**0.7
        if value > best[0]:
            best = (value, place, scale, confidence)
    return best[1:]


def _peak(values: np.ndarray, top: tuple[int, ...], axis: int) -> float:
    """The maximum between cells, from a parabola through three of them."""
    at = top[axis]
    if not 0 < at < values.shape[axis] - 1:
        return float(at)
    before, here, after = np.take(values[top[:axis]], [at - 1, at, at + 1], 0)[
        (slice(None), *top[axis + 1 :])
    ]
    bend = before - 2 * here + after
    return float(at + 0.5 * (before - after) / bend) if bend < 0 else float(at)


def _confidence(
    seen: np.ndarray, place: np.ndarray, expected: np.ndarray, heart: np.ndarray
) -> float:
    """Square of the soft share of the heart, times the lungs' shares of both sides' (their root).

    One lung alone does not make a heart, and a heart full of lung is none.
    """
    inside, own = [], []
    for at, n, reach in zip(np.rint(place).astype(int), seen.shape, expected.shape, strict=True):
        begin = at - reach // 2
        low, high = max(begin, 0), min(begin + reach, n)
        inside.append(slice(low - begin, high - begin))
        own.append(slice(low, high))
    there = np.zeros(expected.shape, bool)
    there[tuple(inside)] = True
    values = np.zeros(expected.shape, np.float32)
    values[tuple(inside)] = seen[tuple(own)]
    left = np.arange(expected.shape[2]) > expected.shape[2] // 2
    lung = np.maximum(expected, 0)

    def share(weight: np.ndarray, agreeing: np.ndarray) -> float:
        whole = weight.sum() * _UNSEEN
        agreed = (weight * np.clip(agreeing, 0, 1) * there).sum()
        return float((agreed + _UNSEEN_SHARE * whole) / ((weight * there).sum() + whole))

    soft = share(heart.astype(np.float32), -values)
    return soft**2 * (share(lung * left, values) * share(lung * ~left, values)) ** 0.5


def _between_lungs(tissue: Tissue, place: np.ndarray) -> np.ndarray:
    """Move a place within the slice to the middle of the soft tissue between the lungs.

    Each cell of that tissue weighs the cube of its distance from what is none, so that the bulk of
    the heart counts and what hangs on it hardly does.
    """
    low, high = (round(place[0] + mm / tissue.cell[0]) for mm in _SLAB_MM)
    slab = slice(max(0, low), max(high, 0) + 1)
    if not tissue.lung[slab].size:
        return place
    lung = tissue.lung[slab].mean(axis=0) > 0.5
    soft = tissue.soft[slab].mean(axis=0) > 0.5
    rows, columns = lung.shape
    near = ndimage.maximum_filter1d(lung, 2 * round(_ROWS_MM / tissue.cell[1]) + 1, axis=0)
    aside = round(_ASIDE_MM / tissue.cell[2])
    passed = np.cumsum(np.pad(near.astype(int), ((0, 0), (1, 0))), axis=1)
    x = np.arange(columns)
    to_right = passed[:, x] > passed[:, np.maximum(x - aside, 0)]
    to_left = passed[:, np.minimum(x + aside + 1, columns)] > passed[:, x + 1]
    # a lung beyond the scan cannot be seen
    between = soft & (to_right | (x < aside // 2)) & (to_left | (x >= columns - aside // 2))
    padded = np.pad(between, 10, mode="edge")
    depth = ndimage.distance_transform_edt(padded, sampling=tissue.cell[1:])[10:-10, 10:-10] ** 3
    at = place[1:].copy()
    y, x = np.ogrid[:rows, :columns]
    for _ in range(5):
        far = ((y - at[0]) * tissue.cell[1]) ** 2 + ((x - at[1]) * tissue.cell[2]) ** 2
        weight = depth * np.clip(1 - far / _AROUND_MM**2, 0, None)
        if weight.sum() <= 0:
            break
        at = np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()
    furthest = FURTHEST_MM / tissue.cell[1:]
    return np.array([place[0], *(place[1:] + np.clip(at - place[1:], -furthest, furthest))])
