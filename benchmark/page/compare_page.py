"""Two runs compared, as a page: what differs in configuration first, then paired differences."""

from __future__ import annotations

import math

from benchmark.page.differences import column_name, intervals, plain
from benchmark.page.file import page_file
from benchmark.page.render import bounds_text
from benchmark.report.ablations import COMPARED, p_text
from benchmark.report.board import Column, Figure, interval, number
from benchmark.report.compare import ComparedLine, Comparison
from benchmark.report.compare_text import EXPLANATION

VERDICT_HEADS = ("method", "from", "seeds of A", "seeds of B", "judged by", "A", "B")
DIFFERENCE_HEADS = ("B less A", "p (Holm)", "detectable", "B against A")
NUMBERS_HEADS = (
    "method",
    "from",
    "A [95 %, patients]",
    "B [95 %, patients]",
    "B less A",
    "95 %, patients",
    "95 %, patients and trainings",
    "detectable",
)


def render_comparison(found: Comparison) -> str:
    """The page of `benchmark compare`.

    Parameters
    ----------
    found : Comparison

    Returns
    -------
    str
        A whole HTML document, with the style and the guards of `benchmark report`'s.
    """
    paired = bool(found.lines) and not found.unpaired
    panels = [_panel(found, column) for column in COMPARED] if paired else []
    panels = [panel for panel in panels if panel["rows"]]
    return page_file(
        "compare.html.j2",
        {"compare": {"forest": panels}},
        found=found,
        settings=[(one.name, one.a, one.b) for one in found.settings],
        paired=paired,
        panels=panels,
        heads=VERDICT_HEADS + (DIFFERENCE_HEADS if paired else DIFFERENCE_HEADS[-1:]),
        verdicts=[_verdict_row(line, paired) for line in found.lines],
        numbers_heads=NUMBERS_HEADS if paired else NUMBERS_HEADS[:4],
        numbers=[
            (column_name(column), rows)
            for column in COMPARED
            if (rows := _numbers(found, column, paired))
        ],
        explanation=EXPLANATION,
        notes=[f"{line.title} ({line.source}): {line.note}" for line in found.lines if line.note],
    )


def _verdict_row(line: ComparedLine, paired: bool) -> tuple[str, ...]:
    row = (
        line.title,
        line.source,
        *(", ".join(map(str, seeds)) for seeds in line.seeds),
        column_name(line.judged),
        *(_figure(side.get(line.judged)) for side in (line.a, line.b)),
    )
    if not paired:
        return (*row, line.verdict)
    gap = line.differences[line.judged]
    if math.isnan(gap.value):
        return (*row, "undefined", "", "", line.verdict)
    bounds = bounds_text(gap.low, gap.high)
    return (
        *row,
        f"{gap.value:+.3f}" + (f" [{bounds}]" if bounds else ""),
        p_text(line.p),
        number(gap.detectable),
        line.verdict,
    )


def _numbers(found: Comparison, column: Column, paired: bool) -> list[tuple[str, ...]]:
    """One column of every line that has it, as text."""
    rows = []
    for line in found.lines:
        if column not in line.a or column not in line.b:
            continue
        row = (line.title, line.source, _figure(line.a[column]), _figure(line.b[column]))
        if paired:
            gap = line.differences[column]
            if math.isnan(gap.value):
                row += ("undefined", "", "", "")
            else:
                row += (
                    f"{gap.value:+.3f}",
                    bounds_text(gap.patients_low, gap.patients_high),
                    bounds_text(gap.low, gap.high) if gap.known else "not known",
                    number(gap.detectable),
                )
        rows.append(row)
    return rows


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if not figure.defined:
        return f"undefined: {figure.note}"
    bounds = interval(figure)
    return number(figure.value) + (f" [{bounds}]" if bounds else "")


def _panel(found: Comparison, column: Column) -> dict:
    """One forest plot: every line's difference in that figure."""
    return {
        "name": column_name(column),
        "best": "A",
        "rows": [
            {
                "label": f"{line.title} ({line.source})",
                "trained": True,
                "value": plain(line.differences[column].value),
                **intervals(line.differences[column]),
                "verdict": line.verdict if column == line.judged else "",
            }
            for line in found.lines
            if column in line.differences
        ],
    }
