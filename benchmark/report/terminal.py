"""The leaderboard on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from benchmark.report import ablations, against
from benchmark.report.board import (
    LED_BY,
    TARGETS,
    Board,
    Column,
    Line,
    Row,
    interval,
    number,
    with_paper,
)
from benchmark.report.consoles import TextTable
from benchmark.report.reliance import counted_scans, reliance_lines, sample
from benchmark.report.spent import HEADINGS, diagnostics, spent_cells, taken_from

OVERLAP: tuple[Column, ...] = (
    *(("F1", target) for target in TARGETS[:3]),
    *LED_BY,
    ("sensitivity", "whole"),
    ("PPV", "whole"),
)
OVERLAP_TITLE = "Segmentation, by volume"
TO_BEST: dict[Column, str] = {("F1", "mean"): "mean to best", ("F1", "whole"): "F1 to best"}
"""Heads of the columns of differences."""
AGREEMENT: tuple[Column, ...] = (
    *(("ICC_AS", target) for target in TARGETS),
    ("ICC_VS", "whole"),
    ("ICC_MS", "whole"),
    ("PCC_AS", "whole"),
    ("kappa", "whole"),
    ("MAE_AS", "whole"),
)
MORE: dict[str, tuple[Column, ...]] = {
    "Volume score (mm3)": (
        *(("ICC_VS", t) for t in TARGETS),
        ("PCC_VS", "whole"),
        ("MAE_VS", "whole"),
    ),
    "Mass score (mg)": (
        *(("ICC_MS", t) for t in TARGETS),
        ("PCC_MS", "whole"),
        ("MAE_MS", "whole"),
    ),
    "Means over the 12 scores": (("ICC", "mean"), ("PCC", "mean")),
    "Sensitivity and PPV": (
        *(("sensitivity", t) for t in TARGETS[:3]),
        *(("PPV", t) for t in TARGETS[:3]),
    ),
}


def print_board(board: Board, console: Console, more: bool = False, notes: bool = False) -> None:
    """Print a leaderboard, on narrow terminals without the figures of single arteries.

    Parameters
    ----------
    board : Board
    console : rich.console.Console
    more : bool
        Also print volume and mass by artery, and sensitivity and PPV by artery.
    notes : bool
        Print each method's deviations from its paper; otherwise how many there are.
    """
    tables = {OVERLAP_TITLE: OVERLAP, "Scores against the reference": AGREEMENT}
    tables |= MORE if more else {}
    shortened = False
    console.print()
    console.print(Text(f"{board.title} (suite {board.suite}, scale {board.scale})", style="bold"))
    for title, columns in tables.items():
        table = _table(title, columns, board)
        for fewer in _shorter(columns):
            if _fits(table, console):
                break
            shortened = True
            table = _table(title, fewer, board)
        console.print(table)
    if board.against:
        for shown in (range(len(against.HEADINGS)), *against.NARROWER):
            table = _against(board, shown)
            if _fits(table, console):
                break
        console.print(table)
    if board.ablations:
        for shown in (range(len(ablations.HEADINGS)), *ablations.NARROWER):
            table = _ablations(board, shown)
            if _fits(table, console):
                break
        console.print(table)
    for shown in (range(len(HEADINGS)), (0, 1, 2, 5, 7), (0, 1, 2)):
        spent = _spent(board, shown)
        if _fits(spent, console):
            break
    console.print(spent)
    if shortened:
        console.print("More columns: a wider terminal, or benchmark show --format markdown")
    for line in footer(board, notes):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _shorter(columns: tuple[Column, ...]) -> list[tuple[Column, ...]]:
    """Fewer and fewer columns: no volume and mass, no single arteries, then from the right."""
    agatston = tuple(column for column in columns if column[0] not in ("ICC_VS", "ICC_MS"))
    whole = tuple(column for column in agatston if column[1] not in TARGETS[:3])
    last = whole or columns
    return [agatston or columns, last, *(last[:count] for count in range(len(last) - 1, 0, -1))]


def _fits(table: Table, console: Console) -> bool:
    unbounded = console.options.update(max_width=10_000)
    return table.__rich_measure__(console, unbounded).maximum <= console.width


def footer(board: Board, notes: bool = True) -> list[str]:
    """The lines under the tables.

    Parameters
    ----------
    board : Board
    notes : bool
        With each method's deviations; otherwise one line counts them and says where they are.
    """
    scans = sample(board.rows)
    over = (
        f"95 % interval over {counted_scans(*scans)} below" if scans[0] else "95 % interval below"
    )
    lines = [
        f"{over} each figure; in brackets the paper's, from other scans. "
        "* best, ~ not told apart from the best (paired; over patients and trainings, "
        "or over patients alone with one seed); a figure without an interval has no mark.",
        "AS, VS, MS: Agatston, volume and mass score. "
        "F1 to best: difference in F1 whole to the best method, paired; mean to best: the same in "
        "the mean of the F1 of LAD, LCX and RCA. Masks are ranked by both: whole cannot see an "
        "artery taken for another.",
    ]
    lines += against.as_lines(board)
    lines += [
        ablations.explanation(base) for base in dict.fromkeys(a.base for a in board.ablations)
    ]
    width = max((len(name) for name, _ in board.facts), default=0)
    lines += [f"{name:<{width}}  {text}" for name, text in board.facts]
    lines += board.notes
    lines += [f"undefined: {reason}" for reason in board.reasons]
    lines += reliance_lines(board)
    for row in board.rows:
        if row.failed:
            lines.append(f"failed: {row.title}: {row.failed}")
        filled = sum(line.filled for line in row.lines)
        if filled:
            lines.append(f"{row.title}: {filled} missing predictions took the worst value")
    for row in board.rows:
        if taken_from(row):
            lines.append(f"{row.title}: not trained, tested with the weights of {taken_from(row)}")
        if row.spent.get("diagnostics"):
            lines.append(f"{row.title}: {diagnostics(row.spent['diagnostics'])}")
    return lines + (deviations(board) if notes else _counted_deviations(board))


def deviations(board: Board) -> list[str]:
    """Each deviation once, after the methods that have it: ``"3D FCN, 3D U-Net: ..."``."""
    titles: dict[str, list[str]] = {}
    for row in board.rows:
        for note in row.notes:
            titles.setdefault(note, []).append(row.title)
    return [f"{', '.join(having)}: {note}" for note, having in titles.items()]


def _counted_deviations(board: Board) -> list[str]:
    counts = [f"{len(row.notes)} of {row.title}" for row in board.rows if row.notes]
    where = "leaderboard.md, or benchmark show --notes"
    return [f"deviations: {', '.join(counts)} ({where})"] if counts else []


def _table(title: str, columns: tuple[Column, ...], board: Board) -> Table:
    led = [column for column in LED_BY if column in columns] if title == OVERLAP_TITLE else []
    table = _frame(title)
    table.add_column("method", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for metric, target in columns:
        head = "mean\nF1" if (metric, target) == ("F1", "mean") else ""
        head = head or f"{metric.replace('_', ' ')}\n{target}"
        table.add_column(head, justify="right", no_wrap=True)
    for column in led:
        words = TO_BEST[column].rpartition(" ")
        table.add_column(f"{words[0]}\n{words[2]}", justify="right", no_wrap=True)
    for place, row in enumerate(board.rows):
        lines = [line for line in row.lines if any(c in line.figures for c in columns)]
        if not row.lines:
            table.add_row(row.title, Text("failed", style="red"))
        for count, line in enumerate(lines):
            cells = [_cell(line, column) for column in columns]
            cells += [_difference(line, column) for column in led]
            table.add_row(_name(row) if count == 0 else "", line.source, *cells)
        following = board.rows[place + 1 :]
        if row.ranked and following and not following[0].ranked:
            table.add_section()
    return table


def _frame(title: str) -> Table:
    return TextTable(title, padding=0)


def _name(row: Row) -> Text:
    return Text(row.title + (" (seed failed)" if row.failed else ""))


def _cell(line: Line, column: Column) -> Group | str:
    figure = line.figures.get(column)
    if figure is None:
        return ""
    mark = {"best": "*", "tied": "~"}.get(line.marks.get(column, ""), "")
    style = "bold" if mark == "*" else ""
    top = Text(mark + with_paper(figure, column[0]), style=style, justify="right")
    return Group(top, Text(interval(figure, column[0], "–"), style="dim", justify="right"))


def _difference(line: Line, column: Column) -> Group | str:
    gap = line.to_best(column)
    if gap is None:
        return "best" if line.marks.get(column) == "best" else ""
    top = Text(number(gap.value), justify="right")
    return Group(top, Text(interval(gap, between="–"), style="dim", justify="right"))


def _against(board: Board, shown: Iterable[int]) -> Table:
    table = _frame("References: what a network is more than")
    for index in shown:
        figure = index in (2, 3)
        table.add_column(
            against.HEADINGS[index], justify="right" if figure else "left", no_wrap=True
        )
    for one in board.against:
        cells = against.against_cells(one, line_break="\n")
        table.add_row(*(cells[index] for index in shown))
    return table


def _ablations(board: Board, shown: Iterable[int]) -> Table:
    table = _frame("Ablations: difference to the base")
    for index in shown:
        figure = index in ablations.FIGURES
        table.add_column(
            ablations.HEADINGS[index], justify="right" if figure else "left", no_wrap=True
        )
    for ablation in board.ablations:
        cells = ablations.ablation_cells(ablation, line_break="\n")
        table.add_row(*(cells[index] for index in shown))
    return table


def _spent(board: Board, shown: Iterable[int]) -> Table:
    table = _frame("Spent by each method (mean over seeds)")
    for index in shown:
        words = index in (0, len(HEADINGS) - 1)
        table.add_column(HEADINGS[index], justify="left" if words else "right", no_wrap=True)
    for row in board.rows:
        if row.trained:
            cells = spent_cells(row)
            table.add_row(*(cells[index] for index in shown))
    return table
