"""Candidates: every piece of the scan dense enough to be calcium, coronary or not."""

import cc3d
import numpy as np

from benchmark.calcium.checks import check_voxels
from benchmark.calcium.conventions import DEFAULT, Conventions


def above_threshold(voxels: np.ndarray, conventions: Conventions = DEFAULT) -> np.ndarray:
    """Return which voxels are dense enough to be calcium.

    Parameters
    ----------
    voxels : numpy.ndarray
        HU, of any shape.
    conventions : Conventions
        Gives the threshold and whether it counts itself.

    Returns
    -------
    numpy.ndarray of bool, shape of `voxels`
    """
    if conventions.inclusive:
        return voxels >= conventions.threshold
    return voxels > conventions.threshold


def label_candidates(
    voxels: np.ndarray, conventions: Conventions = DEFAULT
) -> tuple[np.ndarray, int]:
    """Number the 3D 6-connected components of voxels above the threshold.

    Parameters
    ----------
    voxels : numpy.ndarray, shape (z, y, x)
        HU.
    conventions : Conventions
        Gives the threshold.

    Returns
    -------
    components : numpy.ndarray of uint32, shape (z, y, x)
        0 below the threshold, else the number of the component, 1 to n.
    n : int
        How many components there are.

    Raises
    ------
    ValueError
        If `voxels` is not a volume of numbers.

    Notes
    -----
    Six-connectivity is the rule of orCaScore (Wolterink et al. 2016).
    """
    check_voxels(voxels)
    mask = above_threshold(voxels, conventions)
    if not mask.any():
        return np.zeros(voxels.shape, np.uint32), 0
    components, n = cc3d.connected_components(
        mask, connectivity=6, return_N=True, out_dtype=np.uint32, binary_image=True
    )
    return components, int(n)
