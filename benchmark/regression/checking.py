"""Train a suite's seeds and compare them with a baseline, or make a baseline of them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from benchmark import __version__
from benchmark.cohorts.patients import patients_in, scans_in_words
from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.metrics.patients import MIN_PATIENTS
from benchmark.regression.baseline import Baseline, Entry, read_baseline, write_baseline
from benchmark.regression.conditions import DEVICE, THREADS, Watched, refuse_other
from benchmark.regression.cost import Cost, measure_costs, prepare_costs
from benchmark.regression.judging import (
    Finding,
    confirmed,
    judge_costs,
    judge_failures,
    judge_figures,
    needs_confirming,
)
from benchmark.regression.rule import Rule
from benchmark.regression.table import failures, make_table
from benchmark.runs.display import Display
from benchmark.runs.execute import Outcome, execute
from benchmark.runs.request import Request
from benchmark.runs.store import Store
from benchmark.whole import require_writable

FIRST_SEED = 100
"""First seed of a baseline; a check trains seeds from 0, so that its seeds are new ones."""

SITTINGS = 6
"""Sittings of each method that a baseline's costs rest on."""

RETRIES = 2
"""Further sittings of a method that was over its limit; the least of all counts."""


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes
    ----------
    suite : str
    path : Path
        Of the baseline.
    baseline : Baseline
    seeds : tuple of int
        Trained by this check.
    findings : tuple of Finding
    machine : dict
        Where it was made.
    sample : str
        Scans and patients that the figures are of, and a warning where the patients are too few.
    """

    suite: str
    path: Path
    baseline: Baseline
    seeds: tuple[int, ...]
    findings: tuple[Finding, ...]
    machine: dict
    sample: str = ""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What fails it, the gravest first."""
        from benchmark.regression.judging import FAULTS

        found = [finding for finding in self.findings if finding.fault]
        return tuple(sorted(found, key=lambda finding: FAULTS.index(finding.verdict)))

    @property
    def passed(self) -> bool:
        """Whether nothing fails it."""
        return not self.faults


def remedy(suite: str, path: Path) -> str:
    """The command that makes a baseline, for messages."""
    return f"make one with: benchmark check --suite {suite} --against {path} --update --reason TEXT"


def check(
    target: Watched,
    path: Path,
    baseline: Baseline,
    out: Path,
    cache: Path | None,
    display: Display,
    first_seed: int = 0,
    costs: bool = True,
) -> Checked:
    """Train the check's seeds and judge them.

    Parameters
    ----------
    target : Watched
    path : Path
        Of the baseline, for messages.
    baseline : Baseline
    out, cache : Path
        Folders of runs and of made scans.
    display : Display
    first_seed : int
        Of the seeds that are trained.
    costs : bool
        Whether step time and memory are measured.

    Raises
    ------
    UserError
        If the baseline was made under other conditions or with these very seeds.
    """
    refuse_other(path, baseline.conditions, target.conditions, remedy(target.name, path))
    seeds = range(first_seed, first_seed + baseline.rule.seeds)
    more = range(seeds.stop, seeds.stop + baseline.rule.seeds)
    shared = sorted({*seeds, *more} & set(baseline.seeds))
    if shared:
        raise UserError(
            f"--seed {first_seed}: seed {shared[0]} is one of the baseline's; take others"
        )
    outcome = _train(target, seeds, out, cache, display)
    machine = machine_of(outcome)
    findings = judge_failures(failures(outcome.cells))
    figures = judge_figures(baseline.table, make_table(outcome.plan, outcome.cells), baseline.rule)
    if needs_confirming(figures) and not outcome.failed:
        display.say("a figure fell: other seeds are trained, to tell a fault from misfortune")
        again = _train(target, more, out, cache, display)
        table = make_table(again.plan, again.cells)
        figures = confirmed(figures, judge_figures(baseline.table, table, baseline.rule))
        findings += judge_failures(failures(again.cells))
    findings += figures
    if costs:
        # a network that could not be trained has said so already
        lost = {cell.method for cell in outcome.failed}
        findings += _check_costs(target, outcome, baseline, machine, lost, display)
    return Checked(
        target.suite.name,
        path,
        baseline,
        tuple(seeds),
        tuple(findings),
        machine,
        sample_of(outcome.plan),
    )


def update(
    target: Watched,
    path: Path,
    reason: str,
    rule: Rule,
    seeds: int,
    out: Path,
    cache: Path | None,
    display: Display,
    first_seed: int = FIRST_SEED,
    costs: bool = True,
) -> Baseline:
    """Make a baseline and write it; the reasons of those before it are kept.

    Parameters
    ----------
    target, path, out, cache, display
        See `check`.
    reason : str
    rule : Rule
    seeds : int
        Seeds that are trained.
    first_seed : int
    costs : bool
        Whether step time and memory are measured; checks against a baseline without them judge
        figures alone.

    Raises
    ------
    UserError
        If the file there is damaged, the place cannot be written, or a training failed.
    """
    history: tuple[Entry, ...] = ()
    if path.exists():
        old = read_baseline(path, remedy(target.name, path))
        history = (*old.history, old.entry)
    Store(out).check_writable()
    require_writable(path.parent, advice="choose another file with --against")
    outcome = _train(target, range(first_seed, first_seed + seeds), out, cache, display)
    failed = failures(outcome.cells)
    if failed:
        who, why = failed[0]
        raise UserError(f"{path}: not written, since {who} failed: {why}")
    timed = _timed(target) if costs else []
    measured, reasons = _measure(target, outcome, timed, SITTINGS, display)
    for method, why in reasons.items():
        raise UserError(f"{path}: not written: the step of {method} was not measured: {why}")
    machine = machine_of(outcome)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()
    baseline = Baseline(
        entry=Entry(now, reason, str(machine.get("git_commit", "unknown")), __version__),
        conditions=target.conditions,
        rule=rule,
        seeds=tuple(outcome.plan["seeds"]),
        table=make_table(outcome.plan, outcome.cells),
        costs=measured,
        machine=machine,
        history=history,
    )
    write_baseline(path, baseline)
    return baseline


def sample_of(plan: dict) -> str:
    """Scans and patients of a run in words; with fewer than three test patients what that means."""
    found, ids = patients_in(plan), plan["split"]["test"]
    count = len(ids) if found is None else found.count(ids)
    if count >= MIN_PATIENTS:
        return scans_in_words(plan)
    return (
        f"{scans_in_words(plan)}: with fewer than {MIN_PATIENTS} test patients a figure that "
        "passes or falls says something of these scans alone"
    )


def machine_of(outcome: Outcome) -> dict:
    """Machine and versions of a run, from the ledger of a trained cell."""
    names = ("device_name", "platform", "python", "versions", "git_commit")
    for cell in (*[c for c in outcome.cells if c.trained], *outcome.cells):
        if "versions" in cell.ledger:
            return {name: cell.ledger[name] for name in names if name in cell.ledger}
    return {}


def _train(target: Watched, seeds: range, out: Path, cache, display: Display) -> Outcome:
    request = Request(
        suite=target.name,
        scale=target.scale.name,
        seeds=len(seeds),
        first_seed=seeds.start,
        out=out,
        cache=cache,
        device=DEVICE,
        threads=THREADS,
    )
    return execute(request, display)


def _timed(target: Watched) -> list[Method]:
    """Networks whose steps are timed: those that this program trains itself."""
    return [m for m in target.suite.methods if m.trained and m.retrain and not m.external]


def _check_costs(target, outcome, baseline, machine, lost, display) -> list[Finding]:
    timed = [m for m in _timed(target) if m.name in baseline.costs and m.name not in lost]
    costs, reasons = _measure(target, outcome, timed, 1, display)
    findings = judge_costs(baseline, costs, reasons, machine)
    over = {str(f.name).partition(":")[0] for f in findings if f.fault}
    again = [method for method in timed if method.name in over and method.name in costs]
    if again:
        more, _ = _measure(target, outcome, again, RETRIES, display)
        costs |= {name: costs[name].joined(cost) for name, cost in more.items()}
        findings = judge_costs(baseline, costs, reasons, machine)
    return [f for f in findings if str(f.name).partition(":")[0] not in lost]


def _measure(
    target: Watched, outcome: Outcome, methods: list[Method], sittings: int, display: Display
) -> tuple[dict[str, Cost], dict[str, str]]:
    grid = next((c.ledger["grid"] for c in outcome.cells if "grid" in c.ledger), None)
    if not methods or grid is None:
        return {}, {}
    settings = target.scale.settings
    settled = tuple(method.settled(settings.options) for method in methods)
    with display.counting("step time and memory") as progress:
        prepared = prepare_costs(outcome.cohort, target.split, settings, grid)
        return measure_costs(settled, prepared, settings, sittings, progress)
