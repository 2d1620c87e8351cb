"""Calcium as beads: small spheres already blurred by scanner and slice.

A sphere of radius r and excess intensity E (HU above its surroundings), seen through an in-plane
point spread of SD b and a slice of thickness T, is painted as

    E 4 r^3 / (R^2 T)  *  (1 - d^2/R^2)^2  *  (share of the sphere's height inside the slice),

with d the in-plane distance from its axis and R^2 = 8 (r^2/5 + b^2), which has the in-plane
variance of sphere plus blur. The height profile is 15/16 (1 - u^2)^2 with the sphere's own
variance, integrated over each slice exactly; so excess times volume is conserved wherever the
sphere lies between the slices: that is partial volume, and blooming, with polynomials alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.phantom.shapes import Grid, Vector


@dataclass(frozen=True)
class Bead:
    """A sphere of calcium: centre (x, y, z) and radius in mm, excess in HU."""

    centre: Vector
    radius: float
    excess: float


def _cumulative(u: np.ndarray) -> np.ndarray:
    """Integral of 15/16 (1 - u^2)^2 from -1 to u, for u held to [-1, 1]."""
    u = np.minimum(np.maximum(u, -1.0), 1.0)
    square = u * u
    return (u * 0.9375) * (1.0 + square * (square * 0.2 - 0.6666666666666666)) + 0.5


def add_bead(volume: np.ndarray, grid: Grid, bead: Bead, blur: float) -> None:
    """Add one bead to `volume` (Z, Y, X, HU, float32, changed in place).

    Parameters
    ----------
    volume : ndarray of float32
        Excess of calcium on `grid`.
    grid : Grid
        Its positions; the slices are as thick as their spacing.
    bead : Bead
        What to add.
    blur : float
        In-plane point spread, SD in mm.
    """
    own = bead.radius * bead.radius / 5.0
    reach2 = 8.0 * (own + blur * blur)
    reach = math.sqrt(reach2)
    height = math.sqrt(7.0 * own)
    thickness = grid.spacing[0]
    x, y, z = bead.centre
    tall = height + 0.5 * thickness
    found = grid.cut((x - reach, y - reach, z - tall), (x + reach, y + reach, z + tall))
    if found is None:
        return
    where, part = found
    dx, dy, dz = part.x - x, part.y - y, part.z - z
    share = _cumulative((dz + 0.5 * thickness) / height)
    share -= _cumulative((dz - 0.5 * thickness) / height)
    profile = 1.0 - (dx * dx + dy * dy) / reach2
    np.maximum(profile, 0.0, out=profile)
    profile *= profile
    peak = bead.excess * 4.0 * bead.radius * bead.radius * bead.radius / (reach2 * thickness)
    share *= peak
    volume[where] += profile * share


def extent(beads: list[Bead], blur: float, thickness: float) -> tuple[Vector, Vector]:
    """Return the corners of the box that holds all beads as painted, mm."""
    low = [math.inf] * 3
    high = [-math.inf] * 3
    for bead in beads:
        own = bead.radius * bead.radius / 5.0
        reach = math.sqrt(8.0 * (own + blur * blur))
        tall = math.sqrt(7.0 * own) + 0.5 * thickness
        for k, margin in enumerate((reach, reach, tall)):
            low[k] = min(low[k], bead.centre[k] - margin)
            high[k] = max(high[k], bead.centre[k] + margin)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
