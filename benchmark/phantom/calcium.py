"""Coronary calcium: which vessels, where along them, how large, how dense, and how it moves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from benchmark.phantom.beads import Bead, add_bead, extent
from benchmark.phantom.burden import several_vessels
from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import Grid, Vector
from benchmark.phantom.stream import Stream
from benchmark.phantom.tree import Artery, Tree

ARTERIES = ("LAD", "RCA", "LCX")
#: Share of first calcium in one artery alone, the left main with the LAD.
FIRST_SHARE = (50.0, 12.0, 10.0)
#: Weight of each artery where several are diseased: ours, RCA and LCX catch up with time.
LATER_SHARE = (46.0, 30.0, 24.0)
#: Patients with calcium in the left main, of those with one or two and with three vessels.
LEFT_MAIN_SHARE = (0.07, 0.23)
#: Share of LAD and LCX lesions in the first 12 mm behind the left main.
BIFURCATION_SHARE = 0.11
#: Share of lesions on branches.
BRANCH_SHARE = {"LAD": 0.18, "LCX": 0.32, "RCA": 0.12}
#: Part of the trunk that bears calcium. It falls along the left arteries and is even along the RCA.
DISEASED_PART = {"LAD": 0.62, "LCX": 0.85, "RCA": 0.95}
#: HU that surrounds calcium, between lumen and fat, when a planned lesion is scored.
SURROUNDINGS = 12.0
#: Greatest excess in one lesion as imaged, HU.
PEAK = 950.0
#: Median volume of a plaque, mm3, and SD of its logarithm.
PLAQUE = (5.5, 1.05)
#: Median excess of pure plaque, HU, and SD of its logarithm.
EXCESS = (1150.0, 0.38)
MOST_LESIONS = 60
#: In-plane blur and slice thickness of the scan that planned calcium is scored on, mm.
STANDARD = (0.70, 3.0)


@dataclass(frozen=True)
class Lesion:
    """One planned coronary lesion.

    Attributes
    ----------
    vessel : str
        Artery or branch it lies in.
    label : int
        1 LAD, 2 LCX, 3 RCA.
    distance : float
        Position along the vessel, mm.
    beads : tuple of Bead
        Before the heart moved.
    """

    vessel: str
    label: int
    distance: float
    beads: tuple[Bead, ...]


#: Copies of a lesion with shift (mm) and weight: what a scan shows of calcium that moved.
Motion = tuple[tuple[Vector, float], ...]


def draw_motion(patient: Patient) -> dict[int, Motion]:
    """Return the motion of each artery that moved during the scan, by label."""
    draw = patient.stream("motion")
    rca, lcx, lad, longest = patient.scanner.motion
    found = {}
    for label, probability in ((3, rca), (2, lcx), (1, lad)):
        moved = draw.chance(probability)
        length = draw.uniform(1.5, longest)
        angle = draw.uniform(0.0, 6.283185)
        along = (
            length * round(math.cos(angle), 9),
            length * round(math.sin(angle), 9),
            0.3 * length * draw.uniform(-1.0, 1.0),
        )
        if draw.chance(0.5):  # doubled
            near = draw.uniform(0.5, 0.65)
            weights = ((0.0, near), (1.0, 1.0 - near))
        else:  # comet
            weights = ((0.0, 0.46), (0.34, 0.26), (0.67, 0.17), (1.0, 0.11))
        if moved:
            found[label] = tuple(
                ((along[0] * t, along[1] * t, along[2] * t), weight) for t, weight in weights
            )
    return found


def moved_beads(beads: Iterable[Bead], motion: Motion | None, contrast: float) -> list[Bead]:
    """Return beads as the scan shows them: smeared by motion, scaled by the tube voltage."""
    steps: Motion = motion or (((0.0, 0.0, 0.0), 1.0),)
    return [
        Bead(
            tuple(c + s for c, s in zip(bead.centre, shift, strict=True)),  # type: ignore[arg-type]
            bead.radius,
            bead.excess * weight * contrast,
        )
        for shift, weight in steps
        for bead in beads
    ]


def string_of_beads(
    artery: Artery, distance: float, volume: float, excess: float, draw: Stream
) -> list[Bead]:
    """Return a plaque in the wall of an artery as a string of beads.

    Parameters
    ----------
    artery : Artery
        Whose wall it lies in.
    distance : float
        Middle of the plaque along the artery, mm.
    volume : float
        Volume of all beads, mm3.
    excess : float
        HU above the surroundings.
    draw : Stream
        Side of the wall, size and density of each bead.
    """
    count = max(1, min(12, round(volume / 6.0)))
    radius = round((volume / count / 4.18879) ** (1.0 / 3.0), 6)
    angle = draw.uniform(0.0, 6.283185)
    beads = []
    for k in range(count):
        along = distance + (k - 0.5 * (count - 1)) * radius * 1.5
        middle = artery.at(along)
        angle += draw.uniform(-0.6, 0.6)
        wall = artery.radius(along) * 0.85
        beads.append(
            Bead(
                (
                    middle[0] + wall * round(math.cos(angle), 9),
                    middle[1] + wall * round(math.sin(angle), 9),
                    middle[2] + draw.uniform(-0.6, 0.6) * wall,
                ),
                radius * draw.uniform(0.85, 1.15),
                excess * draw.uniform(0.8, 1.2),
            )
        )
    return beads


def planned_score(beads: list[Bead]) -> tuple[float, float]:
    """Return Agatston score and peak excess (HU) on a standard scan without noise.

    The scan has pixels of 1 mm, slices of 3 mm and an ordinary blur whoever scans the person, so
    that a person has the same calcium on every scanner and at every resolution.
    """
    blur, thickness = STANDARD
    low, high = extent(beads, blur, thickness)
    axes = [np.arange(math.floor(low[k]), math.ceil(high[k]) + 1, dtype=np.float32) for k in (0, 1)]
    levels = np.arange(math.floor(low[2] / thickness), math.ceil(high[2] / thickness) + 1)
    levels = (levels * thickness).astype(np.float32)
    grid = Grid(
        levels[:, None, None], axes[1][None, :, None], axes[0][None, None, :], (thickness, 1.0, 1.0)
    )
    field = np.zeros(grid.shape, np.float32)
    for bead in beads:
        add_bead(field, grid, bead, blur)
    top = float(field.max())
    field += SURROUNDINGS
    score = 0.0
    for area, peak in zip((field > 130).sum(axis=(1, 2)), field.max(axis=(1, 2)), strict=True):
        score += int(area) * min(4, int(peak) // 100)
    return score * thickness / 3.0, top


def _arteries(burden: float, draw: Stream) -> list[str]:
    """Return the diseased arteries of one person."""
    if not draw.chance(several_vessels(burden)):
        return [ARTERIES[draw.choice(FIRST_SHARE)]]
    weights = list(LATER_SHARE)
    count = 2 + (draw.chance(0.15) if burden < 100 else draw.chance(0.60))
    chosen = []
    for _ in range(count):
        artery = draw.choice(weights)
        weights[artery] = 0.0
        chosen.append(ARTERIES[artery])
    return chosen


def _site(artery: str, tree: Tree, draw: Stream) -> tuple[Artery, float]:
    """Return the trunk or branch of a lesion and its place along it, mm."""
    trunk = tree.arteries[artery]
    if artery != "RCA" and draw.chance(BIFURCATION_SHARE):
        return trunk, draw.uniform(0.5, 12.0)
    branches = tree.branches(trunk.label)
    if branches and draw.chance(BRANCH_SHARE[artery]):
        branch = branches[draw.integer(0, len(branches) - 1)]
        return branch, branch.length * draw.uniform(0.05, 0.7)
    u = draw.uniform()
    part = DISEASED_PART[artery]
    if artery == "RCA":
        return trunk, 1.0 + trunk.length * part * u
    # the density falls linearly along the diseased part
    return trunk, 1.0 + trunk.length * part * (1.0 - math.sqrt(1.0 - u))


def plan_lesions(patient: Patient, tree: Tree) -> list[Lesion]:
    """Return coronary lesions whose planned Agatston scores add up to about the person's burden."""
    draw = patient.stream("lesions")
    draw.skip(64)  # the first words of the stream gave the burden
    burden = patient.burden
    if burden <= 0:
        return []
    arteries = _arteries(burden, draw)
    weights = [LATER_SHARE[ARTERIES.index(artery)] for artery in arteries]
    sites: list[tuple[Artery, float] | None] = [None] * len(arteries)
    if draw.chance(LEFT_MAIN_SHARE[len(arteries) == 3]) and "LAD" in arteries:
        main = tree.arteries["LM"]
        sites[arteries.index("LAD")] = (main, main.length * draw.uniform())
    # More calcium means larger plaques, not only more of them.
    median = PLAQUE[0] * round((1.0 + burden / 60.0) ** 0.38, 6)
    lesions: list[Lesion] = []
    left = burden
    while left > 0.35 and len(lesions) < MOST_LESIONS:
        # every diseased artery gets a lesion first
        turn = len(lesions)
        first = turn < len(arteries)
        artery = arteries[turn] if first else arteries[draw.choice(weights)]
        place = sites[turn] if first else None
        vessel, distance = place or _site(artery, tree, draw)
        volume = min(draw.lognormal(median, PLAQUE[1], 2.5), 500.0)
        excess = draw.lognormal(EXCESS[0], EXCESS[1], 2.2)
        beads = string_of_beads(vessel, distance, volume, excess, draw)
        share = left if turn + 1 >= len(arteries) else left * draw.uniform(0.3, 0.8)
        beads, score = fit_score(beads, share)
        if score == 0.0 and share < 1.5:
            break  # what is left cannot be seen
        if score > 0.0:
            lesions.append(Lesion(vessel.name, vessel.label, distance, tuple(beads)))
            left -= score
    return lesions


def fit_score(beads: list[Bead], most: float) -> tuple[list[Bead], float]:
    """Shrink or, where it cannot be seen, grow calcium until it scores about `most` or less."""
    score, top = planned_score(beads)
    if top > PEAK:
        beads = [replace(bead, excess=bead.excess * (PEAK / top)) for bead in beads]
        score, _ = planned_score(beads)
    if 0.0 < score <= most * 1.1 + 0.5:
        return beads, score
    low, high = (0.4, 1.0) if score > 0.0 else (1.0, 1.8)
    best: tuple[float, list[Bead], float] | None = None
    for _ in range(5):
        factor = 0.5 * (low + high)
        tried = [replace(bead, radius=bead.radius * factor) for bead in beads]
        score, _ = planned_score(tried)
        miss = abs(score - most)
        if score > 0.0 and (best is None or miss < best[0]):
            best = (miss, tried, score)
        if score > most:
            high = factor
        else:
            low = factor
    return (beads, 0.0) if best is None else best[1:]
