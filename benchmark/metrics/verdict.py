"""Verdicts on differences: test patients by the bootstrap, training by the spread over seeds.

A bootstrap over patients asks whether *these trained networks* would differ on other patients. A
network that is trained again with another seed is another network: two runs of one method can
differ beyond doubt on any number of patients. A verdict on *methods* has to count both, so that
each bootstrap difference d_b here is the centre of a t distribution of training noise, and p and
interval are those of the mixture over all resamples::

    P(difference <= c) = mean over b of T_df((c - d_b) / se),  se^2 = sum c_k^2 sd^2 / seeds_k

sd is the standard deviation over seeds of one and the same figure, pooled over all methods of the
board (`pooled_noise`): with two or three seeds a method's own would be worth nothing. A difference
between figures of two pools (masks and heads) has the degrees of freedom of Welch-Satterthwaite.
Scans that this training got wrong and that one got right move both the bootstrap and the spread
over seeds, so the two overlap a little, to the safe side.

====================================  ====================================================
no method has two seeds               training noise unknown: interval and p of the patients
                                      alone are given, the verdict is "undecided"
all seeds agree exactly               no training noise: patients alone
a figure is undefined                 no difference, no p, "undecided"; it stays in Holm's family
fewer than 3 patients                 a difference without interval and p, "undecided"; the same
                                      where a figure rests on fewer than 3 (`Replicates.few`)
====================================  ====================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .estimate import join_notes
from .mixture import mixture_p, mixture_quantile, mixture_share
from .paired import holm, two_sided_p
from .patients import interval_over
from .replicates import Replicates

Array = NDArray[np.float64]
SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
LEVEL = 0.05
ONE_SEED = "one seed each: the noise of training is not known"
POWER_FACTOR = (1.959963984540054 + 0.8416212335729143) / 1.959963984540054
"""Half an interval times this is the difference found in 80 % of repetitions (normal theory)."""


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviation over seeds of one figure, pooled over methods.

    Attributes
    ----------
    sd : float
        NaN with no degrees of freedom.
    df : int
        Sum of (seeds - 1).
    """

    sd: float
    df: int


@dataclass(frozen=True)
class Contrast:
    """A difference between methods, or any other sum of figures that is 0 if nothing is there.

    Attributes
    ----------
    value : float
        NaN where undefined; ``note`` says why.
    low, high : float
        95 % interval over patients and trainings; of patients alone if `known` is false.
    patients_low, patients_high : float
        95 % interval over patients alone, of these trained networks.
    p : float
        Two-sided p value of 0, not adjusted, from the same distribution as `low` and `high`.
    seed_se : float
        Standard error of the training part; NaN if not known.
    known : bool
        Whether the noise of training is known.
    n : int
        Scans.
    note : str
    patients : int or None
        Patients of these scans.
    """

    value: float
    low: float
    high: float
    patients_low: float
    patients_high: float
    p: float
    seed_se: float
    known: bool
    n: int
    note: str = ""
    patients: int | None = None

    @property
    def detectable(self) -> float:
        """Smallest true difference that such data would have found in 80 % of repetitions.

        For one comparison at level 0.05, not adjusted. NaN without an interval.
        """
        return (self.high - self.low) / 2 * POWER_FACTOR


Term = tuple[float, Replicates, SeedNoise | None]


def pooled_noise(figures: Iterable[Replicates]) -> SeedNoise:
    """Spread over seeds of one figure, pooled over methods (root of the pooled variance).

    Parameters
    ----------
    figures : iterable of Replicates
        One figure of several trained methods. Those with one seed, or undefined in any, are left
        out.
    """
    squares, df = 0.0, 0
    for figure in figures:
        own = figure.by_seed
        if own.size > 1 and np.isfinite(own).all():
            squares += float(((own - own.mean()) ** 2).sum())
            df += own.size - 1
    return SeedNoise(math.sqrt(squares / df) if df else math.nan, df)


def combine(terms: Sequence[tuple[float, Replicates]], offset: float = 0.0) -> Replicates:
    """Weighted sum of figures *of one method*, seed by seed and resample by resample.

    Parameters
    ----------
    terms : sequence of (float, Replicates)
        Weights and figures, with the same seeds in the same order.
    offset : float
        Added to all.

    Raises
    ------
    ValueError
        For other scans, resamples or numbers of seeds.
    """
    figures = [figure for _, figure in terms]
    _check_alike(figures)
    if len({figure.by_seed.size for figure in figures}) != 1:
        raise ValueError("figures of one method must have the same seeds")
    by_seed = sum(weight * figure.by_seed for weight, figure in terms) + offset
    resampled = sum(weight * figure.resampled for weight, figure in terms) + offset
    note = join_notes(*(figure.note for figure in figures))
    support = min((f.support for f in figures if f.support is not None), default=None)
    first = figures[0]
    return Replicates(by_seed, resampled, first.n, first.drawn, note, first.grouping, support)


def contrast(terms: Sequence[Term], offset: float = 0.0) -> Contrast:
    """Weighted sum of figures of several methods, with patients' and training's uncertainty.

    Parameters
    ----------
    terms : sequence of (float, Replicates, SeedNoise or None)
        Weight, figure, and the noise of its pool; None for a row that trains nothing. The
        difference a - b is ``[(1, a, noise), (-1, b, noise)]``.
    offset : float
        Added to the sum: minus a threshold, for instance.

    Raises
    ------
    ValueError
        For figures of other scans or resamples.
    """
    figures = [figure for _, figure, _ in terms]
    _check_alike(figures)
    n, patients = figures[0].n, figures[0].known_patients
    note = join_notes(*(figure.note for figure in figures))
    value = sum(weight * figure.value for weight, figure, _ in terms) + offset
    if math.isnan(value):
        nothing = (math.nan,) * 7
        why = note or "undefined"
        return Contrast(*nothing, known=True, n=n, note=why, patients=patients)
    resampled = sum(weight * figure.resampled for weight, figure, _ in terms) + offset
    low, high, undefined = interval_over(resampled, figures[0].patients)
    few = join_notes(*(figure.few for figure in figures))
    se, df = _training(terms)
    known = not math.isnan(se)
    note = join_notes(note, few or undefined, "" if known else ONE_SEED)
    if not known or se == 0 or math.isnan(low):
        p = two_sided_p(resampled)
        return Contrast(value, low, high, low, high, p, se, known, n, note, patients)
    centres = resampled[np.isfinite(resampled)]
    ends = [mixture_quantile(centres, se, df, tail) for tail in (0.025, 0.975)]
    p = mixture_p(centres, se, df)
    return Contrast(value, *ends, low, high, p, se, known, n, note, patients)


def holds_zero(terms: Sequence[Term]) -> bool:
    """Whether the 95 % interval of `contrast` holds 0, without finding its ends.

    Where the noise of training is not known, the interval over patients alone. False where there
    is no interval.

    Parameters
    ----------
    terms
        See `contrast`.
    """
    _check_alike([figure for _, figure, _ in terms])
    resampled = sum(weight * figure.resampled for weight, figure, _ in terms)
    se, df = _training(terms)
    if math.isnan(se) or se == 0:
        low, high, _ = interval_over(resampled, terms[0][1].patients)
        return low <= 0 <= high
    centres = resampled[np.isfinite(resampled)]
    if 2 * centres.size < resampled.size:
        return False
    return 0.025 <= mixture_share(centres, se, df) <= 0.975


def conjunction(parts: Sequence[Contrast]) -> tuple[float, bool]:
    """p value and direction of a statement that holds if *every* part is above 0.

    Parameters
    ----------
    parts : sequence of Contrast
        "Best of three" has two parts, the differences to the other two; a plain difference one.

    Returns
    -------
    p : float
        If all parts are above 0, the largest of their p values: an intersection-union test needs
        no adjustment. Otherwise, the smallest among the parts below 0, times the number of parts
        (Bonferroni), since one suffices to contradict. NaN if any part is undefined.
    holds : bool
        Whether all parts are above 0.

    References
    ----------
    Berger RL. Multiparameter hypothesis testing and acceptance sampling. Technometrics
    1982;24:295-300.
    """
    values, ps = [part.value for part in parts], [part.p for part in parts]
    if any(math.isnan(x) for x in (*values, *ps)):
        return math.nan, False
    if all(value > 0 for value in values):
        return max(ps), True
    against = [p for value, p in zip(values, ps, strict=True) if value < 0]
    return (min(1.0, len(parts) * min(against)) if against else 1.0), False


@dataclass(frozen=True)
class Decision:
    """What was decided on a statement.

    Attributes
    ----------
    verdict : str
        "supported", "contradicted" or "undecided".
    p : float
        Adjusted after Holm; NaN if undefined.
    holds : bool
        Whether what was found lies in the statement's direction.
    """

    verdict: str
    p: float
    holds: bool


def decide(statements: Sequence[Sequence[Contrast]], level: float = LEVEL) -> tuple[Decision, ...]:
    """Decide on statements together, with their p values adjusted as one family.

    Parameters
    ----------
    statements : sequence of sequence of Contrast
        The parts of each statement, which holds if all of them are above 0 (`conjunction`).
    level : float
    """
    found = [conjunction(parts) for parts in statements]
    adjusted = holm([p for p, _ in found])
    decided = []
    for parts, (_, holds), p in zip(statements, found, adjusted.tolist(), strict=True):
        known = all(part.known for part in parts)
        decided.append(Decision(verdict(p, holds, known, level), p, holds))
    return tuple(decided)


def verdict(p: float, holds: bool, known: bool = True, level: float = LEVEL) -> str:
    """Supported, contradicted or undecided.

    Parameters
    ----------
    p : float
        Adjusted p value; NaN is undecided.
    holds : bool
        Direction of what was found.
    known : bool
        Whether the noise of training is known; without it nothing is decided about methods.
    level : float
    """
    if not known or not p < level:
        return UNDECIDED
    return SUPPORTED if holds else CONTRADICTED


def _check_alike(figures: Sequence[Replicates]) -> None:
    if len({figure.sample for figure in figures}) != 1:
        raise ValueError("needs the same scans and the same resamples for all figures")


def _training(terms: Sequence[Term]) -> tuple[float, float]:
    """Standard error of the training part and its degrees of freedom."""
    shares: dict[SeedNoise, float] = {}  # sum of weight^2 / seeds of each pool
    for weight, figure, noise in terms:
        if noise is not None:
            shares[noise] = shares.get(noise, 0.0) + weight**2 / figure.by_seed.size
    if any(noise.df == 0 for noise in shares):
        return math.nan, math.nan
    variances = [(noise.sd**2 * share, noise.df) for noise, share in shares.items()]
    total = sum(variance for variance, _ in variances)
    if total == 0:
        return 0.0, math.inf
    return math.sqrt(total), total**2 / sum(variance**2 / df for variance, df in variances)
