"""Two readers' reference labels: components above 130 HU, with the errors that readers make.

The true owner of every voxel is known and kept beside the labels, so that the best result that any
method could have is known too: it lies below 1, as in the clinic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.calcium import label_candidates
from benchmark.phantom.shapes import Grid, Vector
from benchmark.phantom.stream import Stream
from benchmark.phantom.tree import Tree, separation

#: Coronary excess (HU) one voxel of a component must hold for a reader to call it a lesion.
SEEN = 60.0
#: HU of the image without calcium from which a voxel counts as bone.
BONE = 90.0


@dataclass(frozen=True)
class Reader:
    """How often readers err; probabilities, lengths in mm. The rates are ours.

    Attributes
    ----------
    majority : float
        A component that holds two arteries gets the label of the larger part; else it is split.
    bifurcation : tuple of float
        LAD and LCX are taken for one another: probability at the bifurcation, length of decay.
    crux : tuple of float
        RCA and LCX are taken for one another: probability, and how near the crux.
    ostium : tuple of float
        Coronary is taken for aortic and the reverse: probability at an ostium, length of decay.
    overlooked : tuple
        Smallest lesions are overlooked: probability, most voxels, peak HU below.
    """

    majority: float = 0.80
    bifurcation: tuple[float, float] = (0.20, 2.5)
    crux: tuple[float, float] = (0.14, 12.0)
    ostium: tuple[float, float] = (0.25, 2.0)
    overlooked: tuple[float, int, int] = (0.25, 3, 160)


READER = Reader()


def true_owners(
    voxels: np.ndarray,
    calcium: dict[int, np.ndarray],
    bone: np.ndarray,
    components: np.ndarray,
) -> np.ndarray:
    """Return the artery that each voxel of a lesion belongs to.

    A 6-connected component above 130 HU that holds coronary calcium is a lesion. Its voxels belong
    to the greatest contribution each; calcium that is not coronary, and bone, are background even
    where they touch a lesion. Voxels to which none contributed (noise at the rim) follow the
    majority of their component. Components of noise alone are background.

    Parameters
    ----------
    voxels : ndarray of int16, shape (Z, Y, X)
        The final, noisy image in HU.
    calcium : dict of int to ndarray of float32
        Excess HU by owner: 1 LAD, 2 LCX, 3 RCA, 0 calcium that is not coronary.
    bone : ndarray of bool
        Voxels of bone.
    components : ndarray of int
        Components above 130 HU, 0 where there is none.

    Returns
    -------
    ndarray of uint8
        0 background, 1 LAD, 2 LCX, 3 RCA.
    """
    labels = np.zeros(voxels.shape, np.uint8)
    places = np.flatnonzero(components)
    numbers = components.ravel()[places]
    stack = _stack(calcium, places)
    coronary = stack[1:].max(0, initial=0.0)
    wanted = np.zeros(int(numbers.max(initial=0)) + 1, bool)
    wanted[numbers[coronary >= SEEN]] = True
    kept = wanted[numbers]
    if not kept.any():
        return labels
    places, numbers, stack = places[kept], numbers[kept], stack[:, kept]
    greatest = np.argmax(stack, axis=0).astype(np.uint8)
    touched = stack[greatest, np.arange(greatest.size)] > 1.0
    known = touched | bone.ravel()[places]
    greatest[~touched] = 0
    for name in np.unique(numbers):
        here = numbers == name
        unknown = here & ~known
        if unknown.any():
            votes = np.bincount(greatest[here & touched], minlength=4)
            greatest[unknown] = np.argmax(votes)
    labels.ravel()[places] = greatest
    return labels


def _stack(calcium: dict[int, np.ndarray], places: np.ndarray) -> np.ndarray:
    """Return the excess of each owner at flat places, shape (4, N)."""
    stack = np.zeros((4, places.size), np.float32)
    for owner, field in calcium.items():
        stack[owner] = field.ravel()[places]
    return stack


class _Reading:
    """One person's scan at the reading desk."""

    def __init__(self, grid: Grid, tree: Tree, draw: Stream, reader: Reader) -> None:
        self.axes = (grid.z.ravel(), grid.y.ravel(), grid.x.ravel())
        self.tree, self.draw, self.reader = tree, draw, reader
        self.ostia = {1: tree.arteries["LM"].points[0], 3: tree.arteries["RCA"].points[0]}

    def centre(self, places: tuple[np.ndarray, ...]) -> Vector:
        """Return the centre of voxels (x, y, z), mm; sums of indices are exact."""
        found = []
        for axis, index in zip(self.axes, places, strict=True):
            step = float(axis[1] - axis[0])
            found.append(round(float(axis[0]) + step * int(index.sum()) / index.size, 3))
        return found[2], found[1], found[0]

    def chance(self, most: float, distance: float, decay: float) -> bool:
        """Draw once, with a probability that falls with distance."""
        return self.draw.chance(round(most * math.exp(-distance / decay), 6))

    def coronary(self, votes: np.ndarray, centre: Vector, peak: int) -> int | None:
        """Return the one label a reader gives a lesion, or None where it is split voxel by voxel.

        Parameters
        ----------
        votes : ndarray, shape (4,)
            Voxels by true owner.
        centre : Vector
            Centre of the lesion, mm.
        peak : int
            Greatest HU.
        """
        draw, reader = self.draw, self.reader
        whole = draw.chance(reader.majority)
        between = separation(centre, self.tree.bifurcation)
        fork = self.chance(*_at(reader.bifurcation, between))
        crux = draw.chance(reader.crux[0])
        nearest = min(separation(centre, ostium) for ostium in self.ostia.values())
        aortic = self.chance(*_at(reader.ostium, nearest))
        missed = draw.chance(reader.overlooked[0])
        found = np.nonzero(votes[1:])[0] + 1
        if found.size > 1:
            return int(1 + np.argmax(votes[1:])) if whole else None
        label = int(found[0])
        if missed and votes[label] <= reader.overlooked[1] and peak < reader.overlooked[2]:
            return 0
        if aortic and label != 2:
            return 0
        if fork and label in (1, 2):
            return 3 - label
        if crux and label in (2, 3) and separation(centre, self.tree.crux) <= reader.crux[1]:
            return 5 - label
        return label

    def other(self, centre: Vector) -> int:
        """Return the label a reader gives other calcium: near an ostium that of its artery."""
        label = min(self.ostia, key=lambda k: separation(centre, self.ostia[k]))
        distance = separation(centre, self.ostia[label])
        return label if self.chance(*_at(self.reader.ostium, distance)) else 0


def _at(rule: tuple[float, float], distance: float) -> tuple[float, float, float]:
    return rule[0], distance, rule[1]


def read(
    voxels: np.ndarray,
    calcium: dict[int, np.ndarray],
    bone: np.ndarray,
    grid: Grid,
    tree: Tree,
    draw: Stream,
    reader: Reader = READER,
) -> tuple[np.ndarray, np.ndarray]:
    """Return reference labels and true owners.

    Parameters
    ----------
    voxels, calcium, bone
        See `true_owners`.
    grid : Grid
        Where the voxels lie.
    tree : Tree
        Ostia, bifurcation and crux, near which readers differ.
    draw : Stream
        The person's stream ``"reader"``.
    reader : Reader
        How often readers err.

    Returns
    -------
    labels, owners : ndarray of uint8, shape (Z, Y, X)
        0 background, 1 LAD, 2 LCX, 3 RCA.
    """
    components, _ = label_candidates(voxels)
    owners = true_owners(voxels, calcium, bone, components)
    labels = owners.copy()
    reading = _Reading(grid, tree, draw, reader)
    places = np.flatnonzero(components)
    numbers = components.ravel()[places]
    mine = owners.ravel()[places]
    lesions = np.unique(numbers[mine > 0])
    for name in lesions:
        flat = places[(numbers == name) & (mine > 0)]
        here = np.unravel_index(flat, voxels.shape)
        votes = np.bincount(owners[here], minlength=4)
        label = reading.coronary(votes, reading.centre(here), int(voxels[here].max()))
        if label is not None:
            labels[here] = label
    if 0 in calcium:
        seen = (calcium[0].ravel()[places] >= SEEN) & ~bone.ravel()[places]
        for name in np.setdiff1d(np.unique(numbers[seen]), lesions):
            here = np.unravel_index(places[numbers == name], voxels.shape)
            label = reading.other(reading.centre(here))
            if label:
                labels[here] = label
    return labels, owners
