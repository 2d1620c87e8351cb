"""The heart as a geometric model: chambers, great vessels, and the frame that they share.

Heart frame: origin in the middle of the atrioventricular plane; first axis from base to apex,
second to the left and back (towards the free wall of the left ventricle), third upwards.
Lengths in mm at size 1. Body frame: x to the left, y to the back, z to the head, with the same
origin. The figures are ours, laid out after common cardiac CT anatomy.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import (
    Ellipsoid,
    Grid,
    Vector,
    blend,
    fillet,
    paint,
    paint_tube,
    smooth_step,
    tube_distance,
)

#: (centre, semi-axes) in the heart frame, walls included.
CHAMBERS: dict[str, tuple[Vector, Vector]] = {
    "left ventricle": ((24.0, 12.0, -3.0), (55.0, 34.0, 34.0)),
    "right ventricle": ((17.0, -19.0, -5.0), (48.0, 30.0, 34.0)),
    "left atrium": ((-26.0, 15.0, 5.0), (22.0, 32.0, 25.0)),
    "right atrium": ((-24.0, -27.0, -3.0), (24.0, 25.0, 31.0)),
}
#: Blood pool of the left ventricle.
CAVITY: tuple[Vector, Vector] = ((23.0, 12.0, -3.0), (44.0, 23.0, 23.0))
#: SD of each semi-axis as a part of it, and of each centre in mm: chambers dilate.
SEMI_SD, CENTRE_SD = 0.09, 3.5

#: Middle of the aortic root from the heart's origin along x, y, z; mm at size 1.
ROOT: Vector = (3.5, -5.5, 22.0)
#: Axis of vessels in the body frame and their radii, mm at size 1.
Line = tuple[tuple[Vector, float], ...]
PULMONARY: Line = (
    ((0.0, -28.0, 12.0), 14.0),
    ((4.0, -30.0, 27.0), 12.5),
    ((11.0, -26.0, 42.0), 12.5),
    ((16.0, -8.0, 58.0), 12.0),
)
SUPERIOR_CAVA: Line = (((-32.0, 2.0, 20.0), 9.5), ((-35.0, -4.0, 70.0), 8.5))
INFERIOR_CAVA: Line = (((-30.0, 4.0, -14.0), 11.5), ((-36.0, 14.0, -70.0), 12.0))
#: Right and left pulmonary artery.
BRANCHES: tuple[Line, ...] = (
    (((16.0, -4.0, 56.0), 10.0), ((-14.0, 12.0, 50.0), 9.0), ((-46.0, 18.0, 40.0), 6.5)),
    (((16.0, -8.0, 58.0), 11.0), ((36.0, 16.0, 52.0), 8.0)),
)
#: Pulmonary veins into the left atrium.
LUNG_VEINS: tuple[Line, ...] = (
    (((-14.0, 26.0, 22.0), 8.0), ((-44.0, 28.0, 26.0), 6.0)),
    (((-14.0, 30.0, 4.0), 8.0), ((-44.0, 40.0, -2.0), 5.5)),
    (((12.0, 28.0, 26.0), 8.0), ((40.0, 32.0, 32.0), 5.5)),
    (((12.0, 32.0, 8.0), 8.0), ((42.0, 44.0, 2.0), 5.5)),
)
#: Axes of the heart frame as (x, y, z) rows, before the patient's own tilt.
_LONG: Vector = (0.62, -0.60, -0.505569)
_LEFT: Vector = (0.690, 0.722, -0.031)


def dot(a: Vector, b: Vector) -> float:
    """Return the dot product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def unit(a: Vector) -> Vector:
    """Return a vector of length 1."""
    length = math.sqrt(dot(a, a))
    return a[0] / length, a[1] / length, a[2] / length


def polar(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, rounded so that they are the same with every C library."""
    angle = math.radians(degrees)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def rotate(vector: Vector, degrees: Vector) -> Vector:
    """Rotate (x, y, z) about x, then y, then z."""
    x, y, z = vector
    for k, angle in enumerate(degrees):
        c, s = polar(angle)
        if k == 0:
            y, z = c * y - s * z, s * y + c * z
        elif k == 1:
            z, x = c * z - s * x, s * z + c * x
        else:
            x, y = c * x - s * y, s * x + c * y
    return x, y, z


@dataclass(frozen=True)
class Heart:
    """The heart of one person in the body frame.

    Attributes
    ----------
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
    root : Vector
        Middle of the aortic root, mm at size 1 from the origin.
    root_radius : float
        Its radius, mm at size 1.
    """

    axes: tuple[Vector, Vector, Vector]
    size: float
    chambers: dict[str, Ellipsoid]
    cavity: Ellipsoid
    tilt: Vector
    root: Vector
    root_radius: float

    @property
    def ascending(self) -> Line:
        """Return the aortic root and the ascending aorta."""
        wide = self.root_radius
        return (
            (self.root, wide),
            ((self.root[0] - 5.0, self.root[1] - 2.0, self.root[2] + 14.0), wide + 0.5),
            ((-12.0, -9.0, 56.0), wide + 1.0),
            ((-14.0, -6.0, 74.0), wide + 0.5),
        )

    def place(self, point: Vector) -> Vector:
        """Return the (x, y, z) of a point of the heart frame (mm at size 1)."""
        return tuple(  # type: ignore[return-value]
            self.size * sum(point[j] * self.axes[j][k] for j in range(3)) for k in range(3)
        )

    def beside(self, point: Vector) -> Vector:
        """Return the place of a point given along x, y, z from the origin (mm at size 1)."""
        turned = rotate(point, self.tilt)
        return tuple(self.size * p for p in turned)  # type: ignore[return-value]

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
        along = unit(
            tuple(sum(direction[j] * self.axes[j][k] for j in range(3)) for k in range(3))  # type: ignore[arg-type]
        )
        farthest = 0.0
        for chamber in self.chambers.values():
            away = tuple(s - c for s, c in zip(start, chamber.centre, strict=True))
            a = b = c = 0.0
            for axis, semi in zip(chamber.axes, chamber.semi, strict=True):
                slope = dot(axis, along) / semi
                level = dot(axis, away) / semi  # type: ignore[arg-type]
                a += slope * slope
                b += slope * level
                c += level * level
            inner = b * b - a * (c - 1.0)
            if inner > 0:
                farthest = max(farthest, (math.sqrt(inner) - b) / a)
        farthest += margin
        return tuple(s + farthest * d for s, d in zip(start, along, strict=True))  # type: ignore[return-value]

    def vessel_distance(self, grid: Grid) -> np.ndarray:
        """Return the distance (mm) to what lies in the pericardium beside the chambers.

        These are the roots of both great vessels and the appendages; 60 where they are far.
        """
        nearest = np.full(grid.shape, 60.0, np.float32)
        _tubes(grid, self, self.ascending[:2], 20.0, nearest)
        _tubes(grid, self, PULMONARY[:3], 20.0, nearest)
        for ellipsoid in appendages(self):
            inside = grid.cut(*ellipsoid.reach(20.0))
            if inside is not None:
                here = nearest[inside[0]]
                np.minimum(here, ellipsoid.distance(inside[1]), out=here)
        return nearest

    @property
    def middle(self) -> Vector:
        """Return the chambers' centre of volume, mm."""
        chambers = list(self.chambers.values())
        volumes = [c.semi[0] * c.semi[1] * c.semi[2] for c in chambers]
        whole = sum(volumes)
        return tuple(  # type: ignore[return-value]
            sum(v * c.centre[k] for v, c in zip(volumes, chambers, strict=True)) / whole
            for k in range(3)
        )

    def bounds(self, margin: float = 0.0) -> tuple[Vector, Vector]:
        """Return the corners of the box that holds all chambers, widened by `margin` mm."""
        corners = [chamber.reach(margin) for chamber in self.chambers.values()]
        low = tuple(min(corner[0][k] for corner in corners) for k in range(3))
        high = tuple(max(corner[1][k] for corner in corners) for k in range(3))
        return low, high  # type: ignore[return-value]


def build_heart(patient: Patient) -> Heart:
    """Return the person's heart; chambers, root and atria differ between people."""
    draw = patient.stream("heart")
    left = unit(_LEFT)
    long = unit(_LONG)
    # Gram-Schmidt, so that rounding in the constants does not skew the frame
    overlap = dot(long, left)
    left = unit(tuple(a - overlap * b for a, b in zip(left, long, strict=True)))  # type: ignore[arg-type]
    axes = tuple(rotate(axis, patient.tilt) for axis in (long, left, _cross(long, left)))
    size = patient.size
    root = tuple(p + draw.uniform(-4.0, 4.0) for p in ROOT)
    radius = draw.uniform(12.5, 17.0)
    bare = Heart(axes, size, {}, None, patient.tilt, root, radius)  # type: ignore[arg-type]
    chambers = {}
    for name, (centre, semi) in CHAMBERS.items():
        dilated = draw.uniform(0.9, 1.35)
        factor = dilated if name.endswith("atrium") and draw.chance(1 / 3) else 1.0
        varied = tuple(size * factor * s * draw.normal(1.0, SEMI_SD, 2.0) for s in semi)
        moved = tuple(c + draw.normal(0.0, CENTRE_SD, 2.0) for c in centre)
        chambers[name] = Ellipsoid(bare.place(moved), axes, varied)  # type: ignore[arg-type]
    cavity = Ellipsoid(bare.place(CAVITY[0]), axes, tuple(size * s for s in CAVITY[1]))  # type: ignore[arg-type]
    return Heart(axes, size, chambers, cavity, patient.tilt, root, radius)  # type: ignore[arg-type]


def paint_line(
    volume: np.ndarray, grid: Grid, heart: Heart, line: Line, value: float, margin: float = 0.0
) -> None:
    """Paint a vessel of the body frame into `volume`, thicker by `margin` mm."""
    for (a, wide), (b, narrow) in itertools.pairwise(line):
        radii = (wide * heart.size + margin, narrow * heart.size + margin)
        paint_tube(volume, grid, heart.beside(a), heart.beside(b), radii, value, 2.2)


def appendages(heart: Heart) -> tuple[Ellipsoid, Ellipsoid]:
    """Return the left appendage, beside the pulmonary trunk, and the right, before the root."""
    left = tuple(heart.size * s for s in (15.0, 9.0, 8.0))
    right = tuple(heart.size * s for s in (9.0, 16.0, 10.0))
    return (
        Ellipsoid(heart.beside((25.0, 3.0, 34.0)), heart.axes, left),  # type: ignore[arg-type]
        Ellipsoid(heart.beside((-24.0, -24.0, 24.0)), heart.axes, right),  # type: ignore[arg-type]
    )


def _tubes(grid: Grid, heart: Heart, line: Line, reach: float, into: np.ndarray) -> None:
    """Lower `into` to the distance to a vessel where that is nearer."""
    for (a, wide), (b, narrow) in itertools.pairwise(line):
        radii = (wide * heart.size, narrow * heart.size)
        found = tube_distance(grid, heart.beside(a), heart.beside(b), radii, reach)
        if found is not None:
            where, distance = found
            np.minimum(into[where], distance, out=into[where])


def heart_distances(grid: Grid, patient: Patient, heart: Heart) -> tuple[np.ndarray, np.ndarray]:
    """Return signed distances (mm, negative inside) to the muscle's surface and to the pericardium.

    The heart fills its pericardium: fat lies in the grooves between chambers and vessels, before
    the right ventricle and at the apex, and is thin over the free walls.
    """
    muscle = sac = None
    for chamber in heart.chambers.values():
        distance = chamber.distance(grid)
        muscle = distance if muscle is None else np.minimum(muscle, distance)
        sac = distance if sac is None else fillet(sac, distance, patient.groove)
    vessels = heart.vessel_distance(grid)
    sac = fillet(sac, vessels, 0.6 * patient.groove)
    # Fat before the right ventricle and at the apex: grows with the way to the front and down.
    front = grid.linear((0.3 / 60.0, -0.9 / 60.0, -0.3 / 60.0), -0.25)
    np.maximum(front, 0.0, out=front)
    front *= -patient.front_fat
    sac += front
    sac -= patient.shell
    return muscle, sac  # type: ignore[return-value]


def paint_heart(volume: np.ndarray, grid: Grid, patient: Patient, heart: Heart) -> None:
    """Paint pericardium, epicardial fat, muscle, appendages, and the left ventricle's blood."""
    found = grid.cut(*heart.bounds(patient.shell + patient.front_fat + 10.0))
    if found is None:
        return
    where, part = found
    view = volume[where]
    edge = patient.scanner.edge
    muscle, sac = heart_distances(part, patient, heart)
    blend(view, smooth_step(sac - 1.0, 2.0), 5.0)
    blend(view, smooth_step(sac + 0.3, 1.6), patient.fat)
    blend(view, smooth_step(muscle, 2.2 + edge), patient.muscle)
    for ellipsoid in appendages(heart):
        paint(volume, grid, ellipsoid, patient.blood, 2.2 + edge)
    paint(volume, grid, heart.cavity, patient.blood, 4.0)
