"""Sampling grid and the few smooth shapes from which the phantom is painted.

Rule of the whole package: arrays of voxels see only integer operations and the elementwise
floating point operations that IEEE 754 rounds correctly (+, -, *, /, square root, comparison,
minimum, maximum, floor). No exponential, sine or power, no sum, dot product, convolution or
interpolation of a library, whose order of operations may differ between machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Vector = tuple[float, float, float]  # (x, y, z) in mm, LPS: to the left, to the back, to the head
FAR = np.float32(1e3)


@dataclass(frozen=True)
class Grid:
    """Positions of voxel centres in mm, float32: z (Z, 1, 1), y (1, Y, 1), x (1, 1, X)."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray
    spacing: tuple[float, float, float]

    @classmethod
    def centred(
        cls,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        centre: Vector = (0.0, 0.0, 0.0),
    ) -> Grid:
        """Return a grid of `shape` (Z, Y, X) and `spacing` (z, y, x), its middle at `centre`."""
        axes = [
            ((np.arange(n) - (n - 1) / 2) * step + middle).astype(np.float32)
            for n, step, middle in zip(shape, spacing, reversed(centre), strict=True)
        ]
        return cls(axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :], spacing)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (Z, Y, X)."""
        return self.z.size, self.y.size, self.x.size

    def cut(self, low: Vector, high: Vector) -> tuple[tuple[slice, slice, slice], Grid] | None:
        """Return the slices and the part of the grid inside a box, or None where it is empty."""
        bounds = []
        for axis, lower, upper in zip(
            (self.z, self.y, self.x), reversed(low), reversed(high), strict=True
        ):
            flat = axis.ravel()
            first = int(np.searchsorted(flat, np.float32(lower)))
            last = int(np.searchsorted(flat, np.float32(upper), side="right"))
            if first >= last:
                return None
            bounds.append(slice(first, last))
        part = Grid(self.z[bounds[0]], self.y[:, bounds[1]], self.x[:, :, bounds[2]], self.spacing)
        return (bounds[0], bounds[1], bounds[2]), part

    def linear(self, row: Vector, constant: float) -> np.ndarray:
        """Return row . (x, y, z) + constant on the whole grid with one full-size addition."""
        plane = self.x * row[0] + (self.y * row[1] + constant)
        return plane + self.z * row[2]


def smooth_step(distance: np.ndarray, width: float) -> np.ndarray:
    """Return the share of a voxel inside a surface: 1 at -width/2, 0 at +width/2, smooth between.

    Parameters
    ----------
    distance : ndarray of float32
        Signed distance in mm, negative inside. It is overwritten.
    width : float
        Width of the edge in mm.
    """
    t = distance
    t *= -1.0 / width
    t += 0.5
    np.maximum(t, 0.0, out=t)
    np.minimum(t, 1.0, out=t)
    result = t * -2.0
    result += 3.0
    result *= t
    result *= t
    return result


def blend(volume: np.ndarray, weight: np.ndarray, value: float | np.ndarray) -> None:
    """Mix `value` into `volume` in place: weight 1 replaces, weight 0 leaves."""
    step = value - volume
    step *= weight
    volume += step


def fillet(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Return the union of two distances with a fillet `width` mm wide (polynomial minimum)."""
    overlap = np.abs(a - b)
    np.subtract(width, overlap, out=overlap)
    np.maximum(overlap, 0.0, out=overlap)
    overlap *= overlap
    overlap *= 0.25 / width
    union = np.minimum(a, b)
    union -= overlap
    return union


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with centre (mm), three orthonormal axes (x, y, z rows) and semi-axes (mm)."""

    centre: Vector
    axes: tuple[Vector, Vector, Vector]
    semi: Vector

    def reach(self, margin: float = 0.0) -> tuple[Vector, Vector]:
        """Return the corners of the bounding box, widened by `margin` mm."""
        half = []
        for k in range(3):
            terms = [axis[k] * s for axis, s in zip(self.axes, self.semi, strict=True)]
            half.append(math.sqrt(math.fsum(term * term for term in terms)) + margin)
        low = tuple(c - h for c, h in zip(self.centre, half, strict=True))
        high = tuple(c + h for c, h in zip(self.centre, half, strict=True))
        return low, high  # type: ignore[return-value]

    def distance(self, grid: Grid) -> np.ndarray:
        """Return the approximate signed distance to the surface in mm, negative inside."""
        total = None
        for axis, semi in zip(self.axes, self.semi, strict=True):
            row = (axis[0] / semi, axis[1] / semi, axis[2] / semi)
            shift = row[0] * self.centre[0] + row[1] * self.centre[1] + row[2] * self.centre[2]
            part = grid.linear(row, -shift)
            part *= part
            total = part if total is None else np.add(total, part, out=total)
        np.sqrt(total, out=total)
        total -= 1.0
        total *= min(self.semi)
        return total


def paint(
    volume: np.ndarray, grid: Grid, shape: Ellipsoid, value: float, width: float = 2.4
) -> None:
    """Paint an ellipsoid into `volume` (Z, Y, X, HU, changed in place)."""
    found = grid.cut(*shape.reach(width))
    if found is None:
        return
    where, part = found
    blend(volume[where], smooth_step(shape.distance(part), width), value)


def tube_distance(
    grid: Grid, start: Vector, end: Vector, radii: tuple[float, float], reach: float
) -> tuple[tuple[slice, slice, slice], np.ndarray] | None:
    """Return the signed distance (mm) to a round, tapering tube in its box, or None outside.

    Parameters
    ----------
    start, end : tuple of float
        Ends of the axis (x, y, z) in mm.
    radii : tuple of float
        Radius at either end, mm.
    reach : float
        How far outside the tube's surface the box extends, mm.
    """
    margin = max(radii) + reach
    low = tuple(min(a, b) - margin for a, b in zip(start, end, strict=True))
    high = tuple(max(a, b) + margin for a, b in zip(start, end, strict=True))
    found = grid.cut(low, high)  # type: ignore[arg-type]
    if found is None:
        return None
    where, part = found
    along = tuple(b - a for a, b in zip(start, end, strict=True))
    length2 = along[0] * along[0] + along[1] * along[1] + along[2] * along[2]
    dx, dy, dz = part.x - start[0], part.y - start[1], part.z - start[2]
    if length2 > 0:
        t = (dx * (along[0] / length2) + dy * (along[1] / length2)) + dz * (along[2] / length2)
        np.maximum(t, 0.0, out=t)
        np.minimum(t, 1.0, out=t)
        ex, ey, ez = dx - t * along[0], dy - t * along[1], dz - t * along[2]
        distance = ex * ex
        distance += ey * ey
        distance += ez * ez
    else:
        t = np.zeros(part.shape, np.float32)
        distance = (dx * dx + dy * dy) + dz * dz
    np.sqrt(distance, out=distance)
    distance -= radii[0]
    if radii[1] != radii[0]:
        distance -= t * (radii[1] - radii[0])
    return where, distance


def paint_tube(
    volume: np.ndarray,
    grid: Grid,
    start: Vector,
    end: Vector,
    radii: tuple[float, float],
    value: float,
    width: float = 2.0,
) -> None:
    """Paint a round tube with rounded ends into `volume` (Z, Y, X, HU, changed in place)."""
    found = tube_distance(grid, start, end, radii, width)
    if found is not None:
        where, distance = found
        blend(volume[where], smooth_step(distance, width), value)
