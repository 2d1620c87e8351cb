"""The loss while a method trains: for the progress line, and as a curve for the run's folder."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmark.training.clock import Spending

Report = Callable[[str, float, float, float], None]
"""Called as ``report(stage, share of the training that is done, loss, seconds left)``."""

SECONDS_BETWEEN_POINTS = 0.5
MEMORY = 0.9
"""Weight of the past in the smoothed loss."""


class LossCurve:
    """The smoothed loss of every stage against the share of the budget.

    Parameters
    ----------
    spending : Spending
    report : callable, optional

    Attributes
    ----------
    points : list of (stage, share spent, samples, loss)
        About two a second, and one at each stage's end.
    """

    def __init__(self, spending: Spending, report: Report | None = None) -> None:
        self.points: list[tuple[str, float, int, float | None]] = []
        self._spending, self._report = spending, report
        self._started = time.monotonic()
        self._span = (0.0, 1.0, 0.0, 1.0)
        self.begin("")

    def span(self, begin: float, end: float, first: float, last: float) -> None:
        """How far a training is when a stage begins and ends, for the time left.

        Parameters
        ----------
        begin, end : float
            Of all that the method spends, in the budget's unit.
        first, last : float
            By the stages' shares of a budget in seconds: steps of a head on kept features are many
            and take next to no time.
        """
        self._span = (begin, end, first, last)

    def begin(self, stage: str) -> None:
        """A stage begins: its loss is another quantity than the last one's."""
        self._stage = stage
        self._smooth: float | None = None
        self._last = 0.0

    def add(self, loss: float) -> None:
        """Take in a step's loss."""
        past = self._smooth
        self._smooth = loss if past is None else MEMORY * past + (1 - MEMORY) * loss
        now = time.monotonic()
        if now - self._last <= SECONDS_BETWEEN_POINTS:
            return
        self._last = now
        share = self._point()
        if self._report is not None:
            begin, end, first, last = self._span
            done = first + (last - first) * min(1.0, (share - begin) / max(end - begin, 1e-9))
            left = (now - self._started) * (1 - done) / max(done, 1e-6)
            self._report(self._stage, done, self._smooth, left)

    def end(self) -> None:
        """The stage is over."""
        self._point()

    def pause(self, seconds: float) -> None:
        """Leave out of the time left what was spent on other things."""
        self._started += seconds

    def state(self) -> dict:
        """The curve so far and where it stands, in plain values."""
        return {
            "points": [list(point) for point in self.points],
            "stage": self._stage,
            "smooth": self._smooth,
            "seconds": time.monotonic() - self._started,
        }

    def restore(self, state: dict) -> None:
        """Go on from what `state` gave."""
        self.points = [tuple(point) for point in state["points"]]
        self.begin(state["stage"])
        self._smooth = state["smooth"]
        self._started = time.monotonic() - float(state["seconds"])

    def _point(self) -> float:
        share = min(self._spending.fraction, 1.0)
        self.points.append((self._stage, round(share, 5), self._spending.samples, self._smooth))
        return share
