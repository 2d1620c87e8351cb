"""One cell from its start to its place in the results: a child process, or this one (--in-process).

What comes of it is a finished cell, a failed one, or an exception that ends the whole run: the
disk's, or `Stopped`.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.base import Cohort
from benchmark.frozen import imported
from benchmark.methods import METHODS
from benchmark.runs.child import Child, Interpreters, can_fork, fork
from benchmark.runs.display import Display, duration
from benchmark.runs.interrupt import SIGNALS, Interrupts, Stopped
from benchmark.runs.job import Job, TimedOut, do, memory_words
from benchmark.runs.lock import Held
from benchmark.runs.outlook import Outlook
from benchmark.runs.plan import CellPlan
from benchmark.runs.store import CHECKPOINT, Store
from benchmark.training.settings import Settings

STOP_SECONDS = 25.0
"""Longest wait for a child that was asked to stop: schedulers give 30 s before they kill."""
POLL = 0.2
"""Seconds between two looks at a child."""


@dataclass
class Worker:
    """Does the cells of a run.

    Attributes
    ----------
    trainer : object
        Offers ``run_cell``. Only the harness's own (``own`` is true) keeps checkpoints and works in
        a process apart.
    prepared
        The split on the training grid.
    cohort : Cohort
    settings : Settings
    device : str
    threads : int
    store : Store
    display : Display
    interrupts : Interrupts
    in_process : bool
        Do without child processes.
    timeout : float or None
        Longest a cell may take, wall-clock seconds.
    every_seconds : float
        Between two checkpoints of a training.

    Attributes
    ----------
    largest : int
        Most memory that a child has had in use so far, bytes; a guess before the first has ended.
    outlook : Outlook or None
        Is told of the cells' progress.
    """

    trainer: object
    prepared: object
    cohort: Cohort
    settings: Settings
    device: str
    threads: int
    store: Store
    display: Display
    interrupts: Interrupts
    in_process: bool = False
    timeout: float | None = None
    every_seconds: float = 300.0

    def __post_init__(self) -> None:
        self._own = bool(getattr(self.trainer, "own", False))
        self.apart = self._own and not self.in_process
        self._children: list[Child] = []
        self.outlook: Outlook | None = None
        self.largest = _first_guess(self.prepared, self.settings) if self.apart else 0
        self._interpreters: Interpreters | None = None
        self._can_fork = can_fork(self.device)
        if self.apart and self._can_fork:
            from benchmark.training import warm

            warm.load()

    def close(self) -> None:
        """Delete what was written for children."""
        if self._interpreters is not None:
            self._interpreters.close()

    def run(self, cell: CellPlan, held: Held) -> str | None:
        """Do one cell and wait for it; see `steps`."""
        work = self.steps(cell, held)
        try:
            while True:
                next(work)
                try:
                    time.sleep(POLL)
                except Stopped as stopped:
                    work.throw(stopped)
        except StopIteration as end:
            return end.value

    def steps(self, cell: CellPlan, held: Held) -> Iterator[None]:
        """Train and test one cell and keep what came of it, waiting wherever this yields.

        Several cells are at work side by side when their iterators are advanced in turn. A
        `Stopped` thrown into one ends its training in order, with its checkpoint kept.

        Returns
        -------
        str or None
            As the iterator's value: the line to be printed; None if another process took the cell
            over meanwhile, as after a machine slept for long, so that nothing was kept.

        Raises
        ------
        OSError
            If the results cannot be written.
        Stopped
            If the run was asked to end; the training's checkpoint is kept.
        """
        record = _Record(self, cell)
        partial = self.store.partial(cell.folder)
        for leftover in self.store.leftovers(cell.folder):
            # this process holds the cell: whoever wrote them is gone
            shutil.rmtree(leftover, ignore_errors=True)
        with self.store.draft(cell.folder) as draft:
            job = self._job(cell, draft, partial)
            with self.display.training(cell.label) as show:
                record.show = show
                ending = yield from self._apart_or_here(job, held, record, cell)
            kind, rest = ending
            if kind == "disk":
                number, text, name = rest
                raise OSError(number, text, name)
            if kind == "stopped":
                raise Stopped(self.interrupts.asked)
            wall = time.monotonic() - record.begin
            if not held.is_mine():
                return (
                    f"{cell.label}: another process took it over meanwhile; what came is not kept"
                )
            with self.interrupts.held():
                line = self._keep(cell, draft, kind, rest, wall, record)
                if kind == "finished" or not rest.get("again"):
                    shutil.rmtree(partial, ignore_errors=True)
        return line

    def _job(self, cell: CellPlan, draft: Path, partial: Path) -> Job:
        resumes = self._own and cell.method.trained and not cell.method.external
        weights = self.store.cells.absolute() / (cell.weights or "")
        return Job(
            cell.method,
            self.settings,
            cell.seed,
            self.device,
            self.threads,
            # a network may change the working folder
            draft.absolute(),
            self.trainer.run_cell,
            weights=None if cell.weights is None else weights / CHECKPOINT,
            start=None if cell.start is None else cell.start.absolute(),
            partial=partial.absolute() if resumes and cell.weights is None else None,
            every_seconds=self.every_seconds,
            broken=cell.broken,
            cohort=self.cohort if cell.method.external or cell.method.needs_owners else None,
        )

    def _keep(
        self, cell: CellPlan, draft: Path, kind: str, rest: dict, wall: float, record: _Record
    ) -> str:
        if kind == "finished":
            record.lines.append(f"finished after {wall:.1f} s")
            ledger = {"wall_seconds": wall, **rest["ledger"]}
            if cell.weights is not None:
                family = cell.method.family
                known = METHODS.get(family)
                ledger["weights_from"] = known.title if known else family.rpartition(":")[2]
            notes = tuple(getattr(self.prepared, "notes", ()))
            self.store.finish(cell, draft, {**rest, "ledger": ledger}, record.text(), notes)
            return f"{cell.label}: finished in {duration(wall)}{_spent(ledger)}"
        record.lines.append(rest.get("traceback", ""))
        ledger = {"wall_seconds": wall, "peak_memory_bytes": rest.get("peak", 0)}
        self.store.write_failed(cell, rest["reason"], record.text(), ledger)
        return f"{cell.label}: FAILED: {rest['reason']}"

    def _apart_or_here(
        self, job: Job, held: Held, record: _Record, cell: CellPlan
    ) -> Iterator[None]:
        if job.broken or not (self.apart or self._spoilt(cell)):
            return self._here(job, record)
        child = self._start(job)
        self._children.append(child)
        try:
            held.add(child.pid)
            return (yield from self._follow(child, record))
        finally:
            child.close()
            self._children.remove(child)
            self.largest = max(self.largest, child.wait().peak)

    def _spoilt(self, cell: CellPlan) -> bool:
        """Whether this process has imported a user's file that is not this cell's."""
        own = None if cell.method.code is None else cell.method.code.digest
        others = [digest for digest in imported() if digest != own]
        if others and self._own and not getattr(self.trainer, "together", False):
            self._can_fork = False
            return True
        return False

    # ---- in this process

    def _here(self, job: Job, record: _Record) -> tuple[str, object]:
        last: list = []

        def send(message: list) -> None:
            if message[0] not in ("progress", "said"):
                last[:] = message
                return
            record.note(message)
            if self.timeout is not None and record.seconds > self.timeout:
                raise TimedOut

        try:
            with _as_it_was() as restored:
                do(job, self.prepared, send, restored)
        except TimedOut:
            return "failed", self._time_out()
        return _ending(last)

    def _time_out(self) -> dict:
        return {
            "reason": f"took longer than {self.timeout:g} s (--cell-timeout); run again to go on",
            "again": True,
        }

    # ---- in a child

    def _start(self, job: Job) -> Child:
        # A fork has no threads of the libraries that unpack scans (blosc2, ITK) and would wait for
        # them forever; what trains itself reads scans.
        if self._can_fork and job.cohort is None:
            child = fork(job, self.prepared)
            if child is not None:
                return child
            self._can_fork = False
        if self._interpreters is None:
            self._interpreters = Interpreters(self.prepared)
        return self._interpreters.start(job)

    def _follow(self, child: Child, record: _Record) -> Iterator[None]:
        """Listen to a child until it ends."""
        last: list = []

        def listen(seconds: float) -> None:
            for message in child.messages(seconds):
                if message[0] in ("progress", "said"):
                    record.note(message)
                elif message[0] != "ready":
                    last[:] = message

        timed_out = False
        try:
            while not child.closed:
                listen(0)
                if self.timeout is not None and record.seconds > self.timeout:
                    timed_out = True
                    break
                if child.ended() is not None:
                    # a process that it started may hold the pipe open
                    listen(0)
                    break
                yield
            if timed_out and not last:
                self._end(child, listen)
        except Stopped:
            # the others that work beside it begin to end as well; a second signal while waiting
            # ends the wait: the last checkpoint remains
            for other in self._children:
                other.signal(signal.SIGTERM)
            self._end(child, listen)
            raise
        ending = child.wait()
        printed = child.output().strip()
        if printed:
            record.lines += ["what its process printed:", printed]
        if last and last[0] in ("finished", "disk", "failed"):
            return _ending(last)
        if timed_out:
            return "failed", self._time_out() | {"peak": ending.peak}
        if last and last[0] == "stopped":
            # somebody sent the signal to the child alone
            return "failed", {"reason": "its process was asked to end by another", "again": True}
        return "failed", _death(ending.code, ending.peak)

    def _end(self, child: Child, listen) -> None:
        """Ask a child to end, and wait until it has written its checkpoint."""
        child.signal(signal.SIGTERM)
        last = time.monotonic() + STOP_SECONDS
        while child.ended() is None and time.monotonic() < last:
            if child.closed:
                time.sleep(0.01)
            else:
                listen(POLL)


class _Record:
    """Progress of one cell: shown as it comes, and kept as the cell's log.

    Parameters
    ----------
    worker : Worker
    cell : CellPlan
    """

    def __init__(self, worker: Worker, cell: CellPlan) -> None:
        self._display, self._label, self._folder = worker.display, cell.label, cell.folder
        self._outlook = worker.outlook
        self.begin = time.monotonic()
        self.lines = [
            f"{cell.label}, {worker.settings.budget}, {worker.device}, {worker.threads} threads"
        ]
        self.show = None
        self._told = 0.0

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the cell began."""
        return time.monotonic() - self.begin

    def note(self, message: list) -> None:
        """A line of the log about progress, every two seconds; the display is told each time."""
        if message[0] == "said":
            self.lines.append(message[1])
            self._display.say(f"{self._label}: {message[1]}")
            return
        _, stage, spent, loss, left = message
        now = time.monotonic()
        if now - self._told >= 2:
            self._told = now
            share = f"{100 * spent:5.1f} %"
            self.lines.append(f"{self.seconds:8.1f} s  {stage}  {share}  loss {loss:.5g}")
        whole = None
        if self._outlook is not None:
            self._outlook.progress(self._folder, left)
            whole = self._outlook.seconds_left()
        self.show(stage, spent, loss, left, whole)

    def text(self) -> str:
        """The log."""
        return "\n".join(line.rstrip("\n") for line in self.lines if line) + "\n"


ACTIVATIONS = 32
"""Of a network's first width and the grid's size: a rough count of what a step keeps of a scan."""

_LIBRARIES = 200_000_000
"""Bytes that libraries take in a process beyond what it shares with its parent."""


def _first_guess(prepared, settings: Settings) -> int:
    """Memory that a training takes for itself, bytes, before one has been measured."""
    scans = sum(example.image.nbytes for example in prepared.train)
    cells = math.prod(prepared.grid.shape) * settings.batch_size * settings.width
    return int(scans + 4 * ACTIVATIONS * cells + _LIBRARIES)


@contextmanager
def _as_it_was() -> Iterator[Callable[[], None]]:
    """Within, a user's file may change the working folder; afterwards it is what it was.

    What is given puts signal handlers back, which the file may have set when it was imported.
    """
    here = os.getcwd()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def restored() -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    try:
        yield restored
    finally:
        os.chdir(here)


def _ending(message: list) -> tuple[str, object]:
    kind = message[0]
    return (kind, message[1:]) if kind == "disk" else (kind, message[1] if message[1:] else None)


def _death(code: int, peak: int) -> dict:
    """A process that ended without a word, in one line."""
    if code >= 0:
        words = f"its process ended by itself with status {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        words = f"its process was killed ({name}, {memory_words(peak)})"
        if -code == signal.SIGKILL:
            words += "; out of memory?"
    return {"reason": words, "peak": peak, "again": True}


def _spent(ledger: dict) -> str:
    parts = []
    if ledger.get("device_seconds"):
        parts.append(f"{ledger['device_seconds']:.1f} device-seconds")
    if ledger.get("steps"):
        parts.append(f"{ledger['steps']} steps")
    return f" ({', '.join(parts)})" if parts else ""
