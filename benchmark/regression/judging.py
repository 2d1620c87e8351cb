"""New figures against a baseline: what fell, what changed, what became undefined."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace

from benchmark.regression import rule as rules
from benchmark.regression.baseline import Baseline
from benchmark.regression.cost import Cost
from benchmark.regression.rule import Rule
from benchmark.regression.table import EXACT, Figures, Name, Table

OK, GAINED, OPEN = "ok", "better", "not judged"
FELL, CHANGED, UNDEFINED, FAILED = "fell", "changed", "undefined", "failed"
SLOWER, LARGER = "slower", "more memory"
FAULTS = (FAILED, UNDEFINED, CHANGED, FELL, SLOWER, LARGER)
"""Verdicts that fail a check."""

FLOORS = {"time": (1.3, 2.0), "memory": (1.25, 1.5)}
"""Least factor that a cost may grow by: where the baseline's machine and torch are this check's,
and elsewhere. One evening's spread on one machine says too little of another evening."""


@dataclass(frozen=True)
class Finding:
    """One line of the result.

    Attributes
    ----------
    name : Name or str
        A figure; "mmwfanet: step time" or "mmwfanet, seed 0" otherwise.
    verdict : str
        One of `OK`, `GAINED`, `OPEN`, `FAULTS`.
    baseline, value, limit : float
        Mean over seeds then and now, and the worst mean that passes; NaN where there is none.
        Costs: the ratio or the bytes.
    message : str
        One sentence for people.
    kind : str
        Of the figure; "cost" or "run" otherwise.
    """

    name: Name | str
    verdict: str
    baseline: float = math.nan
    value: float = math.nan
    limit: float = math.nan
    message: str = ""
    kind: str = "run"

    @property
    def fault(self) -> bool:
        """Whether it fails the check."""
        return self.verdict in FAULTS


def judged_count(table: Table) -> int:
    """Figures that share the chance of a false alarm: those with noise that seeds all define."""
    return sum(_noisy(figures) for figures in table.values())


def _noisy(figures: Figures) -> bool:
    return figures.kind != EXACT and not any(math.isnan(v) for v in figures.values)


def judge_figures(kept: Table, now: Table, rule: Rule) -> list[Finding]:
    """Every figure of the baseline, and those that it does not have.

    Parameters
    ----------
    kept : dict
        The baseline's figures.
    now : dict
        This check's. A figure that is missing here has become undefined.
    rule : Rule
    """
    tail = rules.tail_of(rule, judged_count(kept))
    seeds = len(next(iter(kept.values())).values)
    factor = rules.tolerance_factor(seeds, rule.seeds, tail, rule.confidence)
    found = []
    for name, old in kept.items():
        new = now.get(name) or Figures(old.kind, (math.nan,), "no such figure any more")
        if old.kind == EXACT:
            found.append(_judge_exact(name, old, new))
        else:
            found.append(_judge_noisy(name, old, new, rule, tail, factor))
    for name, new in now.items():
        if name not in kept:
            value = _mean(new.values)
            message = f"{name}: not in the baseline"
            found.append(Finding(name, OPEN, math.nan, value, math.nan, message, new.kind))
    return found


def _judge_exact(name: Name, old: Figures, new: Figures) -> Finding:
    """A row that learns nothing: it moves only if scans, candidates, scores or metrics do."""
    before, after = old.values[0], new.values[0]
    if math.isnan(before) and math.isnan(after):
        return Finding(name, OK, before, after, before, "", EXACT)
    if math.isnan(after):
        return Finding(name, UNDEFINED, before, after, before, _undefined(name, old, new), EXACT)
    if math.isclose(before, after, rel_tol=rules.SAME, abs_tol=rules.SAME):
        return Finding(name, OK, before, after, before, "", EXACT)
    message = (
        f"{name} changed from {text(name, before)} to {text(name, after)}, in a row that learns "
        "nothing: scans, candidates, scores or metrics have changed"
    )
    return Finding(name, CHANGED, before, after, before, message, EXACT)


def _judge_noisy(
    name: Name, old: Figures, new: Figures, rule: Rule, tail: float, factor: float
) -> Finding:
    before, after = _mean(old.values), _mean(new.values)
    missing = sum(math.isnan(v) for v in old.values)
    if missing:
        message = f"{name}: undefined in {missing} of {len(old.values)} of the baseline's seeds"
        return Finding(name, OPEN, before, after, math.nan, message, old.kind)
    if math.isnan(after):
        message = _undefined(name, old, new)
        return Finding(name, UNDEFINED, before, after, math.nan, message, old.kind)
    low, high = rules.bounds(name.metric, old.values, rule, tail, factor)
    place = float(rules.on_scale(name.metric, new.values).mean())
    limit = rules.off_scale(name.metric, low)
    change = f"{name}: {text(name, before)} in the baseline, {text(name, after)} now"
    if place < low:
        worst = "highest" if name.metric.startswith("MAE") else "lowest"
        message = f"{change}; {worst} by its noise {text(name, limit)}"
        return Finding(name, FELL, before, after, limit, message, old.kind)
    verdict = GAINED if place > high else OK
    message = f"{change}: better than its noise explains" if verdict == GAINED else ""
    return Finding(name, verdict, before, after, limit, message, old.kind)


def _undefined(name: Name, old: Figures, new: Figures) -> str:
    why = f" ({new.note})" if new.note else ""
    return f"{name}: {text(name, _mean(old.values))} in the baseline, undefined now{why}"


def unguarded(finding: Finding) -> bool:
    """Whether noise is so great that no value of the figure could be found to have fallen."""
    if not isinstance(finding.name, Name) or finding.kind == EXACT or finding.verdict == OPEN:
        return False
    lowest = {"F1": 0, "sensitivity": 0, "PPV": 0}.get(finding.name.metric, -1)
    return not finding.name.metric.startswith("MAE") and finding.limit <= lowest


def judge_costs(
    baseline: Baseline, costs: dict[str, Cost], reasons: dict[str, str], machine: dict
) -> list[Finding]:
    """Step time and peak memory of every method of the baseline."""
    kept = baseline.costs
    alike = all(machine.get(k) == baseline.machine.get(k) for k in ("device_name", "versions"))
    tail = rules.tail_of(baseline.rule, 2 * len(kept))
    found = []
    for method, old in kept.items():
        if method not in costs:
            reason = reasons.get(method, "not measured")
            message = f"{method}: its step could not be measured: {reason}"
            found.append(Finding(f"{method}: step", FAILED, message=message, kind="cost"))
            continue
        new = costs[method]
        for what, verdict, before, after in (
            ("step time", SLOWER, old.ratios, new.ratios),
            ("peak memory", LARGER, old.bytes, new.bytes),
        ):
            floor = FLOORS["time" if verdict == SLOWER else "memory"][0 if alike else 1]
            limit = cost_limit(before, baseline.rule, tail, floor)
            # what disturbs a sitting only ever adds to it
            value, middle = min(after), statistics.median(before)
            over = value > limit
            message = ""
            if over:
                message = (
                    f"{method}: {what} is {value / middle:.2f} times the baseline's, "
                    f"highest {limit / middle:.2f} times"
                )
            name = f"{method}: {what}"
            better = value < middle * middle / limit
            judged = verdict if over else GAINED if better else OK
            if judged == GAINED:
                message = f"{method}: {what} is {value / middle:.2f} times the baseline's"
            found.append(Finding(name, judged, middle, value, limit, message, "cost"))
    return found


def cost_limit(values: tuple[float, ...], rule: Rule, tail: float, floor: float) -> float:
    """Highest cost that passes: the tolerance bound of the logarithms, or `floor` times the middle.

    The baseline's sittings give the bound, for one new sitting; the floor holds where they were
    quieter than sittings of other days are.
    """
    logs = [math.log(v) for v in values]
    factor = rules.tolerance_factor(len(logs), 1, tail, rule.confidence)
    bound = math.exp(statistics.fmean(logs) + factor * statistics.stdev(logs))
    return max(bound, floor * statistics.median(values))


def judge_failures(failed: list[tuple[str, str]]) -> list[Finding]:
    """A training that failed fails the check, whatever its figures were."""
    return [Finding(who, FAILED, message=f"{who} failed: {reason}") for who, reason in failed]


def text(name: Name | str, value: float) -> str:
    """A figure as it is printed everywhere."""
    if math.isnan(value):
        return "undefined"
    if not isinstance(name, Name):
        return f"{value / 1e6:.0f} MB" if "memory" in name else f"{value:.2f}"
    return f"{value:.1f}" if name.metric.startswith("MAE") else f"{value:.3f}"


def confirmed(first: list[Finding], again: list[Finding]) -> list[Finding]:
    """The first findings; one that fell or became undefined fails only if it does so again.

    Trainings now and then miss an artery altogether, more often than a normal distribution says.
    A second set of seeds hardly meets the same misfortune; a fault in the tree it does meet.

    Parameters
    ----------
    first, again : list of Finding
        Of `judge_figures`, by two sets of seeds.
    """
    faults = {finding.name for finding in again if finding.fault}
    found = []
    for finding in first:
        if finding.verdict in (FELL, UNDEFINED) and finding.kind != EXACT:
            if finding.name not in faults:
                message = f"{finding.message}; not confirmed by other seeds"
                finding = replace(finding, verdict=OK, message=message)
        found.append(finding)
    return found


def needs_confirming(findings: list[Finding]) -> bool:
    """Whether a figure with noise fell or became undefined."""
    return any(f.verdict in (FELL, UNDEFINED) and f.kind != EXACT for f in findings)


def _mean(values: tuple[float, ...]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
