"""Bootstraps of ICC, PCC, kappa and F1 as products of arrays, beside loops over other packages."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pingouin
from ratio import Line, least
from sklearn.metrics import cohen_kappa_score

from benchmark.metrics.bootstrap import resample_weights
from benchmark.metrics.columns import weighted_icc, weighted_pearson
from benchmark.metrics.kappa import weighted_kappa
from benchmark.metrics.overlap import pooled_ratios

PATIENTS, SCORES, RESAMPLES = 257, 12, 10_000
LOOPED = 8
"""Resamples that the loop takes; its time for all of them is this many times longer."""


class Cohort:
    """Simulated scores, categories and volumes of 257 scans, and their resamples."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        shape = (PATIENTS, SCORES)
        self.reference = np.exp(random.normal(3, 1.6, shape)) * (random.random(shape) < 0.7)
        self.estimate = self.reference * np.exp(random.normal(0, 0.2, shape))
        self.category = random.integers(0, 5, PATIENTS)
        self.guess = np.clip(self.category + random.integers(-1, 2, PATIENTS), 0, 4)
        self.volumes = tuple(random.gamma(2, 20, (PATIENTS, 4)) for _ in range(3))
        self.weights = resample_weights(PATIENTS, RESAMPLES)

    def drawn(self, resample: int) -> np.ndarray:
        """Indices of the scans of a resample, each as often as it counts."""
        return np.repeat(np.arange(PATIENTS), self.weights[resample].astype(int))

    def icc(self) -> np.ndarray:
        return weighted_icc(self.reference, self.estimate, self.weights)

    def pearson(self) -> np.ndarray:
        return weighted_pearson(self.reference, self.estimate, self.weights)

    def kappa(self) -> np.ndarray:
        return weighted_kappa(self.category, self.guess, self.weights)

    def f1(self) -> np.ndarray:
        return pooled_ratios(*self.volumes, self.weights)["F1"]

    def loop_icc(self, resample: int, score: int = 0) -> float:
        chosen = self.drawn(resample)
        ratings = pd.DataFrame(
            {
                "scan": np.tile(np.arange(PATIENTS), 2),
                "rater": np.repeat(["reference", "estimate"], PATIENTS),
                "score": np.concatenate(
                    [self.reference[chosen, score], self.estimate[chosen, score]]
                ),
            }
        )
        found = pingouin.intraclass_corr(ratings, "scan", "rater", "score")
        return float(found["ICC"].iloc[1])

    def loop_pearson(self, resample: int, score: int = 0) -> float:
        chosen = self.drawn(resample)
        found = pingouin.corr(self.reference[chosen, score], self.estimate[chosen, score])
        return float(found["r"].iloc[0])

    def loop_kappa(self, resample: int) -> float:
        chosen = self.drawn(resample)
        return cohen_kappa_score(
            self.category[chosen], self.guess[chosen], weights="linear", labels=range(5)
        )

    def loop_f1(self, resample: int, target: int = 0) -> float:
        chosen = self.drawn(resample)
        hit, extra, missed = (volume[chosen, target].sum() for volume in self.volumes)
        return 2 * hit / (2 * hit + extra + missed)


FIGURES = {
    # columns, name of the loop's package, goal, what a test refuses
    "icc": (SCORES, "pingouin", 300.0),
    "pearson": (SCORES, "pingouin", 300.0),
    "kappa": (1, "scikit-learn", 300.0),
    "f1": (4, "NumPy", None),
}


def measure() -> list[Line]:
    """Seconds of 10,000 resamples; the loop's are taken from a few of its resamples."""
    cohort, lines = Cohort(), []
    for name, (columns, package, goal) in FIGURES.items():
        loop = getattr(cohort, f"loop_{name}")
        seconds = least({name: getattr(cohort, name)}, 3)[name]
        begin = time.process_time()
        for resample in range(LOOPED):
            loop(resample)
        looped = (time.process_time() - begin) / LOOPED * RESAMPLES * columns
        lines.append(
            Line(
                "bootstrap, 257 scans x 10,000 resamples",
                f"{name}, {columns} column{'s' if columns > 1 else ''}",
                f"{seconds:.3f} s",
                f"loop over {package} {looped:.0f} s",
                looped / seconds,
                "x",
                goal,
                floor=None if goal is None else goal / 3,
            )
        )
    return lines
