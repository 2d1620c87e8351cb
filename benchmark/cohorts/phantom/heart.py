"""The heart as a geometric model: chambers, great vessels and the frame they share.

Heart frame: origin in the middle of the atrioventricular plane; first axis from base to apex,
second to the left and back (towards the free wall of the left ventricle), third upwards.
Lengths in mm at size 1. The figures are ours, laid out after common cardiac CT anatomy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.cohorts.phantom.patient import Patient
from benchmark.cohorts.phantom.shapes import Ellipsoid, Vector
from benchmark.cohorts.phantom.stream import Stream

#: (centre, semi-axes) in the heart frame.
CHAMBERS: dict[str, tuple[Vector, Vector]] = {
    "left ventricle": ((25.0, 12.0, -3.0), (56.0, 34.0, 34.0)),
    "right ventricle": ((18.0, -19.0, -6.0), (48.0, 29.0, 33.0)),
    "left atrium": ((-26.0, 15.0, 5.0), (23.0, 31.0, 24.0)),
    "right atrium": ((-24.0, -27.0, -3.0), (24.0, 25.0, 29.0)),
}
#: Blood pool of the left ventricle.
CAVITY: tuple[Vector, Vector] = ((23.0, 12.0, -3.0), (44.0, 23.0, 23.0))

#: Axes of the heart frame as (x, y, z) rows, before the patient's own tilt.
_LONG: Vector = (0.60, -0.62, -0.505569)
_LEFT: Vector = (0.705, 0.708, -0.031)


def _cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def _unit(a: Vector) -> Vector:
    length = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    return a[0] / length, a[1] / length, a[2] / length


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def rotate(vector: Vector, degrees: Vector) -> Vector:
    """Rotate (x, y, z) about x, then y, then z."""
    x, y, z = vector
    for k, angle in enumerate(degrees):
        c = round(math.cos(math.radians(angle)), 9)
        s = round(math.sin(math.radians(angle)), 9)
        if k == 0:
            y, z = c * y - s * z, s * y + c * z
        elif k == 1:
            z, x = c * z - s * x, s * z + c * x
        else:
            x, y = c * x - s * y, s * x + c * y
    return x, y, z


@dataclass(frozen=True)
class Heart:
    """The heart of one patient, placed in the scan.

    Attributes
    ----------
    origin : Vector
        Middle of the atrioventricular plane (x, y, z), mm.
    axes : tuple of Vector
        The three axes of the heart frame.
    size : float
        Factor on all lengths.
    chambers : dict of str to Ellipsoid
        The four chambers with their walls.
    cavity : Ellipsoid
        Blood pool of the left ventricle.
    tilt : Vector
        The patient's tilt, which the great vessels share; degrees.
    """

    origin: Vector
    axes: tuple[Vector, Vector, Vector]
    size: float
    chambers: dict[str, Ellipsoid]
    cavity: Ellipsoid
    tilt: Vector

    def place(self, point: Vector) -> Vector:
        """Return the (x, y, z) of a point of the heart frame (mm at size 1)."""
        return tuple(  # type: ignore[return-value]
            self.origin[k]
            + self.size
            * (point[0] * self.axes[0][k] + point[1] * self.axes[1][k] + point[2] * self.axes[2][k])
            for k in range(3)
        )

    def beside(self, point: Vector) -> Vector:
        """Return the place of a point given along x, y, z from the origin (mm at size 1)."""
        turned = rotate(point, self.tilt)
        return tuple(  # type: ignore[return-value]
            o + self.size * p for o, p in zip(self.origin, turned, strict=True)
        )

    def surface(self, inside: Vector, direction: Vector, margin: float = 0.0) -> Vector:
        """Return where a ray from `inside` leaves the heart for good, plus `margin` mm.

        Parameters
        ----------
        inside, direction : Vector
            Start and direction of the ray in the heart frame.
        margin : float
            Distance beyond the surface, mm, not scaled with the heart.
        """
        start = self.place(inside)
        along = _unit(
            tuple(  # type: ignore[arg-type]
                direction[0] * self.axes[0][k]
                + direction[1] * self.axes[1][k]
                + direction[2] * self.axes[2][k]
                for k in range(3)
            )
        )
        farthest = 0.0
        for chamber in self.chambers.values():
            away = tuple(s - c for s, c in zip(start, chamber.centre, strict=True))
            a = b = c = 0.0
            for axis, semi in zip(chamber.axes, chamber.semi, strict=True):
                slope = _dot(axis, along) / semi
                level = _dot(axis, away) / semi  # type: ignore[arg-type]
                a += slope * slope
                b += slope * level
                c += level * level
            inner = b * b - a * (c - 1.0)
            if inner > 0:
                farthest = max(farthest, (math.sqrt(inner) - b) / a)
        farthest += margin
        return tuple(s + farthest * d for s, d in zip(start, along, strict=True))  # type: ignore[return-value]


def build_heart(patient: Patient, draw: Stream, lift: float = 0.0) -> Heart:
    """Return the patient's heart, its chambers varied by a few per cent each.

    Parameters
    ----------
    patient : Patient
        Size, tilt and shift.
    draw : Stream
        The patient's stream ``"heart"``.
    lift : float
        Further shift towards the head, mm.
    """
    left = _unit(_LEFT)
    long = _unit(_LONG)
    # Gram-Schmidt, so that rounding in the constants does not skew the frame
    overlap = _dot(long, left)
    left = _unit(tuple(a - overlap * b for a, b in zip(left, long, strict=True)))  # type: ignore[arg-type]
    axes = tuple(rotate(axis, patient.tilt) for axis in (long, left, _cross(long, left)))
    size = patient.size
    # The technician centres the scan on the heart: its middle lies 7 mm below the valve plane.
    origin = (patient.shift[0] - 8.0, patient.shift[1] + 8.0, patient.shift[2] + lift + 7.0 * size)
    bare = Heart(origin, axes, size, {}, None, patient.tilt)  # type: ignore[arg-type]
    chambers = {}
    for name, (centre, semi) in CHAMBERS.items():
        varied = tuple(size * s * draw.normal(1.0, 0.035, 2.0) for s in semi)
        moved = tuple(c + draw.normal(0.0, 1.2, 2.0) for c in centre)
        chambers[name] = Ellipsoid(bare.place(moved), axes, varied)  # type: ignore[arg-type]
    cavity = Ellipsoid(bare.place(CAVITY[0]), axes, tuple(size * s for s in CAVITY[1]))  # type: ignore[arg-type]
    return Heart(origin, axes, size, chambers, cavity, patient.tilt)  # type: ignore[arg-type]
