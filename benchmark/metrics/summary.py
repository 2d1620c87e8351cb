"""All figures of one method as estimates with intervals, under the names of the paper's tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .bootstrap import RESAMPLES, SEED
from .estimate import Estimate, join_notes
from .overlap import MEAN_F1, RATIOS, TARGETS
from .replicates import FIGURES, SCORE_NAMES, Key, Replicates, replicate

OVERLAP_KEYS: tuple[Key, ...] = (
    *((ratio, target) for ratio in RATIOS for target in TARGETS),
    MEAN_F1,
)
SCORE_KEYS: tuple[Key, ...] = (
    *((f"{f}_{s}", target) for f in FIGURES for s in SCORE_NAMES for target in TARGETS),
    ("kappa", "whole"),
    ("ICC", "mean"),
    ("PCC", "mean"),
)
KEYS = OVERLAP_KEYS + SCORE_KEYS
NO_WIDTH = "all resamples agree: the interval has no width"


def as_estimate(figure: Replicates) -> Estimate:
    """Turn one figure and its resamples into an estimate with a percentile interval."""
    if np.isnan(figure.value):
        return Estimate.undefined(figure.note or "undefined", figure.n, figure.known_patients)
    low, high, note = figure.interval()
    if low == high:
        note = join_notes(note, NO_WIDTH)
    note = join_notes(figure.note, note)
    return Estimate(figure.value, low, high, figure.n, note, figure.known_patients)


def as_estimates(figures: dict[Key, Replicates], n: int) -> dict[Key, Estimate]:
    """Turn all figures into estimates; those that the method does not give are undefined."""
    estimates = {}
    for key in KEYS:
        if key in figures:
            estimates[key] = as_estimate(figures[key])
        else:
            what = "labels" if key in OVERLAP_KEYS else "scores"
            estimates[key] = Estimate.undefined(f"the method gives no {what}", n)
    return estimates


def summarise(
    reference: ArrayLike,
    scores: ArrayLike | None = None,
    overlap: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    *,
    reference_volume: ArrayLike | None = None,
    candidate_volume: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[Key, Estimate]:
    """Figures of one method on one cohort, each with a 95 % bootstrap interval over patients.

    All intervals are percentile intervals from the same resamples, ICC and Pearson included:
    their textbook intervals assume normal scores and are much too short for calcium scores (see
    `bootstrap`); `agreement.icc` and `agreement.pearson` give those for comparison.

    With several training seeds a figure is the mean over the seeds, and its interval comes from
    resampling patients, the same for all seeds. How far seeds differ is told by `seed_spread`.

    Parameters
    ----------
    reference, scores, overlap, reference_volume, candidate_volume, resamples, seed, patients
        See `replicates.replicate`.

    Returns
    -------
    dict of Estimate
        Always the same keys, `KEYS`: ("sensitivity" | "PPV" | "F1", target), ("F1", "mean") over
        the three arteries, ("ICC_AS" and so on for ICC, PCC, MAE x AS, VS, MS, target), ("kappa",
        "whole"), ("ICC", "mean") and ("PCC", "mean") over the 12 scores. Those the method cannot
        have are undefined.

    Raises
    ------
    ValueError
        For unlike shapes, bad references, negative volumes.
    """
    figures = replicate(
        reference,
        scores,
        overlap,
        reference_volume=reference_volume,
        candidate_volume=candidate_volume,
        resamples=resamples,
        seed=seed,
        patients=patients,
    )
    return as_estimates(figures, len(np.asarray(reference)))


def seed_spread(figures: dict[Key, Replicates]) -> dict[Key, float]:
    """Standard deviation of each figure over training seeds (divisor s - 1).

    Kept apart from the interval, which tells of patients alone. NaN for a single seed, or where
    the figure of any seed is undefined.

    Parameters
    ----------
    figures : dict
        As `replicates.replicate` gives them.
    """
    return {
        key: float(figure.by_seed.std(ddof=1)) if figure.by_seed.size > 1 else float("nan")
        for key, figure in figures.items()
    }
