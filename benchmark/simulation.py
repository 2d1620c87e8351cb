"""Boards whose truth is known, judged as real ones are: how often is the verdict right?

Simulated patients are drawn with replacement, each with all of their scans, from a population of
scans with their hits, false alarms and misses (mm3): one method of a finished run, or the model of
`population`.
A simulated training (a seed) takes the volumes of one of the population's trainings, moved to their
common F1, and then shifts F1 by a normal deviate: the noise of training. A planted loss turns the
same share of every scan's hits into misses, so that the population's F1 falls by exactly that much.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.bootstrap import percentile_interval, resample_weights
from benchmark.metrics.columns import weighted_icc
from benchmark.metrics.verdict import CONTRADICTED, UNDECIDED, contrast, decide, pooled_noise
from benchmark.population import Population, f1_whole, figure_of, planted

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Board:
    """What is simulated.

    Attributes
    ----------
    patients : int
        Test patients of each board, with all of their scans.
    seeds : int
        Trainings of each method.
    methods : int
        Rows that the noise of training is pooled over, the two compared ones included.
    family : int
        Comparisons that p is adjusted for: the others are taken to be as far from a verdict.
    """

    patients: int = 257
    seeds: int = 3
    methods: int = 9
    family: int = 1


@dataclass(frozen=True)
class Share:
    """How often something happened, with its exact 95 % binomial interval (Clopper-Pearson).

    Attributes
    ----------
    count, total : int
    low, high : float
    """

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """``count / total``."""
        return self.count / self.total


@dataclass(frozen=True)
class Outcome:
    """Verdicts over all repetitions.

    Attributes
    ----------
    loss : float
        True loss of the second method in F1 whole; 0 is the A/A board.
    right : Share
        Repetitions with the right verdict: "undecided" for no loss, "contradicted" for one.
    wrong : Share
        Repetitions with a verdict for the wrong side; of any verdict for no loss.
    mean_difference, mean_detectable : float
        Over the repetitions.
    patients_alone : Share
        Right verdicts of a test that knows of patients alone.
    """

    loss: float
    right: Share
    wrong: Share
    mean_difference: float
    mean_detectable: float
    patients_alone: Share


def simulate(
    population: Population, board: Board, loss: float, repeat: int, seed: int = 0
) -> Outcome:
    """Make boards and judge the claim that the second method is better than the first.

    Parameters
    ----------
    population : Population
    board : Board
    loss : float
        How much lower the F1 whole of the second method truly is; 0 for an A/A board.
    repeat : int
        Number of boards.
    seed : int
        Of the simulation.
    """
    rng = np.random.default_rng(seed)
    right = "undecided" if loss == 0 else CONTRADICTED
    level = float(np.mean([f1_whole(*one) for one in _trainings(population)]))
    levelled = [planted(*one, level) for one in _trainings(population)]
    verdicts, alone, differences, detectable = [], [], [], []
    owned = population.scans_of()
    for _ in range(repeat):
        drawn = [owned[patient] for patient in rng.integers(len(owned), size=board.patients)]
        scans = np.concatenate(drawn)
        # one drawn twice is two patients of the board
        whose = np.repeat(np.arange(board.patients), [len(own) for own in drawn])
        figures = []
        for row in range(board.methods):
            goal = level - (loss if row == 1 else 0.0)
            own = [
                _training(levelled, scans, goal + rng.normal(0, population.seed_sd), rng)
                for _ in range(board.seeds)
            ]
            # rows that only lend their spread over seeds need no resamples
            figures.append(figure_of(own, None if row < 2 else 1, whose))
        noise = pooled_noise(figures)
        found = contrast([(1, figures[1], noise), (-1, figures[0], noise)])
        family = [[found]] + [[_nothing(found)]] * (board.family - 1)
        verdicts.append(decide(family)[0].verdict)
        differences.append(found.value)
        detectable.append(found.detectable)
        low, high = found.patients_low, found.patients_high
        alone.append(CONTRADICTED if high < 0 else "supported" if low > 0 else "undecided")
    wrong = [
        verdict != right if loss == 0 else verdict not in (right, UNDECIDED) for verdict in verdicts
    ]
    return Outcome(
        loss,
        share_of(sum(verdict == right for verdict in verdicts), repeat),
        share_of(sum(wrong), repeat),
        float(np.mean(differences)),
        float(np.mean(detectable)),
        share_of(sum(verdict == right for verdict in alone), repeat),
    )


def share_of(count: int, total: int) -> Share:
    """A share with its exact interval.

    References
    ----------
    Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the
    binomial. Biometrika 1934;26:404-413.
    """
    from scipy.special import betaincinv  # late: SciPy is slow to import

    low = 0.0 if count == 0 else float(betaincinv(count, total - count + 1, 0.025))
    high = 1.0 if count == total else float(betaincinv(count + 1, total - count, 0.975))
    return Share(count, total, low, high)


def time_icc(patients: int = 257, resamples: int = 10_000) -> float:
    """Wall seconds for 12 ICCs with bootstrap intervals, the draw of the resamples included."""
    rng = np.random.default_rng(0)
    reference = np.exp(rng.normal(3, 1.6, (patients, 12))) * (rng.random((patients, 12)) < 0.7)
    estimate = reference * np.exp(rng.normal(0, 0.2, reference.shape))
    resample_weights.cache_clear()
    begin = time.perf_counter()
    drawn = weighted_icc(reference, estimate, resample_weights(patients, resamples))
    for column in drawn.T:
        percentile_interval(column)
    return time.perf_counter() - begin


def _trainings(population: Population):
    return zip(population.tp, population.fp, population.fn, strict=True)


def _training(levelled, scans: NDArray, goal: float, rng) -> tuple[Array, Array, Array]:
    """One simulated training on the drawn patients' scans; its population has the goal's F1."""
    whole = planted(*levelled[int(rng.integers(len(levelled)))], min(goal, 1.0))
    return tuple(part[scans] for part in whole)


def _nothing(found):
    """A comparison of the family in which nothing is found."""
    return replace(found, value=0.0, p=1.0)


def lines(population: Population, board: Board, outcome: Outcome) -> list[str]:
    """The outcome in words."""
    adjusted = f", p adjusted for {board.family} comparisons" if board.family > 1 else ""
    found = [
        f"patients drawn from {population.name}",
        f"boards of {board.methods} methods, {_many(board.seeds, 'seed')}, {board.patients} "
        f"patients{adjusted}",
        f"F1 whole between seeds: SD {population.seed_sd:.4f} ({population.seed_sd_from})",
    ]
    right, wrong = _in_words(outcome.right), _in_words(outcome.wrong)
    if outcome.loss == 0:
        found += [
            f"one method under two names: undecided in {right}, decided in {wrong}",
            f"by patients alone, as if training made no difference: undecided in "
            f"{_in_words(outcome.patients_alone)}",
        ]
    else:
        found += [
            f"planted loss of {outcome.loss:g}: found in {right}, the wrong way round in {wrong}",
            f"by patients alone, as if training made no difference: found in "
            f"{_in_words(outcome.patients_alone)}",
            f"mean difference found {outcome.mean_difference:+.4f}",
        ]
    if board.seeds == 1:
        found.append("one seed each: the noise of training is not known, so nothing is decided")
    else:
        found.append(
            f"detectable in 80 % of repetitions, before adjustment: "
            f"{outcome.mean_detectable:.4f} (mean)"
        )
    return found


def _in_words(share: Share) -> str:
    low, high = 100 * share.low, 100 * share.high
    return f"{share.count} of {share.total} boards ({low:.0f} to {high:.0f} %)"


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
