"""A board with a row that was not trained here: alone, or beside the rows of a run."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.errors import UserError
from benchmark.names import system_name
from benchmark.prediction.outside import Judged
from benchmark.report.board import Board, Line, Row
from benchmark.report.leaderboard import RANKED, make_board
from benchmark.report.measure import figures_of, measure
from benchmark.report.reliance import counted_scans, few_patients, sample
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

OUTSIDE = "made elsewhere: its training scans, budget and recipe are not known here"


def outside_cell(name: str, judged: Judged, key: dict | None = None) -> KeptCell:
    """Predictions made elsewhere in the form of a kept cell.

    Parameters
    ----------
    name : str
        As printed.
    judged : Judged
    key : dict, optional
        The board's own, where it stands on one: a row from elsewhere has none.
    """
    outputs = ("mask",) if judged.mask is not None else ("head",)
    return KeptCell(
        folder="given",
        method=system_name(name),
        title=name,
        outputs=outputs,
        trained=False,
        seed=0,
        key=key or {},
        state="finished",
        notes=(OUTSIDE, *judged.notes),
        ids=judged.ids,
        reference=judged.reference,
        worst_fp=judged.worst_fp,
        mask=judged.mask,
        head=judged.head,
        tp=judged.tp,
        fp=judged.fp,
        fn=judged.fn,
        patients=judged.patients,
    )


def lone_board(name: str, judged: Judged, cohort: str, notes: Iterable[str] = ()) -> Board:
    """The figures of one system on one cohort.

    Parameters
    ----------
    name : str
    judged : Judged
    cohort : str
        What stands under the table of the cohort.
    notes : iterable of str
        The cohort's.
    """
    cell = outside_cell(name, judged)
    source = cell.outputs[0]
    measured, filled = measure([cell], source, cell)
    line = Line(source, figures_of(measured, {}), filled)
    rows = (Row(cell.method, name, False, (line,), notes=cell.notes),)
    return Board(
        suite="evaluate",
        title=f"{name} against the reference labels",
        scale=counted_scans(*sample(rows)),
        rows=rows,
        facts=(("cohort", cohort),),
        notes=(*few_patients(rows), *notes),
        columns=RANKED,
    )


def board_with(
    run: FinishedRun, cells: tuple[KeptCell, ...], name: str, judged: Judged
) -> tuple[Board, dict, tuple[KeptCell, ...]]:
    """A run's board with one more row, among those that were not trained under its budget.

    Returns
    -------
    board : Board
    plan : dict
        The run's, with the row.
    cells : tuple of KeptCell

    Raises
    ------
    UserError
        If the run has a row of that name, or other test scans or reference scores.
    """
    plan = run.plan
    if name in (method["title"] for method in plan["methods"]):
        name = f"{name} (made elsewhere)"
    # the key says on which board it stands, so that the board takes it; nothing else is known
    key = {
        "settings": plan["settings"],
        "split": plan["split"]["hash"],
        "cohort": plan["cohort"]["fingerprint"],
        "device": plan["device"],
        "threads": plan["threads"],
    }
    cell = outside_cell(name, judged, key)
    if cell.method in (method["name"] for method in plan["methods"]):
        raise UserError(f"{run.folder}: has a row {cell.method!r} already; choose another --name")
    row = {
        "name": cell.method,
        "title": name,
        "outputs": list(cell.outputs),
        "paper": None,
        "trained": False,
        "reference": False,  # it was trained elsewhere
        "options": {},
        "base": None,
        "change": "",
        "expect": "",
        "retrain": True,
    }
    plan = {**plan, "methods": [*plan["methods"], row]}
    cells = (*cells, cell)
    return make_board(plan, cells), plan, cells
