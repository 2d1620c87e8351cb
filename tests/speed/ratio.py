"""Ratios of times that are measured in turn, so that a busy machine slows both sides alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    section, what : str
    ours, other : str
        The measurement and what it stands beside, with units.
    value : float
        The ratio, share or time that the goal is about.
    unit : str
        "x", "%", "s" or "ms".
    goal : float or None
        The value to be reached.
    most : bool
        Whether the goal is the largest value allowed, not the smallest.
    floor : float or None
        What a test refuses: the goal, or less (more) where the goal is not reached yet.
    """

    section: str
    what: str
    ours: str
    other: str
    value: float
    unit: str
    goal: float | None = None
    most: bool = False
    floor: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the goal is met; true where there is none."""
        return self.goal is None or within(self.value, self.goal, self.most)

    @property
    def kept(self) -> bool:
        """Whether the value is no worse than what a test refuses."""
        floor = self.goal if self.floor is None else self.floor
        return floor is None or within(self.value, floor, self.most)


def within(value: float, limit: float, most: bool) -> bool:
    """``value <= limit`` or ``value >= limit``."""
    return value <= limit if most else value >= limit


def least(
    functions: dict[str, Callable[[], object]],
    rounds: int = 5,
    clock: Callable[[], float] = time.process_time,
    warm: int = 1,
) -> dict[str, float]:
    """Least seconds of each function, called in turn.

    Parameters
    ----------
    functions : dict
        By name.
    rounds : int
    clock : callable
        CPU time of the process by default: other programs' work is not counted.
    warm : int
        Calls of each that are not timed.
    """
    for function in functions.values():
        for _ in range(warm):
            function()
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            begin = clock()
            function()
            best[name] = min(best[name], clock() - begin)
    return best


def table(lines: list[Line]) -> list[str]:
    """The lines as text, aligned, a heading for each section."""
    rows = [("", "ours", "beside", "", "goal", "")]
    for line in lines:
        goal = ""
        if line.goal is not None:
            goal = f"{'at most' if line.most else 'at least'} {line.goal:g} {line.unit}"
        verdict = "" if line.goal is None else "reached" if line.reached else "missed"
        rows.append(
            (line.what, line.ours, line.other, f"{line.value:.3g} {line.unit}", goal, verdict)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    texts = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows]
    found, section = [texts[0].rstrip()], None
    for line, text in zip(lines, texts[1:], strict=True):
        if line.section != section:
            section = line.section
            found += ["", section]
        found.append(text.rstrip())
    return found
