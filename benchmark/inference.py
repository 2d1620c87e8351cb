"""From class probabilities on the training grid to labels on the scan's own grid, and to scores.

One way for every segmentation network: each 3D 6-connected component above 130 HU takes the class
with the highest mean log probability over its voxels, each voxel looking up the cell it lies in.
"""

from __future__ import annotations

import numpy as np

from benchmark.training.grid import Candidates

SMALLEST_PROBABILITY = 1e-4
"""Floor before the logarithm: one cell that is sure must not outvote all others."""


def vote(probabilities: np.ndarray, candidates: Candidates) -> np.ndarray:
    """Class of each candidate component.

    Parameters
    ----------
    probabilities : ndarray, (4, Z, Y, X)
        Of background, LAD, LCX, RCA on the training grid.
    candidates : Candidates

    Returns
    -------
    ndarray of uint8, (n + 1,)
        Class of component 1 .. n; entry 0 is background. A component wholly outside the grid is
        background, as is any component for which a probability is not finite.
    """
    count = candidates.count
    classes = np.zeros(count + 1, np.uint8)
    inside = candidates.cell >= 0
    if not inside.any():
        return classes
    table = np.log(
        np.maximum(probabilities.reshape(4, -1).astype(np.float64), SMALLEST_PROBABILITY)
    )
    component = candidates.component[inside]
    cell = candidates.cell[inside]
    votes = np.stack(
        [np.bincount(component, weights=table[c, cell], minlength=count + 1) for c in range(4)]
    )
    seen = np.bincount(component, minlength=count + 1) > 0
    usable = seen & np.isfinite(votes).all(axis=0)
    classes[usable] = np.argmax(votes[:, usable], axis=0)
    classes[0] = 0
    return classes


def dense_labels(
    classes: np.ndarray, candidates: Candidates, shape: tuple[int, int, int]
) -> np.ndarray:
    """Labels (z, y, x), uint8, on the scan's own grid from the class of each component."""
    labels = np.zeros(int(np.prod(shape)), np.uint8)
    labels[candidates.voxel] = classes[candidates.component]
    return labels.reshape(shape)


def overlap(classes: np.ndarray, candidates: Candidates, voxel_mm3: float) -> np.ndarray:
    """Volumes (3, 4): true positive, false positive, false negative x LAD, LCX, RCA, whole, in mm3.

    Whole counts a voxel as a hit if it is coronary in both, whatever the artery.
    """
    predicted = classes[candidates.component]
    table = np.bincount(candidates.label.astype(np.int64) * 4 + predicted, minlength=16).reshape(
        4, 4
    )
    out = np.empty((3, 4))
    for artery in (1, 2, 3):
        hit = table[artery, artery]
        out[:, artery - 1] = hit, table[:, artery].sum() - hit, table[artery].sum() - hit
    hit = table[1:, 1:].sum()
    out[:, 3] = hit, table[:, 1:].sum() - hit, table[1:].sum() - hit
    return out * voxel_mm3


def worst_false_positives(candidates: Candidates, voxel_mm3: float) -> np.ndarray:
    """What a failure on this scan costs: volume (4,) of all candidates outside the reference."""
    total = len(candidates.label)
    counts = [total - np.count_nonzero(candidates.label == a) for a in (1, 2, 3)]
    counts.append(total - np.count_nonzero(candidates.label))
    return np.asarray(counts, float) * voxel_mm3
