"""Scans of a submission in several processes, in order, each scan in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Found = TypeVar("Found")

FEW = 8
"""Below so many scans a process of its own takes longer to start than it saves."""


def mapped(
    task: Callable[[str], Found], ids: Sequence[str], workers: int | None
) -> Iterator[Found]:
    """Do a task for every scan and give what came of it, in the order of the scans.

    Parameters
    ----------
    task : callable
        Called with an id; what it holds and returns must travel between processes.
    ids : sequence of str
    workers : int or None
        Processes; None or 1, or few scans: this one.
    """
    if not workers or workers == 1 or len(ids) < FEW:
        yield from map(task, ids)
        return
    # Fresh processes: a fork would copy locks that image libraries' threads may hold.
    with ProcessPoolExecutor(
        min(workers, len(ids)), get_context("spawn"), _set_up, (task,)
    ) as pool:
        yield from pool.map(_do, ids)


_task: Callable | None = None


def _set_up(task: Callable) -> None:
    """Give a fresh process the task once, not with every scan."""
    global _task
    _task = task


def _do(id: str):
    return _task(id)
