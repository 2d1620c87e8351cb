"""The leaderboard as plain values: what all its printed forms are made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.metrics.verdict import Contrast

TARGETS = ("LAD", "LCX", "RCA", "whole")

METRICS = {
    "F1": "F1 score of the segmented volume: harmonic mean of sensitivity and PPV",
    "sensitivity": "share of the reference calcium volume that was found",
    "PPV": "share of the found volume that is reference calcium of that artery",
    "ICC_AS": "agreement of Agatston scores: ICC, two-way, absolute agreement, single",
    "ICC_VS": "the same for volume scores (mm3)",
    "ICC_MS": "the same for mass scores (mg)",
    "PCC_AS": "Pearson correlation of Agatston scores",
    "PCC_VS": "the same for volume scores (mm3)",
    "PCC_MS": "the same for mass scores (mg)",
    "ICC": "mean ICC of the 12 scores",
    "PCC": "mean Pearson correlation of the 12 scores",
    "kappa": "linearly weighted kappa of five risk categories (whole heart)",
    "MAE_AS": "mean absolute error of Agatston scores",
    "MAE_VS": "the same for volume scores, mm3",
    "MAE_MS": "the same for mass scores, mg",
}
"""Every metric of the leaderboard with what it measures."""

LOWER_IS_BETTER = frozenset({"MAE_AS", "MAE_VS", "MAE_MS"})

Column = tuple[str, str]
"""Metric and target, ``("F1", "whole")``."""

LED_BY: tuple[Column, ...] = (("F1", "mean"), ("F1", "whole"))
"""What masks are ranked by: the mean of the three arteries, and the whole heart beside it.

Whole cannot see an artery taken for another; the mean can.
"""


@dataclass(frozen=True)
class Figure:
    """One number of the board.

    Attributes
    ----------
    value : float
        Mean over seeds; NaN where it is undefined.
    low, high : float
        95 % interval over patients; NaN where there is none.
    n : int
        Scans.
    note : str
        Why a figure is undefined, or anything else to know of it.
    seed_sd : float
        SD over seeds; NaN with one seed.
    paper : float or None
        The paper's figure for the same method, from other scans.
    patients : int or None
        Patients of these scans; None: nobody said.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    note: str = ""
    seed_sd: float = math.nan
    paper: float | None = None
    patients: int | None = None

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)


@dataclass(frozen=True)
class Line:
    """Scores of one method from one source.

    Attributes
    ----------
    source : str
        "mask" or "head".
    figures : dict of Column to Figure
    filled : int
        Scans (over all seeds) that had no usable prediction and took the worst value.
    marks : dict of Column to str
        "best", or "tied" where the paired interval of the difference to the best holds 0: over
        patients and trainings, or over patients alone where the noise of training is not known. A
        figure without an interval has none.
    difference : Figure or None
        F1 whole minus that of the best method, paired.
    difference_arteries : Figure or None
        The same for the mean of the arteries' F1, whose best method may be another.
    """

    source: str
    figures: dict[Column, Figure]
    filled: int = 0
    marks: dict[Column, str] = field(default_factory=dict)
    difference: Figure | None = None
    difference_arteries: Figure | None = None

    def to_best(self, column: Column) -> Figure | None:
        """Difference to the best in one of `LED_BY`."""
        return self.difference if column == ("F1", "whole") else self.difference_arteries


@dataclass(frozen=True)
class Ablation:
    """What one change made of its base, on the same scans and seeds.

    Attributes
    ----------
    title, base : str
        Titles of the two methods.
    change : str
        ``"fusion = sum"``.
    source : str
        "mask" or "head".
    differences : dict of Column to Contrast
        The ablation's figure less its base's, with intervals over patients alone, and over
        patients and trainings.
    judged : Column
        The figure by which it is judged: F1 whole of a mask, mean ICC of a head.
    expect : str
        "lower", "higher" or nothing: as its author expected before it ran.
    found : str
        "lower", "higher" or "undecided", by the rule of `benchmark.metrics.verdict`.
    p : float
        Of no difference in `judged`, adjusted after Holm over the board's ablations.
    these_networks : str
        Where undecided: "lower" or "higher" if the interval over patients alone leaves 0 out.
    """

    title: str
    base: str
    change: str
    source: str
    differences: dict[Column, Contrast]
    judged: Column
    expect: str
    found: str
    p: float
    these_networks: str = ""


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes
    ----------
    name, title : str
    trained : bool
    lines : tuple of Line
        One per source; none if it failed with every seed.
    failed : str
        Why, and with which seeds; empty if nothing failed.
    notes : tuple of str
        Deviations from the published method.
    spent : dict
        Ledger values as means over seeds, and stages.
    reference : bool
        Not ranked: what the others are measured by.
    """

    name: str
    title: str
    trained: bool
    lines: tuple[Line, ...]
    failed: str = ""
    notes: tuple[str, ...] = ()
    spent: dict = field(default_factory=dict)
    reference: bool = False

    @property
    def ranked(self) -> bool:
        """Whether it takes part in ranks and marks."""
        return self.trained and not self.reference


@dataclass(frozen=True)
class Against:
    """A reference beside all ranked masks, in one figure.

    Attributes
    ----------
    name, title : str
        Of the reference.
    column : Column
        One of `LED_BY`.
    figure : Figure
        The reference's own.
    best : str
        Title of the mask with the best figure; empty where nothing can be compared.
    gap : Contrast or None
        The best mask's figure less the reference's, over patients and trainings.
    above, level, below : tuple of str
        Titles of the masks whose paired interval of the difference lies above 0, holds 0 ("not
        told apart"), lies below 0.
    """

    name: str
    title: str
    column: Column
    figure: Figure
    best: str = ""
    gap: Contrast | None = None
    above: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Attributes
    ----------
    suite, title, scale : str
    rows : tuple of Row
        In the suite's order, references last.
    facts : tuple of (str, str)
        What stands under the table: cohort, split, budget, seeds, machine and so on.
    notes : tuple of str
        Sentences under the table.
    columns : tuple of Column
        Columns for which best and tied are marked.
    ablations : tuple of Ablation
        Each ablation beside its base, if both are on the board.
    against : tuple of Against
        Each reference beside the ranked masks.
    """

    suite: str
    title: str
    scale: str
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    ablations: tuple[Ablation, ...] = ()
    against: tuple[Against, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why figures are undefined: ``"DMTRL (head), kappa: ..."``, one line a metric."""
        found: dict[str, None] = {}
        for row in self.rows:
            for line in row.lines:
                for (metric, target), figure in line.figures.items():
                    if not figure.defined and figure.note:
                        where = f"{row.title} ({line.source}), {metric} {target}"
                        found[f"{where}: {figure.note}"] = None
        return tuple(found)


def heading(column: Column) -> str:
    """``"F1 LAD"``, ``"mean artery F1"``, ``"ICC AS whole"``."""
    metric, target = column
    if column == ("F1", "mean"):
        return "mean artery F1"
    return f"{metric.replace('_', ' ')} {target}" if metric != "kappa" else "kappa"


def number(value: float | None, metric: str = "") -> str:
    """``.923``, ``-.012``, ``1.000``, ``12.3`` for errors, an en dash for nothing."""
    if value is None or not math.isfinite(value):
        return "–"
    if metric in LOWER_IS_BETTER:
        return f"{value:.1f}"
    text = f"{value:.3f}"
    if text == "-0.000":
        text = "0.000"
    return text.replace("0.", ".", 1) if abs(value) < 1 and "0." in text else text


def interval(figure: Figure, metric: str = "", between: str = "") -> str:
    """``.901–.945`` or nothing; ``to`` between the bounds where one is negative."""
    if not (math.isfinite(figure.low) and math.isfinite(figure.high)):
        return ""
    between = between or (" to " if figure.low < 0 else "–")
    return f"{number(figure.low, metric)}{between}{number(figure.high, metric)}"


def with_paper(figure: Figure | None, metric: str = "") -> str:
    """``.923 (.961)``: ours and in brackets the paper's."""
    if figure is None:
        return ""
    ours = number(figure.value, metric) if figure.defined else "undefined"
    return ours if figure.paper is None else f"{ours} ({number(figure.paper, metric)})"
