"""Head against mask of one network, and the share of differences inside the limits of agreement.

Figures of one method like those of `replicates`, in the same resamples, for the claims that no
column of a leaderboard holds.

====================================  ====================================================
head or mask missing for a scan       the two are set as far apart as is plausible: 0 and the
                                      largest reference score; a miss must not look like
                                      agreement
every score of the mask the same      agreement undefined
estimate missing (share inside)       worst value for that scan, as for the error
fewer than 3 scans                    undefined
all differences the same              share inside is 1 (see `bland_altman`)
====================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .agreement import TOO_FEW
from .bland_altman import bias_and_limits
from .bootstrap import RESAMPLES, SEED
from .columns import MIN_SCANS, weighted_icc
from .estimate import join_notes
from .overlap import TARGETS
from .patients import Grouping, grouping_of, scan_weights
from .replicates import SCORE_NAMES, Key, Replicates
from .worst import fill_missing, missing_note

Array = NDArray[np.float64]
CONSTANT_MASK = "every score of the mask is the same"
AGREEMENT, INSIDE = "agreement", "inside"


def agreement_figures(
    reference: ArrayLike,
    mask: ArrayLike,
    head: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[Key, Replicates]:
    """ICC(A,1) between the scores of a network's head and those of its own mask.

    Parameters
    ----------
    reference : array_like, shape (n, 3, 4)
        Reference scores; only their range is used, for scans that are missing.
    mask, head : array_like, shape (s, n, 3, 4)
        Scores of s seeds; NaN is missing.
    resamples, seed : int
        Of the bootstrap.
    patients : array_like, shape (n,), optional
        Patient of each scan; None: each scan is of another patient.

    Returns
    -------
    dict
        Keys ("agreement_AS", "LAD") and so on.

    Raises
    ------
    ValueError
        For unlike shapes or numbers of seeds.
    """
    truth, m, h = _flat(reference, mask, head)
    if len(m) != len(h):  # a head of one seed would be spread over all masks
        raise ValueError(f"mask and head must be of the same seeds, got {len(m)} and {len(h)}")
    n, drawn = len(truth), (resamples, seed)
    grouping = grouping_of(patients, n)
    weights = scan_weights(n, grouping, resamples, seed)
    gaps = ~(np.isfinite(m) & np.isfinite(h))  # (s, n, 12)
    m = np.where(gaps, 0.0, m)
    h = np.where(gaps, truth.max(axis=0), h)
    by_seed = np.stack([weighted_icc(a, b)[0] for a, b in zip(m, h, strict=True)])  # (s, 12)
    resampled = sum(weighted_icc(a, b, weights) for a, b in zip(m, h, strict=True)) / len(m)
    note = missing_note(int(gaps.any(axis=(0, 2)).sum()))
    reason = TOO_FEW if n < MIN_SCANS else CONSTANT_MASK
    return _named(AGREEMENT, by_seed, resampled, n, drawn, grouping, note, reason)


def inside_figures(
    reference: ArrayLike,
    estimate: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    targets: Collection[str] = TARGETS,
    patients: ArrayLike | None = None,
) -> dict[Key, Replicates]:
    """Share of scans whose difference lies within bias +- 1.96 SD, as in `bland_altman`.

    Parameters
    ----------
    reference : array_like, shape (n, 3, 4)
    estimate : array_like, shape (s, n, 3, 4)
        Scores of s seeds; NaN takes the worst value.
    resamples, seed : int
        Of the bootstrap.
    targets : collection of str
        Of which figures are wanted, as each costs as much as an ICC.
    patients : array_like, shape (n,), optional
        Patient of each scan; None: each scan is of another patient.

    Returns
    -------
    dict
        Keys ("inside_AS", "whole") and so on.
    """
    truth, e = _flat(reference, estimate)
    n, drawn = len(truth), (resamples, seed)
    grouping = grouping_of(patients, n)
    weights, ones = scan_weights(n, grouping, resamples, seed), np.ones((1, n))
    filled = [fill_missing(truth, one, "MAE") for one in e]
    by_seed = np.zeros((len(e), truth.shape[1]))
    resampled = np.zeros((resamples, truth.shape[1]))
    for place, one in enumerate(filled):
        for j, difference in enumerate((one.values - truth).T):
            if TARGETS[j % len(TARGETS)] not in targets:
                continue
            same = n < MIN_SCANS or (difference == difference[0]).all()
            scaled = difference / (np.abs(difference).max() or 1.0)
            by_seed[place, j] = 1.0 if same else bias_and_limits(scaled, ones)[3, 0]
            resampled[:, j] += 1.0 if same else bias_and_limits(scaled, weights)[3]
    if n < MIN_SCANS:
        by_seed[:] = np.nan
    note = missing_note(int((~np.isfinite(e)).any(axis=(0, 2)).sum()))
    found = _named(INSIDE, by_seed, resampled / len(e), n, drawn, grouping, note, TOO_FEW)
    return {key: figure for key, figure in found.items() if key[1] in targets}


def _flat(reference: ArrayLike, *scores: ArrayLike) -> tuple[Array, ...]:
    """(n, 3, 4) -> (n, 12) and (s, n, 3, 4) -> (s, n, 12), or ValueError."""
    truth = np.asarray(reference, dtype=np.float64)
    shape = (len(SCORE_NAMES), len(TARGETS))
    if truth.ndim != 3 or truth.shape[1:] != shape or len(truth) == 0:
        raise ValueError(f"reference scores must have shape (n_scans, 3, 4), got {truth.shape}")
    given = [np.asarray(part, dtype=np.float64) for part in scores]
    for part in given:
        if part.ndim != 4 or part.shape[1:] != truth.shape:
            raise ValueError(f"scores {part.shape} do not match reference scores {truth.shape}")
    n = len(truth)
    return (truth.reshape(n, -1), *(part.reshape(len(part), n, -1) for part in given))


def _named(
    figure: str,
    by_seed: Array,
    resampled: Array,
    n: int,
    drawn: tuple[int, int],
    grouping: Grouping | None,
    note: str,
    reason: str,
) -> dict[Key, Replicates]:
    found = {}
    for j in range(by_seed.shape[1]):
        key = (f"{figure}_{SCORE_NAMES[j // len(TARGETS)]}", TARGETS[j % len(TARGETS)])
        own = join_notes(reason, note) if np.isnan(by_seed[:, j]).any() else note
        found[key] = Replicates(by_seed[:, j], resampled[:, j], n, drawn, own, grouping)
    return found
