"""Figures 4 and 5: both tasks against the weights of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import UserError
from benchmark.figures.style import (
    DOUBLE_COLUMN,
    HEAD,
    INK,
    MASK,
    MIN_FONT,
    QUIET,
    SINGLE_COLUMN,
    new_figure,
    save,
    styled,
)
from benchmark.report.board import Column
from benchmark.report.board import Figure as Number
from benchmark.report.measure import difference, figures_of, measure
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WEIGHTS = ("omega_seg", "omega_qua", "lambda_intra", "lambda_inter")


@dataclass(frozen=True)
class Curve:
    """One performance that is drawn."""

    label: str
    source: str
    column: Column
    colour: str
    marker: str
    line: str


PANELS: tuple[tuple[str, tuple[Curve, ...]], ...] = (
    (
        "segmentation",
        (Curve("F1, whole heart", "mask", ("F1", "whole"), MASK, "o", "-"),),
    ),
    (
        "scores",
        (
            Curve("ICC, Agatston, whole heart", "head", ("ICC_AS", "whole"), HEAD, "s", "--"),
            Curve("mean ICC of 12 scores", "head", ("ICC", "mean"), INK, "^", ":"),
        ),
    ),
)


@dataclass(frozen=True)
class Sweep:
    """Which options vary, and what stands on the axis.

    Attributes
    ----------
    options : tuple of str
        All others are those of the default.
    title, axis : str
    value : callable
        Place on the axis from a method's options; infinite where a weight below is 0.
    """

    options: tuple[str, ...]
    title: str
    axis: str
    value: Callable[[dict], float]


def _ratio(options: dict) -> float:
    above, below = options["omega_seg"], options["omega_qua"]
    return above / below if below else (math.inf if above else math.nan)


OMEGA = Sweep(
    ("omega_seg", "omega_qua"),
    "weights of the two tasks",
    "ω₁ / ω₂ (segmentation / scores)",
    _ratio,
)
LAMBDA_1 = Sweep(
    ("lambda_intra",),
    "intra-task dependency",
    "λ₁ (weight of R intra)",
    lambda options: options["lambda_intra"],
)
LAMBDA_2 = Sweep(
    ("lambda_inter",),
    "inter-task dependency",
    "λ₂ (weight of R inter)",
    lambda options: options["lambda_inter"],
)


@dataclass(frozen=True)
class Point:
    """One setting of the weights.

    Attributes
    ----------
    value : float
        Place on the axis.
    method : str
    options : dict
    default : bool
    figures : dict
        By label of the curve; empty if the method failed.
    gaps : dict
        Paired differences to the default, by label.
    reason : str
        Why it failed.
    seeds : int
    """

    value: float
    method: str
    options: dict
    default: bool
    figures: dict[str, Number]
    gaps: dict[str, Number]
    reason: str
    seeds: int


def find_default(plan: dict) -> dict:
    """The plan's entry that the sweeps start from: the first with weights and no change made.

    Raises
    ------
    UserError
        If the plan does not tell options, or no method has these weights.
    """
    trained = [method for method in plan["methods"] if method.get("trained", True)]
    if not any("options" in method for method in trained):
        raise UserError(
            "figures 4 and 5 need the options of every method, which this run's plan does not "
            "hold: it was made by an older version; run the suite again"
        )
    weighted = [m for m in trained if all(name in (m.get("options") or {}) for name in WEIGHTS)]
    if not weighted:
        raise UserError("no method of this run has weights omega and lambda, as MMWFAnet does")
    unchanged = [method for method in weighted if not method.get("change")]
    return (unchanged or weighted)[0]


def sweep_methods(plan: dict, sweep: Sweep) -> list[dict]:
    """Entries of the plan that differ from the default in the sweep's options alone, by value.

    Raises
    ------
    UserError
        See `find_default`; and if fewer than two settings are there.
    """
    default = find_default(plan)

    def rest(method: dict) -> dict:
        return {k: v for k, v in method["options"].items() if k not in sweep.options}

    found, seen = [default], [default["options"]]
    for method in plan["methods"]:
        options = method.get("options") or {}
        same = method["outputs"] == default["outputs"] and method.get("retrain", True)
        comparable = same and all(name in options for name in WEIGHTS)
        if comparable and options not in seen and rest(method) == rest(default):
            found.append(method)
            seen.append(options)
    found = [method for method in found if not math.isnan(sweep.value(method["options"]))]
    if len({sweep.value(method["options"]) for method in found}) < 2:
        names = " and ".join(sweep.options)
        raise UserError(f"the run has one setting of {names} only")
    return sorted(found, key=lambda method: sweep.value(method["options"]))


def sweep_points(run: FinishedRun, cells: Iterable[KeptCell], sweep: Sweep) -> list[Point]:
    """Performance of both tasks at each setting, in ascending order of the weight."""
    cells = tuple(cells)
    default = find_default(run.plan)
    finished = [cell for cell in cells if cell.state == "finished"]
    if not finished:
        raise UserError(f"{run.folder}: not one method finished, so there is nothing to draw")
    measured = {}
    methods = sweep_methods(run.plan, sweep)
    for method in methods:
        own = [cell for cell in cells if cell.method == method["name"]]
        if any(cell.state == "finished" for cell in own):
            sources = {source: measure(own, source, finished[0])[0] for source in method["outputs"]}
            measured[method["name"]] = {
                curve.label: sources[curve.source][curve.column]
                for _, curves in PANELS
                for curve in curves
                if curve.source in sources
            }
    base = measured.get(default["name"], {})
    points = []
    for method in methods:
        own = [cell for cell in cells if cell.method == method["name"]]
        values = measured.get(method["name"], {})
        is_default = method["name"] == default["name"]
        gaps = (
            {} if is_default else {k: difference(values[k], base[k]) for k in values if k in base}
        )
        reasons = dict.fromkeys(cell.reason for cell in own if cell.state == "failed")
        points.append(
            Point(
                float(sweep.value(method["options"])),
                method["name"],
                {name: method["options"][name] for name in WEIGHTS},
                is_default,
                figures_of(values, {}),
                gaps,
                "; ".join(reasons),
                len(own),
            )
        )
    return points


def omega_figures(run: FinishedRun, cells: Iterable[KeptCell], folder: Path) -> list[Path]:
    """Draw figure 4 as ``fig4``: both tasks against omega_1 / omega_2."""
    return _write(run, cells, folder, "fig4", (OMEGA,))


def lambda_figures(run: FinishedRun, cells: Iterable[KeptCell], folder: Path) -> list[Path]:
    """Draw figure 5 as ``fig5``: both tasks against lambda_1 and lambda_2, of those that vary.

    Raises
    ------
    UserError
        If neither varies.
    """
    find_default(run.plan)
    sweeps, reason = [], ""
    for sweep in (LAMBDA_1, LAMBDA_2):
        try:
            sweep_methods(run.plan, sweep)
            sweeps.append(sweep)
        except UserError as error:
            reason = str(error)
    if not sweeps:
        raise UserError(reason.replace("lambda_inter", "lambda_intra and of lambda_inter"))
    return _write(run, cells, folder, "fig5", tuple(sweeps))


def _write(
    run: FinishedRun,
    cells: Iterable[KeptCell],
    folder: Path,
    name: str,
    sweeps: Sequence[Sweep],
) -> list[Path]:
    cells = tuple(cells)
    found = [(sweep, sweep_points(run, cells, sweep)) for sweep in sweeps]
    rows = [row for sweep, points in found for row in point_rows(sweep, points)]
    return save(draw_sweeps(found), folder, name, rows, caption(found))


def draw_sweeps(found: Sequence[tuple[Sweep, list[Point]]]) -> Figure:
    """One column of panels a sweep: segmentation above, scores below."""
    wide = SINGLE_COLUMN if len(found) == 1 else DOUBLE_COLUMN
    with styled():
        figure = new_figure(wide, 4.1)
        panels = figure.subplots(len(PANELS), len(found), squeeze=False, sharey="row")
        letters = iter("abcdefgh")
        for row, (task, curves) in enumerate(PANELS):
            for column, (sweep, points) in enumerate(found):
                axes = panels[row, column]
                against = f": {sweep.title}" if len(found) > 1 else ""
                axes.set_title(f"({next(letters)}) {task}{against}", pad=11)
                _panel(axes, points, curves)
                axes.set_xlabel(sweep.axis)
                if column == 0:
                    axes.set_ylabel(curves[0].column[0].partition("_")[0])
        handles, labels = [], []
        for axes in panels[:, 0]:
            more = axes.get_legend_handles_labels()
            handles += more[0]
            labels += more[1]
        figure.legend(
            handles, labels, loc="outside lower center", ncols=1 if len(found) == 1 else 3
        )
    return figure


def places(values: Iterable[float]) -> dict[float, float]:
    """Where each value stands on the axis: its decimal logarithm.

    0 stands one decade below the least positive value, infinity one above the greatest; the axis
    is drawn broken there.
    """
    values = sorted(set(values))
    logs = {v: math.log10(v) for v in values if 0 < v < math.inf}
    ends = (min(logs.values(), default=0.0), max(logs.values(), default=0.0))
    others = {0.0: ends[0] - 1, math.inf: ends[1] + 1}
    return {v: logs.get(v, others.get(v)) for v in values}


def _panel(axes: Axes, points: list[Point], curves: Sequence[Curve]) -> None:
    place = places(point.value for point in points)
    span = max(place.values()) - min(place.values())
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for index, curve in enumerate(curves):
        shift = (index - (len(curves) - 1) / 2) * 0.025 * span  # intervals beside each other
        kept = [point for point in points if curve.label in point.figures]
        x = np.array([place[point.value] + shift for point in kept])
        figures = [point.figures[curve.label] for point in kept]
        y = np.array([figure.value for figure in figures])
        reach = np.array([(f.value - f.low, f.high - f.value) for f in figures]).reshape(-1, 2).T
        axes.errorbar(
            x,
            y,
            yerr=np.where(np.isfinite(reach), reach, np.nan),  # no bar, not one of no width
            fmt=curve.marker,
            color=curve.colour,
            capsize=1.5,
            elinewidth=0.8,
            label=curve.label,
        )
        # The line does not cross a break of the axis.
        inner = np.array([0 < point.value < math.inf for point in kept], dtype=bool)
        axes.plot(x[inner], y[inner], curve.line, color=curve.colour, linewidth=0.8)
    for point in points:
        if not point.figures:
            axes.text(
                place[point.value],
                0.03,
                "failed",
                rotation=90,
                ha="center",
                va="bottom",
                transform=axes.get_xaxis_transform(),
            )
    default = next(point for point in points if point.default)
    axes.axvline(place[default.value], color=QUIET, linestyle="--", linewidth=0.6, zorder=0)
    axes.text(
        place[default.value],
        1.02,
        "default",
        ha="center",
        va="bottom",
        color=QUIET,
        fontsize=MIN_FONT,
        transform=axes.get_xaxis_transform(),
    )
    axes.set_xlim(min(place.values()) - 0.08 * span, max(place.values()) + 0.08 * span)
    _ticks(axes, place, span)


def _ticks(axes: Axes, place: dict[float, float], span: float) -> None:
    """A tick at each value; one whose number would collide with the last stays without it."""
    kept, labels = [], []
    for value, where in place.items():
        if not kept or where - kept[-1] >= 0.11 * span:
            kept.append(where)
            labels.append(_tick(value))
    axes.set_xticks(kept, labels)
    axes.set_xticks(list(place.values()), minor=True)
    axes.tick_params(axis="x", which="minor", length=2.5)
    for value, side in ((0.0, 0.5), (math.inf, -0.5)):
        if value in place:
            _break(axes, place[value] + side)


def _tick(value: float) -> str:
    if value == 0:
        return "0"
    if math.isinf(value):
        return "∞"
    power = math.floor(math.log10(value) + 1e-9)
    if -1 <= power <= 3:
        return f"{value:.2g}" if power < 1 else f"{value:.3g}"
    # A raised exponent would be smaller than the smallest font.
    return f"{value / 10**power:.2g}e{power}"


def _break(axes: Axes, where: float) -> None:
    """Two slanted strokes through the axis."""
    for stroke in ([(-0.9, -1), (0.3, 1)], [(-0.3, -1), (0.9, 1)]):
        axes.plot(
            [where],
            [0],
            marker=stroke,
            markersize=6,
            markeredgewidth=0.7,
            color=INK,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            zorder=5,
        )


def point_rows(sweep: Sweep, points: list[Point]) -> list[dict]:
    """One row a setting and curve."""
    rows = []
    for point in points:
        for _, curves in PANELS:
            for curve in curves:
                figure = point.figures.get(curve.label, Number(math.nan, note=point.reason))
                gap = point.gaps.get(curve.label, Number(math.nan))
                rows.append(
                    {
                        "weight": sweep.axis,
                        "value [1]": point.value,
                        "default": int(point.default),
                        "method": point.method,
                        **{f"{name} [1]": point.options[name] for name in WEIGHTS},
                        "performance": curve.label,
                        "source": curve.source,
                        "mean over seeds [1]": figure.value,
                        "95 % interval, low [1]": figure.low,
                        "95 % interval, high [1]": figure.high,
                        "SD over seeds [1]": figure.seed_sd,
                        "difference to default [1]": gap.value,
                        "difference, 95 % interval, low [1]": gap.low,
                        "difference, 95 % interval, high [1]": gap.high,
                        "seeds": point.seeds,
                        "scans": figure.n,
                        "note": figure.note,
                    }
                )
    return rows


def caption(found: Sequence[tuple[Sweep, list[Point]]]) -> str:
    """The words that belong beside the figure."""
    against = " and ".join(sweep.axis.partition(" (")[0] for sweep, _ in found)
    broken = {point.value for _, points in found for point in points} & {0.0, math.inf}
    gap = ", broken before 0 or infinity" if broken else ""
    seeds = max(point.seeds for _, points in found for point in points)
    figures = [f for _, points in found for point in points for f in point.figures.values()]
    bars = (
        "Bars: 95 % intervals, percentile bootstrap over patients; they tell how far the figure "
        f"would move with other patients, not with another seed (seeds: {seeds})."
    )
    if figures and all(math.isnan(figure.low) for figure in figures):
        bars = f"No figure has an interval ({figures[0].note})."
    return (
        f"Performance of both tasks against {against}, all else as in the default (dashed): F1 of "
        f"the mask, ICC of the score head. {bars} The paired differences to the default, with "
        f"their intervals, are in the table. Logarithmic axis{gap}."
    )
