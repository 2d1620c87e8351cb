"""Paint one patient without calcium and noise: tissues in HU on any grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from benchmark.cohorts.phantom.arteries import ROOT, ROOT_RADIUS, Artery, build_arteries
from benchmark.cohorts.phantom.difficulty import Difficulty
from benchmark.cohorts.phantom.heart import Heart, build_heart
from benchmark.cohorts.phantom.patient import SLICE, Patient
from benchmark.cohorts.phantom.shapes import (
    FAR,
    Ellipsoid,
    Grid,
    Vector,
    blend,
    paint,
    paint_tube,
    smooth_step,
    tube_distance,
)
from benchmark.cohorts.phantom.stream import Stream
from benchmark.cohorts.phantom.thorax import UPRIGHT, Thorax

#: Ascending aorta and pulmonary trunk from the heart's origin, mm at size 1: (x, y, z), radius.
ASCENDING: tuple[tuple[Vector, float], ...] = (
    ((ROOT[0], ROOT[1], ROOT[2]), 14.5),
    ((-3.0, -8.0, 36.0), 14.0),
    ((-13.0, -9.0, 56.0), 15.0),
    ((-15.0, -6.0, 76.0), 15.0),
)
PULMONARY: tuple[tuple[Vector, float], ...] = (
    ((0.0, -28.0, 12.0), 14.0),
    ((4.0, -30.0, 27.0), 12.5),
    ((11.0, -26.0, 42.0), 12.5),
    ((16.0, -8.0, 58.0), 12.0),
)
VENA_CAVA: tuple[tuple[Vector, float], ...] = (
    ((-32.0, 2.0, 20.0), 9.0),
    ((-36.0, -2.0, 76.0), 8.0),
)
#: Right and left pulmonary artery; pulmonary veins into the left atrium.
BRANCHES: tuple[tuple[tuple[Vector, float], ...], ...] = (
    (((16.0, -4.0, 56.0), 10.0), ((-14.0, 12.0, 50.0), 9.0), ((-44.0, 16.0, 42.0), 6.0)),
    (((16.0, -8.0, 58.0), 11.0), ((34.0, 14.0, 52.0), 8.0)),
)
VEINS: tuple[tuple[tuple[Vector, float], ...], ...] = (
    (((-10.0, 26.0, 22.0), 8.0), ((-42.0, 30.0, 24.0), 5.5)),
    (((-10.0, 28.0, 8.0), 8.0), ((-42.0, 36.0, 2.0), 5.0)),
    (((10.0, 26.0, 26.0), 8.0), ((36.0, 32.0, 30.0), 5.0)),
    (((10.0, 28.0, 12.0), 8.0), ((38.0, 40.0, 6.0), 5.0)),
)
#: Fat beside the heart on the diaphragm: place at size 1 and semi-axes, mm.
FAT_PADS: tuple[tuple[Vector, Vector], ...] = (
    ((36.0, -40.0, -36.0), (40.0, 20.0, 16.0)),
    ((-22.0, -32.0, -24.0), (28.0, 24.0, 22.0)),
)
CLEARANCE = 5.0  # mm between any coronary artery and the first or last slice


@dataclass(frozen=True)
class Body:
    """Geometry of one patient, independent of the grid it is sampled on."""

    patient: Patient
    heart: Heart
    arteries: dict[str, Artery]


def build_body(seed: int, index: int, patient: Patient, difficulty: Difficulty) -> Body:
    """Return the geometry of one patient.

    Heart and arteries are built twice where an artery would leave the scanned range: the
    technician would have moved the range.
    """

    def build(lift: float) -> tuple[Heart, dict[str, Artery]]:
        heart = build_heart(patient, Stream(seed, index, "heart"), lift)
        return heart, build_arteries(heart, Stream(seed, index, "arteries"), difficulty.course)

    heart, arteries = build(0.0)
    levels = [point[2] for artery in arteries.values() for point in artery.points]
    half = 0.5 * patient.slices * SLICE[patient.centre] - CLEARANCE
    below, above = -half - min(levels), max(levels) - half
    if below > 0 or above > 0:
        heart, arteries = build(max(below, 0.0) - max(above, 0.0))
    return Body(patient, heart, arteries)


def paint_body(body: Body, grid: Grid, seed: int, index: int) -> np.ndarray:
    """Return the tissues of one patient, float32 HU, shape (Z, Y, X)."""
    patient, heart = body.patient, body.heart
    thorax = Thorax(patient, Stream(seed, index, "lungs"))
    volume = thorax.base(grid)
    thorax.lung_vessels(volume, grid)
    thorax.abdomen(volume, grid, heart.origin[2] - 50.0 * patient.size)
    for line in (ASCENDING, PULMONARY, VENA_CAVA):
        _great_vessel(volume, grid, heart, line, patient.fat, 4.5)
    for line in (*BRANCHES, *VEINS):
        _great_vessel(volume, grid, heart, line, patient.blood, 0.0)
    for place, semi in FAT_PADS:
        paint(volume, grid, Ellipsoid(heart.beside(place), UPRIGHT, semi), patient.fat, 4.0)
    paint(volume, grid, _appendage(heart, 4.0), patient.fat)
    _paint_heart(volume, grid, body)
    nearest = _artery_distance(grid, body)
    where = np.nonzero(nearest < 8.0)
    distance = nearest[where]
    fatty = volume[where]
    blend(fatty, smooth_step(distance - 3.2, 2.4), patient.fat)
    volume[where] = fatty
    paint(volume, grid, _appendage(heart, 0.0), patient.blood)
    for line in (PULMONARY, VENA_CAVA, ASCENDING):
        _great_vessel(volume, grid, heart, line, patient.blood, 0.0)
    thorax.bones(volume, grid)
    filled = volume[where]
    blend(filled, smooth_step(distance, 1.8), patient.blood)
    volume[where] = filled
    return volume


def _great_vessel(
    volume: np.ndarray,
    grid: Grid,
    heart: Heart,
    line: tuple[tuple[Vector, float], ...],
    value: float,
    margin: float,
) -> None:
    for (a, wide), (b, narrow) in itertools.pairwise(line):
        radii = (wide * heart.size + margin, narrow * heart.size + margin)
        paint_tube(volume, grid, heart.beside(a), heart.beside(b), radii, value, 2.2)


def _appendage(heart: Heart, margin: float) -> Ellipsoid:
    """Return the appendage of the left atrium, between pulmonary trunk and LCX."""
    semi = tuple(heart.size * s + margin for s in (13.0, 8.0, 7.0))
    return Ellipsoid(heart.beside((22.0, 5.0, 37.0)), heart.axes, semi)  # type: ignore[arg-type]


def _fillet(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Return the union of two distances with a fillet `width` mm wide (polynomial minimum)."""
    overlap = np.abs(a - b)
    np.subtract(width, overlap, out=overlap)
    np.maximum(overlap, 0.0, out=overlap)
    overlap *= overlap
    overlap *= 0.25 / width
    union = np.minimum(a, b)
    union -= overlap
    return union


def _paint_heart(volume: np.ndarray, grid: Grid, body: Body) -> None:
    """Paint pericardium, epicardial fat, muscle and the blood of the left ventricle."""
    patient, heart = body.patient, body.heart
    margin = patient.fat_shell + 8.0
    corners = [chamber.reach(margin) for chamber in heart.chambers.values()]
    low = tuple(min(c[0][k] for c in corners) for k in range(3))
    high = tuple(max(c[1][k] for c in corners) for k in range(3))
    found = grid.cut(low, high)  # type: ignore[arg-type]
    if found is None:
        return
    where, part = found
    view = volume[where]
    muscle = sac = None
    for chamber in heart.chambers.values():
        distance = chamber.distance(part)
        muscle = distance if muscle is None else _fillet(muscle, distance, 3.0)
        sac = distance if sac is None else _fillet(sac, distance, 26.0)
    sac -= patient.fat_shell
    blend(view, smooth_step(sac - 0.8, 2.0), patient.muscle - 40.0)
    blend(view, smooth_step(sac + 0.5, 2.0), patient.fat)
    blend(view, smooth_step(muscle, 2.4), patient.muscle)
    paint(volume, grid, heart.cavity, patient.blood, 4.0)


def _artery_distance(grid: Grid, body: Body) -> np.ndarray:
    """Return the distance (mm, negative inside) to the lumen of the nearest artery."""
    nearest = np.full(grid.shape, FAR, np.float32)
    for artery in body.arteries.values():
        points = artery.points[::2]
        if points[-1] != artery.points[-1]:
            points = (*points, artery.points[-1])
        for k in range(len(points) - 1):
            a = artery.radius(artery.lengths[min(2 * k, len(artery.lengths) - 1)])
            b = artery.radius(artery.lengths[min(2 * k + 2, len(artery.lengths) - 1)])
            found = tube_distance(grid, points[k], points[k + 1], (a, b), 5.0)
            if found is not None:
                where, distance = found
                view = nearest[where]
                np.minimum(view, distance, out=view)
    return nearest


__all__ = ["ROOT", "ROOT_RADIUS", "Body", "build_body", "paint_body"]
