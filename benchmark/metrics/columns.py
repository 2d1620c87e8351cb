"""ICC, Pearson correlation and mean absolute error of many columns in many resamples at once.

Everything here is a ratio of weighted sums, so that 2000 resamples of 12 scores cost a few
matrix products. `agreement` holds the same figures for one column, with intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MIN_SCANS = 3


@dataclass(frozen=True)
class Moments:
    """Weighted moments of paired columns, each of shape (B, k); scaled, see `column_moments`.

    Variances and covariance have the divisor n - 1.
    """

    n: Array  # (B, 1)
    mean_difference: Array
    variance_reference: Array
    variance_estimate: Array
    covariance: Array
    reference_constant: NDArray[np.bool_]
    estimate_constant: NDArray[np.bool_]


def _constant(columns: Array, weights: Array | None) -> NDArray[np.bool_]:
    """Say which columns hold one single value in which resample, exactly."""
    if weights is None:
        return (columns == columns[:1]).all(axis=0)[None]
    found = np.zeros((len(weights), columns.shape[1]), dtype=bool)
    drawn = np.count_nonzero(weights, axis=1)  # (B,) unlike scans in each resample
    least = drawn.min(initial=len(columns))
    for j, column in enumerate(columns.T):
        _, rank, ties = np.unique(column, return_inverse=True, return_counts=True)
        # a resample of more unlike scans than share any one value cannot be constant
        if ties.max() < least:
            continue
        few = np.flatnonzero(drawn <= ties.max())
        # The variance of dense ranks is a difference of whole numbers: exact in floating point,
        # where that of the values themselves would leave rounding dust instead of zero.
        own, ranks = weights[few], rank.astype(np.float64)
        found[few, j] = (own @ ranks**2) * own.sum(axis=1) == (own @ ranks) ** 2
    return found


def column_moments(reference: Array, estimate: Array, weights: Array | None = None) -> Moments:
    """Weighted moments of each pair of columns.

    Each pair of columns is divided by its largest absolute value, which leaves ICC and Pearson
    as they are and keeps an absurd estimate (1e300) from overflowing into NaN.

    Parameters
    ----------
    reference, estimate : numpy.ndarray, shape (n, k)
        Finite values.
    weights : numpy.ndarray, shape (B, n), optional
        Counts of each scan in each resample; without them, each scan once (B = 1).
    """
    scale = np.maximum(np.abs(reference).max(axis=0), np.abs(estimate).max(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    x, y = reference / scale, estimate / scale
    # One common origin near the data keeps the sums of squares from cancelling.
    centre = x.mean(axis=0)
    x, y = x - centre, y - centre
    if weights is None:
        n = np.array([[float(len(x))]])
        mean_x, mean_y = x.mean(axis=0)[None], y.mean(axis=0)[None]
        dx, dy = x - mean_x, y - mean_y
        xx, yy, xy = ((a * b).sum(axis=0)[None] for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    else:
        n = weights.sum(axis=1, keepdims=True)
        k = x.shape[1]
        # one product: (B, n) @ (n, 5 k) -> five blocks (B, k)
        sums = weights @ np.concatenate([x, y, x * x, y * y, x * y], axis=1)
        sum_x, sum_y, xx, yy, xy = (sums[:, i * k : (i + 1) * k] for i in range(5))
        mean_x, mean_y = sum_x / n, sum_y / n
        xx = np.maximum(xx - sum_x * mean_x, 0.0)
        yy = np.maximum(yy - sum_y * mean_y, 0.0)
        xy = xy - sum_x * mean_y
    degrees = np.maximum(n - 1, 1)
    return Moments(
        n=n,
        mean_difference=mean_x - mean_y,
        variance_reference=xx / degrees,
        variance_estimate=yy / degrees,
        covariance=xy / degrees,
        reference_constant=_constant(reference, weights),
        estimate_constant=_constant(estimate, weights),
    )


def weighted_icc(reference: Array, estimate: Array, weights: Array | None = None) -> Array:
    """ICC(A,1) of each pair of columns in each resample.

    The two-way, absolute-agreement, single-rater ICC of McGraw & Wong (1996), case 2, with two
    raters, where the mean squares become (co)variances::

        2 cov / (var_r + var_e + (mean_r - mean_e)^2 - var(r - e) / n)

    Returns
    -------
    numpy.ndarray, shape (B, k)
        From -n / (n - 2) to 1. NaN where fewer than 3 scans or where the reference is constant:
        that is a property of the cohort, the same for all methods, so no method gains by it.
    """
    return icc_of_moments(column_moments(reference, estimate, weights))


def icc_of_moments(m: Moments) -> Array:
    """As `weighted_icc`, from moments that serve several figures."""
    spread = m.variance_reference + m.variance_estimate
    below = spread + m.mean_difference**2 - (spread - 2 * m.covariance) / m.n
    undefined = m.reference_constant | (m.n < MIN_SCANS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.minimum(2 * m.covariance / below, 1.0)
    # Exactly 0 for a constant estimate, where rounding would leave dust of either sign.
    return np.where(undefined, np.nan, np.where(m.estimate_constant, 0.0, ratio))


def weighted_pearson(reference: Array, estimate: Array, weights: Array | None = None) -> Array:
    """Pearson correlation of each pair of columns in each resample, shape (B, k).

    NaN where the reference is constant or there are fewer than 3 scans. Where only the estimate
    is constant the textbook value is 0/0; here it is 0, as its ICC is: a method that always
    answers the same must not escape from the mean over scores by being undefined.
    """
    return pearson_of_moments(column_moments(reference, estimate, weights))


def pearson_of_moments(m: Moments) -> Array:
    """As `weighted_pearson`, from moments that serve several figures."""
    undefined = m.reference_constant | (m.n < MIN_SCANS)
    with np.errstate(divide="ignore", invalid="ignore"):
        # two roots rather than the root of the product, which could underflow
        ratio = m.covariance / np.sqrt(m.variance_reference) / np.sqrt(m.variance_estimate)
    # Spread too small to be squared (relative 1e-160) is no spread.
    ratio = np.where(np.isfinite(ratio), np.clip(ratio, -1.0, 1.0), 0.0)
    return np.where(undefined, np.nan, np.where(m.estimate_constant, 0.0, ratio))


def weighted_mae(reference: Array, estimate: Array, weights: Array | None = None) -> Array:
    """Mean absolute error of each pair of columns in each resample, shape (B, k)."""
    error = np.abs(reference - estimate)
    if weights is None:
        return error.mean(axis=0)[None]
    return (weights @ error) / weights.sum(axis=1, keepdims=True)
