"""When a whole run will be over, from what its trainings have taken so far."""

from __future__ import annotations

import time
from collections.abc import Iterable
from statistics import fmean

from benchmark.scale.estimate import makespan


class Outlook:
    """Foretells the time left of a run; a cell that waits is taken to last as the others do.

    Parameters
    ----------
    waiting : iterable of str
        Folders of the cells that are to be trained.
    jobs : int
        Cells at work at once.
    """

    def __init__(self, waiting: Iterable[str], jobs: int) -> None:
        self._waiting, self._jobs = set(waiting), jobs
        self._begun: dict[str, float] = {}
        self._ends: dict[str, float] = {}
        self._lasted: list[float] = []

    def begin(self, cell: str) -> None:
        """A cell is at work from now on."""
        if cell in self._waiting:
            self._waiting.discard(cell)
            self._begun[cell] = time.monotonic()

    def progress(self, cell: str, left: float) -> None:
        """A cell at work says how many seconds it has left."""
        if cell in self._begun and 0 <= left < float("inf"):
            self._ends[cell] = time.monotonic() + left

    def end(self, cell: str) -> None:
        """A cell is over."""
        begun = self._begun.pop(cell, None)
        self._ends.pop(cell, None)
        if begun is not None:
            self._lasted.append(time.monotonic() - begun)

    def seconds_left(self) -> float | None:
        """Until the last cell ends; None while nothing has been measured."""
        now = time.monotonic()
        whole = [end - self._begun[cell] for cell, end in self._ends.items()] + self._lasted
        if not whole or not (self._begun or self._waiting):
            return None
        usual = fmean(whole)
        running = [
            max(0.0, self._ends.get(cell, begun + usual) - now)
            for cell, begun in self._begun.items()
        ]
        return makespan([*running, *[usual] * len(self._waiting)], self._jobs)
