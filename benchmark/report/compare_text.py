"""The comparison of two runs on a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from benchmark.metrics.verdict import Contrast
from benchmark.report import markdown
from benchmark.report.ablations import COMPARED, p_text
from benchmark.report.board import Column, Figure, heading, interval, number
from benchmark.report.compare import ComparedLine, Comparison
from benchmark.report.consoles import TextTable
from benchmark.report.reliance import counted_scans

EXPLANATION = (
    "Difference: B less A on the same test scans. Its 95 % interval counts test patients and, with "
    "two seeds or more, the noise of training; with one seed that noise is not known, and nothing "
    "is decided. Decided by F1 whole of masks and mean ICC of heads, p below 0.05 adjusted after "
    "Holm. Detectable: what such data find in 80 % of repetitions, before adjustment."
)


def print_comparison(found: Comparison, console: Console) -> None:
    """Print what differs, then a table of the common methods."""
    for text in _heads(found):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if found.settings:
        table = _frame("What differs in configuration")
        for head in ("", "A", "B"):
            table.add_column(head, overflow="fold")
        for setting in found.settings:
            table.add_row(setting.name, setting.a, setting.b)
        console.print(table)
    if found.lines:
        for columns in (COMPARED, COMPARED[:3], COMPARED[:2], ()):
            table = _table(found, columns)
            wide = console.options.update(max_width=10_000)
            if table.__rich_measure__(console, wide).maximum <= console.width:
                break
        console.print(table)
    for text in _feet(found):
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def as_markdown(found: Comparison) -> str:
    """Both tables with what stands around them."""
    parts = ["# Two runs compared", markdown.bullets(_heads(found))]
    if found.settings:
        parts += ["## What differs in configuration"]
        rows = [(s.name, s.a, s.b) for s in found.settings]
        parts += [markdown.table(["", "A", "B"], rows, left=3)]
    if found.lines:
        head, rows = _headings(COMPARED), [_cells(line, COMPARED) for line in found.lines]
        parts += ["## Methods in both", markdown.table(head, rows, left=len(head))]
    parts.append(markdown.bullets(_feet(found)))
    return "\n\n".join(parts) + "\n"


def as_json(found: Comparison) -> str:
    """Everything; undefined numbers are null."""
    values = {
        "a": found.names[0],
        "b": found.names[1],
        "settings": [asdict(setting) for setting in found.settings],
        "unpaired": found.unpaired,
        "only_a": list(found.only[0]),
        "only_b": list(found.only[1]),
        "lines": [_json(line) for line in found.lines],
    }
    return json.dumps(_finite(values), indent=1, allow_nan=False) + "\n"


def _heads(found: Comparison) -> list[str]:
    lines = [f"A: {found.names[0]}", f"B: {found.names[1]}"]
    if not found.settings:
        lines.append("no difference in configuration")
    return lines


def _feet(found: Comparison) -> list[str]:
    lines = []
    if found.unpaired:
        lines.append(
            f"Not paired: {found.unpaired}. Both figures stand with their own intervals; whether "
            "those overlap is no test."
        )
    elif found.lines:
        lines.append(EXPLANATION)
        one = next(iter(found.lines[0].a.values()), None)
        lines += [f"Figures of {counted_scans(one.n, one.patients)}."] * (one is not None)
    if not found.lines:
        lines.append("no method in both runs with figures from the same source")
    for name, methods in zip("AB", found.only, strict=True):
        if methods:
            lines.append(f"in {name} alone: {', '.join(methods)}")
    for line in found.lines:
        if line.note:
            lines.append(f"{line.title} ({line.source}): {line.note}")
    return lines


def _headings(columns: tuple[Column, ...]) -> list[str]:
    return ["method", "from", *map(heading, columns), "p (Holm)", "detectable", "B against A"]


def _table(found: Comparison, columns: tuple[Column, ...]) -> Table:
    table = _frame("Methods in both: A, B" + ("" if found.unpaired else ", difference"))
    for head in _headings(columns):
        figure = head not in ("method", "from", "B against A")
        table.add_column(head, justify="right" if figure else "left", no_wrap=True)
    for line in found.lines:
        table.add_row(*_cells(line, columns))
    return table


def _cells(line: ComparedLine, columns: tuple[Column, ...]) -> list[str]:
    return [
        line.title,
        line.source,
        *(_figures(line, column) for column in columns),
        p_text(line.p),
        _detectable(line),
        line.verdict,
    ]


def _detectable(line: ComparedLine) -> str:
    gap = line.differences.get(line.judged)
    return number(gap.detectable) if gap is not None and math.isfinite(gap.detectable) else ""


def _figures(line: ComparedLine, column: Column) -> str:
    if column not in line.a or column not in line.b:
        return ""
    a, b = line.a[column], line.b[column]
    gap = line.differences.get(column)
    if gap is None:
        return f"{_with_interval(a)}\n{_with_interval(b)}"
    return f"{number(a.value)}, {number(b.value)}\n{_difference(gap)}"


def _with_interval(figure: Figure) -> str:
    if not figure.defined:
        return "undefined"
    bounds = interval(figure)
    return number(figure.value) + (f" [{bounds}]" if bounds else "")


def _difference(gap: Contrast) -> str:
    if math.isnan(gap.value):
        return "undefined"
    text = f"{gap.value:+.3f}"
    return text + (f" [{gap.low:+.3f} to {gap.high:+.3f}]" if math.isfinite(gap.low) else "")


def _frame(title: str) -> Table:
    return TextTable(title, padding=(0, 1))


def _json(line: ComparedLine) -> dict:
    def by_column(figures) -> dict:
        return {f"{metric} {target}": asdict(own) for (metric, target), own in figures.items()}

    return {
        "method": line.method,
        "source": line.source,
        "seeds_a": list(line.seeds[0]),
        "seeds_b": list(line.seeds[1]),
        "a": by_column(line.a),
        "b": by_column(line.b),
        "differences": {
            f"{metric} {target}": {**asdict(gap), "detectable": gap.detectable}
            for (metric, target), gap in line.differences.items()
        },
        "judged": " ".join(line.judged),
        "verdict": line.verdict,
        "p_holm": line.p,
        "note": line.note,
    }


def _finite(value):
    """The same values with null for every number that JSON cannot write."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
