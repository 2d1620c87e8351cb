"""How well estimated scores agree with the reference: ICC(A,1), Pearson, mean absolute error.

Each takes one column of scans (n,) and gives an `Estimate`, or columns (n, k) and gives a list
of k. Missing values are refused here: `worst.fill_missing` deals with them first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bootstrap import RESAMPLES, SEED
from .columns import MIN_SCANS, weighted_mae, weighted_pearson
from .estimate import Estimate
from .patients import SEVERAL_SCANS, count_of, grouping_of, interval_over, scan_weights

Array = NDArray[np.float64]
TOO_FEW = f"fewer than {MIN_SCANS} scans"
CONSTANT_REFERENCE = "every reference value is the same"
CONSTANT_ESTIMATE = "every estimated value is the same: taken as 0"


def _columns(reference: ArrayLike, estimate: ArrayLike) -> tuple[Array, Array]:
    """Check two arrays of one shape (n,) or (n, k), all finite."""
    r, e = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if r.shape != e.shape or r.ndim not in (1, 2):
        raise ValueError(
            f"reference and estimate must share a shape (n,) or (n, k), got {r.shape} and {e.shape}"
        )
    if not (np.isfinite(r).all() and np.isfinite(e).all()):
        raise ValueError("NaN or infinite scores: give the estimate to fill_missing first")
    return r, e


def _each_column(
    figure: Callable[[Array, Array], Estimate], reference: ArrayLike, estimate: ArrayLike
) -> Estimate | list[Estimate]:
    r, e = _columns(reference, estimate)
    if r.ndim == 1:
        return figure(r, e)
    return [figure(r[:, j], e[:, j]) for j in range(r.shape[1])]


def _of_independent_scans(
    figure: Callable[[Array, Array], Estimate], patients: ArrayLike | None
) -> Callable[[Array, Array], Estimate]:
    """The figure without its interval where a patient has several scans."""

    def one(r: Array, e: Array) -> Estimate:
        found, grouping = figure(r, e), grouping_of(patients, r.size)
        if not grouping:
            return found
        note = SEVERAL_SCANS if found.is_defined else found.note
        count = count_of(r.size, grouping)
        return Estimate(found.value, math.nan, math.nan, r.size, note, count)

    return one


def icc_of_ratings(ratings: ArrayLike, confidence: float = 0.95) -> Estimate:
    """ICC(A,1): two-way, absolute agreement, single rater, of any number of raters.

    Value and F-based interval of McGraw & Wong (1996), table 4 and 7, which is ICC(2,1) of Shrout
    & Fleiss (1979). Negative values are kept. The interval assumes normal scores; for calcium
    scores, which are far from normal, it is much too short (see `bootstrap`), so that
    leaderboards use the bootstrap instead.

    Parameters
    ----------
    ratings : array_like, shape (n, k)
        n scans, k >= 2 raters.

    References
    ----------
    McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients.
    Psychological Methods 1996;1:30-46, with the correction in 1996;1:390.

    Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability.
    Psychological Bulletin 1979;86:420-428.
    """
    from scipy.special import fdtri  # late: SciPy is slow to import

    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise ValueError("ratings must be a finite table of n scans by 2 or more raters")
    n, k = table.shape
    if n < MIN_SCANS:
        return Estimate.undefined(TOO_FEW, n)
    scale = np.abs(table).max()
    if (table == table[0, 0]).all():
        return Estimate.undefined("all values are the same", n)
    if (table == table[:, :1]).all():
        return Estimate(1.0, 1.0, 1.0, n, "perfect agreement: the interval has no width")
    table = table / scale
    rows, raters, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    ms_rows = k * ((rows - grand) ** 2).sum() / (n - 1)
    ms_raters = n * ((raters - grand) ** 2).sum() / (k - 1)
    residual = table - rows[:, None] - raters[None] + grand  # (n, k)
    ms_error = (residual**2).sum() / ((n - 1) * (k - 1))
    value = (ms_rows - ms_error) / (ms_rows + (k - 1) * ms_error + k * (ms_raters - ms_error) / n)
    # Satterthwaite degrees of freedom; numerator and denominator times n (1 - value) to stay
    # finite as the value goes to 1.
    a = k * value * ms_raters
    b = (n * (1 + (k - 1) * value) - k * value) * ms_error
    spread = a**2 / (k - 1) + b**2 / ((n - 1) * (k - 1))
    df = (a + b) ** 2 / spread if spread > 0 else 0.0
    upper_tail = 1 - (1 - confidence) / 2
    f_low = fdtri(n - 1, df, upper_tail) if df > 0 else math.inf
    f_high = fdtri(df, n - 1, upper_tail) if df > 0 else math.inf
    note = ""
    if math.isfinite(f_low) and math.isfinite(f_high):
        rest = k * ms_raters + (k * n - k - n) * ms_error
        low = n * (ms_rows - f_low * ms_error) / (f_low * rest + n * ms_rows)
        high = n * (f_high * ms_rows - ms_error) / (rest + n * f_high * ms_rows)
    else:  # a negative value may leave a + b next to 0
        low, high, note = math.nan, math.nan, "no interval: no degrees of freedom"
    return Estimate(float(value), float(low), float(high), n, note)


def icc(
    reference: ArrayLike,
    estimate: ArrayLike,
    confidence: float = 0.95,
    patients: ArrayLike | None = None,
) -> Estimate | list[Estimate]:
    """ICC(A,1) between reference and estimate, with the F-based interval of `icc_of_ratings`.

    Rules: fewer than 3 scans, or a constant reference -> undefined (also when the estimate is
    the same constant); constant estimate -> 0; perfect agreement -> 1 (1 to 1); negative values
    are kept, the smallest possible is -n / (n - 2).

    Parameters
    ----------
    reference, estimate : array_like, shape (n,) or (n, k)
        Scores of n scans; k columns are treated one by one.
    confidence : float
    patients : array_like, shape (n,), optional
        Patient of each scan. The F-based interval is of independent scans: where a patient has
        several, there is none.

    Raises
    ------
    ValueError
        On NaN, infinity or unlike shapes.
    """

    def one(r: Array, e: Array) -> Estimate:
        if r.size < MIN_SCANS:
            return Estimate.undefined(TOO_FEW, r.size)
        if (r == r[0]).all():
            return Estimate.undefined(CONSTANT_REFERENCE, r.size)
        if (e == e[0]).all():
            found = icc_of_ratings(np.stack([r, e], axis=1), confidence)
            return Estimate(0.0, found.low, found.high, found.n, CONSTANT_ESTIMATE)
        return icc_of_ratings(np.stack([r, e], axis=1), confidence)

    return _each_column(_of_independent_scans(one, patients), reference, estimate)


def pearson(
    reference: ArrayLike,
    estimate: ArrayLike,
    confidence: float = 0.95,
    patients: ArrayLike | None = None,
) -> Estimate | list[Estimate]:
    """Pearson correlation with the interval of Fisher's z.

    Rules: fewer than 3 scans, or a constant reference -> undefined; constant estimate -> 0
    without an interval (see `columns.weighted_pearson`); 3 scans -> interval -1 to 1.

    Parameters
    ----------
    reference, estimate : array_like, shape (n,) or (n, k)
    confidence : float
    patients : array_like, shape (n,), optional
        Patient of each scan. Fisher's z is of independent scans: where a patient has several, there
        is no interval.

    Raises
    ------
    ValueError
        On NaN, infinity or unlike shapes.
    """
    from scipy.special import ndtri

    deviate = ndtri(1 - (1 - confidence) / 2)

    def one(r: Array, e: Array) -> Estimate:
        n = r.size
        if n < MIN_SCANS:
            return Estimate.undefined(TOO_FEW, n)
        value = float(weighted_pearson(r[:, None], e[:, None])[0, 0])
        if math.isnan(value):
            return Estimate.undefined(CONSTANT_REFERENCE, n)
        if (e == e[0]).all():
            return Estimate(value, math.nan, math.nan, n, CONSTANT_ESTIMATE)
        if 1 - abs(value) < 1e-14:  # a straight line, up to rounding
            value = math.copysign(1.0, value)
            return Estimate(value, value, value, n, "perfect line: the interval has no width")
        if n == MIN_SCANS:
            return Estimate(value, -1.0, 1.0, n)
        half = deviate / math.sqrt(n - 3)
        centre = math.atanh(value)
        return Estimate(value, math.tanh(centre - half), math.tanh(centre + half), n)

    return _each_column(_of_independent_scans(one, patients), reference, estimate)


def mae(
    reference: ArrayLike,
    estimate: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> Estimate | list[Estimate]:
    """Mean absolute error, in the unit of the scores, with a percentile bootstrap interval.

    Rules: no scan -> undefined; fewer than 3 scans or patients -> a value without an interval.

    Parameters
    ----------
    reference, estimate : array_like, shape (n,) or (n, k)
    resamples, seed : int
        Of the bootstrap.
    patients : array_like, shape (n,), optional
        Patient of each scan; None: each scan is of another patient.

    Raises
    ------
    ValueError
        On NaN, infinity or unlike shapes.
    """

    def one(r: Array, e: Array) -> Estimate:
        n = r.size
        if n == 0:
            return Estimate.undefined("no scans", 0)
        value = float(np.abs(r - e).mean())
        if n < MIN_SCANS:
            return Estimate(value, math.nan, math.nan, n, f"no interval: {TOO_FEW}")
        grouping = grouping_of(patients, n)
        weights, count = scan_weights(n, grouping, resamples, seed), count_of(n, grouping)
        replicates = weighted_mae(r[:, None], e[:, None], weights)
        low, high, note = interval_over(replicates[:, 0], count)
        return Estimate(value, low, high, n, note, None if grouping is None else count)

    return _each_column(one, reference, estimate)
