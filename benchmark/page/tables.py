"""The leaderboard as rows and cells that a template or a picture can write."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from benchmark.report.board import (
    LED_BY,
    LOWER_IS_BETTER,
    METRICS,
    TARGETS,
    Board,
    Column,
    Line,
    Row,
    heading,
    interval,
    number,
)

_ARTERIES = TARGETS[:3]

GROUPS: tuple[tuple[str, bool, tuple[Column, ...]], ...] = (
    ("F1", True, (*(("F1", t) for t in _ARTERIES), *LED_BY)),
    ("sensitivity and PPV, whole heart", False, (("sensitivity", "whole"), ("PPV", "whole"))),
    (
        "sensitivity and PPV by artery",
        False,
        tuple((m, t) for m in ("sensitivity", "PPV") for t in _ARTERIES),
    ),
    ("agreement, whole heart", True, (("ICC_AS", "whole"), ("ICC", "mean"), ("kappa", "whole"))),
    ("Agatston score: ICC by artery", False, tuple(("ICC_AS", t) for t in _ARTERIES)),
    ("volume score: ICC", False, tuple(("ICC_VS", t) for t in TARGETS)),
    ("mass score: ICC", False, tuple(("ICC_MS", t) for t in TARGETS)),
    (
        "Pearson correlations",
        False,
        (("PCC", "mean"), *((f"PCC_{s}", t) for s in ("AS", "VS", "MS") for t in TARGETS)),
    ),
    ("mean absolute error of the Agatston score", True, (("MAE_AS", "whole"),)),
    (
        "mean absolute errors, all",
        False,
        (
            *(("MAE_AS", t) for t in _ARTERIES),
            *((f"MAE_{s}", t) for s in ("VS", "MS") for t in TARGETS),
        ),
    ),
)
"""Name, whether shown at first, and columns: what a reader chooses."""

MEANINGS: dict[Column, str] = {
    ("F1", "mean"): "mean of the F1 of LAD, LCX and RCA, each of its volumes pooled over the scans"
}
"""What a column measures whose metric alone does not say it."""

MARKS = {"best": ("★", "best"), "tied": ("≈", "not told apart from the best")}
"""Sign and words of a mark; never colour alone."""


@dataclass(frozen=True)
class Cell:
    """One figure of the table.

    Attributes
    ----------
    text : str
        The figure, or "undefined", or nothing where the line has no such figure.
    bounds : str
        Its interval.
    value : float or None
        What the column is sorted by.
    mark : str
        "best", "tied" or nothing.
    paper, seeds : str
        The paper's figure, and the SD over seeds.
    reason : str
        Why it is undefined.
    group : int
        Place in `GROUPS`.
    """

    text: str
    bounds: str = ""
    value: float | None = None
    mark: str = ""
    paper: str = ""
    seeds: str = ""
    reason: str = ""
    group: int = 0


@dataclass(frozen=True)
class TableRow:
    """One line of the board.

    Attributes
    ----------
    title, source : str
    remark : str
        "reference, not trained", "a seed failed" and so on.
    cells : tuple of Cell
        One a column; empty if the method failed.
    differences : dict of Column to Cell
        Figure less the best one's, in each of `LED_BY`.
    """

    title: str
    source: str
    remark: str = ""
    cells: tuple[Cell, ...] = ()
    differences: dict[Column, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """A column's head: text, what it measures, whether less is better, group."""

    text: str
    meaning: str
    lower: bool
    group: int


def heads(board: Board) -> tuple[tuple[Column, Head], ...]:
    """Columns that any line of the board has, with their heads."""
    present = {column for row in board.rows for line in row.lines for column in line.figures}
    return tuple(
        (
            column,
            Head(
                column_name(column),
                MEANINGS.get(column) or METRICS.get(column[0], ""),
                column[0] in LOWER_IS_BETTER,
                group,
            ),
        )
        for group, (_, _, columns) in enumerate(GROUPS)
        for column in columns
        if column in present
    )


def table_rows(board: Board) -> tuple[TableRow, ...]:
    """The board's lines in its order; a method that failed has a row without cells."""
    columns = heads(board)
    rows = []
    for row in board.rows:
        if not row.lines:
            rows.append(TableRow(row.title, "", f"failed: {row.failed}"))
        for line in row.lines:
            cells = tuple(_cell(line, column, head) for column, head in columns)
            gaps = {column: _difference(line, column) for column in LED_BY}
            rows.append(TableRow(row.title, line.source, _remark(row), cells, gaps))
    return tuple(rows)


def _remark(row: Row) -> str:
    parts = []
    if not row.trained:
        parts.append("reference, not trained")
    elif row.reference:
        parts.append("reference")
    if row.failed:
        parts.append("a seed failed, see below")
    return "; ".join(parts)


def _cell(line: Line, column: Column, head: Head) -> Cell:
    figure = line.figures.get(column)
    if figure is None:
        return Cell("", group=head.group)
    metric = column[0]
    paper = "" if figure.paper is None else number(figure.paper, metric)
    seeds = number(figure.seed_sd, metric) if math.isfinite(figure.seed_sd) else ""
    if not figure.defined:
        return Cell("undefined", paper=paper, reason=figure.note, group=head.group)
    return Cell(
        number(figure.value, metric),
        interval(figure, metric),
        float(f"{figure.value:.6g}"),
        line.marks.get(column, ""),
        paper,
        seeds,
        "",
        head.group,
    )


def _difference(line: Line, column: Column) -> Cell:
    gap = line.to_best(column)
    if gap is None:
        is_best = line.marks.get(column) == "best"
        return Cell("best" if is_best else "", value=0.0 if is_best else None)
    if not gap.defined:
        return Cell("undefined", reason=gap.note)
    return Cell(number(gap.value), interval(gap), float(f"{gap.value:.6g}"))


def column_name(column: Column) -> str:
    """``F1 whole``, ``mean artery F1``, ``mean ICC``."""
    metric, target = column
    return f"mean {metric}" if target == "mean" and metric != "F1" else heading(column)
