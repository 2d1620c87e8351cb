"""What lies in a results folder that no present command would use, and how to remove it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.runs.currency import Present
from benchmark.runs.lock import Locks
from benchmark.runs.store import DRAFT, LOCKS, OLD, PARTIAL, Store, owner_of
from benchmark.system_errors import in_words


@dataclass(frozen=True)
class Rubbish:
    """A folder that may go.

    Attributes
    ----------
    path : Path
    kind : str
        "stale", "checkpoint" or "leftover".
    why : str
    size : int
        Bytes.
    """

    path: Path
    kind: str
    why: str
    size: int


def find_rubbish(store: Store) -> tuple[list[Rubbish], list[str]]:
    """Stale cells, checkpoints of unfinished trainings and leftovers of killed processes.

    Parameters
    ----------
    store : Store

    Returns
    -------
    list of Rubbish
    list of str
        Cells that a process is at work on; all of theirs is spared.
    """
    if not store.cells.is_dir():
        return [], []
    locks, present = Locks(store.cells / LOCKS), Present()
    found, busy = [], set()
    for path in sorted(store.cells.iterdir()):
        if not path.is_dir() or path.is_symlink() or path.name == LOCKS:
            continue
        cell = store.cell_of(path)
        if locks.busy(cell) is not None:
            busy.add(cell)
            continue
        if path.name.startswith(PARTIAL):
            found.append(_rubbish(path, "checkpoint", "of a training that was not finished"))
        elif path.name.startswith((DRAFT, OLD)):
            found.append(_rubbish(path, "leftover", "of a process that was killed"))
        elif not path.name.startswith("."):
            standing = store.standing(path.name)
            # another user's, which nobody here can tell anything of
            reasons = [] if standing.state == "closed" else present.of_cell(standing)
            if reasons:
                found.append(_rubbish(path, "stale", "; ".join(reasons)))
    return found, sorted(busy)


def remove(
    rubbish: list[Rubbish], store: Store, say: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Remove what was found, but nothing that a process has begun to work on since.

    Parameters
    ----------
    rubbish : list of Rubbish
    store : Store
    say : callable
        Told in one line of a folder that cannot be removed, as another user's.

    Returns
    -------
    list of Path
        What was removed.
    """
    locks, gone = Locks(store.cells / LOCKS), []
    for item in rubbish:
        held = locks.take(store.cell_of(item.path), lambda line: None)
        if held is None:
            continue
        try:
            shutil.rmtree(item.path)
            gone.append(item.path)
        except OSError as error:
            say(f"not removed: {item.path}, of {owner_of(item.path)}: {in_words(error)}")
        finally:
            held.release()
    return gone


def _rubbish(path: Path, kind: str, why: str) -> Rubbish:
    try:
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except PermissionError:
        size = 0  # another user's; to remove it will fail, with its reason
    return Rubbish(path, kind, why, size)
