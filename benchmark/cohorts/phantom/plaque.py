"""Coronary calcium: which vessels, where along them, how large, how dense."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from benchmark.cohorts.phantom.arteries import Artery
from benchmark.cohorts.phantom.beads import Bead, add_bead, extent
from benchmark.cohorts.phantom.burden import several_vessels
from benchmark.cohorts.phantom.difficulty import Difficulty
from benchmark.cohorts.phantom.patient import SLICE, Patient
from benchmark.cohorts.phantom.shapes import Grid, Vector
from benchmark.cohorts.phantom.stream import Stream

VESSELS = ("LAD", "RCA", "LCX", "LM")
#: Share of first calcium in one vessel alone (phantom.md), in the order of `VESSELS`.
FIRST_SHARE = (44.0, 12.0, 10.0, 6.0)
#: Weight of each vessel where several are diseased: ours, RCA and LCX catch up with time.
LATER_SHARE = (44.0, 26.0, 20.0, 12.0)
#: HU that surrounds calcium, between lumen and fat, when a planned lesion is scored.
SURROUNDINGS = 12.0
#: Greatest excess in one lesion as imaged, HU.
PEAK = 950.0
#: Median volume of a plaque, mm3, and SD of its logarithm.
PLAQUE = (5.5, 1.05)
#: Median excess of pure plaque, HU, and SD of its logarithm.
EXCESS = (1150.0, 0.38)
MOST_LESIONS = 60


@dataclass(frozen=True)
class Lesion:
    """One planned coronary lesion.

    Attributes
    ----------
    vessel : str
        Artery it lies in.
    label : int
        1 LAD, 2 LCX, 3 RCA.
    distance : float
        Position along the artery, mm.
    beads : tuple of Bead
    moving : bool
        Whether the vessel moved during the scan.
    """

    vessel: str
    label: int
    distance: float
    beads: tuple[Bead, ...]
    moving: bool = False


@dataclass(frozen=True)
class Motion:
    """Motion of the RCA during the scan: copies of a lesion with shift (mm) and weight."""

    steps: tuple[tuple[Vector, float], ...]


def draw_motion(draw: Stream, difficulty: Difficulty) -> Motion | None:
    """Return the motion of a patient's RCA, or None where it stood still."""
    if not draw.chance(difficulty.rca_motion):
        return None
    length = draw.uniform(*difficulty.motion_length)
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
    return Motion(
        tuple(((along[0] * t, along[1] * t, along[2] * t), weight) for t, weight in weights)
    )


def _moved(beads: list[Bead], motion: Motion | None) -> list[Bead]:
    if motion is None:
        return beads
    return [
        Bead(
            tuple(c + s for c, s in zip(bead.centre, shift, strict=True)),  # type: ignore[arg-type]
            bead.radius,
            bead.excess * weight,
        )
        for shift, weight in motion.steps
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


def planned_score(beads: list[Bead], patient: Patient) -> tuple[float, float]:
    """Return Agatston score and peak excess (HU) of a lesion on a 1 mm grid without noise.

    The grid is that of the default resolution whatever the scan is sampled at, so that a patient
    has the same lesions at every resolution.
    """
    thickness = SLICE[patient.centre]
    low, high = extent(beads, patient.blur, thickness)
    middle = 0.5 * (patient.slices - 1)
    axes = [np.arange(math.floor(low[k]), math.ceil(high[k]) + 1, dtype=np.float32) for k in (0, 1)]
    first = math.floor(low[2] / thickness + middle)
    last = math.ceil(high[2] / thickness + middle)
    levels = ((np.arange(first, last + 1) - middle) * thickness).astype(np.float32)
    grid = Grid(
        levels[:, None, None], axes[1][None, :, None], axes[0][None, None, :], (thickness, 1.0, 1.0)
    )
    field = np.zeros(grid.shape, np.float32)
    for bead in beads:
        add_bead(field, grid, bead, patient.blur)
    top = float(field.max())
    field += SURROUNDINGS + patient.offset
    score = 0.0
    for area, peak in zip((field > 130).sum(axis=(1, 2)), field.max(axis=(1, 2)), strict=True):
        score += int(area) * min(4, int(peak) // 100)
    return score * thickness / 3.0, top


def _vessels(burden: float, draw: Stream) -> list[str]:
    """Return the diseased vessels of one patient."""
    if not draw.chance(several_vessels(burden)):
        return [VESSELS[draw.choice(FIRST_SHARE)]]
    weights = list(LATER_SHARE)
    count = 2 + (draw.chance(0.25) if burden < 100 else draw.choice((0.35, 0.45, 0.2)))
    chosen = []
    for _ in range(count):
        vessel = draw.choice(weights)
        weights[vessel] = 0.0
        chosen.append(VESSELS[vessel])
    return chosen


def _site(
    vessel: str, arteries: dict[str, Artery], draw: Stream, difficulty: Difficulty
) -> tuple[Artery, float]:
    """Return the artery or branch of a lesion and its place along it, mm."""
    branch = {"LAD": "diagonal", "LCX": "marginal", "RCA": "posterior"}.get(vessel)
    if vessel in ("LAD", "LCX") and draw.chance(difficulty.bifurcation):
        return arteries[vessel], draw.uniform(0.5, 12.0)
    if branch and arteries[branch].label == arteries[vessel].label and draw.chance(0.10):
        artery = arteries[branch]
        return artery, artery.length * draw.uniform(0.05, 0.7)
    artery = arteries[vessel]
    u = draw.uniform()
    if vessel == "LM":
        return artery, artery.length * u
    spread = {"LAD": 0.62, "LCX": 0.8, "RCA": 0.85}[vessel]
    # proximal-weighted: the density falls linearly along the diseased part
    return artery, 1.0 + artery.length * spread * (1.0 - math.sqrt(1.0 - u))


def plan_lesions(
    patient: Patient,
    arteries: dict[str, Artery],
    burden: float,
    draw: Stream,
    difficulty: Difficulty,
) -> list[Lesion]:
    """Return coronary lesions whose planned Agatston scores add up to about `burden`.

    Parameters
    ----------
    patient : Patient
        Blur, slices and centre.
    arteries : dict of str to Artery
        The coronary tree.
    burden : float
        Agatston score to reach.
    draw : Stream
        The patient's stream ``"lesions"``.
    difficulty : Difficulty
        RCA motion and bifurcation share.
    """
    if burden <= 0:
        return []
    motion = draw_motion(draw, difficulty)
    vessels = _vessels(burden, draw)
    weights = [LATER_SHARE[VESSELS.index(vessel)] for vessel in vessels]
    # More calcium means larger plaques, not only more of them.
    median = PLAQUE[0] * round((1.0 + burden / 60.0) ** 0.38, 6)
    lesions: list[Lesion] = []
    left = burden
    while left > 0.35 and len(lesions) < MOST_LESIONS:
        # every diseased vessel gets a lesion first
        turn = len(lesions)
        vessel = vessels[turn] if turn < len(vessels) else vessels[draw.choice(weights)]
        artery, distance = _site(vessel, arteries, draw, difficulty)
        volume = min(draw.lognormal(median, PLAQUE[1], 2.5), 500.0)
        excess = draw.lognormal(EXCESS[0], EXCESS[1], 2.2)
        beads = string_of_beads(artery, distance, volume, excess, draw)
        moving = motion if artery.label == 3 else None
        share = left if turn + 1 >= len(vessels) else left * draw.uniform(0.3, 0.8)
        beads, score = _fit(beads, moving, share, patient)
        if score == 0.0 and share < 1.5:
            break  # what is left cannot be seen
        if score > 0.0:
            moved = moving is not None
            lesions.append(Lesion(artery.name, artery.label, distance, tuple(beads), moved))
            left -= score
    return lesions


def _fit(
    beads: list[Bead], motion: Motion | None, most: float, patient: Patient
) -> tuple[list[Bead], float]:
    """Shrink or, where it cannot be seen, grow a lesion until it scores about `most` or less."""
    moved = _moved(beads, motion)
    score, top = planned_score(moved, patient)
    if top > PEAK:
        beads = [replace(bead, excess=bead.excess * (PEAK / top)) for bead in beads]
        moved = _moved(beads, motion)
        score, _ = planned_score(moved, patient)
    if 0.0 < score <= most * 1.1 + 0.5:
        return moved, score
    low, high = (0.4, 1.0) if score > 0.0 else (1.0, 1.8)
    best: tuple[float, list[Bead], float] | None = None
    for _ in range(5):
        factor = 0.5 * (low + high)
        tried = _moved([replace(b, radius=b.radius * factor) for b in beads], motion)
        score, _ = planned_score(tried, patient)
        miss = abs(score - most)
        if score > 0.0 and (best is None or miss < best[0]):
            best = (miss, tried, score)
        if score > most:
            high = factor
        else:
            low = factor
    return (moved, 0.0) if best is None else best[1:]
