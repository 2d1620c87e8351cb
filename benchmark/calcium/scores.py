"""Agatston score, volume and mass of each artery and of the whole heart."""

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np

from benchmark.calcium.candidates import above_threshold
from benchmark.calcium.checks import check_labels, check_spacing, check_voxels
from benchmark.calcium.conventions import ARTERIES, DEFAULT, SCORES, TARGETS, Conventions

WEIGHT_EDGES = (200, 300, 400)
"""HU at which the weight of a lesion's peak rises from 1 to 2, 3 and 4 (Agatston et al. 1990)."""


def score_scan(
    voxels: np.ndarray,
    labels: np.ndarray,
    spacing: Sequence[float],
    conventions: Conventions = DEFAULT,
) -> np.ndarray:
    """Score the calcium of a scan.

    Agatston: in each slice, each connected piece of an artery's calcium gives its area in mm2 times
    a weight by its own peak in that slice (up to 199 HU: 1, 200-299: 2, 300-399: 3, 400 and more:
    4). Volume: number of voxels times the volume of one. Mass: calibration times the sum, over
    lesions, of mean HU times volume.

    Parameters
    ----------
    voxels : numpy.ndarray, shape (z, y, x)
        HU.
    labels : numpy.ndarray of whole numbers, shape (z, y, x)
        0 background, 1 LAD, 2 LCX, 3 RCA, 4 coronary of undetermined artery. Labels on voxels
        not above the threshold count for nothing.
    spacing : three floats
        Distance of voxel centres along (z, y, x), mm.
    conventions : Conventions
        The choices on which programs differ.

    Returns
    -------
    numpy.ndarray of float64, shape (3, 4)
        Rows `SCORES` (Agatston, volume in mm3, mass in mg), columns `TARGETS` (LAD, LCX, RCA,
        whole).

    Raises
    ------
    ValueError
        If the arrays are not volumes on one grid, a label is unknown, a spacing is not positive or
        a calcium voxel is not finite.
    """
    calcium = find_calcium(voxels, labels, spacing, conventions)
    scores = np.zeros((len(SCORES), len(TARGETS)))
    for row, amount in enumerate((calcium.agatston, calcium.volume, calcium.mass)):
        scores[row, : len(ARTERIES)] = np.bincount(calcium.label, amount, minlength=5)[1:4]
    union = conventions.whole == "union"
    if union:
        calcium = find_calcium(voxels, labels, spacing, conventions, union=True)
    for row, amount in enumerate((calcium.agatston, calcium.volume, calcium.mass)):
        scores[row, -1] = amount.sum()
    return scores


@dataclass(frozen=True, eq=False)
class Calcium:
    """The calcium voxels of a scan and what each of them adds to the scores, shape (n,) each."""

    index: np.ndarray
    """Place of the voxel, (n, 3) as (z, y, x)."""
    label: np.ndarray
    hu: np.ndarray
    agatston: np.ndarray
    volume: np.ndarray
    mass: np.ndarray


def find_calcium(
    voxels: np.ndarray,
    labels: np.ndarray,
    spacing: Sequence[float],
    conventions: Conventions = DEFAULT,
    union: bool = False,
) -> Calcium:
    """List the labelled voxels above the threshold with each one's part in the scores.

    An in-plane lesion of m voxels and weight w gives m * w * pixel area; here each of its voxels
    gives w * pixel area, so that any grouping of voxels adds up to the same whole.

    Parameters
    ----------
    voxels, labels, spacing, conventions
        As in `score_scan`.
    union : bool
        Take all arteries as one mask when lesions are told apart.

    Returns
    -------
    Calcium
        Voxels of lesions below the minimum area are left out.
    """
    check_voxels(voxels)
    check_labels(labels, voxels)
    dz, dy, dx = check_spacing(spacing)
    box = _bounding_box(labels)
    labels, voxels = labels[box], voxels[box]
    mask = (labels > 0) & above_threshold(voxels, conventions)
    index = np.stack(np.nonzero(mask), axis=1)
    label = labels[mask].astype(np.int64)
    hu = voxels[mask].astype(np.float64)
    if not np.isfinite(hu).all():
        raise ValueError("voxels holds values that are not finite; HU must be numbers")

    lesion = _in_plane_lesions(mask, labels, conventions.in_plane_connectivity, union)
    peak = np.full(lesion.max(initial=0) + 1, -np.inf)
    np.maximum.at(peak, lesion, hu)
    # A hair of tolerance, so that a lesion of exactly the minimum area is not lost to rounding.
    area = np.bincount(lesion, minlength=len(peak)) * dy * dx * (1 + 1e-9)
    keep = (area >= conventions.min_area_mm2)[lesion]

    weight = 1.0 + np.searchsorted(WEIGHT_EDGES, peak, side="right")[lesion]
    thickness = dz / conventions.reference_thickness if conventions.thickness_correction else 1.0
    volume = np.full(len(hu), dz * dy * dx)
    start = [axis.start for axis in box]
    return Calcium(
        index=index[keep] + start,
        label=label[keep],
        hu=hu[keep],
        agatston=(weight * dy * dx * thickness)[keep],
        volume=volume[keep],
        mass=(conventions.mass_calibration * hu * volume)[keep],
    )


def _in_plane_lesions(
    mask: np.ndarray, labels: np.ndarray, connectivity: int, union: bool
) -> np.ndarray:
    """Number the in-plane lesions and return the number of each voxel in `mask`, shape (n,)."""
    if not mask.any():
        return np.zeros(0, np.int64)
    kind = mask.astype(np.uint8) if union else np.where(mask, labels, 0).astype(np.uint8)
    # cc3d joins equal values alone. With other values in every second slice no lesion can leave
    # its slice, and one pass in 3D numbers the lesions of all slices.
    kind[1::2][mask[1::2]] += 8
    components = cc3d.connected_components(kind, connectivity=6 if connectivity == 4 else 26)
    return components[mask].astype(np.int64)


def _bounding_box(labels: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the smallest box around the labelled voxels; empty if there are none."""
    box = [slice(0, 0)] * 3
    for axis in range(3):
        # Labels are checked to be 0 to 4, so a maximum above 0 means that one is there.
        present = labels.max(axis=tuple({0, 1, 2} - {axis}), initial=0)
        places = np.flatnonzero(present)
        if not len(places):
            return (slice(0, 0),) * 3
        box[axis] = slice(int(places[0]), int(places[-1]) + 1)
        if axis == 0:
            offset = box[0]
            labels = labels[offset]
    return tuple(box)
