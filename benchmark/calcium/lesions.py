"""One row per lesion of a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.calcium.candidates import label_candidates
from benchmark.calcium.conventions import DEFAULT, Conventions
from benchmark.calcium.scores import find_calcium


@dataclass(frozen=True)
class Lesion:
    """A 3D 6-connected component above the threshold that carries labels.

    Amounts are those of its labelled voxels, so that the lesions of a scan add up to its scores.

    Attributes
    ----------
    component : int
        Number of the component, as `benchmark.calcium.label_candidates` gives it.
    label : int
        Label most of its labelled voxels carry, 1 to 4; the lower one if two are equal.
    agatston : float
        Part of the lesion in the Agatston score of the whole heart.
    volume : float
        mm3.
    mass : float
        mg.
    max_hu : float
        Peak of the labelled voxels, HU.
    centroid : tuple of three floats
        Mean voxel index (z, y, x) of the labelled voxels.
    mixed : bool
        Whether voxels of the component carry different labels, background included: no single
        answer for the component can then be right everywhere.
    labelled_share : float
        Labelled voxels / all voxels of the component, above 0 to 1.
    """

    component: int
    label: int
    agatston: float
    volume: float
    mass: float
    max_hu: float
    centroid: tuple[float, float, float]
    mixed: bool
    labelled_share: float


def lesion_table(
    voxels: np.ndarray,
    labels: np.ndarray,
    spacing: Sequence[float],
    conventions: Conventions = DEFAULT,
) -> tuple[Lesion, ...]:
    """List the lesions of a scan.

    Parameters
    ----------
    voxels, labels, spacing, conventions
        As in `benchmark.calcium.score_scan`.

    Returns
    -------
    tuple of Lesion
        Ordered by component number. With a minimum area, a lesion of which nothing counts is left
        out.

    Raises
    ------
    ValueError
        As `benchmark.calcium.score_scan`.
    """
    union = conventions.whole == "union"
    calcium = find_calcium(voxels, labels, spacing, conventions, union=union)
    components, n = label_candidates(voxels, conventions)
    component = components[tuple(calcium.index.T)].astype(np.int64)
    # Whole components, with the voxels nobody labelled: (n + 1,)
    sizes = np.bincount(components[components > 0], minlength=n + 1)
    # Voxels of each label in each component: (n + 1, 5)
    votes = np.bincount(component * 5 + calcium.label, minlength=(n + 1) * 5).reshape(-1, 5)
    labelled = votes.sum(axis=1)
    peak = np.full(n + 1, -np.inf)
    np.maximum.at(peak, component, calcium.hu)

    def total(amount: np.ndarray) -> np.ndarray:
        return np.bincount(component, amount, minlength=n + 1)

    agatston, volume, mass = (
        total(amount) for amount in (calcium.agatston, calcium.volume, calcium.mass)
    )
    centroid = np.stack([total(calcium.index[:, axis]) for axis in range(3)], axis=1)
    return tuple(
        Lesion(
            component=int(number),
            label=int(votes[number].argmax()),
            agatston=float(agatston[number]),
            volume=float(volume[number]),
            mass=float(mass[number]),
            max_hu=float(peak[number]),
            centroid=tuple((centroid[number] / labelled[number]).tolist()),
            mixed=bool(votes[number].max() < sizes[number]),
            labelled_share=float(labelled[number] / sizes[number]),
        )
        for number in np.flatnonzero(labelled)
    )
