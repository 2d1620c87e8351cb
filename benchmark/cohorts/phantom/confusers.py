"""Calcium that is not coronary: aortic root and wall, mitral annulus, pericardium."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmark.cohorts.phantom.anatomy import ASCENDING, ROOT, ROOT_RADIUS, Body
from benchmark.cohorts.phantom.arteries import Artery, separation
from benchmark.cohorts.phantom.beads import Bead
from benchmark.cohorts.phantom.burden import age_factor
from benchmark.cohorts.phantom.difficulty import Difficulty
from benchmark.cohorts.phantom.plaque import EXCESS, Lesion
from benchmark.cohorts.phantom.shapes import Vector
from benchmark.cohorts.phantom.stream import Stream

#: Kinds of calcium that is not coronary. "touching" is placed beside a coronary lesion on the
#: side of valve ring, aortic root or pericardium, so that both make one component.
KINDS = ("aortic root", "mitral annulus", "right ring", "pericardium", "aortic wall", "touching")


def _toward(point: Vector, target: Vector, distance: float) -> Vector:
    """Return the place `distance` mm from `point` on the way to `target`."""
    whole = separation(point, target)
    t = distance / whole if whole > 0 else 0.0
    return tuple(p + t * (q - p) for p, q in zip(point, target, strict=True))  # type: ignore[return-value]


class _Planner:
    """Places calcium that is not coronary in one patient."""

    def __init__(
        self,
        body: Body,
        lesions: Sequence[Lesion],
        burden: float,
        draw: Stream,
        difficulty: Difficulty,
    ) -> None:
        self.body = body
        self.lesions = lesions
        self.draw = draw
        self.difficulty = difficulty
        self.factor = age_factor(burden, difficulty.burden_boost)
        heart = body.heart
        self.mitral = heart.place((-7.0, 14.0, 0.0))
        self.tricuspid = heart.place((-6.0, -18.0, -3.0))
        self.middle = heart.place((20.0, -2.0, -3.0))
        self.root = heart.beside(ROOT)

    def present(self, probability: float) -> bool:
        """Say whether a kind is there, more often in patients with much coronary calcium."""
        return self.draw.chance(min(0.95, probability * self.factor))

    def bead(self, centre: Vector) -> Bead:
        """Return a bead near a place."""
        draw = self.draw
        x, y, z = (c + draw.uniform(-0.5, 0.5) for c in centre)
        radius = draw.lognormal(self.difficulty.confuser_size, 0.22, 2.0)
        return Bead((x, y, z), radius, draw.lognormal(EXCESS[0], EXCESS[1], 2.0))

    def beside(
        self, artery: Artery, part: tuple[float, float], length: float, centre: Vector, side: float
    ) -> list[Bead]:
        """Return an arc beside an artery, on the side of `centre` (1) or away from it (-1)."""
        draw = self.draw
        start = artery.length * draw.uniform(*part)
        steps = max(1, round(draw.uniform(2.0, length) * self.factor / 2.2))
        distance = side * draw.uniform(*self.difficulty.confuser_distance)
        return [
            self.bead(_toward(artery.at(start + 2.2 * k), centre, distance)) for k in range(steps)
        ]

    def aortic_root(self) -> list[Bead]:
        """Return spots of valve and wall, and one at an ostium in some."""
        draw = self.draw
        beads = []
        for _ in range(draw.integer(1, self.difficulty.root_spots)):
            angle = draw.uniform(0.0, 6.283185)
            radius = ROOT_RADIUS * (draw.uniform(0.2, 0.7) if draw.chance(0.45) else 0.97)
            x, y, z = self.body.heart.beside(
                (
                    ROOT[0] + radius * round(math.cos(angle), 9),
                    ROOT[1] + radius * round(math.sin(angle), 9),
                    ROOT[2] + draw.uniform(-8.0, 8.0),
                )
            )
            for k in range(draw.integer(1, 4)):
                beads.append(self.bead((x + 1.4 * k, y + draw.uniform(-1.0, 1.0), z)))
        if draw.chance(self.difficulty.ostial_touch):
            artery = self.body.arteries["LM" if draw.chance(0.6) else "RCA"]
            near = [le for le in self.lesions if le.vessel == artery.name and le.distance < 8.0]
            # towards the middle of the root, from the ostial lesion where there is one
            place = near[0].beads[0].centre if near else artery.points[0]
            for k in range(draw.integer(1, 3)):
                beads.append(self.bead(_toward(place, self.root, 2.2 + 1.5 * k)))
        return beads

    def aortic_wall(self) -> list[Bead]:
        """Return plaques of the wall of the ascending aorta above the root."""
        draw = self.draw
        beads = []
        for _ in range(draw.integer(1, 3)):
            t = draw.uniform(0.5, 2.4)
            k = int(t)
            (a, wide), (b, narrow) = ASCENDING[k], ASCENDING[k + 1]
            angle = draw.uniform(0.0, 6.283185)
            radius = 0.96 * (wide + (t - k) * (narrow - wide))
            x, y, z = (p + (t - k) * (q - p) for p, q in zip(a, b, strict=True))
            for step in range(draw.integer(1, 5)):
                turn = angle + 0.12 * step
                dx, dy = round(math.cos(turn), 9), round(math.sin(turn), 9)
                place = self.body.heart.beside((x + radius * dx, y + radius * dy, z))
                beads.append(self.bead(place))
        return beads

    def touching(self) -> list[Bead]:
        """Return calcium beside some lesions: of valve ring, aortic root or pericardium."""
        draw = self.draw
        beads = []
        for lesion in self.lesions:
            if not draw.chance(self.difficulty.touching):
                continue
            centre = {2: self.mitral, 3: self.tricuspid}.get(lesion.label)
            if lesion.vessel == "LM" or (lesion.vessel == "RCA" and lesion.distance < 8.0):
                centre = self.root
            place = lesion.beads[draw.integer(0, len(lesion.beads) - 1)].centre
            away = draw.uniform(2.4, 3.6)
            spot = _toward(place, centre, away) if centre else _toward(place, self.middle, -away)
            beads += [self.bead(spot) for _ in range(draw.integer(1, 2))]
        return beads


def plan_confusers(
    body: Body,
    lesions: Sequence[Lesion],
    burden: float,
    draw: Stream,
    difficulty: Difficulty,
) -> dict[str, list[Bead]]:
    """Return all calcium of a patient that is not coronary (bones apart), by kind.

    Parameters
    ----------
    body : Body
        Heart and arteries.
    lesions : sequence of Lesion
        Coronary lesions, some of which are touched.
    burden : float
        Agatston score, which raises the probabilities as age does in the clinic.
    draw : Stream
        The patient's stream ``"confusers"``.
    difficulty : Difficulty
        Probabilities, sizes and distances.

    Returns
    -------
    dict of str to list of Bead
        One entry for each of `KINDS`.
    """
    planner = _Planner(body, lesions, burden, draw, difficulty)
    arteries = body.arteries
    found: dict[str, list[Bead]] = {kind: [] for kind in KINDS}
    if planner.present(difficulty.aortic_root):
        found["aortic root"] = planner.aortic_root()
    if planner.present(difficulty.mitral_annulus):
        found["mitral annulus"] = planner.beside(
            arteries["LCX"], (0.2, 0.85), 18.0, planner.mitral, 1.0
        )
    if planner.present(difficulty.right_ring):
        found["right ring"] = planner.beside(
            arteries["RCA"], (0.1, 0.8), 9.0, planner.tricuspid, 1.0
        )
    if planner.present(difficulty.pericardium):
        found["pericardium"] = planner.beside(
            arteries["LAD"], (0.1, 0.7), 9.0, planner.middle, -1.0
        )
    if planner.present(difficulty.aortic_wall):
        found["aortic wall"] = planner.aortic_wall()
    found["touching"] = planner.touching()
    return found
