"""Outlines drawn on a slice: to pixels, and from pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

EDGE = 1e-6
"""Pixels: a centre that is no further from an outline lies on it."""


def fill(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels of an outline.

    A pixel belongs to it if its centre lies inside (even-odd rule) or on the line. An outline that
    holds no centre, such as a mark of one or two points, gives the pixels nearest to its points.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        Corners as (x, y) in pixels; whole numbers are pixel centres.
    size : two ints
        Rows and columns of the slice.

    Returns
    -------
    numpy.ndarray of bool, shape (rows, columns)
    """
    rows, columns = size
    mask = np.zeros(size, bool)
    low = np.clip(np.floor(points.min(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    x = np.arange(low[0], high[0] + 1)[None, :]
    y = np.arange(low[1], high[1] + 1)[:, None]
    inside = np.zeros((y.size, x.size), bool)
    on_line = np.zeros_like(inside)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2
        share = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length2 if length2 else 0.0
        share = np.clip(share, 0, 1)
        on_line |= np.hypot(x0 + share * (x1 - x0) - x, y0 + share * (y1 - y0) - y) <= EDGE
    mask[low[1] : high[1] + 1, low[0] : high[0] + 1] = inside | on_line
    if not mask.any():
        nearest = np.floor(points + 0.5).astype(int)
        good = ((nearest >= 0) & (nearest < (columns, rows))).all(axis=1)
        mask[nearest[good, 1], nearest[good, 0]] = True
    return mask


def outlines(mask: np.ndarray, free: np.ndarray) -> Iterator[np.ndarray]:
    """Draw outlines that `fill` turns back into the pixels of a mask.

    Parameters
    ----------
    mask : numpy.ndarray of bool, shape (rows, columns)
    free : numpy.ndarray of bool, same shape
        Pixels that may be covered though they are not in the mask, as those below the threshold.

    Yields
    ------
    numpy.ndarray, shape (n, 2)
        Corners as (x, y), halfway between pixel centres. Where pieces have holes that an outline
        would fill, each row of them gets an outline of its own.
    """
    import contourpy

    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(float)
    lines = [line[:-1] - 1 for line in contourpy.contour_generator(z=padded).lines(0.5)]
    covered = np.zeros_like(mask)
    for line in lines:
        covered |= fill(line, mask.shape)
    if not (covered & ~mask & ~free).any() and not (mask & ~covered).any():
        yield from lines
        return
    for y in np.flatnonzero(mask.any(axis=1)):
        row = np.diff(np.pad(mask[y], 1).astype(int))
        for begin, end in zip(np.flatnonzero(row > 0), np.flatnonzero(row < 0), strict=True):
            left, right = begin - 0.5, end - 0.5
            yield np.array([[left, y - 0.5], [right, y - 0.5], [right, y + 0.5], [left, y + 0.5]])
