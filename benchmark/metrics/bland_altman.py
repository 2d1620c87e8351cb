"""Bland-Altman analysis: bias, 95 % limits of agreement, their intervals, the share inside.

Differences are estimate minus reference, against the mean of the two, as in the MMWFAnet paper's
figure 7. The limits are bias +- 1.96 standard deviations (divisor n - 1).

Two intervals are offered. "bootstrap" resamples patients, as everything on a leaderboard does,
and is the default: differences of calcium scores are far from normal and grow with the score.
"normal" is the classical one of Bland & Altman (1999), section 2.1: t intervals with standard
errors s / sqrt(n) for the bias and s sqrt(1 / n + 1.96^2 / (2 (n - 1))) for either limit, about
1.71 s / sqrt(n). (The paper of 1986 rounds this to sqrt(3) s / sqrt(n), which some programs
still use.)

====================================  =====================================================
fewer than 3 scans                    undefined
fewer than 3 patients                 values without intervals
several scans of a patient            bias and limits are over scans, as they lie in the plot; the
                                      bootstrap draws patients; no "normal" interval
all differences the same              limits equal the bias, all intervals without width
missing estimates                     not accepted: `worst.fill_missing` first ("MAE")
====================================  =====================================================

References
----------
Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of clinical
measurement. Lancet 1986;327:307-310.

Bland JM, Altman DG. Measuring agreement in method comparison studies. Statistical Methods in
Medical Research 1999;8:135-160.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .agreement import TOO_FEW
from .bootstrap import RESAMPLES, SEED
from .columns import MIN_SCANS
from .estimate import Estimate
from .patients import (
    FEW_PATIENTS,
    MIN_PATIENTS,
    SEVERAL_SCANS,
    count_of,
    grouping_of,
    interval_over,
    scan_weights,
)

Array = NDArray[np.float64]
INTERVALS = ("bootstrap", "normal")
NO_SPREAD = "every difference is the same: the limits have no width"
DEVIATE = 1.959963984540054
"""97.5 % point of the normal distribution, which 1.96 abbreviates."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """A Bland-Altman analysis of one score.

    Attributes
    ----------
    mean, difference : numpy.ndarray, shape (n,)
        Of estimate and reference, and estimate minus reference, in the unit of the score.
    bias, lower, upper : Estimate
        Mean difference and the two limits, with 95 % intervals.
    inside : Estimate
        Share of the scans within the limits, ends included. With the "normal" interval it has
        none, as normality already settles it at 95 %.
    """

    mean: Array
    difference: Array
    bias: Estimate
    lower: Estimate
    upper: Estimate
    inside: Estimate


def bland_altman(
    reference: ArrayLike,
    estimate: ArrayLike,
    interval: str = "bootstrap",
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> Agreement:
    """Compare two lists of scores.

    Parameters
    ----------
    reference, estimate : array_like, shape (n,)
        Finite scores of n scans.
    interval : {"bootstrap", "normal"}
        See the head of this module.
    resamples, seed : int
        Of the bootstrap.
    patients : array_like, shape (n,), optional
        Patient of each scan; None: each scan is of another patient.

    Raises
    ------
    ValueError
        On unlike shapes, NaN or infinity, or an unknown interval.
    """
    r, e = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if r.ndim != 1 or r.shape != e.shape:
        raise ValueError(f"reference and estimate must be lists (n,), got {r.shape} and {e.shape}")
    if not (np.isfinite(r).all() and np.isfinite(e).all()):
        raise ValueError("NaN or infinite scores: give the estimate to fill_missing first")
    if interval not in INTERVALS:
        raise ValueError(f"interval must be one of {', '.join(INTERVALS)}, got {interval!r}")
    n, difference, mean = r.size, e - r, r / 2 + e / 2
    grouping = grouping_of(patients, n)
    count = count_of(n, grouping)
    known = None if grouping is None else count
    if n < MIN_SCANS:
        nothing = Estimate.undefined(TOO_FEW, n, known)
        return Agreement(mean, difference, *(nothing for _ in range(4)))
    if (difference == difference[0]).all():
        few = count < MIN_PATIENTS
        value, note = float(difference[0]), FEW_PATIENTS if few else NO_SPREAD
        same, every = (
            Estimate(own, end, end, n, note, known)
            for own, end in ((value, math.nan if few else value), (1.0, math.nan if few else 1.0))
        )
        return Agreement(mean, difference, same, same, same, every)
    # In units of the largest difference, so that an absurd estimate cannot overflow its square.
    unit = np.abs(difference).max()
    scaled = difference / unit
    values = bias_and_limits(scaled, np.ones((1, n)))[:, 0]
    if interval == "normal":
        ends = [(math.nan, math.nan, SEVERAL_SCANS)] * 4 if grouping else _normal_ends(values, n)
    else:
        drawn = bias_and_limits(scaled, scan_weights(n, grouping, resamples, seed))
        ends = [interval_over(figure, count) for figure in drawn]
    estimates = (
        Estimate(float(value * size), float(low * size), float(high * size), n, note, known)
        for value, (low, high, note), size in zip(values, ends, (unit, unit, unit, 1), strict=True)
    )
    return Agreement(mean, difference, *estimates)


def bias_and_limits(difference: Array, weights: Array) -> Array:
    """Bias, lower limit, upper limit and share inside, (4, B), of differences (n,)."""
    # scans of a resample: another number in each where patients have unlike numbers of scans
    n, centre = weights.sum(axis=1), difference.mean()
    centred = difference - centre
    sums = weights @ np.stack([centred, centred**2], axis=1)  # (B, 2)
    shift = sums[:, 0] / n
    # weighted variance with divisor n - 1, never negative
    variance = np.maximum(sums[:, 1] - n * shift**2, 0.0) / (n - 1)
    bias, spread = centre + shift, np.sqrt(variance)  # (B,)
    lower, upper = bias - DEVIATE * spread, bias + DEVIATE * spread
    # most scans lie inside, or outside, in every resample: only the others are compared in each
    always = (difference >= lower.max()) & (difference <= upper.min())
    ever = (difference >= lower.min()) & (difference <= upper.max())
    some = np.flatnonzero(ever & ~always)
    own = difference[some]
    inside = (own >= lower[:, None]) & (own <= upper[:, None])  # (B, some)
    count = weights @ always.astype(np.float64) + (weights[:, some] * inside).sum(axis=1)
    # A resample of one and the same scan: rounding must not put its points outside.
    share = np.where(spread > 0, count / n, 1.0)
    return np.stack([bias, lower, upper, share])


def _normal_ends(values: Array, n: int) -> list[tuple[float, float, str]]:
    """t intervals of bias and limits; none for the share."""
    from scipy.special import stdtrit  # late: SciPy is slow to import

    bias, lower, upper, _ = values
    spread = (upper - lower) / (2 * DEVIATE)
    t = float(stdtrit(n - 1, 0.975))
    of_bias = t * spread / math.sqrt(n)
    of_limit = t * spread * math.sqrt(1 / n + DEVIATE**2 / (2 * (n - 1)))
    halves = ((bias, of_bias), (lower, of_limit), (upper, of_limit))
    ends = [(float(value - half), float(value + half), "") for value, half in halves]
    return [*ends, (math.nan, math.nan, "no interval under normality")]
