"""Figure 6: what the networks found and missed, drawn on axial slices of test scans.

Networks vote on whole candidates (`benchmark.inference.vote`): each is a hit, a miss, a false
alarm, or given to the wrong artery. Of a candidate that the reference labels only in part, as where
calcium touches contrast or bone, no vote can be right everywhere; that part is outlined too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.calcium import ARTERIES, label_candidates, lesion_table
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.examples import (
    FALSE_ALARM,
    MISS,
    WRONG_ARTERY,
    Choice,
    choose_cells,
    choose_scans,
    kept_classes,
    overlap_of,
    statuses,
)
from benchmark.figures.marks import LINES, legend, mark
from benchmark.figures.slices import (
    BAR_MM,
    CALCIUM_WINDOW,
    View,
    check_cohort,
    label_places,
    outline,
    scale_bar,
    show_slice,
    view_of,
)
from benchmark.figures.style import ARTERY_COLOURS, DOUBLE_COLUMN, new_figure, save, styled
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

LEAST_MM = (36.0, 48.0)
"""Height and width of the smallest panel."""
NAMES = ("none", *ARTERIES)

CAPTION = """Figure 6. Reference and estimates on axial slices of test scans.
Rows are chosen by rule, not by hand, from the F1 of {main}: for each artery, the scan of median
F1 of that artery, and its slice with most of that artery's calcium; the scan of median F1 in the
lowest risk category with calcium and in the highest, and their slices with most lesions; the scan
of lowest F1 over the arteries (of equal ones that with most calcium), and its slice with most that
{main} got wrong. No scan is shown twice; the lower of two middle scans is taken.
Columns: the reference; then {columns}.
The first is MMWFAnet, or the first of the suite without it; of the others, that of highest and that
of lowest F1 of the whole heart. Seed {seed}.
A mark stands beside each lesion: circle LAD, square LCX, triangle RCA; the artery of most of it.
Full line, no sign: found and given to its artery. Dashed line and minus sign: missed. Dotted line
and plus sign: false alarm. Dash-dotted line and unequal sign: calcium of another artery, with the
mark of the artery it was given to. Thin white line: all that the reference labels of a candidate
that is labelled only in part. Below each panel: Agatston score and volume of the whole scan, not of
the slice. Window {low:g} to {high:g} HU; front is up, the patient's left is right; the bar is
{bar:g} mm long.
"""


@dataclass(frozen=True, eq=False)
class Row:
    """What a row of panels shows.

    Attributes
    ----------
    choice : Choice
    scan : Scan
    level : int
        Slice shown, from 0.
    components : ndarray, (y, x)
        Candidates of that slice.
    reference : ndarray of uint8, (n + 1,)
        Artery of each candidate of the scan, 0 for none.
    volume : ndarray, (n + 1,)
        mm3: of the labelled voxels, or of the whole candidate if it has none.
    share : ndarray, (n + 1,)
        Labelled voxels of each candidate / all of them.
    estimates : tuple of ndarray of uint8, (n + 1,)
        Artery that each method gives each candidate.
    view : View
    shown : ndarray of int
        Candidates that the reference labels on this slice, or any method calls calcium.
    """

    choice: Choice
    scan: Scan
    level: int
    components: np.ndarray
    reference: np.ndarray
    volume: np.ndarray
    share: np.ndarray
    estimates: tuple[np.ndarray, ...]
    view: View
    shown: np.ndarray


def overlay_figures(
    run: FinishedRun, cells: tuple[KeptCell, ...], folder: Path, cohort: Cohort
) -> list[Path]:
    """Draw figure 6 from kept predictions; only the scans that are shown are read.

    Parameters
    ----------
    run : FinishedRun
    cells : tuple of KeptCell
        All cells of the run.
    folder : Path
        Where ``fig6.pdf``, ``.png``, ``.csv`` (every lesion shown), ``fig6-scores.csv`` (the
        numbers below the panels) and ``fig6.txt`` (how to read it) go.
    cohort : Cohort
        That of the run.

    Returns
    -------
    list of Path

    Raises
    ------
    UserError
        If the cohort is another one, or no method of the run gives labels.
    """
    check_cohort(run, cohort)
    columns = choose_cells(run, cells)
    main = columns[0]
    choices = choose_scans(main.reference, *overlap_of(main))
    if not choices:
        raise UserError(f"{run.folder}: no test scan holds coronary calcium, nothing to draw")
    classes = [kept_classes(run, cell) for cell in columns]
    rows = [_row(choice, main, cohort, columns, classes) for choice in choices]
    with styled():
        figure = _draw(rows, columns)
    caption = CAPTION.format(
        main=main.title,
        columns=", ".join(cell.title for cell in columns),
        seed=main.seed,
        low=CALCIUM_WINDOW[0],
        high=CALCIUM_WINDOW[1],
        bar=BAR_MM,
    )
    tables = {"": lesion_rows(rows, columns), "scores": _score_rows(rows, columns)}
    return save(figure, folder, "fig6", tables, caption)


def lesion_rows(rows: Sequence[Row], columns: Sequence[KeptCell]) -> list[dict]:
    """One dict for each lesion or false alarm in view: where, how large, and who found it."""
    table = []
    for row in rows:
        for number in row.shown:
            values = {
                "scan": row.scan.id,
                "shown as": " ".join(row.choice.reason.split()),
                "slice": row.level + 1,
                "candidate": int(number),
                "artery": NAMES[row.reference[number]],
                "volume [mm3]": float(row.volume[number]),
                "labelled share": float(row.share[number]),
            }
            for cell, estimate in zip(columns, row.estimates, strict=True):
                status = statuses(row.reference, estimate)[number]
                values[f"{cell.method} artery"] = NAMES[estimate[number]]
                values[f"{cell.method} status"] = str(status) or "left out"
            table.append(values)
    return table


def _score_rows(rows: Sequence[Row], columns: Sequence[KeptCell]) -> list[dict]:
    """The numbers below the panels."""
    table = []
    for row in rows:
        for name, scores in _scores(row, columns):
            table.append(
                {
                    "scan": row.scan.id,
                    "shown as": " ".join(row.choice.reason.split()),
                    "from": name,
                    "Agatston": float(scores[0, 3]),
                    "volume [mm3]": float(scores[1, 3]),
                }
            )
    return table


def _scores(row: Row, columns: Sequence[KeptCell]) -> list[tuple[str, np.ndarray]]:
    """Scores (3, 4) of the row's scan: of the reference, and of each method's labels."""
    place = row.choice.row
    return [
        ("reference", columns[0].reference[place]),
        *((cell.method, cell.mask[cell.ids.index(row.scan.id)]) for cell in columns),
    ]


def _row(
    choice: Choice,
    main: KeptCell,
    cohort: Cohort,
    columns: Sequence[KeptCell],
    classes: Sequence[dict[str, np.ndarray]],
) -> Row:
    """Read a scan and find the slice and the view that show what it was chosen for."""
    scan = cohort.load(main.ids[choice.row])
    components, count = label_candidates(scan.voxels)
    estimates = tuple(kept[scan.id] for kept in classes)
    for cell, estimate in zip(columns, estimates, strict=True):
        if len(estimate) != count + 1:
            raise UserError(
                f"{cell.folder}: scan {scan.id} had {len(estimate) - 1} candidates, not the "
                f"{count} of cohort {cohort.name}; run the suite again"
            )
    reference = np.zeros(count + 1, np.uint8)
    volume = np.bincount(components.ravel(), minlength=count + 1) * float(np.prod(scan.spacing))
    share = np.zeros(count + 1)
    for lesion in lesion_table(scan.voxels, scan.labels, scan.spacing):
        reference[lesion.component] = lesion.label
        share[lesion.component] = lesion.labelled_share
        volume[lesion.component] = lesion.volume
    level = _level(choice.focus, scan.labels, components, statuses(reference, estimates[0]))
    slice_ = components[level]
    called = np.any([estimate > 0 for estimate in estimates], axis=0)
    called[slice_[scan.labels[level] > 0]] = True
    called[0] = False
    view = view_of(called[slice_], scan.spacing[1:], LEAST_MM, LEAST_MM[0] / LEAST_MM[1])
    shown = np.unique(slice_[called[slice_]])
    return Row(choice, scan, level, slice_, reference, volume, share, estimates, view, shown)


def _level(focus: str, labels: np.ndarray, components: np.ndarray, status: np.ndarray) -> int:
    """The slice that shows most of an artery, of the lesions or of what went wrong."""
    if focus in ARTERIES:
        return int((labels == ARTERIES.index(focus) + 1).sum(axis=(1, 2)).argmax())
    wrong = np.isin(status, (MISS, FALSE_ALARM, WRONG_ARTERY))
    wrong[0] = False
    if focus == "errors" and wrong.any():
        return int(wrong[components].sum(axis=(1, 2)).argmax())
    area = (labels > 0).sum(axis=(1, 2))
    lesions = [np.unique(c[m > 0]).size for c, m in zip(components, labels, strict=True)]
    return max(range(len(area)), key=lambda z: (lesions[z], area[z]))


def _draw(rows: Sequence[Row], columns: Sequence[KeptCell]):
    """The panels, a row a scan."""
    width = DOUBLE_COLUMN
    panel = (width - 0.45) / (len(columns) + 1)
    figure = new_figure(width, len(rows) * (panel * LEAST_MM[0] / LEAST_MM[1] + 0.17) + 0.45)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    grid = figure.subplots(len(rows), len(columns) + 1, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        marks = label_places(
            [row.components == number for number in row.shown],
            row.scan.spacing[1:],
            row.view,
            gap=0.05 * (row.view.right - row.view.left) * row.scan.spacing[2],
        )
        pictures = (None, *row.estimates)
        for axes, estimate, (_, scores) in zip(line, pictures, _scores(row, columns), strict=True):
            show_slice(axes, row.scan.voxels[row.level], row.scan.spacing[1:], row.view)
            _draw_lesions(axes, row, estimate, marks)
            scale_bar(axes, text=estimate is None)
            axes.set_xlabel(_amounts(scores), labelpad=2)
        depth = len(row.scan.voxels)
        line[0].set_ylabel(
            f"{row.choice.reason}\n{row.scan.id}\nslice {row.level + 1} of {depth}", labelpad=3
        )
    for axes, title in zip(grid[0], ("reference", *(cell.title for cell in columns)), strict=True):
        axes.set_title(title)
    legend(figure)
    return figure


def _draw_lesions(
    axes, row: Row, estimate: np.ndarray | None, marks: Sequence[tuple[float, float]]
) -> None:
    """Outlines and marks of the reference (None) or of one method."""
    status = statuses(row.reference, row.reference if estimate is None else estimate)
    labels, pixel = row.scan.labels[row.level], row.scan.spacing[1:]
    for number, (x, y) in zip(row.shown, marks, strict=True):
        kind = str(status[number])
        mask = row.components == number
        true = estimate is None or kind == MISS
        # a candidate may run from one artery into the next, or be labelled on other slices alone
        present = np.unique(labels[mask & (labels > 0)])
        if not kind or (true and not len(present)):
            continue
        if true:
            artery = NAMES[row.reference[number]]
            for label in present:
                outline(
                    axes, mask & (labels == label), pixel, ARTERY_COLOURS[NAMES[label]], LINES[kind]
                )
        else:
            artery = NAMES[estimate[number]]
            if 0 < row.share[number] < 1:
                outline(axes, mask & (labels > 0), pixel, "white", width=0.5)
            outline(axes, mask, pixel, ARTERY_COLOURS[artery], LINES[kind])
        mark(axes, artery, kind, (x, y))


def _amounts(scores: np.ndarray) -> str:
    if not np.isfinite(scores[:2, 3]).all():
        return "no estimate"
    return f"Agatston {scores[0, 3]:.0f}, {scores[1, 3]:.0f} mm³"
