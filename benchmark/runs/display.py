"""What a person sees while a run goes on: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

Show = Callable[[str, float, float, float, float | None], None]
"""Called as ``show(stage, share spent, loss, seconds left, seconds left of the whole run)``."""


def duration(seconds: float) -> str:
    """``"42 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def counted(number: int, word: str) -> str:
    """``"1 thread"``, ``"2 threads"``."""
    return f"{number} {word}" + ("" if number == 1 else "s")


class Display:
    """Plain lines, at most one in `every` seconds for one thing.

    Parameters
    ----------
    console : rich.console.Console
    every : float
        Least seconds between two lines about the same thing.
    """

    def __init__(self, console: Console, every: float = 15.0) -> None:
        self.console = console
        self.every = every

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Progress of ``done`` out of ``total``, for data."""
        last = time.monotonic()
        pace = _Pace()

        def show(done: int, total: int) -> None:
            nonlocal last
            left = pace.left(done, total)
            if time.monotonic() - last >= self.every and done < total:
                last = time.monotonic()
                self.say(f"{what}: {done} of {total}{left}")

        yield show

    @contextmanager
    def training(self, label: str) -> Iterator[Show]:
        """Progress of one cell: stage, share of the budget spent, loss, seconds left."""
        last = time.monotonic()
        self.say(f"{label}: started")

        def show(
            stage: str, spent: float, loss: float, left: float, whole: float | None = None
        ) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= self.every:
                last = now
                self.say(f"{label}: {_state(stage, spent, loss, left, whole)}")

        yield show


class LiveDisplay(Display):
    """Bars that renew themselves; those of cells side by side stand below each other."""

    def __init__(self, console: Console, every: float = 15.0) -> None:
        super().__init__(console, every)
        self._bars: Progress | None = None

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        pace = _Pace()
        with self._task(what, None, "") as update:

            def show(done: int, total: int) -> None:
                state = f"{done} of {total}{pace.left(done, total)}"
                update(completed=done, total=total, state=state)

            yield show

    @contextmanager
    def training(self, label: str) -> Iterator[Show]:
        with self._task(label, 1.0, "starting") as update:

            def show(
                stage: str, spent: float, loss: float, left: float, whole: float | None = None
            ) -> None:
                state = _state(stage, spent, loss, left, whole)
                update(completed=min(spent, 1.0), state=state)

            yield show

    @contextmanager
    def _task(self, what: str, total: float | None, state: str) -> Iterator[Callable[..., None]]:
        """A bar of its own; the first one opens the display and the last one closes it."""
        if self._bars is None:
            self._bars = self._bar()
            self._bars.start()
        bars = self._bars
        task = bars.add_task(what, total=total, state=state)
        try:
            yield partial(bars.update, task)
        finally:
            bars.remove_task(task)
            if not bars.tasks:
                bars.stop()
                self._bars = None

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}", markup=False),
            console=self.console,
            transient=True,
            refresh_per_second=4,
        )


class _Pace:
    """Time left, from what was done since the first call: the rest was there before."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.begin = 0.0

    def left(self, done: int, total: int) -> str:
        """``", about 42 s left"``, or nothing while nobody can know."""
        if self.first is None:
            self.first, self.begin = done, time.monotonic()
        gained = done - self.first
        if gained <= 0 or done >= total:
            return ""
        return f", about {duration((time.monotonic() - self.begin) / gained * (total - done))} left"


def _state(stage: str, spent: float, loss: float, left: float, whole: float | None) -> str:
    parts = [stage, f"{100 * spent:.0f} %", f"loss {loss:.3g}"]
    if left == left and left != float("inf"):
        parts.append(f"{duration(max(left, 0))} left")
    if whole is not None:
        parts.append(f"{duration(whole)} for all")
    return ", ".join(parts)
