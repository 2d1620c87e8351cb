"""Forest plots: every line's paired difference to the best one, and each ablation's to its base."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.methods import ranked
from benchmark.metrics import holm
from benchmark.metrics.verdict import Contrast, SeedNoise, contrast
from benchmark.page.lines import PageLine
from benchmark.page.tables import column_name
from benchmark.report.ablations import COMPARED
from benchmark.report.board import LOWER_IS_BETTER, Board, Column
from benchmark.report.noise import UNKNOWN, lends, pool

LEVEL = 0.05
APART, THESE_ONLY, NOT_APART, UNDEFINED = (
    "told apart",
    "these trained networks only",
    "not told apart",
    "undefined",
)
"""What a difference says: of methods; of these networks on other patients; nothing."""


@dataclass(frozen=True)
class Difference:
    """One line less the best.

    Attributes
    ----------
    label : str
    trained : bool
        False for a reference without training.
    contrast : Contrast
        With the interval over patients alone, and over patients and trainings.
    p : float
        Adjusted after Holm over the panel; NaN if undefined.
    verdict : str
        One of `APART`, `THESE_ONLY`, `NOT_APART`, `UNDEFINED`.
    """

    label: str
    trained: bool
    contrast: Contrast
    p: float
    verdict: str


@dataclass(frozen=True)
class Panel:
    """Differences in one figure.

    Attributes
    ----------
    column : Column
    best : str
        Label of the line with the best figure among ranked ones.
    rows : tuple of Difference
        Smallest difference first.
    noise : SeedNoise
        Spread over seeds, pooled over the trained lines of the best one's source.
    """

    column: Column
    best: str
    rows: tuple[Difference, ...]
    noise: SeedNoise


def panels(lines: Sequence[PageLine], columns: Sequence[Column] = COMPARED) -> tuple[Panel, ...]:
    """A panel for each column in which at least two lines have a figure.

    Parameters
    ----------
    lines : sequence of PageLine
    columns : sequence of Column
    """
    found = (_panel(lines, column) for column in columns)
    return tuple(panel for panel in found if panel is not None)


def _panel(lines: Sequence[PageLine], column: Column) -> Panel | None:
    # of too few patients no difference is told
    own = [line for line in lines if column in line.measured and not line.measured[column].few]
    rivals = [
        line for line in own if ranked(line.method) and math.isfinite(line.measured[column].value)
    ]
    if len(own) < 2 or not rivals:
        return None
    sign = -1 if column[0] in LOWER_IS_BETTER else 1
    best = max(rivals, key=lambda line: sign * line.measured[column].value)
    pooled = pool((line.source, line.measured) for line in own if lends(line.method, line.cells))
    noise = {source: pooled.get((source, column), UNKNOWN) for source in ("mask", "head")}

    def term(weight: float, line: PageLine) -> tuple:
        return weight, line.measured[column], noise[line.source] if line.varies else None

    others = [line for line in own if line is not best]
    gaps = [contrast([term(1, line), term(-1, best)]) for line in others]
    adjusted = holm([gap.p for gap in gaps])
    rows = [
        Difference(line.label, line.method["trained"], gap, float(p), _verdict(gap, float(p)))
        for line, gap, p in zip(others, gaps, adjusted, strict=True)
    ]
    rows.sort(key=lambda row: np.nan_to_num(-sign * row.contrast.value, nan=np.inf))
    return Panel(column, best.label, tuple(rows), noise[best.source])


def _verdict(gap: Contrast, p: float) -> str:
    if math.isnan(gap.value) or math.isnan(gap.patients_low):
        return UNDEFINED
    if gap.known and p < LEVEL:
        return APART
    if gap.patients_low > 0 or gap.patients_high < 0:
        return THESE_ONLY
    return NOT_APART


def forest_data(found: Sequence[Panel]) -> list[dict]:
    """Panels as plain values for the plot."""
    return [
        {
            "name": column_name(panel.column),
            "best": panel.best,
            "rows": [
                {
                    "label": row.label,
                    "trained": row.trained,
                    "value": plain(row.contrast.value),
                    **intervals(row.contrast),
                    "verdict": row.verdict,
                }
                for row in panel.rows
            ],
        }
        for panel in found
    ]


def ablation_data(board: Board) -> list[dict]:
    """The ablations' differences to their bases, one panel a figure, as plain values."""
    found = []
    for column in COMPARED:
        rows = [
            {
                "label": f"{one.title} ({one.source})",
                "trained": True,
                "value": plain(one.differences[column].value),
                **intervals(one.differences[column]),
                "verdict": one.found if column == one.judged else "",
            }
            for one in board.ablations
            if column in one.differences
        ]
        if rows:
            found.append({"name": column_name(column), "best": "its base", "rows": rows})
    return found


def plain(value: float | None, digits: int = 5) -> float | None:
    """A number that JSON can hold, rounded to significant digits; None for NaN and infinity."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def intervals(gap: Contrast) -> dict:
    """Over patients alone, and over patients and trainings where the noise of training is known."""
    both = _pair(gap.low, gap.high) if gap.known else None
    return {"patients": _pair(gap.patients_low, gap.patients_high), "both": both}


def _pair(low: float, high: float) -> list[float] | None:
    return [plain(low), plain(high)] if math.isfinite(low) and math.isfinite(high) else None
