"""The phantom's own measurements beside the targets that the literature and real scans set.

Each row says what was measured, what it should be, from which source, and whether it is so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """One line of the comparison.

    Attributes
    ----------
    quantity : str
    found : float or None
        The phantom's; None where nothing could be measured.
    low, high : float
        What is wanted.
    source : str
    form : str
        Format of the numbers.
    text : str
        In place of a number, where there are several.
    """

    quantity: str
    found: float | None
    low: float
    high: float
    source: str
    form: str = ".2f"
    text: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is a target and something was measured."""
        return self.found is not None and bool(np.isfinite(self.found)) and self.low > -np.inf

    @property
    def good(self) -> bool:
        """Whether the target is reached; True where none is set."""
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
        if self.text:
            return self.text
        return "none" if self.found is None or np.isnan(self.found) else f"{self.found:{self.form}}"


INF = float("inf")


def _percentiles(values: Sequence[float], ranks: Sequence[int], form: str = ".0f") -> str:
    if len(values) == 0:
        return "none"
    return " / ".join(f"{value:{form}}" for value in np.percentile(values, ranks))


def _info(quantity: str, text: str, source: str = "") -> Row:
    return Row(quantity, None, -INF, INF, source, text=text)


def image_rows(facts: Sequence[Facts], protocol: str) -> list[Row]:
    """Return rows on form, tissues and noise of the images."""
    gated = protocol == "gated"
    fields = [f.spacing[1] * f.shape[1] for f in facts]
    ranges = [f.spacing[0] * f.shape[0] for f in facts]
    rows = [
        _info("scans", str(len(facts))),
        _info(
            "field of view, mm: least / median / most",
            _percentiles(fields, (0, 50, 100)),
            "164 to 243 in real gated scans" if gated else "180 to 500, ours",
        ),
        _info(
            "range of slices, mm: least / median / most",
            _percentiles(ranges, (0, 50, 100)),
            "138 or 171 in real gated scans" if gated else "ours",
        ),
        _info(
            "pixel, mm: least / median / most",
            _percentiles([f.spacing[1] for f in facts], (0, 50, 100), ".2f"),
            ".32 to .47 in real gated scans (spacing 0.4)" if gated else "",
        ),
    ]
    for name, attribute, low, high in (
        ("blood and muscle, median HU", "soft", 34.0, 45.0),
        ("fat, median HU", "fat", -110.0, -85.0),
        ("lung, median HU", "lung", -920.0, -820.0),
    ):
        values = np.array([getattr(fact.tissue, attribute) for fact in facts])
        rows.append(
            Row(name, float(np.nanmedian(values)), low, high, "real scans, literature", ".0f")
        )
    noise = [fact.tissue.noise for fact in facts]
    rows.append(
        Row(
            "noise SD in soft tissue, median HU",
            float(np.nanmedian(noise)),
            *((10.0, 20.0) if gated else (10.0, 30.0)),
            "12 to 21 in real gated scans" if gated else "ours",
            ".0f",
        )
    )
    if gated:
        shares = np.median([fact.shares for fact in facts], axis=0)
        for name, found, low, high in zip(
            ("soft tissue", "fat", "lung"),
            shares,
            (0.50, 0.06, 0.12),
            (0.65, 0.18, 0.27),
            strict=True,
        ):
            rows.append(
                Row(
                    f"{name} in the central 120 mm, median share",
                    float(found),
                    low,
                    high,
                    "real gated scans",
                )
            )
    candidates = [fact.candidates for fact in facts]
    rows.append(
        _info(
            "components above 130 HU of more than 3 mm3: 5 / 50 / 95 %",
            _percentiles(candidates, (5, 50, 95)),
            "42 to 580 in real gated scans",
        )
    )
    return rows


def anatomy_rows(facts: Sequence[Facts]) -> list[Row]:
    """Return rows on fat and coronary anatomy."""
    fat = [fact.fat for fact in facts]
    dominance = [fact.dominance for fact in facts]
    mains = [fact.main for fact in facts]
    return [
        Row(
            "epicardial fat, mean ml",
            float(np.mean(fat)),
            85.0,
            130.0,
            "100 to 130 in the literature",
            ".0f",
        ),
        Row("epicardial fat, SD ml", float(np.std(fat)), 30.0, 60.0, "45", ".0f"),
        Row("right dominance", dominance.count("right") / len(facts), 0.70, 0.84, "161 CT: .77"),
        Row("left main, median mm", float(np.median(mains)), 7.0, 11.0, "2 to 20, median 9", ".1f"),
    ]


def calcium_rows(facts: Sequence[Facts]) -> list[Row]:
    """Return rows on coronary calcium."""
    scores = np.array([fact.agatston for fact in facts])  # (scans, LAD LCX RCA whole)
    whole = scores[:, 3]
    some = whole > 0
    vessels = (scores[:, :3] > 0).sum(1)
    thirds = np.sum([fact.thirds for fact in facts], axis=0)
    rows = [
        Row("no coronary calcium", float((~some).mean()), 0.22, 0.38, "a quarter to a third"),
        _info(
            "Agatston score of those with any: 25 / 50 / 75 / 90 %",
            _percentiles(whole[some], (25, 50, 75, 90)),
            "2.3 / 41 / 193 / 557 (men, MESA)",
        ),
    ]
    for k, (name, wanted) in enumerate(zip(ARTERIES, (0.50, 0.10, 0.12), strict=True)):
        alone = float(((scores[some, k] > 0) & (vessels[some] == 1)).mean()) if some.any() else None
        rows.append(
            Row(
                f"{name} alone, of those with any",
                alone,
                wanted - 0.06,
                wanted + 0.06,
                f"MESA 2015: {wanted:.2f}",
            )
        )
    for k, name in enumerate(("first", "middle", "last")):
        share = float(thirds[k] / thirds.sum()) if thirds.sum() else None
        rows.append(
            Row(f"RCA lesions in its {name} third", share, 0.26, 0.40, "even along the RCA")
        )
    volumes = [volume for fact in facts for volume in fact.volumes]
    rows.append(
        Row(
            "lesion volume, median mm3",
            float(np.median(volumes)) if volumes else None,
            6.0,
            27.0,
            "over data sets",
            ".0f",
        )
    )
    return rows


def other_rows(facts: Sequence[Facts]) -> list[Row]:
    """Return rows on calcium that is not coronary."""

    def shown(*kinds: str) -> float:
        return float(np.mean([bool(fact.kinds & set(kinds)) for fact in facts]))

    coronary, aorta, heart = np.sum([fact.planned for fact in facts], axis=0)
    beside, near, around = np.sum([fact.beside for fact in facts], axis=0)
    lesions = sum(fact.lesions for fact in facts)
    rows = [
        Row(
            "patients with aortic valve calcium",
            shown("aortic valve"),
            0.11,
            0.22,
            "MESA .125, smokers .21",
        ),
        Row(
            "patients with mitral annular calcium",
            shown("mitral annulus"),
            0.03,
            0.12,
            "MESA .09, SCOT-HEART .04",
        ),
        Row("patients with aortic wall calcium", shown(*AORTA), 0.30, 0.60, "chest CT .45"),
        _info(
            "patients with pericardial / nodal / lung calcium",
            f"{shown('pericardium'):.2f} / {shown('hilar node'):.2f} / {shown('lung nodule'):.2f}",
            "rare",
        ),
        Row(
            "deposits of the aorta to one coronary",
            float(aorta / max(1, coronary)),
            0.6,
            1.2,
            "Isgum 2005: .91",
        ),
        Row(
            "other cardiac deposits to one coronary",
            float(heart / max(1, coronary)),
            0.15,
            0.40,
            "Isgum 2005: .19",
        ),
        Row(
            "other deposits within 5 mm of a coronary",
            float(near / max(1, beside)),
            0.10,
            0.25,
            "ours",
        ),
        Row(
            "other deposits within 10 mm of a coronary",
            float(around / max(1, beside)),
            0.30,
            0.50,
            "ours",
        ),
        Row(
            "lesions in one component with other calcium",
            sum(fact.mixed for fact in facts) / max(1, lesions),
            0.02,
            0.09,
            "occurs",
        ),
        _info(
            "components not coronary in chambers and their fat, to one lesion",
            f"{sum(fact.near for fact in facts) / max(1, lesions):.2f}",
            "Santini 2017: 2.1, with the aorta",
        ),
    ]
    for kind, wanted in (("aortic valve", 56.0), ("mitral annulus", 71.0)):
        amounts = [fact.amounts[kind] for fact in facts if fact.amounts.get(kind, 0.0) > 0]
        found = float(np.median(amounts)) if len(amounts) > 9 else None
        rows.append(
            Row(
                f"{kind}: median Agatston score where there is any",
                found,
                0.6 * wanted,
                1.4 * wanted,
                f"MESA: {wanted:.0f}",
                ".0f",
            )
        )
    return rows


#: What the readers' labels leave to the best method: F1 of each artery and of all.
CEILING = {"whole": 0.985, "LAD": 0.975, "LCX": 0.955, "RCA": 0.98}


def ceiling(facts: Sequence[Facts]) -> dict[str, float]:
    """Return F1 of a method that names each component by the true owner of most of it."""
    read = np.sum([fact.read for fact in facts], axis=0)
    found = {}
    for k, name in enumerate(ARTERIES, 1):
        found[name] = float(2 * read[k, k] / max(read[k].sum() + read[:, k].sum(), 1e-9))
    hit = read[1:, 1:].sum()
    found["whole"] = float(2 * hit / max(read[1:].sum() + read[:, 1:].sum(), 1e-9))
    return found


def ceiling_rows(facts: Sequence[Facts]) -> list[Row]:
    """Return rows on what readers' errors leave to the best method."""
    found = ceiling(facts)
    return [
        Row(
            f"ceiling: F1 {name} with the true owner of each component",
            found[name],
            wanted - 0.015,
            wanted + 0.012,
            "observers differ",
            ".3f",
        )
        for name, wanted in CEILING.items()
    ]


def probe_rows(sites: Sites, probes: dict[str, Probe]) -> list[Row]:
    """Return rows on what trees make of tissue and place: what a network must see."""
    tissue, pose = probes["tissue"], probes["tissue and place in the heart"]
    place = probes["place in the scan"]
    source = "required, so that networks part"
    rows = [
        Row("probe: tissue alone, mean artery F1", tissue.mean, 0.0, 0.80, source, ".3f"),
        Row(
            "probe: what the place in the heart adds",
            pose.mean - tissue.mean,
            0.07,
            INF,
            source,
            ".3f",
        ),
        Row("probe: place in the scan alone, whole F1", place.whole, 0.0, 0.78, source, ".3f"),
        Row(
            "probe: artery of known calcium from its place in the scan",
            place.named,
            0.0,
            0.86,
            source,
            ".3f",
        ),
        Row(
            "probe: artery of known calcium from its place in the heart",
            probes["place in the heart"].named,
            0.94,
            1.0,
            source,
            ".3f",
        ),
    ]
    for name, coronary, other in twins(sites):
        rows.append(
            _info(
                f"deposits {name}: coronary / other", f"{coronary} / {other}", "within a factor 2"
            )
        )
    return rows


def twins(sites: Sites) -> list[tuple[str, int, int]]:
    """Count coronary and other deposits at places where tissue alone tells little."""
    e1, e2, e3 = sites.heart.T
    radius = np.sqrt((e2 - 13.0) ** 2 + e3**2)
    groove = (abs(e1 + 6.0) < 10.0) & (radius > 22.0) & (radius < 48.0)
    places = {
        "in the left groove": groove,
        "near an ostium": sites.ostium < 10.0,
        "over the free wall": (e1 > 12.0) & (radius > 30.0),
    }
    coronary = sites.owner > 0
    return [
        (name, int((where & coronary).sum()), int((where & ~coronary).sum()))
        for name, where in places.items()
    ]
