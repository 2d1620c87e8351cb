"""What the intervals of a board rest on, and which figures have none, or one without width."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.metrics.patients import MIN_PATIENTS
from benchmark.report.board import Board, Figure, Line, Row

SHOWN = 6
"""Columns that a line names; the others are counted."""


def counted_scans(scans: int, patients: int | None) -> str:
    """``"56 scans of 14 patients"``; without patients where nobody said."""
    text = f"{scans} scan{'' if scans == 1 else 's'}"
    if patients is None:
        return text
    return f"{text} of {patients} patient{'' if patients == 1 else 's'}"


def sample(rows: Iterable[Row]) -> tuple[int, int | None]:
    """Scans and patients that the figures of some rows are of; 0 without figures."""
    for row in rows:
        for line in row.lines:
            for figure in line.figures.values():
                return figure.n, figure.patients
    return 0, None


def few_patients(rows: Iterable[Row]) -> tuple[str, ...]:
    """The sentence for a board of fewer than three patients; nothing otherwise."""
    scans, patients = sample(rows)
    if not scans or (scans if patients is None else patients) >= MIN_PATIENTS:
        return ()
    return (
        f"{counted_scans(scans, patients)}: with fewer than {MIN_PATIENTS} patients there are no "
        "intervals, marks, ranks or verdicts, and no difference is told; the figures are of these "
        "scans alone.",
    )


def reliance_lines(board: Board) -> list[str]:
    """One line for each method and reason: figures without an interval, or with one of no width."""
    if few_patients(board.rows):
        return []  # said once for all
    found = []
    for row in board.rows:
        for line in row.lines:
            for reason, names in _by_reason(line).items():
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                shown = ", ".join(names[:SHOWN])
                found.append(f"{row.title} ({line.source}), {shown}{more}: {reason}")
    return found


def _by_reason(line: Line) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for (metric, target), figure in line.figures.items():
        reason = _reason(figure)
        if reason:
            reasons.setdefault(reason, []).append(f"{metric.replace('_', ' ')} {target}")
    return reasons


def _reason(figure: Figure) -> str:
    if not figure.defined:
        return ""
    if figure.low != figure.low:  # NaN
        parts = [part for part in figure.note.split("; ") if part.endswith("no interval")]
        return parts[0] if parts else ""
    return "an interval without width, as all resamples agree" * (figure.low == figure.high)
