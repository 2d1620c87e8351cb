"""A run read and measured once: what all sections of the page are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.report.board import Board
from benchmark.report.joined import Joined
from benchmark.report.leaderboard import make_board
from benchmark.report.measure import Measured, measure
from benchmark.runs.finished import FinishedRun, read_cells
from benchmark.runs.store import KeptCell


@dataclass(frozen=True, eq=False)
class PageLine:
    """One method from one source.

    Attributes
    ----------
    key : str
        Unique on the page: ``"r1-m0-mask"``.
    title, source : str
        Source is "mask" or "head".
    method : dict
        Its entry in plan.json.
    cells : tuple of KeptCell
        One a seed, failed ones too.
    measured : Measured
    """

    key: str
    title: str
    source: str
    method: dict
    cells: tuple[KeptCell, ...]
    measured: Measured

    @property
    def label(self) -> str:
        """``"MMWFAnet (mask)"``."""
        return f"{self.title} ({self.source})"

    @property
    def varies(self) -> bool:
        """Whether another seed makes another network of it, its own or its base's."""
        return self.method["trained"]


@dataclass(frozen=True, eq=False)
class PageRun:
    """One run on the page.

    Attributes
    ----------
    key : str
        ``"r1"``, ``"r2"``, in the order asked for.
    run : FinishedRun
    cells : tuple of KeptCell
    board : Board
    lines : tuple of PageLine
        Those with figures, in the board's order.
    """

    key: str
    run: FinishedRun
    cells: tuple[KeptCell, ...]
    board: Board
    lines: tuple[PageLine, ...]

    @property
    def name(self) -> str:
        """Suite and folder, as on the disk."""
        return f"{self.run.plan['suite']}/{self.run.folder.resolve().name}"


def read_run(key: str, run: FinishedRun, joined: Joined | None = None) -> PageRun:
    """Read a run's cells and measure them.

    Parameters
    ----------
    key : str
    run : FinishedRun
    joined : Joined, optional
        Cells that were read already.

    Raises
    ------
    UserError
        If the run is not finished, or nothing in it.
    """
    cells = _from_joined(run, joined) or read_cells(run)
    finished = [cell for cell in cells if cell.state == "finished"]
    if not finished:
        raise UserError(f"{run.folder}: not one method finished, so there is nothing to show")
    board = make_board(run.plan, cells)
    lines = []
    for place, method in enumerate(run.plan["methods"]):
        own = tuple(cell for cell in cells if cell.method == method["name"])
        if not any(cell.state == "finished" for cell in own):
            continue
        for source in ("mask", "head"):
            if source in method["outputs"]:
                figures = measure(list(own), source, finished[0])[0]
                name = f"{key}-m{place}-{source}"
                lines.append(PageLine(name, method["title"], source, method, own, figures))
    return PageRun(key, run, tuple(cells), board, tuple(lines))


def _from_joined(run: FinishedRun, joined: Joined | None) -> Sequence[KeptCell]:
    """The run's cells as `join` read them; none if it did not."""
    if joined is None:
        return ()
    found = []
    for entry in run.plan["cells"]:
        row = joined.rows.get(entry["method"])
        cell = row.cells.get(entry["seed"]) if row is not None else None
        if cell is None or cell.folder != entry["folder"]:
            return ()
        found.append(cell)
    return found
