"""Scans and trainings to draw simulated boards from: one method of a run, or a model.

The model, for when there is no run. Scan by scan: calcium in 70 % of the scans, there in LAD 80 %,
LCX 50 %, RCA 60 %; volumes log-normal (median 40 mm3, sigma 1.6); the share found is logit-normal
around 0.92, with a standard deviation of 1.0 between scans, the same in all trainings, and of 0.5
between trainings of one scan; false alarms in 30 % of the scans and arteries, log-normal (median
5 mm3, sigma 1). The noise of training, `SEED_SD`, is an assumption: give a run to measure it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import UserError
from benchmark.metrics import Replicates, replicate
from benchmark.metrics.verdict import pooled_noise

Array = NDArray[np.float64]
MAIN = ("F1", "whole")
SEED_SD = 0.006
"""Standard deviation of F1 whole between seeds in the model without a run."""
SCANS, TRAININGS = 4000, 6
"""Size of the model's population."""


@dataclass(frozen=True, eq=False)
class Population:
    """Scans to draw from, as one method left them.

    Attributes
    ----------
    name : str
    tp, fp, fn : numpy.ndarray, shape (s, n, 4)
        Volumes in mm3 of s trainings, for LAD, LCX, RCA and whole.
    seed_sd : float
        Standard deviation of F1 whole between seeds.
    seed_sd_from : str
        Where that comes from.
    patients : tuple of int or None
        Number of each scan's patient; None: each scan is of another patient.
    """

    name: str
    tp: Array
    fp: Array
    fn: Array
    seed_sd: float
    seed_sd_from: str
    patients: tuple[int, ...] | None = None

    def scans_of(self) -> list[NDArray[np.intp]]:
        """Places of each patient's scans."""
        count = self.tp.shape[1]
        whose = np.arange(count) if self.patients is None else np.asarray(self.patients)
        return [np.flatnonzero(whose == patient) for patient in range(int(whose.max()) + 1)]


def model_population(seed: int = 0, seed_sd: float = SEED_SD) -> Population:
    """The population of the model in this module's head."""
    rng = np.random.default_rng(seed)
    calcium = (rng.random((SCANS, 1)) < 0.7) & (rng.random((SCANS, 3)) < (0.8, 0.5, 0.6))
    volume = np.where(calcium, 40 * np.exp(rng.normal(0, 1.6, (SCANS, 3))), 0.0)
    middle = math.log(0.92 / 0.08) + rng.normal(0, 1.0, (SCANS, 1))
    logit = middle + rng.normal(0, 0.5, (TRAININGS, SCANS, 3))
    found = volume / (1 + np.exp(-logit))  # (s, n, 3)
    alarm = rng.random((TRAININGS, SCANS, 3)) < 0.3
    extra = np.where(alarm, 5 * np.exp(rng.normal(0, 1.0, alarm.shape)), 0.0)
    parts = [_with_whole(part) for part in (found, extra, volume - found)]
    return Population("the model of benchmark.simulation", *parts, seed_sd, "assumed")


def _with_whole(arteries: Array) -> Array:
    return np.concatenate([arteries, arteries.sum(axis=-1, keepdims=True)], axis=-1)


def run_population(plan: dict, cells, method: str | None, seed_sd: float | None) -> Population:
    """One method of a finished run as a population.

    Parameters
    ----------
    plan : dict
        Contents of plan.json.
    cells : iterable of KeptCell
    method : str, optional
        The first trained one with a mask by default.
    seed_sd : float, optional
        Measured by default: pooled over the run's trained methods.

    Raises
    ------
    UserError
        If the run has no such method, or one seed and no `seed_sd`.
    """
    trained: dict[str, list] = {}
    for cell in cells:
        usable = cell.trained and cell.state == "finished" and cell.tp is not None
        if usable and np.isfinite([cell.tp, cell.fp, cell.fn]).all():
            trained.setdefault(cell.method, []).append(cell)
    if not trained or (method is not None and method not in trained):
        there = ", ".join(trained) or "none"
        raise UserError(
            f"the run has no finished method {method or 'with a mask'}; with masks: {there}"
        )
    own = trained[method or next(iter(trained))]
    tp, fp, fn = (np.stack([getattr(cell, name) for cell in own]) for name in ("tp", "fp", "fn"))
    where = "stated"
    if seed_sd is None:
        figures = [figure_of([(c.tp, c.fp, c.fn) for c in same], 1) for same in trained.values()]
        noise = pooled_noise(figures)
        if noise.df == 0:
            raise UserError("the run has one seed: the noise of training is not in it; --seed-sd")
        seed_sd, where = noise.sd, f"measured, {noise.df} degrees of freedom"
    cohort = f"{plan['suite']}, {plan['scale']}, {plan['cohort']['name']}"
    name = f"{own[0].title} of {cohort}"
    return Population(name, tp, fp, fn, seed_sd, where, own[0].patients)


def planted(tp: Array, fp: Array, fn: Array, target: float) -> tuple[Array, Array, Array]:
    """Move the same share of every scan's hits to its misses, or back, to reach an F1.

    Parameters
    ----------
    tp, fp, fn : numpy.ndarray, shape (n, 4)
        Volumes in mm3.
    target : float
        F1 whole of the pooled volumes afterwards; as near as may be if no share reaches it.
    """
    hit, extra, missed = (float(part[:, 3].sum()) for part in (tp, fp, fn))
    if 2 * hit > target * (2 * hit + extra + missed):  # too good: hits become misses
        share = (2 * hit - target * (2 * hit + extra + missed)) / (hit * (2 - target))
        moved = min(share, 1.0) * tp
    else:
        room = missed * (2 - target)
        share = (target * (2 * hit + extra + missed) - 2 * hit) / room if room else 0.0
        moved = -min(share, 1.0) * fn
    return tp - moved, fp, fn + moved


def figure_of(
    trainings: list[tuple[Array, Array, Array]],
    resamples: int | None,
    patients: ArrayLike | None = None,
) -> Replicates:
    """F1 whole of one method from the volumes (tp, fp, fn) of its trainings.

    `resamples` None takes the usual number; `patients` as in `replicate`.
    """
    overlap = tuple(np.stack(part) for part in zip(*trainings, strict=True))
    more = {} if resamples is None else {"resamples": resamples}
    n = overlap[0].shape[1]
    return replicate(np.zeros((n, 3, 4)), None, overlap, patients=patients, **more)[MAIN]


def f1_whole(tp: Array, fp: Array, fn: Array) -> float:
    """F1 of the pooled volumes of the whole heart, (n, 4) each."""
    hit, wrong = float(tp[:, 3].sum()), float(fp[:, 3].sum() + fn[:, 3].sum())
    return 2 * hit / (2 * hit + wrong) if hit + wrong else 0.0
