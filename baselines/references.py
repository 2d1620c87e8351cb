"""Rows without learning: how far position alone goes, and how far any answer could.

All look at whole candidate components, as networks are made to. Those that go by position count on
the training split instead of training, and every trained network must stand above them. None can
stand above the true owners.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

NEIGHBOURS = 25


def centroids_mm(example) -> np.ndarray:
    """Centre of each candidate component, mm from the middle of the training grid.

    That is the heart's, where the grid is centred on it.

    Parameters
    ----------
    example : benchmark.training.prepare.Example

    Returns
    -------
    ndarray, (n + 1, 3)
        (z, y, x) of component 1 .. n; entry 0 is unused.
    """
    found = example.candidates
    sizes = np.maximum(np.bincount(found.component, minlength=found.count + 1), 1)
    places = np.unravel_index(found.voxel, example.shape)
    columns = [
        np.bincount(found.component, weights=place, minlength=found.count + 1) / sizes
        for place in places
    ]
    middle = (np.asarray(example.shape) - 1) / 2
    from_scan = (np.stack(columns, axis=1) - middle) * np.asarray(example.spacing)
    return from_scan - np.asarray(example.offset)


def majority_labels(example) -> np.ndarray:
    """Reference class of each component, (n + 1,): that of most of its labelled voxels."""
    found = example.candidates
    table = np.bincount(
        found.component.astype(np.int64) * 4 + found.label, minlength=4 * (found.count + 1)
    ).reshape(-1, 4)
    classes = np.argmax(table[:, 1:], axis=1) + 1
    classes[table[:, 1:].sum(axis=1) == 0] = 0
    return classes.astype(np.uint8)


class _HeartRegion:
    """The box that holds the middle 98 % of the training split's lesions, mm."""

    def fit(self, examples: Iterable) -> None:
        """Find the box."""
        places = [centroids_mm(example)[majority_labels(example) > 0] for example in examples]
        positions = np.concatenate(places)
        if len(positions) == 0:
            raise ValueError("the training split holds no labelled lesion")
        self.low, self.high = np.percentile(positions, (1, 99), axis=0)

    def inside(self, centroids: np.ndarray) -> np.ndarray:
        """Which centroids lie in the box."""
        return ((centroids >= self.low) & (centroids <= self.high)).all(axis=1)


class EveryCandidateIsLAD(_HeartRegion):
    """Every candidate in the heart region is LAD: the most frequent artery, and no network."""

    outputs = ("mask",)
    notes = ("no learning: every candidate in the box of the training split's lesions is LAD",)

    def classify(self, example) -> np.ndarray:
        """Class of each component, (n + 1,), uint8."""
        classes = self.inside(centroids_mm(example)).astype(np.uint8)
        classes[0] = 0
        return classes


class NearestNeighbours:
    """Every candidate takes the class of most of its 25 nearest in the training split, by position.

    Positions are those of `centroids_mm`, of candidates that are no lesion too: they are a class
    of their own. Equal counts go to the lower class.
    """

    outputs = ("mask",)
    notes = (
        f"no learning: each candidate takes the class, none among them, of most of the {NEIGHBOURS}"
        " candidates of the training split whose centres are nearest, in mm from the grid's centre",
    )

    def fit(self, examples: Iterable) -> None:
        """Keep every candidate's position and class."""
        positions, classes = [], []
        for example in examples:
            positions.append(centroids_mm(example)[1:])
            classes.append(majority_labels(example)[1:])
        positions, classes = np.concatenate(positions), np.concatenate(classes)
        if not classes.any():
            raise ValueError("the training split holds no labelled lesion")
        self.found = KNeighborsClassifier(min(NEIGHBOURS, len(classes)), algorithm="kd_tree")
        self.found.fit(positions, classes)

    def classify(self, example) -> np.ndarray:
        """Class of each component, (n + 1,), uint8."""
        classes = np.zeros(example.candidates.count + 1, np.uint8)
        if len(classes) > 1:
            classes[1:] = self.found.predict(centroids_mm(example)[1:])
        return classes


class TrueOwners:
    """The ceiling: every component is given the class that owns most of its voxels.

    Networks vote on whole components, and the reference may split one between arteries or err as a
    reader does. What this row misses is what no vote on components can have.
    """

    outputs = ("mask",)
    notes = (
        "no learning: each candidate has the class that truly owns most of its voxels, as the"
        " cohort knows it; the reference, with what its reader splits and errs in, is what it is"
        " judged by",
    )

    def fit(self, examples: Iterable) -> None:
        """Nothing: the owners are known."""

    def classify(self, example, owners: np.ndarray) -> np.ndarray:
        """Class of each component, (n + 1,), uint8, from the owner of each voxel of the scan.

        Parameters
        ----------
        example : benchmark.training.prepare.Example
        owners : ndarray of uint8, shape of the scan
            0 no coronary artery, 1 LAD, 2 LCX, 3 RCA; looked at where there are candidates.

        Raises
        ------
        ValueError
            If the map has another shape than the scan, or other values.
        """
        owners = np.asarray(owners)
        if owners.shape != tuple(example.shape):
            raise ValueError(
                f"scan {example.id}: owners have shape {owners.shape}, the scan has {example.shape}"
            )
        found = example.candidates
        kinds = owners.reshape(-1)[found.voxel]
        if kinds.max(initial=0) > 3:
            raise ValueError(f"scan {example.id}: an owner is {kinds.max()}, not 0 to 3")
        table = np.bincount(
            found.component.astype(np.int64) * 4 + kinds, minlength=4 * (found.count + 1)
        ).reshape(-1, 4)
        classes = np.argmax(table, axis=1).astype(np.uint8)
        classes[0] = 0
        return classes
