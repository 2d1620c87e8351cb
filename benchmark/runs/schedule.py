"""The order in which cells are done, side by side and with other processes in one folder.

A run has as many cells at work at once as its plan says. It goes through its cells in order, leaves
out those that another process is at work on, and comes back to them: what came out is then taken as
it is, a failure too.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from benchmark import memory
from benchmark.errors import UserError
from benchmark.runs.display import Display, duration
from benchmark.runs.interrupt import Stopped
from benchmark.runs.lock import Held, Locks
from benchmark.runs.outlook import Outlook
from benchmark.runs.plan import CellPlan, Plan
from benchmark.runs.store import LOCKS, Standing, Store
from benchmark.runs.work import POLL, Worker
from benchmark.sources import is_own

WAIT_SECONDS = 1.0
"""Between two looks at cells that other processes are at work on."""


@dataclass
class _AtWork:
    """A cell that this process is at work on."""

    place: int
    cell: CellPlan
    held: Held
    work: Iterator[None]


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
    jobs : int
        Cells at work at once, where memory allows.
    """

    def __init__(
        self,
        plan: Plan,
        waiting: list[CellPlan],
        worker: Worker,
        store: Store,
        display: Display,
        jobs: int = 1,
    ) -> None:
        self._cells, self._worker, self._store, self._display = plan.cells, worker, store, display
        self._jobs = self._that_fit(jobs)
        trained = [c.folder for c in waiting if c.method.trained and c.weights is None]
        self._outlook = worker.outlook = Outlook(trained, self._jobs)
        self._locks = Locks(store.cells / LOCKS)
        self._before = {cell.folder: store.stamp(cell.folder) for cell in waiting}
        self._left = set(self._before)
        self._told: set[str] = set()
        self._working: list[_AtWork] = []
        self._done: set[int] = set()
        self._asked: dict[str, float] = {}
        self.refused: dict[str, str] = {}
        """Why a cell was not done, by its folder: another user's bears its name."""

    def run(self) -> None:
        """Do them; returns when all are there.

        Raises
        ------
        OSError, Stopped
            See `Worker.steps`. What is at work beside the cell that raised is ended in order.
        """
        pending = list(enumerate(self._cells, start=1))
        if not self._worker.apart:
            # what a user's file does when it is imported stays in this process
            pending.sort(key=lambda entry: is_own(entry[1].method.target))
        try:
            while pending or self._working:
                for place, cell in pending:
                    self._settle(place, cell)
                if self._working:
                    self._advance()
                elif len(self._done) < len(self._cells):
                    time.sleep(WAIT_SECONDS)
                pending = [entry for entry in pending if entry[0] not in self._done]
        except BaseException:
            self._end_others()
            raise

    def _advance(self) -> None:
        """Let every cell at work go on, and wait a moment if none has ended."""
        count = len(self._working)
        for one in list(self._working):
            try:
                next(one.work)
            except StopIteration as end:
                self._close(one)
                if end.value is not None:
                    self._settled(one.place, one.cell, end.value)
            except BaseException:
                self._close(one)
                raise
        if len(self._working) == count:
            time.sleep(POLL)

    def _end_others(self) -> None:
        """End what is still at work, its checkpoints written; asked again, without waiting."""
        patient = True
        for one in list(self._working):
            stopped = Stopped()
            try:
                if patient:
                    one.work.throw(stopped)
                else:
                    one.work.close()
            except Stopped as error:
                patient = patient and error is stopped
            except (StopIteration, OSError):
                pass  # it had just ended; or its disk is full as well
            self._close(one)

    def _close(self, one: _AtWork) -> None:
        self._working.remove(one)
        self._outlook.end(one.cell.folder)
        # a folder that cannot be written any more has said so already
        with suppress(OSError, UserError):
            one.held.release()

    def _settle(self, place: int, cell: CellPlan) -> None:
        """Begin a cell or take what there is, if its time has come."""
        if any(cell.folder == one.cell.folder for one in self._working):
            return
        if cell.folder not in self._left:
            # also a second name of a cell: an ablation that changes nothing
            self._settled(place, cell, f"{cell.label}: kept from before")
            return
        if cell.weights in self._left and cell.weights != cell.folder:
            return
        if not self._has_room():
            return
        if time.monotonic() - self._asked.get(cell.folder, -WAIT_SECONDS) < WAIT_SECONDS:
            return
        held = self._locks.take(cell.folder, self._display.say)
        if held is None:
            self._asked[cell.folder] = time.monotonic()
            self._tell(cell)
            return
        one = _AtWork(place, cell, held, self._worker.steps(cell, held))
        self._working.append(one)
        try:
            line = self._of_another(cell)
            if line is None:
                standing = self._store.standing(cell.folder, read=True)
                if standing.state == "damaged":
                    self._display.say(f"{cell.label}: damaged ({standing.reason}): done again")
                line = self._refused(cell, standing)
                if line is None:
                    self._outlook.begin(cell.folder)
                    return
        except BaseException:
            self._close(one)
            raise
        self._close(one)
        self._settled(place, cell, line)

    def _settled(self, place: int, cell: CellPlan, line: str) -> None:
        self._left.discard(cell.folder)
        self._done.add(place)
        left = self._outlook.seconds_left()
        more = "" if left is None or left < 1 else f"; about {duration(left)} left"
        self._display.say(f"[{place}/{len(self._cells)}] {line}{more}")

    def _that_fit(self, jobs: int) -> int:
        """As many jobs as memory has room for, one at least; says so if these are fewer."""
        free, need = memory.available_bytes(), self._worker.largest
        if jobs == 1 or free is None or not need:
            return jobs
        fit = max(1, min(jobs, int(free // need)))
        if fit < jobs:
            self._display.say(
                f"{fit} of {jobs} trainings side by side: memory has room for no more "
                f"({free / 1e9:.1f} GB are free, one may take {need / 1e9:.1f} GB)"
            )
        return fit

    def _has_room(self) -> bool:
        """Whether a further cell may begin: a place is free, and memory for it."""
        if not self._working:
            return True
        if len(self._working) >= self._jobs:
            return False
        free = memory.available_bytes()
        return free is None or free >= self._worker.largest

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
