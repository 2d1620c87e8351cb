"""What a check found, for people: one line a method, and a sentence for what is to be seen to."""

from __future__ import annotations

import math
from collections import Counter

from rich.console import Console
from rich.text import Text

from benchmark.regression import rule as rules
from benchmark.regression.baseline import Baseline
from benchmark.regression.checking import Checked
from benchmark.regression.judging import GAINED, OPEN, Finding, judged_count, text, unguarded
from benchmark.regression.table import CONTRAST, EXACT, Name
from benchmark.report.consoles import TextTable

COLUMNS = (
    ("F1", "LAD"),
    ("F1", "LCX"),
    ("F1", "RCA"),
    ("F1", "whole"),
    ("ICC", "mean"),
    ("PCC", "mean"),
    ("kappa", "whole"),
    ("MAE_AS", "whole"),
)
"""Figures of the table; sensitivity, PPV and the other errors are judged too, and named if they
fall."""


def verdict_line(found: Checked) -> str:
    """One sentence: passed or failed, and on how many figures that rests."""
    judged = [f for f in found.findings if isinstance(f.name, Name) and f.verdict != OPEN]
    exact = sum(f.kind == EXACT for f in judged)
    rest = f"{len(judged) - exact} figures with noise, {exact} without"
    costs = sum(f.kind == "cost" for f in found.findings)
    if costs:
        rest += f", {costs} costs"
    if found.passed:
        return f"passed: {rest}; {_counted(found)}"
    kinds = Counter(f.verdict for f in found.faults)
    words = ", ".join(f"{count} {verdict}" for verdict, count in kinds.items())
    return f"failed: {words} ({rest})"


def _counted(found: Checked) -> str:
    better = sum(f.verdict == GAINED for f in found.findings)
    blind = sum(unguarded(f) for f in found.findings)
    words = f"{better} better than the noise explains" if better else "none fell"
    return words + (f", {blind} too noisy to fall" if blind else "")


def figures_table(
    found: Checked, marked: bool = False
) -> tuple[tuple[str, ...], list[tuple[str | Text, ...]]]:
    """Headings, and a row for each method and source: the figure now and its limit.

    Parameters
    ----------
    found : Checked
    marked : bool
        Whether faults and gains are coloured.
    """
    by_line: dict[tuple[str, str], dict[tuple[str, str], Finding]] = {}
    for finding in found.findings:
        name = finding.name
        if isinstance(name, Name) and finding.kind != EXACT:
            own = by_line.setdefault((name.method, name.source), {})
            own[name.metric, name.target] = finding
    heads = ("method", "from", *(f"{m.replace('_', ' ')} {t}" for m, t in COLUMNS))
    rows = []
    for (method, source), own in by_line.items():
        cells = [_cell(own.get(column), marked) for column in COLUMNS]
        rows.append((method, source, *cells))
    return heads, rows


def _cell(finding: Finding | None, marked: bool) -> str | Text:
    if finding is None:
        return ""
    words = text(finding.name, finding.value)
    if not math.isnan(finding.limit):
        sign = "≤" if finding.name.metric.startswith("MAE") else "≥"
        words += (
            " (free)" if unguarded(finding) else f" ({sign}{text(finding.name, finding.limit)})"
        )
    if marked and finding.fault:
        return Text(f"{words} ✗", "bold red")
    if marked and finding.verdict == GAINED:
        return Text(f"{words} +", "green")
    return words


def print_checked(found: Checked, console: Console) -> None:
    """Table, then a line for each fault and gain, then the verdict."""
    rule, entry = found.baseline.rule, found.baseline.entry

    def say(words: str, style: str | None = None) -> None:
        console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)

    heads, rows = figures_table(found, marked=True)
    table = TextTable(padding=(0, 1))
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < 2 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    say(
        f"In brackets the worst mean of {rule.seeds} seeds that passes; free: no value can fall "
        f"below it. False alarms {100 * rule.family:g} % over the whole table, at "
        f"{100 * rule.confidence:g} % confidence."
    )
    costs = [f for f in found.findings if f.kind == "cost" and math.isfinite(f.value)]
    for finding in costs:
        factor, limit = finding.value / finding.baseline, finding.limit / finding.baseline
        say(f"{finding.name}: {factor:.2f} times the baseline's (at most {limit:.2f})")
    if found.sample:
        say(f"scans      {found.sample}")
    say(f"baseline   {found.path}: {len(found.baseline.seeds)} seeds, {entry.date}, {entry.reason}")
    for finding in found.findings:
        if finding.verdict == GAINED:
            say(f"better     {finding.message}", "green")
        elif finding.verdict == OPEN:
            say(f"not judged {finding.message}", "yellow")
    for finding in found.faults:
        say(f"FAILED     {finding.message}", "red")
    say(verdict_line(found), "bold green" if found.passed else "bold red")


def describe_baseline(baseline: Baseline) -> list[str]:
    """What a baseline guards, for the one who made it."""
    count = judged_count(baseline.table)
    tail = rules.tail_of(baseline.rule, count)
    exact = sum(figures.kind == EXACT for figures in baseline.table.values())
    factor = rules.tolerance_factor(
        len(baseline.seeds), baseline.rule.seeds, tail, baseline.rule.confidence
    )
    lines = [
        f"{len(baseline.table)} figures of {len(baseline.seeds)} seeds: {count} with noise, "
        f"{exact} without, {len(baseline.table) - count - exact} undefined in some seed",
        f"a mean of {baseline.rule.seeds} seeds may lie {factor:.2f} SD below the baseline's",
    ]
    for name, figures in baseline.table.items():
        shown = (name.metric, name.target) in (("F1", "whole"), ("ICC", "mean"))
        if figures.kind == EXACT or not (shown or figures.kind == CONTRAST):
            continue
        if any(math.isnan(v) for v in figures.values):
            continue
        mean = math.fsum(figures.values) / len(figures.values)
        low, _ = rules.bounds(name.metric, figures.values, baseline.rule, tail, factor)
        lines.append(f"  {name} {text(name, mean)}, fails below {low:.3f}")
    for method, cost in baseline.costs.items():
        ratios = ", ".join(f"{ratio:.2f}" for ratio in cost.ratios)
        lines.append(f"  {method}: step over calibration {ratios}")
    return lines
