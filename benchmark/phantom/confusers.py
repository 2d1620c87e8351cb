"""Calcium that is not coronary: valves and rings, aorta, pericardium, nodes.

Where and how often is after the literature (docs/phantom.md): deposits are few but large, of the
same size and density as coronary plaque, on the true rings and walls.
"""

from __future__ import annotations

import math

from benchmark.phantom.beads import Bead
from benchmark.phantom.body import Body
from benchmark.phantom.calcium import EXCESS, PLAQUE, Lesion, fit_score
from benchmark.phantom.heart import polar
from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import Vector
from benchmark.phantom.tree import MITRAL, Tree, separation

#: Kinds of calcium that is not coronary, with their probability in a person without coronary
#: calcium and in one with an Agatston score of 400 or more (between them by the logarithm).
PROBABILITY: dict[str, tuple[float, float]] = {
    "aortic valve": (0.07, 0.26),
    "mitral annulus": (0.05, 0.18),
    "root and ascending wall": (0.22, 0.75),
    "descending aorta": (0.12, 0.60),
    "pericardium": (0.02, 0.04),
    "hilar node": (0.06, 0.10),
    "lung nodule": (0.03, 0.05),
}
#: Placed beside a coronary lesion so that both make one component; per lesion.
TOUCHING = 0.05
KINDS = (*PROBABILITY, "touching")
#: Median Agatston score aimed at in valve and ring, and SD of its logarithm. A valve's is shared
#: by its cusps, which score less apart than together.
VALVE_SCORE = (85.0, 1.2)
RING_SCORE = (71.0, 1.0)


def _toward(point: Vector, target: Vector, distance: float) -> Vector:
    """Return the place `distance` mm from `point` on the way to `target`."""
    whole = separation(point, target)
    t = distance / whole if whole > 0 else 0.0
    return tuple(p + t * (q - p) for p, q in zip(point, target, strict=True))  # type: ignore[return-value]


class _Planner:
    """Places calcium that is not coronary in one person."""

    def __init__(self, patient: Patient, body: Body, tree: Tree, lesions: list[Lesion]) -> None:
        self.body, self.tree, self.lesions = body, tree, lesions
        self.heart = body.heart
        self.draw = patient.stream("confusers")
        self.age = patient.age_factor
        # plaques grow with burden here as in the arteries
        self.median = PLAQUE[0] * round((1.0 + patient.burden / 60.0) ** 0.25, 6)

    def bead(self, centre: Vector, jitter: float = 0.4) -> Bead:
        """Return a bead near a place, of the size and density of coronary plaque."""
        draw = self.draw
        x, y, z = (c + draw.uniform(-jitter, jitter) for c in centre)
        volume = min(60.0, draw.lognormal(self.median, 0.7, 2.0))
        radius = round((volume / 4.18879) ** (1.0 / 3.0), 6)
        return Bead((x, y, z), radius, draw.lognormal(EXCESS[0], EXCESS[1], 2.0))

    def deposit(self, places: list[Vector], score: float | None = None) -> list[Bead]:
        """Return joined beads along places, fitted to an Agatston score if one is given."""
        beads = [self.bead(place) for place in places]
        fitted, reached = fit_score(beads, score if score is not None else 400.0)
        return fitted if reached > 0 else beads

    def aortic_valve(self) -> list[Bead]:
        """Return one to three deposits along the cusps, in the blood at the annulus."""
        draw, heart = self.draw, self.heart
        score = draw.lognormal(VALVE_SCORE[0], VALVE_SCORE[1], 2.0)
        count = draw.integer(1, 3)
        turn = draw.uniform(0.0, 120.0)
        beads: list[Bead] = []
        for cusp in range(count):
            c, s = polar(turn + 120.0 * cusp + draw.uniform(-15.0, 15.0))
            inner, outer = sorted((draw.uniform(0.1, 0.9), draw.uniform(0.3, 1.0)))
            steps = max(1, round((outer - inner) * heart.root_radius / 1.6))
            level = heart.root[2] - draw.uniform(3.0, 9.0)
            places = []
            for k in range(steps):
                radius = heart.root_radius * (inner + (outer - inner) * k / steps)
                places.append(
                    heart.beside((heart.root[0] + radius * c, heart.root[1] + radius * s, level))
                )
            beads += self.deposit(places, score / count)
        return beads

    def mitral_annulus(self) -> list[Bead]:
        """Return an arc on the mitral ring, under the floor of the left groove."""
        draw, heart = self.draw, self.heart
        middle = draw.uniform(-110.0, 50.0)
        span = min(160.0, draw.lognormal(32.0, 0.7, 2.0))
        under = draw.uniform(0.5, 6.0)
        radius = 34.0 * heart.size
        steps = max(1, round(span / 57.3 * radius / 2.0))
        places = []
        for k in range(steps):
            c, s = polar(middle + span * ((k + 0.5) / steps - 0.5))
            places.append(heart.surface((-6.0, MITRAL[0], MITRAL[1]), (0.0, c, s), -under))
        beads = self.deposit(places, draw.lognormal(RING_SCORE[0], RING_SCORE[1], 2.0))
        if draw.chance(0.25):  # a spur towards the LCX
            lcx = self.tree.arteries["LCX"]
            nearest = min(lcx.points, key=lambda point: separation(point, places[steps // 2]))
            spot = _toward(nearest, places[steps // 2], draw.uniform(1.5, 3.0))
            beads.append(self.bead(spot))
        return beads

    def root_wall(self) -> list[Bead]:
        """Return plaques of the wall of root and ascending aorta, a third of them at an ostium."""
        draw, heart = self.draw, self.heart
        beads: list[Bead] = []
        line = heart.ascending
        for _ in range(draw.integer(1, 3 + round(2 * self.age))):
            if draw.chance(1 / 3):
                artery = self.tree.arteries["LM" if draw.chance(0.6) else "RCA"]
                ostium = artery.points[0]
                centre = heart.beside(heart.root)
                angle = math.atan2(ostium[1] - centre[1], ostium[0] - centre[0])
                angle += draw.normal(0.0, 0.45, 2.0)
                up = ostium[2] + draw.normal(0.0, 5.0, 2.0)
                radius = 0.98 * heart.root_radius * heart.size
                start = (centre[0], centre[1], up)
            else:
                t = draw.uniform(0.0, 2.6)
                k = int(t)
                (a, wide), (b, narrow) = line[k], line[k + 1]
                radius = 0.98 * heart.size * (wide + (t - k) * (narrow - wide))
                start = heart.beside(
                    tuple(p + (t - k) * (q - p) for p, q in zip(a, b, strict=True))  # type: ignore[arg-type]
                )
                angle = draw.uniform(0.0, 6.283185)
            places = []
            for step in range(draw.integer(1, 5)):
                turn = angle + 2.0 * step / radius
                dx, dy = round(math.cos(turn), 9), round(math.sin(turn), 9)
                places.append((start[0] + radius * dx, start[1] + radius * dy, start[2]))
            beads += self.deposit(places)  # type: ignore[arg-type]
        return beads

    def descending_aorta(self) -> list[Bead]:
        """Return plaques of the wall of the descending aorta."""
        draw = self.draw
        x0, y0 = self.body.aorta
        beads: list[Bead] = []
        for _ in range(draw.integer(1, 3 + round(4 * self.age))):
            angle = draw.uniform(0.0, 6.283185)
            level = draw.uniform(-75.0, 70.0)
            radius = 0.98 * self.body.aorta_radius
            lean = 4.0 * (70.0 - level) / 140.0
            places = []
            for step in range(draw.integer(1, 6)):
                turn = angle + 2.0 * step / radius
                dx, dy = round(math.cos(turn), 9), round(math.sin(turn), 9)
                places.append((x0 + radius * dx, y0 + lean + radius * dy, level))
            beads += self.deposit(places)  # type: ignore[arg-type]
        return beads

    def pericardium(self) -> list[Bead]:
        """Return an arc of pericardial calcium over the LAD or the RCA."""
        draw = self.draw
        artery = self.tree.arteries["LAD" if draw.chance(0.5) else "RCA"]
        middle = self.heart.place((20.0, -2.0, -3.0))
        start = artery.length * draw.uniform(0.1, 0.7)
        away = draw.uniform(3.0, 8.0)
        steps = draw.integer(1, 6)
        return self.deposit(
            [_toward(artery.at(start + 2.2 * k), middle, -away) for k in range(steps)]
        )

    def hilar_node(self) -> list[Bead]:
        """Return a calcified node at a hilum or under the carina."""
        draw, body = self.draw, self.body
        side = (-46.0, 8.0, 46.0)[draw.integer(0, 2)]
        x = body.middle + side + draw.uniform(-10.0, 10.0)
        y = body.spine - 30.0 + draw.uniform(-10.0, 10.0)
        z = 40.0 * body.scale + draw.uniform(-20.0, 20.0)
        return self.deposit([(x + 1.5 * k, y, z) for k in range(draw.integer(1, 4))])

    def lung_nodule(self) -> list[Bead]:
        """Return a calcified nodule of the lung."""
        draw, body = self.draw, self.body
        side = -1.0 if draw.chance(0.5) else 1.0
        x = body.middle + side * draw.uniform(0.35, 0.8) * body.width
        y = body.centre_y + draw.uniform(-0.5, 0.5) * body.depth
        return self.deposit([(x, y, draw.uniform(-40.0, 70.0))])

    def touching(self) -> list[Bead]:
        """Return calcium of ring, root or pericardium that touches some of the lesions."""
        draw, heart = self.draw, self.heart
        mitral, middle = heart.place((-7.0, *MITRAL)), heart.place((20.0, -2.0, -3.0))
        root = heart.beside(heart.root)
        beads = []
        for lesion in self.lesions:
            if not draw.chance(TOUCHING):
                continue
            centre = mitral if lesion.vessel == "LCX" else None
            if lesion.vessel == "LM" or (lesion.vessel == "RCA" and lesion.distance < 8.0):
                centre = root
            place = lesion.beads[draw.integer(0, len(lesion.beads) - 1)].centre
            away = draw.uniform(2.4, 3.6)
            beads.append(
                self.bead(_toward(place, centre, away) if centre else _toward(place, middle, -away))
            )
        return beads


def plan_confusers(
    patient: Patient, body: Body, tree: Tree, lesions: list[Lesion]
) -> dict[str, list[Bead]]:
    """Return all calcium of a person that is not coronary (bones apart), by kind.

    Each kind is more frequent and larger in people with much coronary calcium, as age makes it
    in the clinic.
    """
    planner = _Planner(patient, body, tree, lesions)
    makers = {
        "aortic valve": planner.aortic_valve,
        "mitral annulus": planner.mitral_annulus,
        "root and ascending wall": planner.root_wall,
        "descending aorta": planner.descending_aorta,
        "pericardium": planner.pericardium,
        "hilar node": planner.hilar_node,
        "lung nodule": planner.lung_nodule,
    }
    found: dict[str, list[Bead]] = {}
    for kind, (least, most) in PROBABILITY.items():
        present = planner.draw.chance(least + (most - least) * planner.age)
        found[kind] = makers[kind]() if present else []
    found["touching"] = planner.touching()
    return found
