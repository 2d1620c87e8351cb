"""The phantom's own measurements beside the targets that the literature and real scans set.

Each row says what was measured, what it should be, from which source, and whether it is so.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.calcium import label_candidates, score_scan
from benchmark.phantom.beads import Bead
from benchmark.phantom.calcium import planned_score
from benchmark.phantom.draw import Drawing, Plan, plan
from benchmark.phantom.heart import heart_distances
from benchmark.phantom.patient import Patient
from benchmark.phantom.probes import Probe, Sites, deposits
from benchmark.phantom.shapes import Grid
from benchmark.phantom.tissue import Tissue, measure_tissue
from benchmark.phantom.tree import Tree

ARTERIES = ("LAD", "LCX", "RCA")
#: Kinds of other calcium that count to the aorta, and those of the heart.
AORTA = ("root and ascending wall", "descending aorta")
HEART = ("aortic valve", "mitral annulus", "pericardium", "touching")


@dataclass(frozen=True)
class Facts:
    """What is measured in one scan and in the plan that it was drawn from.

    Attributes
    ----------
    spacing, shape : tuple
        As in the scan, (z, y, x).
    tissue : Tissue
        HU and noise.
    shares : tuple of float
        Soft tissue, fat and lung in the central 120 x 120 mm of all slices.
    fat : float
        Epicardial fat, ml.
    candidates : int
        Components above 130 HU of more than 3 mm3.
    near : int
        Those of them in the heart or its fat that hold no coronary calcium.
    agatston : ndarray, shape (4,)
        LAD, LCX, RCA, whole, from the readers' labels.
    volumes : tuple of float
        Volume of each lesion, mm3.
    lesions, mixed : int
        Lesions, and those whose component also holds what is not coronary.
    read : ndarray, shape (4, 4)
        Volume of voxels of components, mm3, by readers' label (row) and by the owner of most of
        the component (column): the best that a method could do.
    kinds : frozenset of str
        Kinds of other calcium the image shows above 130 HU.
    amounts : dict of str to float
        Planned Agatston score of valve and ring.
    planned : tuple of int
        Planned deposits: coronary, of the aorta, of the rest of the heart.
    beside : tuple of int
        Planned deposits of others: all, within 5 mm, within 10 mm of a coronary's axis.
    thirds : tuple of int
        Lesions in the RCA's first, second and last third.
    dominance : str
    main : float
        Length of the left main, mm.
    """

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    tissue: Tissue
    shares: tuple[float, float, float]
    fat: float
    candidates: int
    near: int
    agatston: np.ndarray
    volumes: tuple[float, ...]
    lesions: int
    mixed: int
    read: np.ndarray
    kinds: frozenset[str]
    amounts: dict[str, float]
    planned: tuple[int, int, int]
    beside: tuple[int, int, int]
    thirds: tuple[int, int, int]
    dominance: str
    main: float


def measure(patient: Patient, drawn: Drawing) -> Facts:
    """Return what `describe` needs of one finished scan.

    Parameters
    ----------
    patient : Patient
        Whose: where calcium was put is planned again from it.
    drawn : Drawing
        Voxels, labels and owners.
    """
    planned = plan(patient)
    components, count = label_candidates(drawn.voxels)
    voxel = drawn.spacing[0] * drawn.spacing[1] * drawn.spacing[2]
    sizes = np.bincount(components.ravel(), minlength=count + 1) * voxel
    above = components > 0
    numbers = components[above]
    owners, labels = drawn.owners[above], drawn.labels[above]
    votes = np.stack([np.bincount(numbers[owners == k], minlength=count + 1) for k in range(4)])
    coronary = votes[1:].sum(0)
    best = np.where(coronary > 0, np.argmax(votes, axis=0), 0)
    read = np.bincount(labels.astype(int) * 4 + best[numbers], minlength=16).reshape(4, 4) * voxel
    lesions = np.nonzero(coronary)[0]
    whole = np.bincount(numbers, minlength=count + 1)
    large = sizes > 3.0
    large[0] = False
    rca = planned.tree.arteries["RCA"]
    along = [le.distance / rca.length for le in planned.lesions if le.vessel == "RCA"]
    thirds = np.bincount([min(2, int(3.0 * part)) for part in along], minlength=3)
    return Facts(
        spacing=drawn.spacing,
        shape=drawn.voxels.shape,  # type: ignore[arg-type]
        tissue=measure_tissue(drawn.voxels),
        shares=_shares(drawn),
        fat=epicardial_fat(planned),
        candidates=int(large.sum()),
        near=int((large & _inside(components, count, drawn, planned) & (coronary == 0)).sum()),
        agatston=score_scan(drawn.voxels, drawn.labels, drawn.spacing)[0],
        volumes=tuple(coronary[lesions] * voxel),
        lesions=lesions.size,
        mixed=int((whole[lesions] > coronary[lesions]).sum()),
        read=read,
        kinds=_seen(planned, drawn),
        amounts={
            kind: planned_score(planned.confusers[kind])[0]
            for kind in ("aortic valve", "mitral annulus")
            if planned.confusers[kind]
        },
        planned=_counts(planned),
        beside=_beside(planned),
        thirds=tuple(int(n) for n in thirds),  # type: ignore[arg-type]
        dominance=planned.tree.dominance,
        main=planned.tree.arteries["LM"].length,
    )


def epicardial_fat(planned: Plan) -> float:
    """Return the fat between muscle and pericardium, ml, from the shapes on a grid of 3 mm."""
    low, high = planned.heart.bounds(15.0)
    shape = tuple(round((b - a) / 3.0) for a, b in zip(reversed(low), reversed(high), strict=True))
    centre = tuple(0.5 * (a + b) for a, b in zip(low, high, strict=True))
    grid = Grid.centred(shape, (3.0, 3.0, 3.0), centre)  # type: ignore[arg-type]
    muscle, sac = heart_distances(grid, planned.patient, planned.heart)
    vessels = planned.heart.vessel_distance(grid)
    return float(np.count_nonzero((sac < 0) & (muscle > 0) & (vessels > 0))) * 0.027


def _shares(drawn: Drawing) -> tuple[float, float, float]:
    """Return soft tissue, fat and lung as shares of the central 120 x 120 mm of all slices."""
    cuts = []
    for axis in (1, 2):
        half = min(drawn.voxels.shape[axis] // 2, round(60.0 / drawn.spacing[axis]))
        middle = drawn.voxels.shape[axis] // 2
        cuts.append(slice(middle - half, middle + half))
    part = drawn.voxels[:, cuts[0], cuts[1]]
    return (
        float(((part > -20) & (part < 110)).mean()),
        float(((part > -150) & (part < -40)).mean()),
        float((part < -500).mean()),
    )


def _inside(components: np.ndarray, count: int, drawn: Drawing, planned: Plan) -> np.ndarray:
    """Say of each component whether its first voxel lies in the heart or in the fat round it."""
    places = np.nonzero(components)
    numbers, first = np.unique(components[places], return_index=True)
    inside = np.zeros(count + 1, bool)
    middle = [(n - 1) / 2 for n in components.shape]
    at = np.stack(
        [
            (places[2 - k][first] - middle[2 - k]) * drawn.spacing[2 - k] + planned.centre[k]
            for k in range(3)
        ]
    )
    good = np.zeros(numbers.size, bool)
    for chamber in planned.heart.chambers.values():
        away = at - np.array(chamber.centre)[:, None]
        semi = np.array(chamber.semi)[:, None] + 6.0
        good |= ((np.array(chamber.axes) @ away / semi) ** 2).sum(0) < 1.0
    inside[numbers] = good
    return inside


def _seen(planned: Plan, drawn: Drawing) -> frozenset[str]:
    """Return the kinds of other calcium of which the finished image shows a voxel."""

    def shown(bead: Bead) -> bool:
        place = []
        for axis, k in ((0, 2), (1, 1), (2, 0)):
            middle = (drawn.voxels.shape[axis] - 1) / 2
            index = round((bead.centre[k] - planned.centre[k]) / drawn.spacing[axis] + middle)
            if not 0 <= index < drawn.voxels.shape[axis]:
                return False
            place.append(index)
        return bool(drawn.voxels[tuple(place)] > 130)

    return frozenset(
        kind for kind, beads in planned.confusers.items() if any(shown(bead) for bead in beads)
    )


def _counts(planned: Plan) -> tuple[int, int, int]:
    """Return the numbers of coronary, aortic and other cardiac deposits inside the scan."""
    groups = [deposits(planned, kinds) for kinds in (AORTA, HEART)]
    return len(deposits(planned, None)), len(groups[0]), len(groups[1])


def _axis_points(tree: Tree) -> np.ndarray:
    return np.array([point for artery in tree.arteries.values() for point in artery.points])


def _beside(planned: Plan) -> tuple[int, int, int]:
    """Count deposits of the heart and root that are not coronary, by their way to a coronary."""
    found = deposits(planned, (*AORTA[:1], *HEART))
    if not found:
        return 0, 0, 0
    places = np.array([middle for middle, _ in found])
    points = _axis_points(planned.tree)
    nearest = np.sqrt(((places[:, None] - points[None]) ** 2).sum(2)).min(1)
    return len(found), int((nearest < 5.0).sum()), int((nearest < 10.0).sum())


@dataclass(frozen=True)
class Row:
    """One line of the comparison, from ``targets.csv`` and what was measured.

    Attributes
    ----------
    key, quantity, source : str
    low, high : float
        What is wanted; -inf and inf where no target is set.
    form : str
        Format of the numbers.
    found : float, str or None
        The phantom's; text where there are several numbers, None where nothing could be measured.
    enough : bool
        Whether enough scans were looked at for the number to be judged.
    """

    key: str
    quantity: str
    low: float
    high: float
    form: str
    source: str
    found: float | str | None = None
    enough: bool = True

    @property
    def judged(self) -> bool:
        """Whether there is a target and something was measured."""
        return self.enough and isinstance(self.found, float) and self.low > -np.inf

    @property
    def good(self) -> bool:
        """Whether the target is reached; True where none is set or nothing was measured."""
        return not self.judged or self.low <= self.found <= self.high  # type: ignore[operator]

    def target(self) -> str:
        """Return the target as text."""
        if self.low == -np.inf:
            return ""
        if self.high == np.inf:
            return f"at least {self.low:{self.form}}"
        if self.low == 0.0:
            return f"at most {self.high:{self.form}}"
        return f"{self.low:{self.form}} to {self.high:{self.form}}"

    def value(self) -> str:
        """Return the phantom's number as text."""
        if self.found is None:
            return "none"
        return self.found if isinstance(self.found, str) else f"{self.found:{self.form}}"


def rows(
    found: dict[str, float | str | None], gated: bool = True, enough: bool = True
) -> list[Row]:
    """Return the rows of ``targets.csv`` for which something was looked at.

    Parameters
    ----------
    found : dict
        What was measured, by key. A number that is NaN stands for nothing.
    gated : bool
        False: targets that are those of gated scans are not shown.
    enough : bool
        False: targets are shown, and nothing is judged, as so few scans differ by chance.
    """
    made = []
    with Path(__file__).with_name("targets.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line["key"] not in found:
                continue
            value = found[line["key"]]
            if value is not None and not isinstance(value, str):
                value = float(value) if np.isfinite(value) else None
            low, high = (float(line[name] or "nan") for name in ("low", "high"))
            if np.isnan(low) or (not gated and "gated" in line["source"]):
                low, high = -np.inf, np.inf
            form = line["form"] or ".2f"
            row = Row(line["key"], line["quantity"], low, high, form, line["source"], value, enough)
            made.append(row)
    return made


def _percentiles(values: Sequence[float], ranks: Sequence[int], form: str = ".0f") -> str | None:
    if len(values) == 0:
        return None
    return " / ".join(f"{value:{form}}" for value in np.percentile(values, ranks))


def _median(values: Sequence[float], fewest: int = 1) -> float:
    return float(np.nanmedian(values)) if len(values) >= fewest else float("nan")


def _part(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def image(facts: Sequence[Facts]) -> dict[str, float | str | None]:
    """Return form, tissues and noise of the images, by keys of ``targets.csv``."""
    shares = np.median([fact.shares for fact in facts], axis=0)
    ends = (0, 50, 100)
    return {
        "scans": str(len(facts)),
        "field": _percentiles([f.spacing[1] * f.shape[1] for f in facts], ends),
        "range": _percentiles([f.spacing[0] * f.shape[0] for f in facts], ends),
        "pixel": _percentiles([f.spacing[1] for f in facts], ends, ".2f"),
        **{
            name: _median([getattr(fact.tissue, name) for fact in facts])
            for name in ("soft", "fat", "lung", "noise")
        },
        **{f"central {n}": float(s) for n, s in zip(("soft", "fat", "lung"), shares, strict=True)},
        "candidates": _percentiles([fact.candidates for fact in facts], (5, 50, 95)),
        "epicardial fat": float(np.mean([fact.fat for fact in facts])),
        "epicardial fat sd": float(np.std([fact.fat for fact in facts])),
        "right dominance": _part([f.dominance for f in facts].count("right"), len(facts)),
        "left main": _median([fact.main for fact in facts]),
    }


def calcium(facts: Sequence[Facts]) -> dict[str, float | str | None]:
    """Return coronary and other calcium, by keys of ``targets.csv``."""
    scores = np.array([fact.agatston for fact in facts])  # (scans, LAD LCX RCA whole)
    some = scores[:, 3] > 0
    vessels = (scores[:, :3] > 0).sum(1)
    thirds = np.sum([fact.thirds for fact in facts], axis=0)
    coronary, aorta, heart = np.sum([fact.planned for fact in facts], axis=0)
    beside, near, around = np.sum([fact.beside for fact in facts], axis=0)
    lesions = sum(fact.lesions for fact in facts)
    volumes = [volume for fact in facts for volume in fact.volumes]

    def shown(*kinds: str) -> float:
        return float(np.mean([bool(fact.kinds & set(kinds)) for fact in facts]))

    def amount(kind: str) -> float:
        return _median([f.amounts[kind] for f in facts if f.amounts.get(kind, 0.0) > 0], 10)

    rare = [shown(kind) for kind in ("pericardium", "hilar node", "lung nodule")]
    return {
        "no calcium": float((~some).mean()),
        "agatston": _percentiles(scores[some, 3], (25, 50, 75, 90)),
        **{
            f"{name} alone": _part(((scores[:, k] > 0) & (vessels == 1)).sum(), some.sum())
            for k, name in enumerate(ARTERIES)
        },
        **{
            f"RCA {name}": _part(thirds[k], thirds.sum())
            for k, name in enumerate(("first", "middle", "last"))
        },
        "volume": _median(volumes),
        "aortic valve": shown("aortic valve"),
        "mitral annulus": shown("mitral annulus"),
        "aorta": shown(*AORTA),
        "rare": " / ".join(f"{share:.2f}" for share in rare),
        "aorta ratio": _part(aorta, coronary),
        "heart ratio": _part(heart, coronary),
        "within 5": _part(near, beside),
        "within 10": _part(around, beside),
        "mixed": _part(sum(fact.mixed for fact in facts), lesions),
        "around": f"{_part(sum(fact.near for fact in facts), lesions):.2f}" if lesions else None,
        "valve amount": amount("aortic valve"),
        "ring amount": amount("mitral annulus"),
    }


def ceiling(facts: Sequence[Facts]) -> dict[str, float | str | None]:
    """Return F1 of a method that names each component by the true owner of most of it."""
    read = np.sum([fact.read for fact in facts], axis=0)
    found: dict[str, float | str | None] = {}
    for k, name in enumerate(ARTERIES, 1):
        found[f"ceiling {name}"] = _part(2 * read[k, k], read[k].sum() + read[:, k].sum())
    whole = read[1:].sum() + read[:, 1:].sum()
    found["ceiling whole"] = _part(2 * read[1:, 1:].sum(), whole)
    return found


def probed(sites: Sites, probes: dict[str, Probe]) -> dict[str, float | str | None]:
    """Return what trees make of tissue and place, and counts of deposits at like places."""
    tissue, pose = probes["tissue"], probes["tissue and place in the heart"]
    place = probes["place in the scan"]
    return {
        "probe tissue": tissue.mean,
        "probe gain": pose.mean - tissue.mean,
        "probe place": place.whole,
        "probe named": place.named,
        "probe pose": probes["place in the heart"].named,
        **{f"{name} twins": f"{a} / {b}" for name, a, b in twins(sites)},
    }


def twins(sites: Sites) -> list[tuple[str, int, int]]:
    """Count coronary and other deposits at places where tissue alone tells little."""
    e1, e2, e3 = sites.heart.T
    radius = np.sqrt((e2 - 13.0) ** 2 + e3**2)
    places = {
        "groove": (abs(e1 + 6.0) < 10.0) & (radius > 22.0) & (radius < 48.0),
        "ostium": sites.ostium < 10.0,
        "wall": (e1 > 12.0) & (radius > 30.0),
    }
    coronary = sites.owner > 0
    return [
        (name, int((where & coronary).sum()), int((where & ~coronary).sum()))
        for name, where in places.items()
    ]
