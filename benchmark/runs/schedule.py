"""The order in which cells are done when several processes share a results folder.

Each process goes through its cells in order, leaves out those that another one is at work on, and
comes back to them: what came out is then taken as it is, a failure too.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

from benchmark.errors import UserError
from benchmark.runs.display import Display
from benchmark.runs.lock import Locks
from benchmark.runs.plan import CellPlan, Plan
from benchmark.runs.store import LOCKS, Standing, Store
from benchmark.runs.work import Worker

WAIT_SECONDS = 1.0
"""Between two looks at cells that other processes are at work on."""


class Schedule:
    """Does every cell of a plan that is not there.

    Parameters
    ----------
    plan : Plan
    waiting : list of CellPlan
        Those that are not there.
    worker : Worker
    store : Store
    display : Display
    """

    def __init__(
        self, plan: Plan, waiting: list[CellPlan], worker: Worker, store: Store, display: Display
    ) -> None:
        self._cells, self._worker, self._store, self._display = plan.cells, worker, store, display
        self._locks = Locks(store.cells / LOCKS)
        self._before = {cell.folder: store.stamp(cell.folder) for cell in waiting}
        self._left = set(self._before)
        self._told: set[str] = set()
        self.refused: dict[str, str] = {}
        """Why a cell was not done, by its folder: another user's bears its name."""

    def run(self) -> None:
        """Do them; returns when all are there.

        Raises
        ------
        OSError, Stopped
            See `Worker.run`.
        """
        pending = list(enumerate(self._cells, start=1))
        while pending:
            later = [entry for entry in pending if not self._settle(*entry)]
            if later and len(later) == len(pending):
                time.sleep(WAIT_SECONDS)
            pending = later

    def _settle(self, place: int, cell: CellPlan) -> bool:
        """Do a cell, or take what there is; False if its time has not come."""
        count = f"[{place}/{len(self._cells)}]"
        if cell.folder not in self._left:
            # also a second name of a cell: an ablation that changes nothing
            self._display.say(f"{count} {cell.label}: kept from before")
            return True
        if cell.weights in self._left and cell.weights != cell.folder:
            return False
        held = self._locks.take(cell.folder, self._display.say)
        if held is None:
            self._tell(cell)
            return False
        try:
            line = self._of_another(cell)
            if line is None:
                standing = self._store.standing(cell.folder, read=True)
                if standing.state == "damaged":
                    self._display.say(f"{cell.label}: damaged ({standing.reason}): done again")
                line = self._refused(cell, standing) or self._worker.run(cell, held)
            if line is None:
                return False
        finally:
            # a folder that cannot be written any more has said so already
            with suppress(OSError, UserError):
                held.release()
        self._left.discard(cell.folder)
        self._display.say(f"{count} {line}")
        return True

    def _refused(self, cell: CellPlan, standing: Standing) -> str | None:
        """Why a cell cannot be done here: nothing could take the place of another user's."""
        if standing.state == "closed":
            why = standing.reason
        else:
            try:
                self._store.require_replaceable(cell.folder)
                return None
            except UserError as error:
                why = str(error)
        self.refused[cell.folder] = why
        return f"{cell.label}: FAILED: {why}"

    def _of_another(self, cell: CellPlan) -> str | None:
        """What another process made of a cell since this run began."""
        if self._store.stamp(cell.folder) == self._before[cell.folder]:
            return None
        standing = self._store.standing(cell.folder, read=True)
        if standing.state == "finished":
            return f"{cell.label}: finished by another process"
        if standing.state == "failed":
            # it was tried a moment ago
            return f"{cell.label}: FAILED: {standing.reason} (in another process)"
        return None

    def _tell(self, cell: CellPlan) -> None:
        """Say once who is at work on a cell."""
        owner = self._locks.owner(cell.folder)
        if owner is not None and owner.token not in self._told:
            self._told.add(owner.token)
            self._display.say(f"{cell.label}: {owner} is at work on it; others first")


def sweep(store: Store, display: Display) -> None:
    """Remove what processes that are gone had begun to write."""
    locks = Locks(store.cells / LOCKS)
    swept = 0
    for path in store.leftovers():
        if locks.busy(store.cell_of(path)) is None:
            shutil.rmtree(path, ignore_errors=True)
            swept += not path.exists()  # another user's may stay
    if swept:
        display.say(f"removed {swept} unfinished folders of processes that are gone")
