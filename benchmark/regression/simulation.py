"""How often an unchanged tree passes: by the baseline's own seeds, and in a model without ties."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.errors import UserError
from benchmark.regression import rule as rules
from benchmark.regression.baseline import Baseline
from benchmark.regression.judging import confirmed, judge_figures, judged_count
from benchmark.regression.table import EXACT, Figures, Table

MODEL_BASELINES = 2000


@dataclass(frozen=True)
class Simulated:
    """What came of it.

    Attributes
    ----------
    repeat : int
        Checks that were drawn.
    passed : int
    alone : int
        Those that would have passed without a second set of seeds.
    first : str
        Fault of the first that did not pass; empty if all did.
    mean, high : float
        False-alarm rate of the table in the model: its mean over baselines, and its 95 % quantile.
    """

    repeat: int
    passed: int
    alone: int
    first: str
    mean: float
    high: float


def simulate(baseline: Baseline, repeat: int, seed: int = 0) -> Simulated:
    """Checks of an unchanged tree.

    Each draws the check's seeds from the baseline's own and judges them by the others, as real as
    the trainings are: no shape of the noise is assumed. The rule is stricter on fewer seeds than
    the real baseline has, so its limits are the ones that those fewer seeds give.

    The model draws all figures apart, normal and independent: the worst case for a family.

    Parameters
    ----------
    baseline : Baseline
    repeat : int
    seed : int

    Raises
    ------
    UserError
        If the baseline has too few seeds to be divided.
    """
    count, checked = len(baseline.seeds), baseline.rule.seeds
    if count < 2 * checked + 2:
        raise UserError(f"{count} seeds cannot be divided into a check of {checked} and a baseline")
    random = np.random.default_rng(seed)
    passed, alone, fault = 0, 0, ""
    for _ in range(repeat):
        order = random.permutation(count)
        kept = _chosen(baseline.table, order[2 * checked :])
        first, again = (
            judge_figures(kept, _chosen(baseline.table, seeds), baseline.rule)
            for seeds in (order[:checked], order[checked : 2 * checked])
        )
        alone += not any(finding.fault for finding in first)
        faults = [finding for finding in confirmed(first, again) if finding.fault]
        passed += not faults
        if faults and not fault:
            fault = faults[0].message
    mean, high = model_rate(judged_count(baseline.table), count, baseline.rule, random)
    return Simulated(repeat, passed, alone, fault, mean, high)


def model_rate(
    figures: int, seeds: int, rule: rules.Rule, random: np.random.Generator
) -> tuple[float, float]:
    """False-alarm rate of a table of independent normal figures: mean, and 95 % quantile.

    Parameters
    ----------
    figures, seeds : int
        Figures of the table, and seeds of the baseline.
    rule : Rule
    random : Generator
    """
    from scipy.stats import norm

    if figures < 1:
        return 0.0, 0.0
    factor = rules.tolerance_factor(
        seeds, rule.seeds, rules.tail_of(rule, figures), rule.confidence
    )
    shape = (MODEL_BASELINES, figures)
    mean = random.normal(0, 1 / math.sqrt(seeds), shape)
    sd = np.sqrt(random.chisquare(seeds - 1, shape) / (seeds - 1))
    alarm = norm.cdf((mean - factor * sd) * math.sqrt(rule.seeds))
    rate = 1 - np.exp(np.log1p(-alarm).sum(axis=1))
    return float(rate.mean()), float(np.quantile(rate, 0.95))


def lines(baseline: Baseline, found: Simulated) -> list[str]:
    """For the terminal."""
    checked, count = baseline.rule.seeds, len(baseline.seeds)
    report = [
        f"unchanged tree: {found.passed} of {found.repeat} simulated checks passed ({checked} of "
        f"the {count} seeds judged by {count - 2 * checked}, a fall confirmed by {checked} more); "
        f"without that, {found.alone}",
    ]
    if found.first:
        report.append(f"the first that failed: {found.first}")
    report.append(
        f"false alarms in a model of {judged_count(baseline.table)} independent normal figures: "
        f"{100 * found.mean:.2f} % of checks, {100 * found.high:.2f} % for the unluckiest "
        f"twentieth of baselines (promised: {100 * baseline.rule.family:g} %)"
    )
    return report


def _chosen(table: Table, seeds: np.ndarray) -> Table:
    return {
        name: figures
        if figures.kind == EXACT
        else Figures(figures.kind, tuple(figures.values[i] for i in seeds), figures.note)
        for name, figures in table.items()
    }
