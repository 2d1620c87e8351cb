"""Differences between two methods on the same scans: interval, p value, Holm's adjustment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import RESAMPLES, SEED
from .estimate import join_notes
from .overlap import (
    RATIOS,
    TARGETS,
    UNDEFINED_BECAUSE,
    check_volumes,
    pooled_ratios,
    support_of,
)
from .patients import grouping_of, interval_over, scan_weights
from .replicates import Key, Replicates, replicate


@dataclass(frozen=True)
class PairedDifference:
    """Figure of method a less that of method b on the same scans.

    Parameters
    ----------
    difference : float
        a - b; NaN when either is undefined, ``note`` says why.
    low, high : float
        95 % percentile interval of the difference over resamples of patients.
    p : float
        Two-sided p value of "no difference", not adjusted for the number of comparisons.
    n : int
        Number of scans.
    note : str
        Missing scans, reasons.
    patients : int or None
        Number of patients.
    """

    difference: float
    low: float
    high: float
    p: float
    n: int
    note: str = ""
    patients: int | None = None

    def as_text(self, decimals: int = 3) -> str:
        """Write difference, interval and p value, or why there is none."""
        if math.isnan(self.difference):
            return f"undefined: {self.note}"
        d = decimals
        if math.isnan(self.low):
            return f"{self.difference:+.{d}f}"
        return (
            f"{self.difference:+.{d}f} ({self.low:+.{d}f} to {self.high:+.{d}f}), p = {self.p:.3f}"
        )


def two_sided_p(differences: NDArray[np.float64]) -> float:
    """Two-sided bootstrap p value: how far out in the resampled differences zero lies.

    Twice the smaller share of resamples on one side of zero, those at zero on both, with one
    added to counts so that p is never 0: at least 2 / (B + 1). It is below 0.05 just about when
    the 95 % percentile interval leaves zero out.
    """
    defined = differences[np.isfinite(differences)]
    if defined.size < differences.size / 2:
        return math.nan
    smaller = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (1 + smaller) / (1 + defined.size)))


def paired_difference(a: Replicates, b: Replicates) -> PairedDifference:
    """Compare one figure of two methods.

    Parameters
    ----------
    a, b : Replicates
        The same figure of two methods, on the same scans in the same order. The numbers of
        training seeds may differ: each is a mean over its own.

    Raises
    ------
    ValueError
        When the two were not resampled alike.
    """
    if a.sample != b.sample:
        raise ValueError(
            "a paired comparison needs the same scans and the same resamples for both methods"
        )
    value = a.value - b.value
    notes = [f"{side}: {x.note}" for side, x in (("a", a), ("b", b)) if x.note]
    if math.isnan(value):
        nothing = (math.nan,) * 3
        return PairedDifference(value, *nothing, a.n, join_notes(*notes), a.known_patients)
    few = join_notes(a.few, b.few)
    resampled = a.resampled - b.resampled
    low, high, note = interval_over(resampled, a.patients)
    p, notes = two_sided_p(resampled), join_notes(*notes, few or note)
    return PairedDifference(value, low, high, p, a.n, notes, a.known_patients)


def paired_differences(
    a: dict[Key, Replicates], b: dict[Key, Replicates]
) -> dict[Key, PairedDifference]:
    """Compare every figure that both methods have, as `replicates.replicate` gives them."""
    return {key: paired_difference(a[key], b[key]) for key in a if key in b}


def paired_overlap(
    a: tuple[ArrayLike, ArrayLike, ArrayLike],
    b: tuple[ArrayLike, ArrayLike, ArrayLike],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[Key, PairedDifference]:
    """Differences in sensitivity, PPV and F1 from volumes alone.

    Parameters
    ----------
    a, b : tuple of array_like, each (n, 4)
        tp, fp, fn in mm3 of each method on the same scans.
    resamples, seed : int
        Of the bootstrap.
    patients : array_like, shape (n,), optional
        Patient of each scan; None: each scan is of another patient.

    Raises
    ------
    ValueError
        For unlike shapes, NaN or negative volumes.
    """
    sides = []
    for part in (a, b):
        volumes = check_volumes(*part)
        n = len(volumes[0])
        grouping = grouping_of(patients, n)
        support = support_of(*volumes, grouping)
        values = pooled_ratios(*volumes)
        resampled = pooled_ratios(*volumes, scan_weights(n, grouping, resamples, seed))
        sides.append(
            {
                (ratio, target): Replicates(
                    values[ratio][:, j],
                    resampled[ratio][:, j],
                    n,
                    (resamples, seed),
                    UNDEFINED_BECAUSE[ratio] if np.isnan(values[ratio][0, j]) else "",
                    grouping,
                    int(support[ratio][j]),
                )
                for ratio in RATIOS
                for j, target in enumerate(TARGETS)
            }
        )
    return paired_differences(*sides)


def paired_scores(
    reference: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[Key, PairedDifference]:
    """Differences in ICC, PCC, MAE and kappa from scores.

    Parameters
    ----------
    reference : array_like, shape (n, 3, 4)
    a, b : array_like, shape (n, 3, 4) or (seeds, n, 3, 4)
        Estimated scores of each method; NaN takes the worst value. For MAE less is better.
    resamples, seed, patients
        See `paired_overlap`.
    """
    drawn = {"resamples": resamples, "seed": seed, "patients": patients}
    return paired_differences(replicate(reference, a, **drawn), replicate(reference, b, **drawn))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values for the number of comparisons by Holm's step-down method.

    Parameters
    ----------
    p_values : array_like, shape (m,)
        Two-sided p values of one family. NaN (no comparison possible) stays NaN, and still counts
        in m: a family must not shrink because a method failed.

    Returns
    -------
    numpy.ndarray, shape (m,)
        Adjusted p values, in the order given.

    Raises
    ------
    ValueError
        For p values outside 0 to 1.

    References
    ----------
    Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of
    Statistics 1979;6:65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError("p values must be a list of numbers from 0 to 1")
    order = np.argsort(p, kind="stable")  # NaN sorts last
    steps = p[order] * (p.size - np.arange(p.size))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
