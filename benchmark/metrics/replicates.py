"""All figures of one method, in the cohort and in each bootstrap resample.

What `summary` turns into intervals and `paired` into differences. The resamples depend on the
number of scans, whose scans they are and the seed alone, so those of two methods on the same scans
belong together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .agreement import CONSTANT_REFERENCE, TOO_FEW
from .bootstrap import RESAMPLES, SEED
from .columns import (
    MIN_SCANS,
    column_moments,
    icc_of_moments,
    pearson_of_moments,
    weighted_icc,
    weighted_mae,
    weighted_pearson,
)
from .estimate import join_notes
from .kappa import ONE_CATEGORY, categories_of, weighted_kappa
from .overlap import (
    MEAN_F1,
    RATIOS,
    TARGETS,
    UNDEFINED_BECAUSE,
    arteries_undefined,
    mean_of_arteries,
    pooled_ratios,
    rests_on,
    support_of,
)
from .patients import (
    FEW_PATIENTS,
    MIN_PATIENTS,
    Grouping,
    count_of,
    grouping_of,
    interval_over,
    scan_weights,
)
from .worst import fill_missing, fill_missing_categories, fill_missing_overlap, missing_note

Array = NDArray[np.float64]
Key = tuple[str, str]
SCORE_NAMES = ("AS", "VS", "MS")
WHOLE_AGATSTON = TARGETS.index("whole")  # of the 12 flattened scores: Agatston comes first
FIGURES: dict[str, Callable[..., Array]] = {
    "ICC": weighted_icc,
    "PCC": weighted_pearson,
    "MAE": weighted_mae,
}
OF_MOMENTS = {"ICC": icc_of_moments, "PCC": pearson_of_moments}


@dataclass(frozen=True)
class Replicates:
    """One figure of one method.

    Parameters
    ----------
    by_seed : numpy.ndarray, shape (s,)
        The figure of each training seed; NaN where undefined.
    resampled : numpy.ndarray, shape (B,)
        Mean over the seeds in each resample of patients. NaN throughout where there can be no
        interval (`few`), so that nobody makes one, nor a p value, by mistake.
    n : int
        Number of scans.
    drawn : tuple of int
        (resamples, seed) of the bootstrap.
    note : str
        Why undefined, what was missing.
    grouping : tuple of int or None
        Whose scans they are, see `patients.grouping_of`; None: nobody knows, each counts as one
        patient's.
    support : int or None
        Patients that the figure rests on, where others cannot move it; None: all.
    """

    by_seed: Array
    resampled: Array
    n: int
    drawn: tuple[int, int]
    note: str = ""
    grouping: Grouping | None = None
    support: int | None = None

    def __post_init__(self) -> None:
        if self.few and not np.isnan(self.resampled).all():
            object.__setattr__(self, "resampled", np.full_like(self.resampled, np.nan))

    @property
    def patients(self) -> int:
        """Number of patients that resamples are drawn from."""
        return count_of(self.n, self.grouping)

    @property
    def known_patients(self) -> int | None:
        """The same, to be printed; None where nobody knows."""
        return None if self.grouping is None else self.patients

    @property
    def few(self) -> str:
        """Why there is no interval, as too few patients stand behind the figure; else nothing."""
        if self.patients < MIN_PATIENTS:
            return FEW_PATIENTS
        return "" if self.support is None else rests_on(self.support)

    @property
    def sample(self) -> tuple:
        """What two figures must share to be compared: scans, whose they are, and resamples."""
        return self.n, self.grouping or (), self.drawn

    def interval(self) -> tuple[float, float, str]:
        """95 % percentile interval over patients, and what is to be known of it.

        NaN where there is none.
        """
        if self.few:
            return math.nan, math.nan, self.few
        return interval_over(self.resampled, self.patients)

    @property
    def value(self) -> float:
        """Mean over seeds; NaN when any seed's figure is undefined, for a dropped seed may help."""
        return float(self.by_seed.mean())


def _mean_of_defined(columns: Array) -> Array:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    defined = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):
        return np.where(defined, columns, 0.0).sum(axis=-1) / defined.sum(axis=-1)


def _score_figures(
    reference: Array,
    seeds: Array,
    weights: Array,
    drawn: tuple[int, int],
    grouping: Grouping | None,
) -> dict[Key, Replicates]:
    """ICC, PCC, MAE of 12 scores, their means, and kappa. Shapes (n, 12), (s, n, 12), (B, n)."""
    n = len(reference)
    found: dict[Key, Replicates] = {}
    incomplete = int((~np.isfinite(seeds)).any(axis=(0, 2)).sum())  # scans missing in any seed
    note = missing_note(incomplete)
    gaps = (~np.isfinite(seeds)).any(axis=(0, 1))  # (12,)
    for figure, (values, resampled) in _by_figure(reference, seeds, weights).items():
        value = np.stack(values)  # (s, 12)
        for j in range(reference.shape[1]):
            own = note if gaps[j] else ""
            if figure == "MAE" and gaps[j] and not reference[:, j].any():
                # The plausible range is empty: a missing score would count as a perfect one.
                value[:, j] = resampled[:, j] = math.nan
                own = "scores missing, and no reference above 0 to take the worst value from"
            elif np.isnan(value[:, j]).any():
                own = TOO_FEW if n < MIN_SCANS else CONSTANT_REFERENCE
            key = (f"{figure}_{SCORE_NAMES[j // len(TARGETS)]}", TARGETS[j % len(TARGETS)])
            found[key] = Replicates(value[:, j], resampled[:, j], n, drawn, own, grouping)
        if figure != "MAE":  # errors of unlike units have no mean
            # ICC and PCC are undefined by the reference alone, so the mean over the rest is fair.
            left = int((~np.isnan(value[0])).sum())
            part = "" if left == value.shape[1] else f"mean of {left} of {value.shape[1]} scores"
            found[figure, "mean"] = Replicates(
                _mean_of_defined(value),
                _mean_of_defined(resampled),
                n,
                drawn,
                join_notes(part, note),
                grouping,
            )
    found["kappa", "whole"] = _kappa_figure(
        reference[:, WHOLE_AGATSTON], seeds[:, :, WHOLE_AGATSTON], weights, drawn, grouping
    )
    return found


def _by_figure(
    reference: Array, seeds: Array, weights: Array
) -> dict[str, tuple[list[Array], Array]]:
    """ICC, PCC and MAE: those of each seed (12,), and the mean over seeds in resamples (B, 12)."""
    values: dict[str, list[Array]] = {figure: [] for figure in FIGURES}
    sums = dict.fromkeys(FIGURES, 0.0)
    for seed in seeds:
        complete = bool(np.isfinite(seed).all())
        # one set of moments serves ICC and PCC, unless what is missing takes unlike values in them
        moments = [column_moments(reference, seed, w) for w in (None, weights) if complete]
        for figure, weighted in FIGURES.items():
            if complete and figure in OF_MOMENTS:
                own, drawn = (OF_MOMENTS[figure](m) for m in moments)
            else:
                filled = fill_missing(reference, seed, figure).values
                own, drawn = (weighted(reference, filled, w) for w in (None, weights))
            values[figure].append(own[0])
            sums[figure] = sums[figure] + drawn
    return {figure: (values[figure], sums[figure] / len(seeds)) for figure in FIGURES}


def _kappa_figure(
    reference: Array,
    seeds: Array,
    weights: Array,
    drawn: tuple[int, int],
    grouping: Grouping | None,
) -> Replicates:
    """Kappa of the risk categories; reference Agatston scores (n,), estimated ones (s, n)."""
    n, truth = len(reference), categories_of(reference)
    missing = ~np.isfinite(seeds)
    estimates = [
        fill_missing_categories(truth, categories_of(np.where(gap, 0.0, seed)), gap)
        for seed, gap in zip(seeds, missing, strict=True)
    ]
    value = np.array([weighted_kappa(truth, e)[0] for e in estimates])
    resampled = sum(weighted_kappa(truth, e, weights) for e in estimates) / len(estimates)
    note = missing_note(int(missing.any(axis=0).sum()))
    if np.isnan(value).any():
        note = TOO_FEW if n < MIN_SCANS else ONE_CATEGORY
    return Replicates(value, resampled, n, drawn, note, grouping)


def _overlap_figures(
    overlap: list[tuple[Array, Array, Array, int]],
    weights: Array,
    drawn: tuple[int, int],
    grouping: Grouping | None,
) -> dict[Key, Replicates]:
    """Sensitivity, PPV, F1 and its mean over arteries; a tuple (tp, fp, fn, missing) a seed."""
    values = [pooled_ratios(tp, fp, fn) for tp, fp, fn, _ in overlap]
    resamples = [pooled_ratios(tp, fp, fn, weights) for tp, fp, fn, _ in overlap]
    most = max(missing for *_, missing in overlap)
    # volumes of any seed: a patient who moves one seed's figure moves the mean
    support = support_of(*(sum(part) for part in list(zip(*overlap, strict=True))[:3]), grouping)
    found = {}
    for ratio in RATIOS:
        value = np.stack([v[ratio][0] for v in values])  # (s, 4)
        resampled = sum(r[ratio] for r in resamples) / len(resamples)  # (B, 4)
        for j, target in enumerate(TARGETS):
            undefined = np.isnan(value[:, j]).any()
            note = UNDEFINED_BECAUSE[ratio] if undefined else missing_note(most)
            found[ratio, target] = Replicates(
                value[:, j],
                resampled[:, j],
                weights.shape[1],
                drawn,
                note,
                grouping,
                int(support[ratio][j]),
            )
    own = np.stack([v["F1"][0] for v in values])  # (s, 4)
    found[MEAN_F1] = Replicates(
        mean_of_arteries(own),
        sum(mean_of_arteries(r["F1"]) for r in resamples) / len(resamples),
        weights.shape[1],
        drawn,
        arteries_undefined(own) or missing_note(most),
        grouping,
        # an artery of too few patients has no interval, and the mean would hide that
        int(support["F1"][:3].min()),
    )
    return found


def replicate(
    reference: ArrayLike,
    scores: ArrayLike | None = None,
    overlap: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    *,
    reference_volume: ArrayLike | None = None,
    candidate_volume: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    patients: ArrayLike | None = None,
) -> dict[Key, Replicates]:
    """Compute all figures of one method, with their bootstrap resamples over patients.

    Parameters
    ----------
    reference : array_like, shape (n, 3, 4)
        Reference scores: Agatston, volume (mm3), mass (mg) x LAD, LCX, RCA, whole.
    scores : array_like, shape (n, 3, 4) or (s, n, 3, 4), optional
        Estimated scores, with a leading axis when there are s training seeds. NaN is missing and
        takes the worst value. None: the method gives no scores.
    overlap : tuple of array_like, each (n, 4) or (s, n, 4), optional
        tp, fp, fn in mm3. NaN is missing. None: the method gives no labels.
    reference_volume, candidate_volume : array_like, shapes (n, 4) and (n,), optional
        For scans without overlap, see `worst.worst_overlap`.
    resamples, seed : int
        Number of bootstrap resamples and their seed; the same resamples serve all seeds.
    patients : array_like, shape (n,), optional
        Patient of each scan: scans of one patient are drawn together. None: each scan is of another
        patient.

    Returns
    -------
    dict
        Keys ("F1", "LAD"), ("F1", "mean"), ("ICC_AS", "whole"), ("ICC", "mean"), ("kappa",
        "whole") and so on; only what the method gives.

    Raises
    ------
    ValueError
        For unlike shapes or numbers of seeds, bad references, negative volumes.
    """
    truth = np.asarray(reference, dtype=np.float64)
    shape = (len(SCORE_NAMES), len(TARGETS))
    if truth.ndim != 3 or truth.shape[1:] != shape or len(truth) == 0:
        raise ValueError(f"reference scores must have shape (n_scans, 3, 4), got {truth.shape}")
    n, drawn = len(truth), (resamples, seed)
    grouping = grouping_of(patients, n)
    weights = scan_weights(n, grouping, resamples, seed)
    found: dict[Key, Replicates] = {}
    if overlap is not None:
        volumes = [np.asarray(part, dtype=np.float64) for part in overlap]
        if len(volumes) != 3 or any(
            v.shape[-2:] != (n, len(TARGETS)) or v.ndim not in (2, 3) for v in volumes
        ):
            raise ValueError(f"overlap must be tp, fp, fn of shape ({n}, 4) or (seeds, {n}, 4)")
        stacked = [v.reshape(-1, n, len(TARGETS)) for v in volumes]  # (s, n, 4)
        counts = [len(v) for v in stacked]
        if len(set(counts)) > 1:
            told = ", ".join(map(str, counts))
            raise ValueError(f"tp, fp and fn must have the same number of seeds, got {told}")
        seeds = [
            fill_missing_overlap(*part, reference_volume, candidate_volume)
            for part in zip(*stacked, strict=True)
        ]
        found |= _overlap_figures(seeds, weights, drawn, grouping)
    if scores is not None:
        given = np.asarray(scores, dtype=np.float64)
        if given.shape[-3:] != truth.shape or given.ndim not in (3, 4):
            raise ValueError(
                f"estimated scores {given.shape} do not match reference scores {truth.shape}"
            )
        if overlap is not None and given.size != len(stacked[0]) * truth.size:
            raise ValueError(
                f"scores of {given.size // truth.size} seeds and overlap of {len(stacked[0])}: "
                "figures of unlike seeds would stand in one row"
            )
        # (s, n, 3, 4) -> (s, n, 12), index = score * 4 + target
        flat = truth.reshape(n, 12), given.reshape(-1, n, 12)
        found |= _score_figures(*flat, weights, drawn, grouping)
    return found
