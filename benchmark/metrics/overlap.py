"""Overlap of calcified volume: sensitivity, PPV and F1, pooled over a cohort.

Volumes are pooled before the ratio is taken, so that a scan counts by its calcium and scans
without calcium add only their false positives.

====================================  ===========  =========  =========
cohort (or resample)                  sensitivity  PPV        F1
====================================  ===========  =========  =========
no reference, nothing predicted       undefined    undefined  undefined
no reference, something predicted     undefined    0          0
reference, nothing predicted          0            undefined  0
reference and prediction              tp/(tp+fn)   tp/(tp+fp) 2tp/(2tp+fp+fn)
====================================  ===========  =========  =========

The whole heart cannot see an artery taken for another; the mean of the three arteries' F1 can, each
of its own pooled volumes. Where one of the three is undefined, so is the mean: a mean over the
others would be another figure under the same name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import RESAMPLES, SEED
from .estimate import Estimate
from .patients import (
    FEW_PATIENTS,
    MIN_PATIENTS,
    Grouping,
    count_of,
    grouping_of,
    interval_over,
    scan_weights,
    supporting,
)

Array = NDArray[np.float64]
TARGETS = ("LAD", "LCX", "RCA", "whole")
RATIOS = ("sensitivity", "PPV", "F1")
MEAN_F1 = ("F1", "mean")
"""Key of the mean of the three arteries' F1, in `replicates.replicate` and `summary.summarise`."""
UNDEFINED_BECAUSE = {
    "sensitivity": "no reference calcium",
    "PPV": "nothing predicted",
    "F1": "no reference calcium and nothing predicted",
}


def overlap_volumes(
    reference_labels: ArrayLike, predicted_labels: ArrayLike, voxel_volume: float
) -> tuple[Array, Array, Array]:
    """True positive, false positive and false negative volume of one scan.

    For an artery a voxel is a hit when both call it that artery. For the whole tree it is a hit
    when both call it *any* coronary artery: LAD calcium labelled LCX is a miss for LAD, a false
    alarm for LCX, and a hit for whole.

    Parameters
    ----------
    reference_labels, predicted_labels : array_like of int, shape (z, y, x)
        0 background, 1 LAD, 2 LCX, 3 RCA, on one grid.
    voxel_volume : float
        Volume of a voxel in mm3.

    Returns
    -------
    tp, fp, fn : numpy.ndarray, shape (4,)
        Volumes in mm3 of LAD, LCX, RCA, whole.

    Raises
    ------
    ValueError
        When the grids differ, a label is not 0..3, or the volume is not positive.
    """
    reference, predicted = np.asarray(reference_labels), np.asarray(predicted_labels)
    if reference.shape != predicted.shape:
        raise ValueError(f"label grids differ: {reference.shape} and {predicted.shape}")
    if not (np.isfinite(voxel_volume) and voxel_volume > 0):
        raise ValueError(f"voxel volume must be above 0 mm3, got {voxel_volume}")
    labelled = (reference != 0) | (predicted != 0)
    # few voxels carry a label: count only those
    r, p = reference[labelled], predicted[labelled]
    for name, values in (("reference", r), ("predicted", p)):
        if values.size and not np.isin(values, (0, 1, 2, 3)).all():
            raise ValueError(f"{name} labels must be 0, 1, 2 or 3")
    pairs = np.bincount(r.astype(np.intp) * 4 + p.astype(np.intp), minlength=16).reshape(4, 4)
    hits = np.diagonal(pairs)[1:]
    tp = np.append(hits, pairs[1:, 1:].sum())
    fp = np.append(pairs[:, 1:].sum(axis=0) - hits, pairs[0, 1:].sum())
    fn = np.append(pairs[1:, :].sum(axis=1) - hits, pairs[1:, 0].sum())
    return tp * float(voxel_volume), fp * float(voxel_volume), fn * float(voxel_volume)


def check_volumes(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> tuple[Array, Array, Array]:
    """Check three arrays (n, 4) of finite volumes >= 0 in mm3, or raise ValueError."""
    arrays = tuple(np.asarray(a, dtype=np.float64) for a in (tp, fp, fn))
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 2 or arrays[0].shape[1] != len(TARGETS):
        raise ValueError(f"tp, fp and fn must each have shape (n_scans, 4), got {sorted(shapes)}")
    if any(not np.isfinite(a).all() for a in arrays):
        raise ValueError("NaN or infinite volumes: give them to fill_missing_overlap first")
    if any((a < 0).any() for a in arrays):
        raise ValueError("volumes must not be negative")
    return arrays


def pooled_ratios(
    tp: Array, fp: Array, fn: Array, weights: Array | None = None
) -> dict[str, Array]:
    """Sensitivity, PPV and F1 of the volumes pooled over scans, in each resample.

    Parameters
    ----------
    tp, fp, fn : numpy.ndarray, shape (n, 4)
        Volumes in mm3.
    weights : numpy.ndarray, shape (B, n), optional
        Counts of each scan in each resample; without them, each scan once (B = 1).

    Returns
    -------
    dict of numpy.ndarray, each of shape (B, 4)
        Under the names of `RATIOS`; NaN where undefined, see the table above.
    """
    if weights is None:
        weights = np.ones((1, len(tp)))
    # one product for all twelve columns: three would read the weights three times
    hit, extra, missed = np.split(weights @ np.concatenate([tp, fp, fn], axis=1), 3, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "sensitivity": hit / (hit + missed),
            "PPV": hit / (hit + extra),
            "F1": 2 * hit / (2 * hit + extra + missed),
        }


def mean_of_arteries(values: Array) -> Array:
    """Mean over LAD, LCX and RCA of a ratio, (..., 4) to (...); NaN where one is undefined."""
    return values[..., :3].mean(axis=-1)


def arteries_undefined(values: Array) -> str:
    """Why the mean F1 of the arteries has no value; empty if it has one.

    Parameters
    ----------
    values : numpy.ndarray, shape (..., 4)
        F1 of LAD, LCX, RCA, whole; of several seeds, for instance.
    """
    gaps = np.isnan(values[..., :3]).reshape(-1, 3).any(axis=0)
    names = [target for target, gap in zip(TARGETS, gaps, strict=False) if gap]
    if len(names) in (0, 3):
        return UNDEFINED_BECAUSE["F1"] if names else ""
    return f"F1 of {' and '.join(names)} is undefined: {UNDEFINED_BECAUSE['F1']}"


def support_of(
    tp: Array, fp: Array, fn: Array, grouping: Grouping | None = ()
) -> dict[str, NDArray[np.int64]]:
    """Patients that each ratio rests on: those with any volume above or below its line.

    The others are in no resample's way: with one such patient every resample gives the same ratio.

    Parameters
    ----------
    tp, fp, fn : numpy.ndarray, shape (n, 4)
    grouping : tuple of int or None
        See `patients.grouping_of`.

    Returns
    -------
    dict of numpy.ndarray, each of shape (4,)
        Under the names of `RATIOS`.
    """
    hit, extra, missed = (part > 0 for part in (tp, fp, fn))
    present = {"sensitivity": hit | missed, "PPV": hit | extra, "F1": hit | extra | missed}
    return {ratio: supporting(present[ratio], grouping) for ratio in RATIOS}


def rests_on(support: int) -> str:
    """Why a ratio has no interval, where too few patients have any volume; else nothing."""
    if support >= MIN_PATIENTS:
        return ""
    return f"rests on {support} patient{'' if support == 1 else 's'}: no interval"


def overlap_estimates(
    tp: ArrayLike,
    fp: ArrayLike,
    fn: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[tuple[str, str], Estimate]:
    """Pooled sensitivity, PPV and F1 with percentile bootstrap intervals over patients.

    Parameters
    ----------
    tp, fp, fn : array_like, shape (n_scans, 4)
        Volumes in mm3 of LAD, LCX, RCA, whole, as `overlap_volumes` gives them per scan.
    resamples, seed : int
        Number of resamples and their seed.
    patients : array_like, shape (n_scans,), optional
        Patient of each scan; None: each scan is of another patient.

    Returns
    -------
    dict
        ``("F1", "LAD") -> Estimate`` and so on, for `RATIOS` x `TARGETS`.

    Raises
    ------
    ValueError
        On wrong shapes, NaN or negative volumes.
    """
    volumes = check_volumes(tp, fp, fn)
    n = len(volumes[0])
    if n == 0:
        return {(r, t): Estimate.undefined("no scans", 0) for r in RATIOS for t in TARGETS}
    values = pooled_ratios(*volumes)
    grouping = grouping_of(patients, n)
    count, support = count_of(n, grouping), support_of(*volumes, grouping)
    replicates = pooled_ratios(*volumes, scan_weights(n, grouping, resamples, seed))
    found = {}
    for ratio in RATIOS:
        for index, target in enumerate(TARGETS):
            value = float(values[ratio][0, index])
            if np.isnan(value):
                found[ratio, target] = Estimate.undefined(UNDEFINED_BECAUSE[ratio], n)
                continue
            low, high, note = interval_over(replicates[ratio][:, index], count)
            few = FEW_PATIENTS if count < MIN_PATIENTS else rests_on(support[ratio][index])
            if few:
                low, high, note = np.nan, np.nan, few
            found[ratio, target] = Estimate(
                value, low, high, n, note, None if grouping is None else count
            )
    return found
