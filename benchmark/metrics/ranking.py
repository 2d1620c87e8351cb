"""Ranks of methods, and how far they can be trusted. Ranks never stand without their figures.

A rank throws away by how much two methods differ, so every answer here carries the figures
themselves; the resamples of patients are those of the figures, the same for all methods.

====================================  ====================================================
equal figures                         share the mean of their ranks (2.5 and 2.5)
figure undefined                      no rank; the others are ranked without it, which is the
                                      same as placing it last
undefined in a resample only          last there, together with others that are
fewer than two ranked methods         no ranks, no tau
fewer than 3 patients                 no ranks, no tau: the figures alone
a figure rests on fewer than 3        no rank, as if it were undefined
all figures of a seed equal           tau with that seed undefined (tau-b has no pairs to judge)
one seed                              tau undefined
====================================  ====================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .estimate import Estimate
from .patients import MIN_PATIENTS
from .replicates import Replicates
from .summary import as_estimate
from .verdict import combine

Array = NDArray[np.float64]
WEIGHTS = np.round(np.linspace(0, 1, 21), 2)
"""Weights of the first task at which `joint_ranking` ranks, in steps of 0.05."""
NO_RANKS = f"fewer than {MIN_PATIENTS} patients: no ranks"


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranks of k methods by one figure, 1 the best.

    Attributes
    ----------
    figures : tuple of Estimate
        The figure of each method with its interval.
    rank : numpy.ndarray, shape (k,)
        By the figures themselves; NaN where undefined.
    low, high : numpy.ndarray, shape (k,)
        95 % percentile interval of the rank over resamples of patients.
    first : numpy.ndarray, shape (k,)
        Share of resamples in which the method is the best; ties share it.
    by_seed : numpy.ndarray, shape (s, k)
        Ranks within each seed; empty (0, k) if the methods have different numbers of seeds.
    tau : numpy.ndarray, shape (s, s)
        Kendall's tau-b between the figures of each two seeds.
    mean_tau : float
        Over the pairs of different seeds; NaN where undefined, ``note`` says why.
    note : str
    """

    figures: tuple[Estimate, ...]
    rank: Array
    low: Array
    high: Array
    first: Array
    by_seed: Array
    tau: Array
    mean_tau: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class JointRanking:
    """Ranks by the weighted mean of two tasks' figures, over a range of weights.

    Attributes
    ----------
    weights : numpy.ndarray, shape (w,)
        Weight of the first task; the second has the rest.
    values, ranks : numpy.ndarray, shape (w, k)
        Weighted means and the ranks by them; NaN for methods that lack a task.
    equal : Ranking
        At equal weights, with intervals.
    low, high : numpy.ndarray, shape (k,)
        Best and worst rank over all weights.
    leaders : tuple of (float, float, int)
        Stretches of weights from, to (both included) and the place of the method that leads there.
    """

    weights: Array
    values: Array
    ranks: Array
    equal: Ranking
    low: Array
    high: Array
    leaders: tuple[tuple[float, float, int], ...]


def ranks_of(values: ArrayLike, lower_is_better: bool = False) -> Array:
    """Rank along the last axis, 1 the best; ties share the mean of their ranks.

    Parameters
    ----------
    values : array_like, shape (..., k)
        NaN comes last, tied with every other NaN.
    lower_is_better : bool

    Returns
    -------
    numpy.ndarray, shape (..., k)
    """
    v = np.asarray(values, dtype=np.float64)
    v = np.where(np.isnan(v), np.inf, v if lower_is_better else -v)
    own, other = v[..., :, None], v[..., None, :]  # (..., k, 1) and (..., 1, k)
    better, equal = (other < own).sum(axis=-1), (other == own).sum(axis=-1)  # equal counts itself
    return better + (equal + 1) / 2


def kendall_tau(one: ArrayLike, other: ArrayLike) -> float:
    """Kendall's tau-b of two lists of figures; pairs with an undefined one are left out.

    NaN where fewer than two methods are left, or all figures of a list are equal.

    References
    ----------
    Kendall MG. The treatment of ties in ranking problems. Biometrika 1945;33:239-251.
    """
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"tau needs two lists of one length, got {x.shape} and {y.shape}")
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    dx, dy = np.sign(x[:, None] - x[None]), np.sign(y[:, None] - y[None])  # (k, k)
    below = math.sqrt(float((dx**2).sum()) * float((dy**2).sum()))
    return float((dx * dy).sum()) / below if below else math.nan


def rank_methods(figures: Sequence[Replicates], lower_is_better: bool = False) -> Ranking:
    """Rank methods by one figure, with the spread of the ranks over patients and seeds.

    Parameters
    ----------
    figures : sequence of Replicates, length k
        The same figure of each method, on the same scans and resamples.
    lower_is_better : bool

    Raises
    ------
    ValueError
        For figures of other scans or resamples.
    """
    if len({figure.sample for figure in figures}) > 1:
        raise ValueError("ranks need the same scans and the same resamples for all methods")
    k = len(figures)
    estimates = tuple(as_estimate(figure) for figure in figures)
    values = np.array([figure.value for figure in figures])
    few = np.array([bool(figure.few) for figure in figures], dtype=bool)
    kept = np.flatnonzero(np.isfinite(values) & ~few)
    rank, low, high, first = (np.full(k, np.nan) for _ in range(4))
    by_seed, tau, mean_tau, note = np.empty((0, k)), np.empty((0, 0)), math.nan, ""
    if kept.size < 2:
        note = "fewer than two methods to rank"
        if figures and figures[0].patients < MIN_PATIENTS:
            note = NO_RANKS
        return Ranking(estimates, rank, low, high, first, by_seed, tau, mean_tau, note)
    rank[kept] = ranks_of(values[kept], lower_is_better)
    drawn = np.stack([figures[j].resampled for j in kept], axis=1)  # (B, kept)
    ranks = ranks_of(drawn, lower_is_better)
    # ranks that occurred, not values between two of them
    low[kept] = np.quantile(ranks, 0.025, axis=0, method="lower")
    high[kept] = np.quantile(ranks, 0.975, axis=0, method="higher")
    best = ranks == ranks.min(axis=1, keepdims=True)
    first[kept] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    sizes = {figures[j].by_seed.size for j in kept}
    if len(sizes) > 1:
        note = "tau undefined: the methods have different numbers of seeds"
    else:
        seeds = np.stack([figures[j].by_seed for j in kept], axis=1)  # (s, kept)
        by_seed = np.full((len(seeds), k), np.nan)
        by_seed[:, kept] = ranks_of(seeds, lower_is_better)
        tau = np.array([[kendall_tau(one, other) for other in seeds] for one in seeds])
        pairs = tau[np.triu_indices(len(tau), 1)]
        if pairs.size == 0:
            note = "tau undefined: one seed"
        elif np.isnan(pairs).any():
            note = "tau undefined: all figures of a seed are equal"
        else:
            mean_tau = float(pairs.mean())
    return Ranking(estimates, rank, low, high, first, by_seed, tau, mean_tau, note)


def joint_ranking(
    one: Sequence[Replicates | None],
    other: Sequence[Replicates | None],
    weights: ArrayLike = WEIGHTS,
) -> JointRanking:
    """Rank methods by both tasks together, and say how much that depends on the tasks' weights.

    The figures themselves are averaged, not their ranks: a mean of ranks makes the order of two
    methods depend on who else is on the board.

    Parameters
    ----------
    one, other : sequence of Replicates or None, length k
        A figure of either task for which more is better and 1 is perfect, such as F1 and ICC.
        None: the method lacks that task, and has no joint rank.
    weights : array_like, shape (w,)
        Weights of the first task, from 0 to 1, ascending.

    Raises
    ------
    ValueError
        For weights outside 0 to 1, or figures that do not belong together.
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 1 or w.size == 0 or ((w < 0) | (w > 1)).any() or (np.diff(w) <= 0).any():
        raise ValueError("weights must ascend from 0 to 1")
    values = np.array(
        [
            [np.nan] * 2 if a is None or b is None or a.few or b.few else [a.value, b.value]
            for a, b in zip(one, other, strict=True)
        ]
    ).reshape(-1, 2)
    # a task of weight 0 does not count, but a method without it still has no joint figure
    means = w[:, None] * values[:, 0] + (1 - w)[:, None] * values[:, 1]  # (w, k)
    ranks = np.where(np.isnan(means), np.nan, ranks_of(means))
    low, high = (
        np.where(np.isnan(ranks[0]), np.nan, ends(ranks, axis=0)) for ends in (np.min, np.max)
    )
    half = [
        None if a is None or b is None else combine([(0.5, a), (0.5, b)])
        for a, b in zip(one, other, strict=True)
    ]
    known = next((figure for figure in half if figure is not None), None)
    if known is None:
        equal = _no_ranking(len(half), "no method has both tasks")
    else:
        absent = undefined_like(known, "a task is missing")
        equal = rank_methods([absent if figure is None else figure for figure in half])
    return JointRanking(w, means, ranks, equal, low, high, _leaders(w, means))


def _no_ranking(k: int, note: str) -> Ranking:
    figures = tuple(Estimate.undefined(note, 0) for _ in range(k))
    nothing = np.full(k, np.nan)
    return Ranking(figures, *(nothing,) * 4, np.empty((0, k)), np.empty((0, 0)), math.nan, note)


def undefined_like(figure: Replicates, note: str) -> Replicates:
    """The figure of a method that lacks it, on the same scans and resamples."""
    nan = np.full_like
    return Replicates(
        nan(figure.by_seed, np.nan),
        nan(figure.resampled, np.nan),
        figure.n,
        figure.drawn,
        note,
        figure.grouping,
    )


def _leaders(weights: Array, means: Array) -> tuple[tuple[float, float, int], ...]:
    """Stretches of weights with one leader; of tied leaders the first stands."""
    found: list[tuple[float, float, int]] = []
    for weight, row in zip(weights.tolist(), means, strict=True):
        if not np.isfinite(row).any():
            continue
        best = int(np.nanargmax(row))
        if found and found[-1][2] == best:
            found[-1] = (found[-1][0], weight, best)
        else:
            found.append((weight, weight, best))
    return tuple(found)
