"""Figure 7: Bland-Altman plots of the three scores, and the confusion of risk categories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.calcium import RISK_EDGES
from benchmark.errors import UserError
from benchmark.figures.style import (
    DOUBLE_COLUMN,
    INK,
    MASK,
    MIN_FONT,
    QUIET,
    SEQUENTIAL,
    ink_on,
    new_figure,
    number,
    save,
    styled,
)
from benchmark.metrics import Estimate, categories_of, fill_missing, fill_missing_categories
from benchmark.metrics.bland_altman import Agreement, bland_altman
from benchmark.metrics.overlap import TARGETS
from benchmark.metrics.summary import as_estimate
from benchmark.names import file_names
from benchmark.report.measure import measure
from benchmark.report.reliance import counted_scans
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = (("Agatston", ""), ("volume", "mm3"), ("mass", "mg"))
"""Title and unit."""
LIMITS = "#B3261E"
"""Dark red, as in the paper; dashed."""
ROMAN = ("I", "II", "III", "IV", "V")
_ROOM = 34
"""Points between a panel and its title, for three lines of numbers."""
SOURCES = {"mask": "scores from the mask", "head": "scores from the head"}


@dataclass(frozen=True, eq=False)
class ScoreAgreement:
    """What figure 7 shows of one method, seed and source.

    Attributes
    ----------
    title : str
        Method, seed and source, for the head of the figure.
    target : str
        LAD, LCX, RCA or whole.
    ids : tuple of str
    missing : numpy.ndarray of bool, shape (n, 3)
        Scores that were not given and hold their worst value.
    scores : tuple of Agreement
        Agatston, volume, mass.
    confusion : numpy.ndarray of int, shape (5, 5)
        Scans by category of the reference (rows) and of the estimate (columns).
    kappa : Estimate
        Linearly weighted.
    """

    title: str
    target: str
    ids: tuple[str, ...]
    missing: np.ndarray
    scores: tuple[Agreement, ...]
    confusion: np.ndarray
    kappa: Estimate


def score_agreement(
    cell: KeptCell, source: str, target: str = "whole", interval: str = "bootstrap"
) -> ScoreAgreement:
    """Analyse one finished cell.

    A missing score takes the end of the plausible range further from its reference, a missing
    category the worst one, as everywhere in the benchmark.

    Parameters
    ----------
    cell : KeptCell
    source : {"mask", "head"}
    target : {"whole", "LAD", "LCX", "RCA"}
        Of the Bland-Altman plots; risk categories are always of the whole heart.
    interval : {"bootstrap", "normal"}
        See `benchmark.metrics.bland_altman`.
    """
    place = TARGETS.index(target)
    given = getattr(cell, source)  # (n, 3, 4)
    filled = fill_missing(cell.reference, given, "MAE")
    scores = tuple(
        bland_altman(
            cell.reference[:, k, place],
            filled.values[:, k, place],
            interval,
            patients=cell.patients,
        )
        for k in range(len(SCORES))
    )
    truth = categories_of(cell.reference[:, 0, -1])
    agatston = given[:, 0, -1]
    gaps = ~np.isfinite(agatston)
    found = fill_missing_categories(truth, categories_of(np.where(gaps, 0.0, agatston)), gaps)
    confusion = np.zeros((5, 5), dtype=int)
    np.add.at(confusion, (truth, found), 1)
    kappa = as_estimate(measure([cell], source, cell)[0]["kappa", "whole"])
    title = f"{cell.title}, {SOURCES[source]}, seed {cell.seed}"
    return ScoreAgreement(
        title, target, cell.ids, filled.missing[:, :, place], scores, confusion, kappa
    )


def agreement_figures(
    run: FinishedRun,
    cells: Iterable[KeptCell],
    folder: Path,
    methods: Iterable[str] | None = None,
    target: str = "whole",
    interval: str = "bootstrap",
) -> list[Path]:
    """Draw figure 7 of some methods: one figure for each source of scores.

    The picture is of the first seed that finished; the table of limits has a row for every seed.

    Parameters
    ----------
    run, cells : FinishedRun, iterable of KeptCell
    folder : Path
        Gets ``fig7-<method>-<source>`` as .pdf, .png and three .csv.
    methods : iterable of str, optional
        Names as in the plan; the base of the run's ablations, or its first trained method.
    target, interval : str
        See `score_agreement`.

    Raises
    ------
    UserError
        If a method is not in the run, or none of its seeds finished.
    """
    cells = tuple(cells)
    written = []
    # of all methods, so that a method's files are called the same whichever are drawn
    files = file_names(method["name"] for method in run.plan["methods"])
    for name in chosen_methods(run, cells, methods):
        both = [cell for cell in cells if cell.method == name]
        own = [cell for cell in both if cell.state == "finished"]
        failed = [cell.seed for cell in both if cell.state != "finished"]
        for source in own[0].outputs:
            found = [score_agreement(cell, source, target, interval) for cell in own]
            part = "" if target == "whole" else f"-{target}"
            written += save(
                draw_agreement(found[0]),
                folder,
                f"fig7-{files[name]}-{source}{part}",
                {
                    "": point_rows(found[0]),
                    "limits": [
                        row
                        for cell, one in zip(own, found, strict=True)
                        for row in limit_rows(one, cell.seed)
                    ],
                    "risk": risk_rows(found[0]),
                },
                caption(found[0], interval, len(own), failed),
            )
    return written


def chosen_methods(
    run: FinishedRun, cells: tuple[KeptCell, ...], methods: Iterable[str] | None
) -> list[str]:
    """Names of the methods to draw: those asked for, or the first base or trained one.

    Raises
    ------
    UserError
        If a method is not in the run, or has not finished.
    """
    finished = {cell.method for cell in cells if cell.state == "finished"}
    known = [method["name"] for method in run.plan["methods"]]
    if methods is None:
        trained = [m["name"] for m in run.plan["methods"] if m["trained"]]
        # in a table of ablations what they change comes first
        bases = [m["base"] for m in run.plan["methods"] if m.get("base") in known]
        for name in (*bases, *trained, *known):
            if name in finished:
                return [name]
        raise UserError(f"{run.folder}: not one method finished, so there are no scores to draw")
    names = list(dict.fromkeys(methods))
    for name in names:
        if name not in known:
            raise UserError(f"{run.folder} has no method {name!r}; it has {', '.join(known)}")
        if name not in finished:
            raise UserError(f"{run.folder}: method {name!r} failed for every seed: nothing to draw")
    return names


def draw_agreement(found: ScoreAgreement) -> Figure:
    """Three Bland-Altman plots and the confusion matrix, two columns wide."""
    with styled():
        figure = new_figure(DOUBLE_COLUMN, 5.4)
        figure.suptitle(found.title)
        panels = figure.subplots(2, 2)
        for letter, axes, one, (name, unit) in zip(
            "abc", panels.flat, found.scores, SCORES, strict=False
        ):
            _bland_altman_panel(axes, one, f"({letter}) {name}, {_of(found.target)}", unit)
        _confusion_panel(panels[1, 1], found)
    return figure


def _of(target: str) -> str:
    return "whole heart" if target == "whole" else target


def _bland_altman_panel(axes: Axes, one: Agreement, title: str, unit: str) -> None:
    bracket = f" ({unit.replace('mm3', 'mm³')})" if unit else ""
    axes.set_title(title, pad=_ROOM)
    axes.set_xlabel(f"mean of estimate and reference{bracket}")
    axes.set_ylabel(f"estimate − reference{bracket}")
    axes.axhline(0, color=QUIET, linewidth=0.5, zorder=1)
    axes.scatter(
        one.mean, one.difference, s=9, facecolors="none", edgecolors=MASK, linewidths=0.6, zorder=3
    )
    if one.bias.is_defined:
        lines = ((one.bias, INK, "-"), (one.lower, LIMITS, "--"), (one.upper, LIMITS, "--"))
        for found, colour, line in lines:
            axes.axhline(found.value, color=colour, linestyle=line, zorder=2)
            if np.isfinite(found.low):
                axes.axhspan(found.low, found.high, color=colour, alpha=0.15, linewidth=0)
        bias = f"bias {_with_interval(one.bias)}, {100 * one.inside.value:.1f} % inside"
        upper = f"upper limit {_with_interval(one.upper)}"
        lower = f"lower limit {_with_interval(one.lower)}"
        text = "\n".join([bias, upper, lower])
    else:
        text = f"no bias or limits: {one.bias.note}"
    axes.text(0, 1.03, text, transform=axes.transAxes, va="bottom", fontsize=MIN_FONT)
    axes.margins(x=0.04, y=0.08)
    axes.ticklabel_format(style="plain", useOffset=False)
    # Scores that are all the same would leave an axis without length.
    for values, set_limits in ((one.mean, axes.set_xlim), (one.difference, axes.set_ylim)):
        if np.ptp(values) <= 1e-9 * np.abs(values).max():
            set_limits(values[0] - 1, values[0] + 1)


def _with_interval(found: Estimate) -> str:
    if np.isnan(found.low):
        return number(found.value)
    return f"{number(found.value)} ({number(found.low)} to {number(found.high)})"


def _confusion_panel(axes: Axes, found: ScoreAgreement) -> None:
    from matplotlib import colormaps

    share, counts = row_share(found.confusion), found.confusion
    shown = np.where(np.isnan(share), 0.0, share)
    axes.imshow(shown, cmap=SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    colours = colormaps[SEQUENTIAL](shown)
    for (i, j), count in np.ndenumerate(counts):
        empty = np.isnan(share[i, j])
        text = "–" if empty else f"{count}\n{100 * share[i, j]:.0f} %" if count else "0"
        axes.text(j, i, text, ha="center", va="center", color=ink_on(colours[i, j]))
    axes.set_xticks(range(5), category_names())
    axes.set_yticks(range(5), category_names())
    axes.set_xlabel("risk category, estimate")
    axes.set_ylabel("risk category, reference")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    axes.set_title("(d) risk categories, whole heart", pad=_ROOM)
    kappa = found.kappa
    line = f"linear kappa {kappa.as_text()}" if kappa.is_defined else "kappa undefined"
    right = f"{np.trace(counts)} of {counts.sum()} scans in the right category"
    axes.text(
        0,
        1.03,
        "\n".join([right, line, "in the cells: scans, and their share of the row"]),
        transform=axes.transAxes,
        va="bottom",
    )


def category_names() -> list[str]:
    """Number and range of each risk category of the Agatston score, on two lines."""
    low = ("<1", *(f"{a}–{b}" for a, b in pairwise(RISK_EDGES)))
    return [
        f"{roman}\n{text}" for roman, text in zip(ROMAN, (*low, f"≥{RISK_EDGES[-1]}"), strict=True)
    ]


def row_share(confusion: np.ndarray) -> np.ndarray:
    """Share of each row's scans, (5, 5); NaN in rows without scans."""
    total = confusion.sum(axis=1, keepdims=True)
    return np.divide(
        confusion, total, out=np.full(confusion.shape, np.nan), where=total > 0, dtype=float
    )


def point_rows(found: ScoreAgreement) -> list[dict]:
    """One row a scan and score: what the points are."""
    rows = []
    for k, (name, unit) in enumerate(SCORES):
        one = found.scores[k]
        for i, id in enumerate(found.ids):
            inside = one.bias.is_defined and bool(
                one.lower.value <= one.difference[i] <= one.upper.value
            )
            rows.append(
                {
                    "scan": id,
                    "score": name,
                    "unit": unit or "1",
                    "target": found.target,
                    "mean of estimate and reference [unit]": one.mean[i],
                    "estimate - reference [unit]": one.difference[i],
                    "inside the limits": int(inside) if one.bias.is_defined else "",
                    "estimate missing, worst value taken": int(found.missing[i, k]),
                }
            )
    return rows


def limit_rows(found: ScoreAgreement, seed: int) -> list[dict]:
    """Bias, limits and share inside of each score, with intervals."""
    rows = []
    for (name, unit), one in zip(SCORES, found.scores, strict=True):
        quantities = (
            ("bias", one.bias, unit or "1"),
            ("lower limit", one.lower, unit or "1"),
            ("upper limit", one.upper, unit or "1"),
            ("share inside", one.inside, "1"),
        )
        for quantity, value, own in quantities:
            rows.append(
                {
                    "seed": seed,
                    "score": name,
                    "target": found.target,
                    "quantity": quantity,
                    "unit": own,
                    "value [unit]": value.value,
                    "95 % interval, low [unit]": value.low,
                    "95 % interval, high [unit]": value.high,
                    "scans": value.n,
                    "patients": value.patients,
                    "note": value.note,
                }
            )
    return rows


def risk_rows(found: ScoreAgreement) -> list[dict]:
    """The confusion matrix as a long table."""
    names = [name.replace("\n", ": ") for name in category_names()]
    share = row_share(found.confusion)
    return [
        {
            "reference category [Agatston]": names[i],
            "estimated category [Agatston]": names[j],
            "scans": int(count),
            "share of the reference category [1]": share[i, j],
        }
        for (i, j), count in np.ndenumerate(found.confusion)
    ]


def caption(found: ScoreAgreement, interval: str, seeds: int, failed: Iterable[int] = ()) -> str:
    """The words that belong beside the figure."""
    how = {
        "bootstrap": "percentile bootstrap over patients",
        "normal": "t intervals after Bland and Altman (1999)",
    }[interval]
    bias = found.scores[0].bias
    reason = bias.note if bias.is_defined and np.isnan(bias.low) else ""
    bands = reason or f"bands and brackets: 95 % intervals ({how})"
    points = counted_scans(len(found.ids), bias.patients)
    missing = int(found.missing.any(axis=1).sum())
    gap = f" {missing} scans without an estimate take the worst value." if missing else ""
    others = " Limits of the other seeds are in the table." if seeds > 1 else ""
    lost = ", ".join(str(seed) for seed in failed)
    others += f" Not shown, as it failed: seed {lost}." if lost else ""
    return (
        f"Bland-Altman plots, {_of(found.target)}: estimate minus reference against the mean of "
        f"both, one point a scan ({points}). Solid line: bias; dashed: 95 % limits of "
        f"agreement (bias +- 1.96 SD); {bands}. Confusion of "
        f"the risk categories: scans, and their share of the row. {found.title}.{gap}{others}"
    )
