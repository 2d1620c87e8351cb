"""The worst-value rule: a miss must never help.

A method that gives nothing, NaN or infinity for a scan takes there the worst that the metric can
make of it. "Worst" means within what is plausible: a score between 0 and the largest reference
score of the cohort in that column; a risk category from 0 to 4; a label on any candidate.

What is worst depends on the metric, and one value for all would leave a loophole:

- mean absolute error: of the two ends of the range, the one further from the reference;
- ICC and Pearson: the ends that leave the figure lowest. Further from the reference is not always
  worse here: with eight scans at 0, one at 500 and one at 3000, a method that answers 0 for all
  has ICC 0, and the further end of the scan at 500, which is 3000, would lift it above 0;
- kappa: the categories that leave kappa lowest, the farthest ones unless the method is bad. The
  further score is not always in the farther category: the far end from Agatston 200 is 3000, one
  category off, while 0 is three off;
- overlap: every reference voxel missed, and every other candidate called coronary.

What this guarantees, and tests show: whatever scores within the range (categories, candidates) a
method might have given for the missing scans, the figure is no better for their being missing,
with one exception: an ICC or Pearson that those scores would have made negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .columns import Moments, icc_of_moments, pearson_of_moments
from .kappa import CATEGORIES, DISTANCE, check_categories
from .overlap import TARGETS, check_volumes

Array = NDArray[np.float64]
METRICS = ("MAE", "ICC", "PCC")


@dataclass(frozen=True)
class Filled:
    """Values with the missing ones replaced, and which those were."""

    values: Array
    missing: NDArray[np.bool_]

    @property
    def scans(self) -> int:
        """Number of scans with anything missing."""
        return int(self.missing.reshape(len(self.missing), -1).any(axis=1).sum())

    @property
    def note(self) -> str:
        """A line for the reader, empty when nothing was missing."""
        return missing_note(self.scans)


def missing_note(scans: int) -> str:
    """Say how many scans took their worst value; empty for none."""
    return f"{scans} missing, given the worst value" if scans else ""


def _reference_scores(reference: ArrayLike, maximum: ArrayLike | None) -> tuple[Array, Array]:
    r = np.asarray(reference, dtype=np.float64)
    if r.ndim == 0 or len(r) == 0 or not np.isfinite(r).all() or (r < 0).any():
        raise ValueError("reference scores must be finite, not negative, and of at least one scan")
    top = r.max(axis=0) if maximum is None else np.asarray(maximum, dtype=np.float64)
    if (top < r.max(axis=0)).any() or not np.isfinite(top).all():
        raise ValueError("the plausible maximum lies below a reference score, or is not finite")
    return r, top


def worst_scores(reference: ArrayLike, maximum: ArrayLike | None = None) -> Array:
    """For each score, the end of the plausible range further from the reference.

    Parameters
    ----------
    reference : array_like, shape (n, ...)
        Reference scores, such as (n, 12) or (n, 3, 4); finite and not negative.
    maximum : array_like, shape (...), optional
        Upper end of each column; the largest reference score by default.

    Returns
    -------
    numpy.ndarray
        Same shape: 0 or the maximum of the column; the maximum when both are as far.

    Raises
    ------
    ValueError
        For references that are negative, not finite or above the maximum.
    """
    r, top = _reference_scores(reference, maximum)
    return np.where(r > top / 2, 0.0, top)


def _lowest_column(
    reference: Array, estimate: Array, missing: NDArray[np.bool_], top: float, metric: str
) -> Array:
    """Fill one column (n,) so that ICC or Pearson is lowest.

    Along one missing score the figure is a straight line over a convex positive function, so,
    where it is not negative, its lowest point is at an end of the range. For a given number of
    scores at the top, it is lowest where those are the scans with the lowest references. That
    leaves one trial for each number of scores at the top, 0 to all.
    """
    order = np.flatnonzero(missing)[np.argsort(reference[missing], kind="stable")]
    found = _trials(reference, estimate, missing, order, top, metric)
    # undefined is so in all trials: any will do
    highest = int(np.argmin(np.where(np.isnan(found), np.inf, found)))
    filled = np.where(missing, 0.0, estimate)
    filled[order[:highest]] = top
    return filled


def _trials(
    reference: Array,
    estimate: Array,
    missing: NDArray[np.bool_],
    order: NDArray[np.intp],
    top: float,
    metric: str,
) -> Array:
    """The figure of each trial, (missing + 1,): of trial t the first t of `order` are at the top.

    A trial differs from the one before in one score, so its sums follow from that one's: thousands
    of missing scans take no table of all scans in all trials.
    """
    n, trial = len(reference), np.arange(len(order) + 1)
    known = estimate[~missing]
    scale = max(np.abs(reference).max(), np.abs(known).max(initial=0.0), abs(top)) or 1.0
    x = reference / scale
    centre = x.mean()
    x = x - centre
    y, low, high = known / scale - centre, -centre, top / scale - centre
    # the lowest references first, as they go to the top
    at_top = np.concatenate([[0.0], np.cumsum(x[order])])
    sum_y = y.sum() + low * (len(order) - trial) + high * trial
    sum_yy = (y**2).sum() + low**2 * (len(order) - trial) + high**2 * trial
    sum_xy = (x[~missing] * y).sum() + low * (at_top[-1] - at_top) + high * at_top
    sum_x, degrees = x.sum(), max(n - 1, 1)
    constant = np.ones(len(trial), bool)
    if len(known):
        constant &= bool((known == known[0]).all())
        constant &= (trial == len(order)) | (known[0] == 0.0)
        constant &= (trial == 0) | (known[0] == top)
    else:
        constant &= (trial == 0) | (trial == len(order)) | (top == 0.0)
    moments = Moments(
        n=np.array([[float(n)]]),
        mean_difference=((sum_x - sum_y) / n)[None],
        variance_reference=np.full((1, len(trial)), ((x - sum_x / n) ** 2).sum() / degrees),
        variance_estimate=np.maximum(sum_yy - sum_y**2 / n, 0.0)[None] / degrees,
        covariance=(sum_xy - sum_x * sum_y / n)[None] / degrees,
        reference_constant=np.full((1, len(trial)), bool((reference == reference[0]).all())),
        estimate_constant=constant[None],
    )
    return {"ICC": icc_of_moments, "PCC": pearson_of_moments}[metric](moments)[0]


def fill_missing(
    reference: ArrayLike,
    estimate: ArrayLike | None,
    metric: str = "MAE",
    maximum: ArrayLike | None = None,
) -> Filled:
    """Replace each missing score by the worst one for a metric.

    Parameters
    ----------
    reference : array_like, shape (n, ...)
        Reference scores, finite and not negative.
    estimate : array_like, same shape, or None
        Estimated scores; NaN and infinity are missing. None: all are missing.
    metric : {"MAE", "ICC", "PCC"}
        What the values are for; "MAE", the further end, also suits plots of the differences.
    maximum : array_like, shape (...), optional
        Upper end of each column; the largest reference score by default.

    Returns
    -------
    Filled
        The values, and a mask of what was missing.

    Raises
    ------
    ValueError
        For unlike shapes, an unknown metric, or a bad reference.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}")
    r, top = _reference_scores(reference, maximum)
    e = np.full(r.shape, np.nan) if estimate is None else np.asarray(estimate, dtype=np.float64)
    if e.shape != r.shape:
        raise ValueError(f"estimated scores {e.shape} do not match reference scores {r.shape}")
    missing = ~np.isfinite(e)
    values = np.where(missing, worst_scores(r, top), e)
    if metric != "MAE" and missing.any():
        n = len(r)
        flat, gaps = r.reshape(n, -1), missing.reshape(n, -1)
        filled, tops = values.reshape(n, -1), np.broadcast_to(top, r.shape[1:]).reshape(-1)
        for j in np.flatnonzero(gaps.any(axis=0)):
            filled[:, j] = _lowest_column(flat[:, j], filled[:, j], gaps[:, j], tops[j], metric)
        values = filled.reshape(r.shape)
    return Filled(values, missing)


def farthest_category(reference: ArrayLike) -> NDArray[np.int64]:
    """The risk category farthest from each reference category 0..4; 0 for the middle one."""
    return np.argmax(DISTANCE[check_categories(reference)], axis=1)


def fill_missing_categories(
    reference: ArrayLike, estimate: ArrayLike, missing: ArrayLike
) -> NDArray[np.int64]:
    """Replace missing risk categories by those that leave linearly weighted kappa lowest.

    Kappa is 1 - observed / expected distance, and both are sums over scans. Dinkelbach's method
    finds the categories of the largest ratio: with the ratio of the last round as the price of
    expected distance, each scan takes the category with the largest profit, until none changes.
    For a method that is good elsewhere these are the farthest categories.

    Parameters
    ----------
    reference, estimate : array_like of int, shape (n,)
        Categories 0..4; the estimate is not read where missing.
    missing : array_like of bool, shape (n,)

    References
    ----------
    Dinkelbach W. On nonlinear fractional programming. Management Science 1967;13:492-498.
    """
    r, gaps = check_categories(reference), np.asarray(missing, dtype=bool)
    farthest = farthest_category(r)
    filled = check_categories(np.where(gaps, farthest, np.asarray(estimate)))
    if not gaps.any() or (r == r[0]).all():  # one reference category: kappa is undefined anyway
        return filled
    share = np.bincount(r, minlength=CATEGORIES) / r.size
    price_of = DISTANCE @ share  # (5,) expected distance of each category from the reference
    # every price is above 0, as the reference has two categories or more
    for _ in range(CATEGORIES * 10):  # converges in a few rounds; the bound is only for safety
        ratio = DISTANCE[r, filled].sum() / price_of[filled].sum()
        best = np.argmax(DISTANCE[r] - ratio * price_of, axis=1)
        after = np.where(gaps, best, filled)
        gained = DISTANCE[r, after].sum() / price_of[after].sum() > ratio * (1 + 1e-12)
        if not gained:
            return filled
        filled = after
    return filled


def worst_overlap(
    reference_volume: ArrayLike, candidate_volume: ArrayLike
) -> tuple[Array, Array, Array]:
    """Overlap of the worst labelling: all calcium missed, all else called coronary.

    The false positives make sure that failing on a scan without calcium is not free.

    Parameters
    ----------
    reference_volume : array_like, shape (n, 4)
        Reference volume in mm3 of LAD, LCX, RCA, whole.
    candidate_volume : array_like, shape (n,)
        Volume in mm3 of *all* candidates of the scan, coronary ones included.

    Returns
    -------
    tp, fp, fn : numpy.ndarray, shape (n, 4)
        tp = 0, fn = reference, fp = candidates less the reference of that column: for an artery,
        calcium of the other arteries may be a false positive too.

    Raises
    ------
    ValueError
        For negative or missing volumes, or more reference than candidate volume.
    """
    r = np.asarray(reference_volume, dtype=np.float64)
    c = np.asarray(candidate_volume, dtype=np.float64)
    if r.ndim != 2 or r.shape[1] != len(TARGETS) or c.shape != (len(r),):
        raise ValueError(f"expected volumes (n, 4) and (n,), got {r.shape} and {c.shape}")
    if not (np.isfinite(r).all() and np.isfinite(c).all()) or (r < 0).any():
        raise ValueError("reference and candidate volumes must be finite and not negative")
    if (r > c[:, None] * (1 + 1e-6) + 1e-9).any():
        scan = int(np.argmax((r > c[:, None] * (1 + 1e-6) + 1e-9).any(axis=1)))
        raise ValueError(f"scan {scan}: more reference than candidate volume; give all candidates")
    return np.zeros_like(r), np.maximum(c[:, None] - r, 0.0), r.copy()


def fill_missing_overlap(
    tp: ArrayLike,
    fp: ArrayLike,
    fn: ArrayLike,
    reference_volume: ArrayLike | None = None,
    candidate_volume: ArrayLike | None = None,
) -> tuple[Array, Array, Array, int]:
    """Give each scan with any missing volume the worst overlap, and say how many there were.

    Parameters
    ----------
    tp, fp, fn : array_like, shape (n, 4)
        Volumes in mm3; a scan with NaN or infinity anywhere is missing as a whole.
    reference_volume, candidate_volume : array_like, shapes (n, 4) and (n,), optional
        As for `worst_overlap`; needed only when a scan is missing.

    Returns
    -------
    tp, fp, fn : numpy.ndarray, shape (n, 4)
    scans : int

    Raises
    ------
    ValueError
        When a scan is missing and the volumes to judge it by are not given.
    """
    given = [np.array(a, dtype=np.float64) for a in (tp, fp, fn)]
    if len({a.shape for a in given}) != 1 or given[0].ndim != 2:
        raise ValueError("tp, fp and fn must each have shape (n_scans, 4)")
    missing = ~np.isfinite(np.concatenate(given, axis=1)).all(axis=1)
    if missing.any():
        if reference_volume is None or candidate_volume is None:
            raise ValueError(
                f"{missing.sum()} scans have no overlap: give reference_volume and candidate_volume"
            )
        for array, worst in zip(
            given, worst_overlap(reference_volume, candidate_volume), strict=True
        ):
            array[missing] = worst[missing]
    return (*check_volumes(*given), int(missing.sum()))
