"""How much of an artery's name lies in the tissue around calcium, and how much in the whole heart.

Probes without networks: trees that see the tissue round each deposit (without its calcium), the
deposit's place in the scan, or its place in the heart. If the tissue alone did as well as the
others, two convolutions would do as well as any network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.phantom.confusers import KINDS
from benchmark.phantom.draw import Plan, paint_body, plan
from benchmark.phantom.heart import dot
from benchmark.phantom.patient import Patient
from benchmark.phantom.shapes import Grid, Vector
from benchmark.phantom.tree import separation

#: Beads nearer than this are one deposit, mm.
JOINED = 3.2
#: Cells round a deposit (z, y, x): how many, and their size in mm.
CELLS, CELL = 5, (6.0, 4.0, 4.0)
REACH = np.array([14.0, 14.0, 20.0])
"""From a deposit to the edge of what is painted, (x, y, z) mm: half a box and a cell."""
#: Share of patients that the trees learn from.
LEARN = 0.62
NOISE = 4.0  # HU of a cell's mean


@dataclass(frozen=True)
class Sites:
    """Deposits of many people.

    Attributes
    ----------
    patient : ndarray, shape (N,)
        Whose.
    owner : ndarray, shape (N,)
        1 LAD, 2 LCX, 3 RCA, 0 not coronary.
    local : ndarray, shape (N, 125)
        Mean HU of the tissue in cells round the deposit.
    place : ndarray, shape (N, 3)
        From the middle of the scan (x, y, z), mm.
    heart : ndarray, shape (N, 3)
        In the heart's own frame, mm at size 1.
    ostium : ndarray, shape (N,)
        Way to the nearer ostium, mm.
    """

    patient: np.ndarray
    owner: np.ndarray
    local: np.ndarray
    place: np.ndarray
    heart: np.ndarray
    ostium: np.ndarray


def deposits(drawn: Plan, kinds: Sequence[str] | None) -> list[tuple[Vector, int]]:
    """Return middle and owner of planned deposits inside the scan; near beads join.

    Parameters
    ----------
    kinds : sequence of str or None
        Kinds of calcium that is not coronary; None for that of the coronaries.
    """
    groups: dict[int, list[Vector]] = {}
    if kinds is None:
        for lesion in drawn.lesions:
            groups.setdefault(lesion.label, []).extend(bead.centre for bead in lesion.beads)
    else:
        groups[0] = [bead.centre for kind in kinds for bead in drawn.confusers[kind]]
    half = 0.5 * drawn.scanner.field - 8.0
    height = 0.5 * drawn.scanner.slices * drawn.scanner.thickness - 8.0
    found: list[tuple[Vector, int]] = []
    for owner, points in groups.items():
        left = list(points)
        while left:
            cluster = [left.pop()]
            for member in cluster:
                near = [point for point in left if separation(point, member) < JOINED]
                cluster += near
                left = [point for point in left if point not in near]
            middle = tuple(sum(p[k] for p in cluster) / len(cluster) for k in range(3))
            away = [abs(m - c) for m, c in zip(middle, drawn.centre, strict=True)]
            if away[0] < half and away[1] < half and away[2] < height:
                found.append((middle, owner))  # type: ignore[arg-type]
    return found


def collect(patients: Iterable[Patient], progress: Callable[[int], None] | None = None) -> Sites:
    """Return the deposits of people, and the tissue round them without calcium or noise."""
    rows: dict[str, list] = {
        name: [] for name in ("patient", "owner", "local", "place", "heart", "ostium")
    }
    generator = np.random.default_rng(0)
    for number, patient in enumerate(patients):
        drawn = plan(patient)
        found = deposits(drawn, None) + deposits(drawn, KINDS)
        if found:
            spacing = (0.5 * CELL[0], 0.5 * CELL[1], 0.5 * CELL[2])
            places = np.array([middle for middle, _ in found])
            low, high = places.min(0) - REACH, places.max(0) + REACH
            shape = tuple(
                int(side / step) + 1 for side, step in zip((high - low)[::-1], spacing, strict=True)
            )
            centre = tuple(round(float(value), 3) for value in 0.5 * (low + high))
            grid = Grid.centred(shape, spacing, centre)  # type: ignore[arg-type]
            volume = paint_body(drawn, grid)
            # means of 2 x 2 x 2 voxels at every offset, so that a cell may start anywhere
            mean = volume[:-1] + volume[1:]
            mean = mean[:, :-1] + mean[:, 1:]
            mean = (mean[:, :, :-1] + mean[:, :, 1:]) / 8.0
            for middle, owner in found:
                index = []
                for axis, cell, at in zip(
                    (grid.z, grid.y, grid.x), CELL, middle[::-1], strict=True
                ):
                    first = (at - 0.5 * CELLS * cell - float(axis.ravel()[0])) / (0.5 * cell)
                    start = min(max(round(first), 0), axis.size - 2 * CELLS - 1)
                    index.append(slice(start, start + 2 * CELLS, 2))
                rows["local"].append(mean[tuple(index)].ravel())
                rows["patient"].append(number)
                rows["owner"].append(owner)
                rows["place"].append([m - c for m, c in zip(middle, drawn.centre, strict=True)])
                rows["heart"].append([dot(a, middle) / patient.size for a in drawn.heart.axes])
                ostia = (drawn.tree.arteries[name].points[0] for name in ("LM", "RCA"))
                rows["ostium"].append(min(separation(middle, ostium) for ostium in ostia))
        if progress is not None:
            progress(number + 1)
    local = np.clip(np.array(rows["local"], np.float32), -250.0, 250.0)
    local += generator.normal(0.0, NOISE, local.shape).astype(np.float32)
    return Sites(
        np.array(rows["patient"]),
        np.array(rows["owner"]),
        local,
        np.array(rows["place"], np.float32),
        np.array(rows["heart"], np.float32),
        np.array(rows["ostium"], np.float32),
    )


@dataclass(frozen=True)
class Probe:
    """What trees make of one kind of input.

    Attributes
    ----------
    arteries : tuple of float
        F1 of LAD, LCX and RCA, by number of deposits.
    whole : float
        F1 of coronary or not.
    named : float
        Share of coronary deposits given their own artery, where it is known that they are coronary.
    """

    arteries: tuple[float, float, float]
    whole: float
    named: float

    @property
    def mean(self) -> float:
        """Return the mean F1 of the three arteries."""
        return sum(self.arteries) / 3.0


def _f1(true: np.ndarray, found: np.ndarray) -> float:
    hit = np.count_nonzero(true & found)
    return 2.0 * hit / max(1, np.count_nonzero(true) + np.count_nonzero(found))


def _judge(features: np.ndarray, sites: Sites, trees: int) -> Probe:
    from sklearn.ensemble import ExtraTreesClassifier

    people = int(sites.patient.max()) + 1
    learn = sites.patient < round(LEARN * people)
    model = ExtraTreesClassifier(trees, min_samples_leaf=2, random_state=0, n_jobs=1)
    model.fit(features[learn], sites.owner[learn])
    share = model.predict_proba(features[~learn])
    truth = sites.owner[~learn]
    coronary = 1 + np.argmax(share[:, 1:], axis=1)
    best: Probe | None = None
    # the threshold is chosen on the same deposits, which flatters all inputs alike
    for threshold in np.linspace(0.2, 0.8, 25):
        found = np.where(share[:, 0] > threshold, 0, coronary)
        arteries = tuple(_f1(truth == k, found == k) for k in (1, 2, 3))
        probe = Probe(arteries, _f1(truth > 0, found > 0), 0.0)  # type: ignore[arg-type]
        if best is None or probe.mean > best.mean:
            best = probe
    some = truth > 0
    named = float((coronary[some] == truth[some]).mean())
    return Probe(best.arteries, best.whole, named)  # type: ignore[union-attr]


def probe(sites: Sites, trees: int = 300) -> dict[str, Probe]:
    """Return what trees make of place, tissue, tissue with place, and tissue with the heart's pose.

    Parameters
    ----------
    sites : Sites
        Deposits of some hundred people.
    trees : int
        Trees of each forest.
    """
    inputs = {
        "place in the scan": sites.place,
        "tissue": sites.local,
        "tissue and place": np.hstack([sites.local, np.repeat(sites.place, 8, axis=1)]),
        "tissue and place in the heart": np.hstack(
            [sites.local, np.repeat(sites.heart, 8, axis=1)]
        ),
        "place in the heart": sites.heart,
    }
    return {name: _judge(features, sites, trees) for name, features in inputs.items()}
