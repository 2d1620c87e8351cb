"""Differences over patients, each spread by the noise of training: a mixture of t distributions.

The mixture has one component for each bootstrap difference d_b::

    P(difference <= c) = mean over b of T_df((c - d_b) / se)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_STEPS = 200


def mixture_p(centres: Array, se: float, df: float) -> float:
    """Two-sided p of 0, as `paired.two_sided_p`, with each resample spread by training.

    Parameters
    ----------
    centres : numpy.ndarray, shape (B,)
        Bootstrap differences, finite.
    se, df : float
        Standard error of the training part, above 0, and its degrees of freedom.
    """
    below = mixture_share(centres, se, df) * centres.size  # expected number below 0
    smaller = min(below, centres.size - below)
    return min(1.0, 2 * (1 + smaller) / (1 + centres.size))


def mixture_share(centres: Array, se: float, df: float, value: float = 0.0) -> float:
    """Share of the mixture below a value; parameters as for `mixture_p`."""
    from scipy.special import stdtr  # late: SciPy is slow to import

    return float(stdtr(df, (value - centres) / se).mean())


def mixture_quantile(centres: Array, se: float, df: float, share: float) -> float:
    """The value below which that share of the mixture lies.

    Newton's steps from the quantile of a mixture that were one t distribution, within a bracket
    that shrinks; a step that leaves the bracket, or is not half as long as the last but one, is
    replaced by halving, so that it converges where `se` is far below the gaps between the centres.
    Where such a gap has exactly that share below it, any value of the gap may be the answer.

    Parameters
    ----------
    centres, se, df
        See `mixture_p`.
    share : float
        Between 0 and 1.
    """
    from scipy.special import stdtr, stdtrit

    deviate = float(stdtrit(df, share))
    reach = se * abs(deviate)
    low, high = float(centres.min()) - reach, float(centres.max()) + reach
    at = float(centres.mean()) + deviate * math.hypot(float(centres.std()), se)
    at = min(max(at, low), high)
    height = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    last = before_last = high - low
    for _ in range(MOST_STEPS):
        deviates = (at - centres) / se
        excess = float(stdtr(df, deviates).mean()) - share
        if excess == 0:
            return at
        low, high = (low, at) if excess > 0 else (at, high)
        with np.errstate(over="ignore"):  # so far off that the density there is 0
            density = float(((1 + deviates**2 / df) ** (-(df + 1) / 2)).mean()) * height / se
        step = -excess / density if density > 0 else math.inf
        newton = low < at + step < high and abs(step) < before_last / 2
        if not newton:
            step = (low + high) / 2 - at
        before_last, last = last, abs(step)
        at += step
        # Newton's error is squared with each step: after one of 1e-8 nothing is left
        if (newton and last < 1e-8 * se) or high - low <= 1e-15 * max(abs(low), abs(high)):
            break
    return at
