"""Two rows without learning: how far position alone goes. Every trained network must stand above.

Both look at candidate components only, and both count on the training split instead of training.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def centroids_mm(example) -> np.ndarray:
    """Centre of each candidate component, mm from the scan's centre.

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
    return (np.stack(columns, axis=1) - middle) * np.asarray(example.spacing)


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
    """The box that holds the middle 98 % of the training split's lesions, in mm from the centre."""

    def fit(self, examples: Iterable) -> None:
        """Find the box, and keep the lesions' positions and arteries."""
        positions, classes = [], []
        for example in examples:
            kind = majority_labels(example)
            positions.append(centroids_mm(example)[kind > 0])
            classes.append(kind[kind > 0])
        self.positions = np.concatenate(positions)
        self.classes = np.concatenate(classes)
        if len(self.positions) == 0:
            raise ValueError("the training split holds no labelled lesion")
        self.low, self.high = np.percentile(self.positions, (1, 99), axis=0)

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


class NearestMeanArtery(_HeartRegion):
    """Every candidate in the heart region belongs to the artery whose mean position is nearest."""

    outputs = ("mask",)
    notes = (
        "no learning: candidates in the same box take the artery whose mean lesion position in"
        " the training split is nearest",
    )

    def fit(self, examples: Iterable) -> None:
        """Find the box and the three mean positions; an artery without a lesion is never chosen."""
        super().fit(examples)
        self.means = np.stack(
            [
                self.positions[self.classes == artery].mean(axis=0)
                if (self.classes == artery).any()
                else np.full(3, np.inf)
                for artery in (1, 2, 3)
            ]
        )

    def classify(self, example) -> np.ndarray:
        """Class of each component, (n + 1,), uint8."""
        centroids = centroids_mm(example)
        distance = np.linalg.norm(centroids[:, None] - self.means[None], axis=2)
        classes = (np.argmin(distance, axis=1) + 1).astype(np.uint8)
        classes[~self.inside(centroids)] = 0
        classes[0] = 0
        return classes
