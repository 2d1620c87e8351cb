"""The rule: how far a figure may fall before it is more than other seeds would do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LEAST_SD = 0.005
"""SD that a figure of a trained network is given at least (on the scale of `on_scale`): seeds that
agree by chance, or a network that finds nothing, must not make a bound without width."""

SAME = 1e-6
"""Relative difference up to which two figures of a row that learns nothing are the same."""


@dataclass(frozen=True)
class Rule:
    """How the table is judged.

    Attributes
    ----------
    family : float
        Chance that an unchanged tree fails, over the whole table.
    confidence : float
        Confidence of each tolerance bound: the share of baselines whose bound keeps that promise.
        With 0.96 a table of 60 independent figures keeps `family` for 95 % of baselines of 20
        seeds (`simulation.model_rate`).
    seeds : int
        Seeds that a check trains; their mean is compared.
    """

    family: float = 0.01
    confidence: float = 0.96
    seeds: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.family < 1 or not 0.5 <= self.confidence < 1 or self.seeds < 1:
            raise ValueError(
                "a rule needs 0 < family < 1, 0.5 <= confidence < 1 and at least 1 seed, not "
                f"{self.family}, {self.confidence}, {self.seeds}"
            )


def tolerance_factor(n: int, m: int, tail: float, confidence: float) -> float:
    """Factor k of a one-sided normal tolerance bound for the mean of m new values.

    With probability `confidence` over samples of n values, at most the share `tail` of means of m
    new values lies below ``mean - k sd``. With t' the quantile of the noncentral t distribution::

        k = t'(confidence; n - 1, z sqrt(n / m)) / sqrt(n),    z = quantile(1 - tail)

    For m = 1 this is the textbook factor (NIST/SEMATECH e-Handbook, 7.2.6.3).

    Parameters
    ----------
    n : int
        Values that mean and SD rest on, at least 2.
    m : int
        New values whose mean is judged, at least 1.
    tail, confidence : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If n or m is too small.
    """
    from scipy.special import nctdtrit
    from scipy.stats import norm

    if n < 2 or m < 1:
        raise ValueError(f"a tolerance bound needs n >= 2 and m >= 1, not {n} and {m}")
    shift = norm.isf(tail) * math.sqrt(n / m)
    return float(nctdtrit(n - 1, shift, confidence)) / math.sqrt(n)


def on_scale(metric: str, values: ArrayLike) -> np.ndarray:
    """Values on the scale on which seeds scatter evenly and more is better.

    Mean absolute errors as minus their logarithm, all others as they are.
    """
    values = np.asarray(values, dtype=np.float64)
    if not metric.startswith("MAE"):
        return values
    return -np.log(np.maximum(values, np.finfo(np.float64).tiny))


def off_scale(metric: str, value: float) -> float:
    """From the scale of `on_scale` back to the figure's own."""
    return math.exp(-value) if metric.startswith("MAE") else value


def tail_of(rule: Rule, count: int) -> float:
    """Share of the false alarms that each of `count` figures may have (Bonferroni)."""
    return rule.family / max(1, count)


def bounds(
    metric: str, values: ArrayLike, rule: Rule, tail: float, factor: float | None = None
) -> tuple[float, float]:
    """Worst and best mean of a check's seeds that the baseline's own noise allows.

    Parameters
    ----------
    metric : str
    values : array_like, shape (n,)
        The baseline's figures, one a seed; all defined.
    rule : Rule
    tail : float
        See `tail_of`.
    factor : float, optional
        `tolerance_factor`, where it is known.

    Returns
    -------
    (float, float)
        On the scale of `on_scale`: a fall is a mean below the first, a gain one above the second.
    """
    scaled = on_scale(metric, values)
    if factor is None:
        factor = tolerance_factor(len(scaled), rule.seeds, tail, rule.confidence)
    middle, sd = float(scaled.mean()), max(float(scaled.std(ddof=1)), LEAST_SD)
    return middle - factor * sd, middle + factor * sd
