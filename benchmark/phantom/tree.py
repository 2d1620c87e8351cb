"""The coronary arteries and veins as curves in the fat on the heart's surface.

Courses differ between people as in life: dominance, ramus, number and place of branches, length of
the left main, depth in the grooves' fat and bridges of muscle. The branches of one free wall
belong to either artery, and the groove at the crux belongs to whichever reaches it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from benchmark.phantom.heart import Heart, polar, rotate
from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import FAR, Grid, Vector, blend, smooth_step, tube_distance

STEP = 1.5  # mm between points of a curve


@dataclass(frozen=True)
class Artery:
    """A coronary artery.

    Attributes
    ----------
    name : str
        ``"LM"``, ``"LAD"``, ``"LCX"``, ``"RCA"`` or a branch such as ``"diagonal"``.
    label : int
        Reference label: 1 LAD (with left main and diagonals), 2 LCX, 3 RCA; 0 a vein.
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


@dataclass(frozen=True)
class Tree:
    """Coronary vessels of one person.

    Attributes
    ----------
    arteries : dict of str to Artery
        LM, LAD, LCX, RCA; branches are diagonal-1, diagonal-2, ramus, marginal-1, marginal-2,
        posterior (the posterior descending artery) and posterolateral, where they exist.
    veins : tuple of Artery
        Great, middle and small cardiac vein and coronary sinus, label 0.
    dominance : str
        ``"right"``, ``"left"`` or ``"balanced"``.
    bifurcation, crux : Vector
        Where the left main divides; where the posterior grooves meet; mm.
    contrast : dict of str to float
        How far each vessel stands out from its fat, 0 to 1.
    edge : dict of str to float
        Width of its edge by motion, mm.
    """

    arteries: dict[str, Artery]
    veins: tuple[Artery, ...]
    dominance: str
    bifurcation: Vector
    crux: Vector
    contrast: dict[str, float]
    edge: dict[str, float]

    def branches(self, label: int) -> tuple[Artery, ...]:
        """Return the branches of an artery: all that carry its label, trunk and left main apart."""
        trunks = ("LM", "LAD", "LCX", "RCA")
        return tuple(
            artery
            for artery in self.arteries.values()
            if artery.label == label and artery.name not in trunks
        )


SEPTUM = (-4.0, -2.0)
MITRAL = (14.0, 0.0)
TRICUSPID = (-18.0, -3.0)
FREE_WALL = (9.0, -2.0)
WOBBLE = 2.2  # SD of a course along the surface, mm


class _Builder:
    """Draws one person's vessels from their stream."""

    def __init__(self, heart: Heart, patient: Patient) -> None:
        self.heart, self.patient = heart, patient
        self.draw = patient.stream("arteries")
        self.scale = self.draw.uniform(0.85, 1.2)

    def around(
        self, e1: float, centre: tuple[float, float], degrees: float, depth: float
    ) -> Vector:
        """Return the surface point seen from `centre` in the short-axis plane at e1, wobbling."""
        draw = self.draw
        c, s = polar(degrees + draw.normal(0.0, WOBBLE * 57.3 / 36.0, 2.0))
        shift = draw.normal(0.0, WOBBLE, 2.0)
        margin = depth + draw.uniform(-0.8, 0.8)
        return self.heart.surface((e1 + shift, centre[0], centre[1]), (0.0, c, s), margin)

    def ahead(self, start: Vector, direction: Vector, length: float) -> Vector:
        """Return the point `length` mm from `start` in a direction of the body frame."""
        turned = rotate(direction, self.heart.tilt)
        norm = math.sqrt(turned[0] ** 2 + turned[1] ** 2 + turned[2] ** 2)
        return tuple(s + length * d / norm for s, d in zip(start, turned, strict=True))  # type: ignore[return-value]

    def ostium(self, across: float, back: float, up: float) -> Vector:
        """Return a place on the wall of the root; across and back in parts of its radius."""
        root, radius = self.heart.root, self.heart.root_radius
        length = math.sqrt(across * across + back * back)
        return self.heart.beside(
            (
                root[0] + radius * across / length,
                root[1] + radius * back / length,
                root[2] + up + self.draw.normal(0.0, 2.0, 2.0),
            )
        )

    def artery(
        self, name: str, label: int, knots: list[Vector], radii: tuple[float, float]
    ) -> Artery:
        """Return a curve through the knots whose lumen narrows from one radius to the other."""
        return _artery(name, label, knots, (radii[0] * self.scale, radii[1]))

    def left(self) -> tuple[dict[str, Artery], Vector, float]:
        """Return left main, LAD with diagonals, the bifurcation, and the LAD's depth."""
        draw, heart = self.draw, self.heart
        ostium = self.ostium(0.96, 0.22 + draw.normal(0.0, 0.15, 2.0), 3.0)
        length = min(20.0, max(2.0, draw.lognormal(9.0, 0.45, 2.0)))
        heading = (0.93, -0.30 + draw.normal(0.0, 0.25), -0.12 + draw.normal(0.0, 0.25))
        bifurcation = self.ahead(ostium, heading, length)
        found = [
            self.artery("LM", 1, [ostium, _mix(ostium, bifurcation, 0.5), bifurcation], (2.3, 2.2))
        ]
        depth = draw.uniform(0.5, 4.5)
        bridge = draw.chance(0.21)
        knots = [bifurcation]
        for e1, degrees in ((16.0, 78.0), (28.0, 90.0), (41.0, 97.0), (54.0, 102.0), (66.0, 104.0)):
            # a bridge: part of the middle LAD runs through muscle
            here = -1.5 if bridge and e1 in (28.0, 41.0) else depth
            knots.append(self.around(e1, SEPTUM, degrees, here))
        knots.append(heart.surface((40.0, 3.0, -3.0), (1.0, -0.12, 0.1), depth))
        lad = self.artery("LAD", 1, knots, (1.9, 0.9))
        found.append(lad)
        ranges = (((48.0, 78.0), (28.0, 68.0), 1.0), ((55.0, 82.0), (35.0, 72.0), 0.7))
        for number, (first, last, share) in enumerate(ranges, 1):
            if not draw.chance(share):
                continue
            start = lad.at(draw.uniform(10.0, 30.0) + 16.0 * (number - 1))
            near, far = draw.uniform(*first), draw.uniform(*last)
            out = draw.uniform(0.5, 2.5)
            e1 = 26.0 + 10.0 * (number - 1)
            found.append(
                self.artery(
                    f"diagonal-{number}",
                    1,
                    [
                        start,
                        self.around(e1, FREE_WALL, near, out),
                        self.around(e1 + 16.0, FREE_WALL, min(near, far), out),
                    ],
                    (1.2, 0.7),
                )
            )
        if draw.chance(0.20):
            angle = draw.uniform(36.0, 62.0)
            out = draw.uniform(0.5, 3.0)
            # a ramus counts to the LAD if it lies nearer to it: our convention
            found.append(
                self.artery(
                    "ramus",
                    1 if angle > 49.0 else 2,
                    [
                        bifurcation,
                        self.around(12.0, FREE_WALL, angle, out),
                        self.around(30.0, FREE_WALL, angle - 6.0, out),
                        self.around(44.0, FREE_WALL, angle - 10.0, out),
                    ],
                    (1.3, 0.7),
                )
            )
        return {artery.name: artery for artery in found}, bifurcation, depth

    def circumflex(self, bifurcation: Vector, dominance: str) -> tuple[dict[str, Artery], float]:
        """Return the LCX with its marginals, and the angle in the left groove where it ends."""
        draw = self.draw
        last = {
            "right": draw.uniform(-72.0, -5.0),
            "balanced": draw.uniform(-78.0, -50.0),
            "left": -82.0,
        }[dominance]
        depth = draw.uniform(0.5, 7.0)
        steps = 5
        knots = [bifurcation]
        for k in range(1, steps + 1):
            angle = 62.0 + (last - 62.0) * (k - 0.45) / (steps - 0.45)
            knots.append(self.around(-7.0, MITRAL, angle, depth))
        lcx = self.artery("LCX", 2, knots, (1.7, 0.9))
        found = [lcx]
        ranges = (((8.0, 50.0), (-8.0, 42.0), 1.0), ((-40.0, 12.0), (-50.0, 5.0), 0.7))
        for number, (first, end, share) in enumerate(ranges, 1):
            near, far = draw.uniform(*first), draw.uniform(*end)
            if not draw.chance(share) or near < last + 8.0:
                continue
            # leaves the trunk where that passes the branch's own angle
            passed = lcx.length * min(0.9, max(0.15, (62.0 - near) / (62.0 - last)))
            out = draw.uniform(0.5, 3.0)
            found.append(
                self.artery(
                    f"marginal-{number}",
                    2,
                    [
                        lcx.at(passed),
                        self.around(12.0, (10.0, -2.0), near, out),
                        self.around(26.0, (10.0, -2.0), min(near, far), out),
                        self.around(40.0, (10.0, -2.0), min(near, far) - 3.0, out),
                    ],
                    (1.3, 0.7),
                )
            )
        return {artery.name: artery for artery in found}, last

    def right(
        self, lcx: Artery, dominance: str, lcx_end: float
    ) -> tuple[dict[str, Artery], Vector]:
        """Return the RCA with the posterior branches, whoever bears them, and the crux."""
        draw, heart = self.draw, self.heart
        ostium = self.ostium(-0.26 + draw.normal(0.0, 0.15, 2.0), -0.93, 2.0)
        depth = draw.uniform(0.5, 7.0)
        last = draw.uniform(175.0, 225.0) if dominance == "left" else 244.0
        knots = [ostium]
        for k in range(5):
            knots.append(self.around(-6.0, TRICUSPID, 116.0 + (last - 116.0) * k / 4.0, depth))
        crux = heart.surface((-5.0, -4.0, -3.0), (0.0, -0.02, -1.0), 0.6 * depth)
        if dominance != "left":
            knots.append(crux)
        rca = self.artery("RCA", 3, knots, (1.9, 0.9 if dominance == "left" else 1.3))
        found = [rca]
        parent = lcx if dominance == "left" else rca
        out = draw.uniform(0.5, 4.0)
        found.append(
            self.artery(
                "posterior",
                parent.label,
                [
                    parent.points[-1],
                    self.around(12.0, (-4.0, -3.0), 270.0, out),
                    self.around(30.0, (-3.0, -3.0), 270.0, out),
                    self.around(46.0, (-2.0, -3.0), 270.0, out),
                ],
                (1.3, 0.7),
            )
        )
        past = draw.uniform(0.0, 35.0)
        # the posterolateral branch fills the groove up to where the LCX ends
        reach = min(-90.0 + past / 36.0 * 57.3, lcx_end - 8.0)
        if dominance == "right" and reach > -84.0:
            middle = 0.5 * (-90.0 + reach)
            found.append(
                self.artery(
                    "posterolateral",
                    3,
                    [
                        crux,
                        self.around(-6.0, MITRAL, middle, depth),
                        self.around(-4.0, MITRAL, reach, depth),
                        self.around(14.0, (10.0, -2.0), reach + 4.0, out),
                    ],
                    (1.3, 0.7),
                )
            )
        return {artery.name: artery for artery in found}, crux

    def veins(self, lad_depth: float) -> tuple[Artery, ...]:
        """Return the cardiac veins: blood beside the arteries, without calcium."""
        draw = self.draw
        beside = draw.uniform(3.5, 6.0) * 57.3 / 36.0
        side = 1.0 if draw.chance(0.5) else -1.0
        great = [
            self.around(e1, SEPTUM, degrees - side * beside, lad_depth)
            for e1, degrees in ((54.0, 102.0), (41.0, 97.0), (28.0, 90.0), (14.0, 76.0))
        ]
        depth = draw.uniform(1.0, 6.0)
        for angle in (52.0, 24.0, -6.0, -36.0):
            great.append(self.around(-8.0, MITRAL, angle, depth))
        sinus = [
            great[-1],
            self.around(-9.0, MITRAL, -58.0, depth),
            self.around(-10.0, MITRAL, -80.0, depth),
            self.heart.surface((-12.0, -6.0, -3.0), (0.0, -0.05, -1.0), 0.5 * depth),
        ]
        middle = [
            self.around(e1, (-3.0, -3.0), 270.0 + draw.uniform(4.0, 9.0) * side, 1.5)
            for e1 in (44.0, 28.0, 12.0)
        ]
        small = [
            self.around(-7.0, TRICUSPID, degrees, draw.uniform(0.5, 6.0))
            for degrees in (190.0, 212.0, 236.0)
        ]
        wide = draw.uniform(2.0, 4.2)
        return (
            self.artery("great cardiac vein", 0, great, (0.9, 1.9)),
            self.artery("coronary sinus", 0, sinus, (2.0, wide)),
            self.artery("middle cardiac vein", 0, middle, (0.9, 1.6)),
            self.artery("small cardiac vein", 0, small, (0.8, 1.3)),
        )


def build_tree(heart: Heart, patient: Patient) -> Tree:
    """Return the coronary vessels of one person."""
    builder = _Builder(heart, patient)
    draw = builder.draw
    dominance = ("right", "left", "balanced")[draw.choice((77.0, 15.0, 8.0))]
    arteries, bifurcation, depth = builder.left()
    circumflex, end = builder.circumflex(bifurcation, dominance)
    arteries.update(circumflex)
    right, crux = builder.right(arteries["LCX"], dominance, end)
    arteries.update(right)
    veins = builder.veins(depth)
    vessels = (*arteries.values(), *veins)
    # Without contrast medium the vessels are hardly visible; motion widens their edges.
    seen = draw.uniform(0.3, 1.0)
    return Tree(
        arteries,
        veins,
        dominance,
        bifurcation,
        crux,
        {vessel.name: min(1.0, seen * draw.uniform(0.7, 1.3)) for vessel in vessels},
        {vessel.name: draw.uniform(1.6, 4.5) for vessel in vessels},
    )


def paint_tree(volume: np.ndarray, grid: Grid, tree: Tree, patient: Patient) -> None:
    """Paint the lumen of all arteries and veins, thin fat round them first where lung would be."""
    vessels = (*tree.arteries.values(), *tree.veins)
    points = [point for vessel in vessels for point in vessel.points]
    low = tuple(min(point[k] for point in points) - 8.0 for k in range(3))
    high = tuple(max(point[k] for point in points) + 8.0 for k in range(3))
    cut = grid.cut(low, high)  # type: ignore[arg-type]
    if cut is None:
        return
    whole, part = cut
    nearest = np.full(part.shape, FAR, np.float32)
    blood = np.zeros(part.shape, np.float32)
    for vessel in vessels:
        contrast = tree.contrast[vessel.name]
        edge = tree.edge[vessel.name] + 0.5 * patient.scanner.edge
        knots = vessel.points[::3]
        if knots[-1] != vessel.points[-1]:
            knots = (*knots, vessel.points[-1])
        last = len(vessel.lengths) - 1
        for k in range(len(knots) - 1):
            radii = (
                vessel.radius(vessel.lengths[min(3 * k, last)]),
                vessel.radius(vessel.lengths[min(3 * k + 3, last)]),
            )
            found = tube_distance(part, knots[k], knots[k + 1], radii, 4.0)
            if found is None:
                continue
            where, distance = found
            np.minimum(nearest[where], distance, out=nearest[where])
            weight = smooth_step(distance, edge)
            weight *= contrast
            np.maximum(blood[where], weight, out=blood[where])
    view = volume[whole]
    where = np.nonzero(nearest < 4.0)
    tissue = view[where]
    # Epicardial fat goes with the vessels: it lifts the pericardium where they would lie bare.
    bare = smooth_step(nearest[where] - 1.6, 2.4)
    bare *= tissue < np.float32(patient.fat - 10.0)
    blend(tissue, bare, patient.fat)
    blend(tissue, blood[where], patient.blood)
    view[where] = tissue
