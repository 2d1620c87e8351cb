"""Whose scan each scan is: what a bootstrap over patients draws together.

Scans of one patient are not independent: a patient whose calcium a method misses is missed in every
scan. A resample therefore takes whole patients, and each scan has the weight of its patient (the
cluster bootstrap). Values are not touched: a figure is over scans, only its resamples are over
patients.

With fewer than three patients there are no resamples worth the name (one patient gives the same one
every time, two give three), so that there is no interval, and nothing that rests on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import RESAMPLES, SEED, percentile_interval, resample_weights

Grouping = tuple[int, ...]
"""Number of each scan's patient, counted from 0 in the order of the scans; empty where each scan is
of a patient of its own."""

MIN_PATIENTS = 3
FEW_PATIENTS = f"fewer than {MIN_PATIENTS} patients: no interval"
SEVERAL_SCANS = "no interval: it assumes one scan a patient"


def grouping_of(patients: ArrayLike | Sequence | None, n: int) -> Grouping | None:
    """Number the patients of n scans; None where nobody knows them: each scan counts as one.

    Parameters
    ----------
    patients : sequence, length n, or None
        Anything that tells patients apart, one a scan; None: each scan is of another patient.
    n : int

    Raises
    ------
    ValueError
        If there is not one patient a scan.
    """
    if patients is None:
        return None
    own = np.asarray(patients).tolist()
    if not isinstance(own, list) or len(own) != n:
        given = len(own) if isinstance(own, list) else 0
        raise ValueError(f"patients of {given} scans, but there are {n} scans")
    numbers: dict = {}
    found = tuple(numbers.setdefault(patient, len(numbers)) for patient in own)
    return () if len(numbers) == n else found


def count_of(n: int, grouping: Grouping | None) -> int:
    """Patients of n scans."""
    return max(grouping) + 1 if grouping else n


def supporting(present: NDArray[np.bool_], grouping: Grouping | None) -> NDArray[np.int64]:
    """Patients with anything in each column of (n, k): those that a pooled ratio rests on."""
    if not grouping:
        return present.sum(axis=0)
    found = np.zeros((count_of(len(present), grouping), present.shape[1]), dtype=bool)
    np.logical_or.at(found, np.asarray(grouping), present)
    return found.sum(axis=0)


@lru_cache(maxsize=8)
def scan_weights(
    n: int, grouping: Grouping | None = (), resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """How often each scan occurs in each resample of patients.

    With one scan a patient these are `bootstrap.resample_weights` of n; otherwise those of the
    patients, repeated over their scans. The answer is kept and read-only.

    Parameters
    ----------
    n : int
        Scans.
    grouping : tuple of int or None
        See `grouping_of`.
    resamples, seed : int

    Returns
    -------
    numpy.ndarray, shape (B, n)
        Rows sum to n with as many scans of each patient, and to other numbers without.
    """
    drawn = resample_weights(count_of(n, grouping), resamples, seed)
    if not grouping:
        return drawn
    weights = drawn[:, np.asarray(grouping)]
    weights.setflags(write=False)
    return weights


def interval_over(
    resampled: NDArray[np.float64], patients: int, confidence: float = 0.95
) -> tuple[float, float, str]:
    """`bootstrap.percentile_interval`, or none with fewer than three patients; parameters as there.

    Parameters
    ----------
    resampled : numpy.ndarray, shape (B,)
    patients : int
        That the resamples were drawn from.
    confidence : float
    """
    if patients < MIN_PATIENTS:
        return np.nan, np.nan, FEW_PATIENTS
    return percentile_interval(resampled, confidence)
