"""Figure 9: pairwise performance gain of learning segmentation and scores together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
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
    PALE,
    QUIET,
    SEQUENTIAL,
    new_figure,
    save,
    styled,
)
from benchmark.metrics.gain import Gains, gains, task_keys
from benchmark.metrics.patients import FEW_PATIENTS
from benchmark.report.measure import measure
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell, Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

JOINT = "mmwfanet"
WIDE = 10.0
"""Ratio of the largest gain to the least from which the matrix has logarithmic colours."""

RANK_ONE = (
    "One joint model serves all tasks, so PPG is the geometric mean of two single gains, "
    "sqrt(g_i g_j): a matrix of rank 1 that holds no more than the 16 gains on the right. "
    "A dark cell off the diagonal does not show that two tasks are tied."
)


@dataclass(frozen=True, eq=False)
class Models:
    """Cells of one network trained three ways, the same seeds in the same order.

    Attributes
    ----------
    together : tuple of KeptCell
        Both heads.
    mask_alone, head_alone : tuple of KeptCell
        The S-model and the Q-model: all else, budget and split included, is the same.
    """

    together: tuple[KeptCell, ...]
    mask_alone: tuple[KeptCell, ...]
    head_alone: tuple[KeptCell, ...]


def find_models(run: FinishedRun, cells: Iterable[KeptCell]) -> Models:
    """The joint model of a run with its single-task models, from the run or from the same store.

    A single-task model is a cell whose key is the joint model's but for ``heads``: same options,
    source, settings, cohort, split, seed, device and threads.

    Raises
    ------
    UserError
        If the run has no joint model, or the others were not trained.
    """
    cells = tuple(cells)
    names = dict.fromkeys(cell.method for cell in cells if _is_joint(cell))
    if not names:
        raise UserError(
            f"{run.folder}: this figure compares MMWFAnet with its single-task models, and no "
            "MMWFAnet with both heads finished in this run"
        )
    known = {}
    for cell in _kept(run, cells):
        known.setdefault((_family(cell.key), tuple(cell.outputs)), cell)
    for name in names:
        found = []
        for cell in cells:
            if cell.method == name and _is_joint(cell):
                alone = [known.get((_family(cell.key), (head,))) for head in ("mask", "head")]
                if all(alone):
                    found.append((cell, *alone))
        if found:
            return Models(*(tuple(side) for side in zip(*found, strict=True)))
    raise UserError(
        "needs the S-model and the Q-model beside MMWFAnet, of the same budget, split "
        "and seed; train them with: benchmark run --suite table2 (and the scale, cohort and --out "
        "of this run)"
    )


def _is_joint(cell: KeptCell) -> bool:
    base = cell.key.get("method") == JOINT
    return base and cell.state == "finished" and set(cell.outputs) == {"mask", "head"}


def _family(key: dict) -> str:
    """All that a result depends on, but for the heads."""
    options = {k: v for k, v in (key.get("options") or {}).items() if k != "heads"}
    return json.dumps({**key, "options": options}, sort_keys=True)


def _kept(run: FinishedRun, cells: tuple[KeptCell, ...]) -> Iterator[KeptCell]:
    """Finished MMWFAnet cells with a single head, of the run and then of its store."""

    def single(outputs: Iterable[str], key: dict, state: str) -> bool:
        return state == "finished" and len(outputs) == 1 and key.get("method") == JOINT

    yield from (cell for cell in cells if single(cell.outputs, cell.key, cell.state))
    store = Store(run.folder.resolve().parents[1])
    for path in sorted(store.cells.glob("[!.]*/run.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            wanted = single(values["outputs"], values["key"], values["state"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a damaged cell of another run: `read_cells` tells of this run's own
        if wanted:
            yield store.read(path.parent.name)


def measure_gains(
    models: Models, segmentation: str = "F1", scores: str = "ICC", source: str = "head"
) -> Gains:
    """Gains of the joint model over the single-task models.

    Parameters
    ----------
    models : Models
    segmentation : {"F1", "sensitivity", "PPV"}
        Measure of segmentation.
    scores : {"ICC", "PCC"}
        Measure of the 12 scores.
    source : {"head", "mask"}
        Where the joint model's scores come from. The Q-model's come from its head.
    """
    pattern = models.together[0]
    for cell in (*models.together, *models.mask_alone, *models.head_alone):
        if cell.ids != pattern.ids or not np.array_equal(cell.reference, pattern.reference):
            raise UserError(f"{cell.folder}: other test scans or reference scores than the others'")

    def figures(cells: tuple[KeptCell, ...], where: str, wanted: tuple) -> dict:
        found = measure(list(cells), where, pattern)[0]
        return {key: found[key] for key in wanted}

    keys = task_keys(segmentation, scores)
    of_masks, of_scores = keys[:4], keys[4:]
    together = figures(models.together, "mask", of_masks) | figures(
        models.together, source, of_scores
    )
    alone = figures(models.mask_alone, "mask", of_masks) | figures(
        models.head_alone, "head", of_scores
    )
    return gains(together, alone, keys)


def gain_figures(
    run: FinishedRun,
    cells: Iterable[KeptCell],
    folder: Path,
    segmentation: str = "F1",
    scores: str = "ICC",
) -> list[Path]:
    """Draw figure 9 as ``fig9``; its tables are ``fig9-pairs.csv`` and ``fig9-single.csv``.

    Raises
    ------
    UserError
        If the single-task models are not there, see `find_models`.
    """
    models = find_models(run, cells)
    found = measure_gains(models, segmentation, scores)
    tables = {"pairs": pair_rows(found), "single": single_rows(found)}
    return save(draw_gains(found), folder, "fig9", tables, caption(found, models))


def draw_gains(found: Gains) -> Figure:
    """The matrix, and beside it the single gains, row by row; two columns wide."""
    with styled():
        figure = new_figure(DOUBLE_COLUMN, 5.0)
        panels = figure.subplots(2, 2, width_ratios=(1.0, 0.62), height_ratios=(1.0, 0.025))
        _matrix_panel(figure, panels[0, 0], panels[1, 0], found)
        _single_panel(panels[0, 1], found)
        panels[1, 1].set_axis_off()
        panels[1, 1].legend(
            *panels[0, 1].get_legend_handles_labels(), loc="center left", ncols=2, columnspacing=1
        )
        figure.supxlabel(_wrapped(RANK_ONE, 126), x=0.01, ha="left", fontsize=MIN_FONT)
    return figure


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return textwrap.fill(text, width)


def _matrix_panel(figure: Figure, axes: Axes, bar: Axes, found: Gains) -> None:
    from matplotlib.colors import LogNorm, Normalize

    k = len(found.tasks)
    defined = found.pairs[np.isfinite(found.pairs)]
    low, high = (defined.min(), defined.max()) if defined.size else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    # a task that fails alone gains a thousandfold: on a linear scale all others would be white
    norm = LogNorm(low, high) if high > WIDE * low > 0 else Normalize(low, high)
    image = axes.imshow(found.pairs, cmap=SEQUENTIAL, norm=norm, aspect="auto")
    for i, j in np.argwhere(~np.isfinite(found.pairs)):
        axes.add_patch(_hatched(j - 0.5, i - 0.5, 1, 1))
    loss = np.argwhere(found.pairs < 1)  # NaN is not below
    # A grey dot with a white rim is seen on white and on dark blue.
    axes.scatter(loss[:, 1], loss[:, 0], s=7, c=INK, edgecolors="white", linewidths=0.5)
    axes.set_xticks(range(k), found.tasks, rotation=90)
    axes.set_yticks(range(k), found.tasks)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(True)
    for edge in (3.5, 7.5, 11.5):
        axes.axhline(edge, color=QUIET, linewidth=0.5)
        axes.axvline(edge, color=QUIET, linewidth=0.5)
    axes.set_title("(a) pairwise performance gain (PPG)")
    note = []
    if len(loss):
        note.append("dot: below 1, a loss")
    if defined.size < found.pairs.size:
        note.append("hatched: undefined, P ≤ 0")
    label = "PPG" + "".join(f"  ({text})" for text in note)
    scale = figure.colorbar(
        image, cax=bar, orientation="horizontal", label=label, format="%g", ticks=_ticks(norm)
    )
    scale.minorticks_off()


def _ticks(norm) -> list[float] | None:
    """1, 2 and 5 times powers of ten, few enough to be read; None leaves a linear scale alone."""
    from matplotlib.colors import LogNorm

    if not isinstance(norm, LogNorm):
        return None
    decades = range(int(np.floor(np.log10(norm.vmin))), int(np.ceil(np.log10(norm.vmax))) + 1)
    wide = norm.vmax / norm.vmin > 1000
    steps = (1,) if wide else (1, 2, 5)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if norm.vmin <= tick <= norm.vmax]


def _hatched(x: float, y: float, width: float, height: float):
    from matplotlib.patches import Rectangle

    return Rectangle(
        (x, y), width, height, facecolor="white", edgecolor=QUIET, hatch="/////", linewidth=0
    )


def _single_panel(axes: Axes, found: Gains) -> None:
    k = len(found.tasks)
    values = np.array([one.value for one in found.single])
    ends = np.array([(one.low, one.high) for one in found.single])
    axes.axvline(1, color=QUIET, linewidth=0.6, linestyle="--")
    every = np.concatenate([values, ends.ravel(), [1.0]])
    every = every[np.isfinite(every)]
    if every.max() / every.min() > 8:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.set_xscale("log")
        crowded = every.max() / every.min() > 300
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if crowded else (1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    for rows, colour, marker, label in (
        (slice(0, 4), MASK, "o", "segmentation"),
        (slice(4, k), HEAD, "s", "scores"),
    ):
        places, here = np.arange(k)[rows], values[rows]
        reach = np.abs(ends[rows] - here[:, None]).T
        measure_name = found.measures[rows.start]
        axes.errorbar(
            here,
            places,
            xerr=np.where(np.isfinite(reach), reach, np.nan),  # no bar, not one of no width
            fmt=marker,
            color=colour,
            markersize=3.5,
            elinewidth=0.9,
            capsize=1.5,
            label=f"{label} ({measure_name})",
        )
    beside = axes.get_yaxis_transform()
    for row, one in enumerate(found.single):
        if one.is_defined:
            text = one.as_text(2)
        else:
            patch = _hatched(0.0, row - 0.4, 1.0, 0.8)
            patch.set_transform(beside)
            axes.add_patch(patch)
            text = f"undefined:\n{found.reasons[row].replace('<=', '≤')}"
        axes.text(1.02, row, text, transform=beside, va="center", linespacing=0.9)
    for edge in (3.5, 7.5, 11.5):
        axes.axhline(edge, color=PALE, linewidth=0.5)
    axes.set_ylim(k - 0.5, -0.5)
    axes.set_yticks(range(k), [""] * k)  # the rows are those of the matrix
    axes.set_xlabel("gain P′ / P, together over alone")
    axes.set_title("(b) the 16 single gains, 95 % intervals")


def pair_rows(found: Gains) -> list[dict]:
    """Every cell of the matrix."""
    rows = []
    for (i, j), value in np.ndenumerate(found.pairs):
        why = dict.fromkeys(f"{found.tasks[t]}: {found.reasons[t]}" for t in (i, j))
        rows.append(
            {
                "task i": found.tasks[i],
                "task j": found.tasks[j],
                "PPG [1]": value,
                "95 % interval, low [1]": found.low[i, j],
                "95 % interval, high [1]": found.high[i, j],
                "note": "" if np.isfinite(value) else "; ".join(t for t in why if t[-1] != " "),
            }
        )
    return rows


def single_rows(found: Gains) -> list[dict]:
    """Performances alone and together, and the gain, of each task."""
    rows = []
    for task, name, alone, together, single in zip(
        found.tasks, found.measures, found.alone, found.together, found.single, strict=True
    ):
        row = {"task": task, "measure": name}
        for what, one in (("P alone", alone), ("P' together", together), ("gain P'/P", single)):
            row |= {
                f"{what} [1]": one.value,
                f"{what}, 95 % interval, low [1]": one.low,
                f"{what}, 95 % interval, high [1]": one.high,
            }
        rows.append(row | {"scans": single.n, "patients": single.patients, "note": single.note})
    return rows


def caption(found: Gains, models: Models) -> str:
    """The words that belong beside the figure."""
    seeds = ", ".join(str(cell.seed) for cell in models.together)
    undefined = [
        f"{task} ({why})" for task, why in zip(found.tasks, found.reasons, strict=True) if why
    ]
    marked = f" Undefined and hatched, never computed: {', '.join(undefined)}." if undefined else ""
    intervals = (
        "Intervals: 95 %, percentile bootstrap, the same resamples of patients for all models."
    )
    if any(FEW_PATIENTS in one.note for one in found.together):
        intervals = f"{FEW_PATIENTS[0].upper()}{FEW_PATIENTS[1:]}."
    return (
        f"Pairwise performance gain sqrt(P'_i P'_j / (P_i P_j)) of 16 tasks, seeds {seeds}: P "
        f"alone from the S-model (segmentation, {found.measures[0]}) and the Q-model (scores, "
        f"{found.measures[-1]}), P' from the joint model, all under one budget and split. The "
        "paper does not say which measure P is; this is our choice. "
        f"{RANK_ONE} {intervals}{marked}"
    )
