"""Pairwise performance gain (PPG): what learning tasks together does for each pair of them.

``PPG_ij = sqrt(P'_i P'_j / (P_i P_j))`` with P the performance of a task learnt alone and P' with
the others (MMWFAnet paper, section 5.3). The paper does not say which measure P is; here it is a
parameter.

With one joint model P'_i does not depend on j, so that ``PPG_ij = sqrt(g_i g_j)`` with the single
gains ``g_i = P'_i / P_i``: a matrix of rank 1. Its 256 cells for 16 tasks hold 16 numbers, and the
height of a cell off the diagonal says nothing of a tie between two tasks. The single gains with
their intervals are what carries the information.

The formula has a meaning for P > 0 only. An ICC may be 0 or negative, and two negative ones even
give a harmless-looking root; wherever one of the four is not above 0, the gain is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .estimate import Estimate, join_notes
from .overlap import RATIOS, TARGETS
from .patients import interval_over
from .replicates import SCORE_NAMES, Key, Replicates
from .summary import as_estimate

Array = NDArray[np.float64]
SCORE_MEASURES = ("ICC", "PCC")
"""Measures of scores for which more is better; an error is no performance."""

TASKS: tuple[str, ...] = (
    *(f"C_{target}" for target in TARGETS),
    *(f"{score}_{target}" for score in SCORE_NAMES for target in TARGETS),
)
"""The paper's 16 indices: segmentation (C) of four targets, then 12 scores."""


@dataclass(frozen=True, eq=False)
class Gains:
    """Single gains and their pairs.

    Attributes
    ----------
    tasks, measures : tuple of str, length k
        Name of each task and the measure of its performance.
    alone, together : tuple of Estimate
        Performance learnt alone and with the others. Undefined, or not above 0, both are kept as
        they are.
    single : tuple of Estimate
        ``together / alone``.
    pairs, low, high : numpy.ndarray, shape (k, k)
        PPG with its 95 % interval; NaN where it is undefined.
    reasons : tuple of str
        Why a task has no gain; empty where it has one.
    """

    tasks: tuple[str, ...]
    measures: tuple[str, ...]
    alone: tuple[Estimate, ...]
    together: tuple[Estimate, ...]
    single: tuple[Estimate, ...]
    pairs: Array
    low: Array
    high: Array
    reasons: tuple[str, ...]


def pairwise_gain(together: ArrayLike, alone: ArrayLike) -> Array:
    """PPG of every pair of tasks.

    Parameters
    ----------
    together, alone : array_like, shape (..., k)
        Performances with and without the other tasks.

    Returns
    -------
    numpy.ndarray, shape (..., k, k)
        NaN where one of the four performances is not above 0, or undefined.
    """
    root = np.sqrt(single_gain(together, alone))
    return root[..., :, None] * root[..., None, :]


def single_gain(together: ArrayLike, alone: ArrayLike) -> Array:
    """``together / alone`` of each task, NaN unless both are above 0; any shape."""
    t, a = np.broadcast_arrays(
        np.asarray(together, dtype=np.float64), np.asarray(alone, dtype=np.float64)
    )
    defined = (t > 0) & (a > 0)
    return np.divide(t, a, out=np.full(t.shape, np.nan), where=defined)


def task_keys(segmentation: str = "F1", scores: str = "ICC") -> tuple[Key, ...]:
    """Keys, in the order of `TASKS`, under which `replicate` gives the performances.

    Parameters
    ----------
    segmentation : {"F1", "sensitivity", "PPV"}
    scores : {"ICC", "PCC"}

    Raises
    ------
    ValueError
        For another measure.
    """
    if segmentation not in RATIOS:
        raise ValueError(f"segmentation measure must be one of {', '.join(RATIOS)}")
    if scores not in SCORE_MEASURES:
        raise ValueError(f"score measure must be one of {', '.join(SCORE_MEASURES)}")
    return (
        *((segmentation, target) for target in TARGETS),
        *((f"{scores}_{score}", target) for score in SCORE_NAMES for target in TARGETS),
    )


def gains(
    together: Mapping[Key, Replicates],
    alone: Mapping[Key, Replicates],
    keys: Sequence[Key] | None = None,
) -> Gains:
    """Gains with 95 % intervals over patients, in the same resamples for both models.

    A resample in which one of the performances is not above 0 has no gain and is left out; the
    note says how many were, and there is no interval if more than half were.

    Parameters
    ----------
    together, alone : mapping
        Performances as `replicates.replicate` gives them, on the same scans and resamples.
    keys : sequence of Key, optional
        Which performance each of `TASKS` is measured by; `task_keys()` by default.

    Raises
    ------
    ValueError
        If the two are not of the same scans and resamples.
    """
    keys = task_keys() if keys is None else tuple(keys)
    t, a = [together[key] for key in keys], [alone[key] for key in keys]
    if len({x.sample for x in (*t, *a)}) != 1:
        raise ValueError("gains need the same scans and the same resamples for both models")
    values = np.array([[x.value for x in side] for side in (t, a)])  # (2, k)
    resampled = [np.stack([x.resampled for x in side], axis=1) for side in (t, a)]  # (B, k)
    reasons = tuple(
        _reason(key[0], one, other) for key, one, other in zip(keys, *values, strict=True)
    )
    drawn, n, patients = single_gain(*resampled), t[0].n, t[0].patients
    found = []
    for j, value in enumerate(single_gain(*values)):
        if reasons[j]:
            why = join_notes(reasons[j], t[j].note, a[j].note)
            found.append(Estimate.undefined(why, n, t[0].known_patients))
            continue
        low, high, note = interval_over(drawn[:, j], patients)
        note = join_notes(t[j].few, a[j].few) or note
        found.append(Estimate(float(value), low, high, n, note, t[0].known_patients))
    pairs = pairwise_gain(*values)
    low, high = np.full_like(pairs, np.nan), np.full_like(pairs, np.nan)
    for i in range(len(keys)):
        for j in range(i, len(keys)):
            if np.isfinite(pairs[i, j]):
                ends = interval_over(np.sqrt(drawn[:, i] * drawn[:, j]), patients)[:2]
                low[i, j], high[i, j] = low[j, i], high[j, i] = ends
    return Gains(
        TASKS,
        tuple(key[0].partition("_")[0] for key in keys),
        tuple(as_estimate(x) for x in a),
        tuple(as_estimate(x) for x in t),
        tuple(found),
        pairs,
        low,
        high,
        reasons,
    )


def _reason(measure: str, together: float, alone: float) -> str:
    name = measure.partition("_")[0]
    sides = (("alone", alone), ("together", together))
    undefined = [f"{name} {side} is undefined" for side, value in sides if np.isnan(value)]
    low = [f"{name} {side} <= 0" for side, value in sides if value <= 0]
    return join_notes(*undefined, *low)
