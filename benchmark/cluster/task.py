"""What one job does: cells of a run, by the same code as a run on one machine."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field

from benchmark.runs.plan import CellPlan
from benchmark.runs.request import Request
from benchmark.sources import Code, give


@dataclass(frozen=True)
class CellJob:
    """Some cells of a run, for submitit.

    A signal of the scheduler (SIGUSR2 before the time limit or at preemption) ends the training
    in order, which writes its checkpoint, and only then submitit queues the job again.

    Attributes
    ----------
    request : Request
        With tier, device and threads stated.
    plans : tuple of CellPlan
        In the order of the plan.
    codes : dict
        Users' files as they were when the job was submitted, by name.
    """

    request: Request
    plans: tuple[CellPlan, ...]
    codes: dict[str, Code] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[str, ...]:
        """Their folders."""
        return tuple(cell.folder for cell in self.plans)

    def __call__(self) -> dict[str, str]:
        """Do them; the state of each."""
        from benchmark.report.consoles import make_console
        from benchmark.runs.display import Display
        from benchmark.runs.execute import execute
        from benchmark.runs.interrupt import Stopped
        from benchmark.streams import make_ready

        make_ready()
        requeue = signal.getsignal(signal.SIGUSR2)
        idle = signal.getsignal(signal.SIGTERM)
        asked = False

        def heed(number: int, frame: object) -> None:
            nonlocal asked
            if signal.getsignal(signal.SIGTERM) is idle and callable(requeue):
                requeue(number, frame)  # nothing is being trained
                return
            asked = True
            os.kill(os.getpid(), signal.SIGTERM)

        signal.signal(signal.SIGUSR2, heed)
        give(self.codes)
        try:
            outcome = execute(self.request, Display(make_console()), only=self.plans)
        except Stopped:
            if asked and callable(requeue):
                requeue(signal.SIGUSR2, None)
            raise
        return {cell.folder: cell.state for cell in outcome.cells}

    def checkpoint(self, *_: object):
        """What is queued again: the same, since its checkpoint lies in the results folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
