"""The coronary arteries as curves on the heart's surface."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from benchmark.cohorts.phantom.heart import Heart, rotate
from benchmark.cohorts.phantom.shapes import Vector
from benchmark.cohorts.phantom.stream import Stream

#: Middle of the aortic root from the heart's origin along x, y, z; mm at size 1.
ROOT: Vector = (3.5, -5.5, 22.0)
ROOT_RADIUS = 14.5
#: Depth of an artery's axis outside the muscle, mm.
DEPTH = 2.0
STEP = 1.5


@dataclass(frozen=True)
class Artery:
    """A coronary artery.

    Attributes
    ----------
    name : str
        ``"LM"``, ``"LAD"``, ``"LCX"``, ``"RCA"`` or a branch such as ``"diagonal"``.
    label : int
        Reference label: 1 LAD (with left main and diagonal), 2 LCX, 3 RCA.
    points : tuple of Vector
        Axis of the vessel, one point about every 1.5 mm, from the ostium onwards; mm.
    lengths : tuple of float
        Distance of each point from the first along the curve, mm.
    radii : tuple of float
        Radius of the lumen at the first and the last point, mm.
    """

    name: str
    label: int
    points: tuple[Vector, ...]
    lengths: tuple[float, ...]
    radii: tuple[float, float]

    @property
    def length(self) -> float:
        """Length of the curve, mm."""
        return self.lengths[-1]

    def at(self, distance: float) -> Vector:
        """Return the point `distance` mm from the start (held at the ends)."""
        if distance <= 0:
            return self.points[0]
        for k in range(1, len(self.points)):
            if self.lengths[k] >= distance:
                gap = self.lengths[k] - self.lengths[k - 1]
                t = (distance - self.lengths[k - 1]) / gap if gap > 0 else 0.0
                return _mix(self.points[k - 1], self.points[k], t)
        return self.points[-1]

    def radius(self, distance: float) -> float:
        """Return the radius of the lumen `distance` mm from the start."""
        t = min(max(distance / self.length, 0.0), 1.0)
        return self.radii[0] + t * (self.radii[1] - self.radii[0])


def _mix(a: Vector, b: Vector, t: float) -> Vector:
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])


def separation(a: Vector, b: Vector) -> float:
    """Return the distance of two points, mm."""
    x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    return math.sqrt(x * x + y * y + z * z)


def _curve(knots: list[Vector]) -> list[Vector]:
    """Return a Catmull-Rom curve through the knots, a point about every `STEP` mm."""
    padded = [knots[0], *knots, knots[-1]]
    points = [knots[0]]
    for k in range(1, len(padded) - 2):
        p0, p1, p2, p3 = padded[k - 1 : k + 3]
        pieces = max(1, math.ceil(separation(p1, p2) / STEP))
        for piece in range(1, pieces + 1):
            t = piece / pieces
            point = []
            for axis in range(3):
                a, b, c, d = p0[axis], p1[axis], p2[axis], p3[axis]
                slope = t * (c - a)
                square = t * t * (2.0 * a - 5.0 * b + 4.0 * c - d)
                cube = t * t * t * (3.0 * b - a - 3.0 * c + d)
                point.append(b + 0.5 * (slope + square + cube))
            points.append((point[0], point[1], point[2]))
    return points


def _artery(name: str, label: int, knots: list[Vector], radii: tuple[float, float]) -> Artery:
    points = _curve(knots)
    lengths = [0.0]
    for a, b in itertools.pairwise(points):
        lengths.append(lengths[-1] + separation(a, b))
    return Artery(name, label, tuple(points), tuple(lengths), radii)


def _polar(degrees: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return round(math.cos(angle), 9), round(math.sin(angle), 9)


def _ahead(heart: Heart, start: Vector, direction: Vector, length: float) -> Vector:
    turned = rotate(direction, heart.tilt)
    return tuple(s + length * d for s, d in zip(start, turned, strict=True))  # type: ignore[return-value]


def build_arteries(heart: Heart, draw: Stream, wobble: float) -> dict[str, Artery]:
    """Return the coronary tree of one patient.

    Parameters
    ----------
    heart : Heart
        Whose surface carries the arteries.
    draw : Stream
        The patient's stream ``"arteries"``.
    wobble : float
        SD of the course along the surface, mm.

    Returns
    -------
    dict of str to Artery
        LM, LAD, diagonal, LCX, marginal, RCA, posterior (the posterior descending artery, of the
        RCA or, in left dominance, of the LCX).
    """

    def around(e1: float, centre: tuple[float, float], degrees: float) -> Vector:
        """Surface point seen from (centre) in the short-axis plane at e1, wobbling."""
        c, s = _polar(degrees + draw.normal(0.0, wobble * 57.3 / 36.0, 2.0))
        shift = draw.normal(0.0, wobble, 2.0)
        return heart.surface(
            (e1 + shift, centre[0], centre[1]), (0.0, c, s), DEPTH + draw.uniform(-1.0, 1.5)
        )

    scale = draw.uniform(0.85, 1.2)
    lumen = {"LM": 2.3, "LAD": 1.9, "LCX": 1.7, "RCA": 1.9}
    lumen = {name: radius * scale for name, radius in lumen.items()}

    left_ostium = heart.beside(
        (
            ROOT[0] + 0.90 * ROOT_RADIUS,
            ROOT[1] + (0.22 + draw.normal(0.0, 0.12, 2.0)) * ROOT_RADIUS,
            ROOT[2] + 3.0 + draw.normal(0.0, 2.0, 2.0),
        )
    )
    main_length = draw.uniform(4.0, 15.0)
    bifurcation = _ahead(heart, left_ostium, (0.93, -0.30, -0.12), main_length)
    left_main = _artery(
        "LM",
        1,
        [left_ostium, _mix(left_ostium, bifurcation, 0.5), bifurcation],
        (lumen["LM"], lumen["LM"] * 0.95),
    )

    septum = (-4.0, -2.0)
    lad_knots = [bifurcation]
    for e1, degrees in ((16.0, 78.0), (28.0, 90.0), (41.0, 97.0), (54.0, 102.0), (66.0, 104.0)):
        lad_knots.append(around(e1, septum, degrees))
    lad_knots.append(heart.surface((40.0, 3.0, -3.0), (1.0, -0.12, 0.1), DEPTH))
    lad = _artery("LAD", 1, lad_knots, (lumen["LAD"], 0.9))
    start = lad.at(draw.uniform(12.0, 30.0))
    diagonal = _artery(
        "diagonal",
        1,
        [start, around(30.0, (8.0, -2.0), 68.0), around(44.0, (8.0, -2.0), 55.0)],
        (1.2 * scale, 0.7),
    )

    left_dominant = draw.chance(0.12)
    mitral = (14.0, 0.0)
    lcx_knots = [bifurcation]
    last = -78.0 if left_dominant else draw.uniform(-45.0, -5.0)
    steps = 4
    for k in range(1, steps + 1):
        lcx_knots.append(around(-7.0, mitral, 62.0 + (last - 62.0) * (k - 0.45) / (steps - 0.45)))
    lcx = _artery("LCX", 2, lcx_knots, (lumen["LCX"], 0.9))
    start = lcx.at(draw.uniform(18.0, 36.0))
    marginal = _artery(
        "marginal",
        2,
        [start, around(20.0, (10.0, -2.0), 22.0), around(40.0, (10.0, -2.0), 12.0)],
        (1.3 * scale, 0.7),
    )

    right_ostium = heart.beside(
        (
            ROOT[0] + (-0.25 + draw.normal(0.0, 0.12, 2.0)) * ROOT_RADIUS,
            ROOT[1] - 0.93 * ROOT_RADIUS,
            ROOT[2] + 2.0 + draw.normal(0.0, 2.0, 2.0),
        )
    )
    tricuspid = (-18.0, -3.0)
    rca_knots = [right_ostium]
    for degrees in (116.0, 146.0, 178.0, 210.0, 240.0):
        rca_knots.append(around(-6.0, tricuspid, degrees))
    crux = heart.surface((-5.0, -4.0, -3.0), (0.0, -0.02, -1.0), DEPTH)
    if not left_dominant:
        rca_knots.append(crux)
    rca = _artery("RCA", 3, rca_knots, (lumen["RCA"], 1.2 if not left_dominant else 0.9))
    parent = lcx if left_dominant else rca
    posterior = _artery(
        "posterior",
        parent.label,
        [
            parent.points[-1],
            around(12.0, (-4.0, -3.0), 270.0),
            around(30.0, (-3.0, -3.0), 270.0),
            around(46.0, (-2.0, -3.0), 270.0),
        ],
        (1.3 * scale, 0.7),
    )
    found = (left_main, lad, diagonal, lcx, marginal, rca, posterior)
    return {artery.name: artery for artery in found}
