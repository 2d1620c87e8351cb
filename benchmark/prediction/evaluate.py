"""What ``benchmark evaluate`` does: predictions from elsewhere against a cohort or on a board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.base import Cohort, Scan
from benchmark.cohorts.patients import ALONE, patients_of
from benchmark.cohorts.same_scans import content_of, copies
from benchmark.cohorts.told import warn
from benchmark.csv_tables import read_csv
from benchmark.errors import UserError
from benchmark.prediction.board import board_with, lone_board, outside_cell
from benchmark.prediction.folder import TABLE, TRAINED_ON
from benchmark.prediction.outside import (
    Judged,
    check_ids,
    check_missing,
    find_label_maps,
    judge_labels,
    judge_scores,
)
from benchmark.prediction.scans import of_cohort
from benchmark.prediction.table import read_table
from benchmark.report.board import Board
from benchmark.runs.display import Display
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell


@dataclass(frozen=True)
class Evaluation:
    """A board, what it is made from, and what could not be used.

    Attributes
    ----------
    board : Board
    plan : dict
    cells : tuple of KeptCell
    faults : tuple of (str, str)
        Id and reason.
    """

    board: Board
    plan: dict
    cells: tuple[KeptCell, ...]
    faults: tuple[tuple[str, str], ...]


def evaluate_on_cohort(
    name: str,
    labels: Path | None,
    scores: Path | None,
    cohort: Cohort,
    display: Display,
    columns: str | None = None,
    worst: bool = False,
    others: bool = False,
) -> Evaluation:
    """Judge labels or scores by the reference labels of all scans of a cohort that have any.

    Parameters
    ----------
    name : str
        Of the row.
    labels, scores : Path or None
        Folder of label maps, or score table.
    cohort : Cohort
    display : Display
    columns : "mask" or "head", optional
        See `benchmark.prediction.table.read_table`.
    worst : bool
        Whether a scan without a prediction takes the worst value; otherwise it is refused.
    others : bool
        Whether predictions of scans that do not count are passed over; otherwise refused.

    Raises
    ------
    UserError
        If predictions are missing, of other scans, or cannot be read.
    """
    free = set(getattr(cohort, "unlabelled", ()))
    ids = tuple(id for id in of_cohort(cohort).ids if id not in free)
    if not ids:
        raise UserError(f"{cohort.name}: no scan has reference labels to be judged by")
    files, given, source = _read(labels, scores, columns)
    where = labels or scores
    check_ids(files or given, ids, where, others)
    if not worst:
        check_missing([id for id in ids if id not in (files or given)], where, len(ids))
    faults = _Faults(display)
    contents: dict[str, str] = {}

    def load(id: str) -> Scan:
        scan = cohort.load(id)
        contents[id] = content_of(scan.voxels)
        return scan

    with display.counting(f"judging by {cohort.name}") as progress:
        judged = judge_labels(ids, load, files, faults.add, progress, faults.add)
    if scores is not None:
        judged = judge_scores(judged.ids, judged.reference, judged.worst_fp, given, source)
    others_of = copies(contents)
    if others_of:
        _say(
            judged,
            f"{len(others_of)} scans have the same voxels as another "
            f"({', '.join(list(others_of)[:4])}): each of them counts",
        )
    _say_trained_on(judged, labels, scores)
    judged = _settle(judged, where, worst, faults)
    whose = patients_of(cohort, judged.ids)
    judged.patients = whose.numbers(judged.ids)
    fact = f"{cohort.name}, {len(judged.ids)} scans"
    fact += f", {ALONE}" if judged.patients is None else f" of {whose.count(judged.ids)} patients"
    if len(judged.ids) == len(ids):
        # of a cohort with broken files nobody can say what it is
        fact += f", {cohort.fingerprint()[:12]}"
    board = lone_board(name, judged, fact, cohort.notes)
    cell = outside_cell(name, judged)
    return Evaluation(board, {}, (cell,), tuple(faults.found))


def evaluate_on_run(
    name: str,
    labels: Path | None,
    scores: Path | None,
    run: FinishedRun,
    cells: tuple[KeptCell, ...],
    cohort: Callable[[], Cohort],
    display: Display,
    columns: str | None = None,
    worst: bool = False,
    others: bool = False,
) -> Evaluation:
    """Put labels or scores on a run's board: its test scans count, and no others.

    Parameters
    ----------
    name, labels, scores, display, columns, worst, others
        As for :func:`evaluate_on_cohort`.
    run : FinishedRun
    cells : tuple of KeptCell
    cohort : callable
        Opens the run's cohort; asked only for label maps. Scores are compared with what is kept.

    Raises
    ------
    UserError
        If predictions are missing or of other scans, or the cohort is not the run's.
    """
    pattern = next((cell for cell in cells if cell.state == "finished"), None)
    if pattern is None:
        raise UserError(f"{run.folder}: not one method finished; there is no board to stand on")
    files, given, source = _read(labels, scores, columns)
    where = labels or scores
    check_ids(files or given, pattern.ids, where, others)
    if not worst:
        lacking = [id for id in pattern.ids if id not in (files or given)]
        check_missing(lacking, where, len(pattern.ids))
    faults = _Faults(display)
    if scores is not None:
        judged = judge_scores(pattern.ids, pattern.reference, pattern.worst_fp, given, source)
    else:
        from benchmark.figures.slices import check_cohort

        own = cohort()
        check_cohort(run, own)
        with display.counting(f"judging by {own.name}") as progress:
            judged = judge_labels(pattern.ids, own.load, files, faults.add, progress)
    _say_trained_on(judged, labels, scores)
    judged = _settle(judged, where, worst, faults)
    judged.patients = pattern.patients
    board, plan, all_cells = board_with(run, cells, name, judged)
    return Evaluation(board, plan, all_cells, tuple(faults.found))


class _Faults:
    """What could not be used: said at once, and listed at the end."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.found: list[tuple[str, str]] = []

    def add(self, id: str, reason: str) -> None:
        reason = reason.removeprefix(f"{id}: ")
        self.found.append((id, reason))
        self.display.say(f"{id}: {reason}")


def _read(labels: Path | None, scores: Path | None, columns: str | None):
    """Files by scan, scores by scan, and where scores come from; one of the first two is empty."""
    if labels is not None:
        return find_label_maps(labels), {}, "mask"
    return {}, *read_table(scores, columns)


def _say(judged: Judged, line: str) -> None:
    """Put a line under the board and on stderr."""
    judged.notes += (line,)
    judged.warnings += (line,)


def _say_trained_on(judged: Judged, labels: Path | None, scores: Path | None) -> None:
    """Say how many scans the network that predicted them was trained on, as `predict` noted."""
    tables = [scores] if scores is not None else [labels / TABLE, labels.parent / TABLE]
    table = next((path for path in tables if path.is_file()), None)
    if table is None:
        return
    try:
        _, rows = read_csv(table)
    except UserError:
        return  # a table beside label maps may be anybody's
    noted = {row.get("scan") for _, row in rows if TRAINED_ON in row.get("warning", "")}
    seen = [id for id in judged.ids if id in noted]
    if seen:
        more = f" and {len(seen) - 3} more" if len(seen) > 3 else ""
        _say(
            judged,
            f"{len(seen)} of {len(judged.ids)} scans trained the network that predicted them "
            f"({', '.join(seen[:3])}{more}): on these the figures are no test of it",
        )


def _settle(judged: Judged, where: Path, worst: bool, faults: _Faults) -> Judged:
    """Refuse a scan without a usable prediction, or say that it takes the worst value."""
    for line in judged.warnings:
        warn(line)
    if not judged.missing:
        return judged
    if not worst:
        lacking = set(judged.missing)
        bad = [(id, reason) for id, reason in faults.found if id in lacking]
        if bad:
            id, reason = bad[0]
            raise UserError(
                f"{where}: {len(judged.missing)} label maps cannot be used, {id} among them "
                f"({reason}); mend them, or let them take the worst value with --missing worst"
            )
        check_missing(judged.missing, where, len(judged.ids))
    judged.notes += (
        f"{len(judged.missing)} of {len(judged.ids)} scans had no usable prediction and took the "
        "worst value, as was asked for",
    )
    return judged
