"""How each cell of a run stands: from the results folder, and from the scheduler for the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmark.cluster.jobs import JobEntry, read_jobs, states_of
from benchmark.runs.lock import Locks
from benchmark.runs.store import LOCKS, Store


@dataclass(frozen=True)
class CellState:
    """A cell.

    Attributes
    ----------
    title : str
    seed : int
    folder : str
    state : str
        "finished", "failed", "running", "queued", "suspended", "lost" (its job ended and left
        nothing) or "waiting" (no job).
    job : str
        Its last job; "" for none.
    words : str
        Why it failed, who is at work on it, or where its log is.
    """

    title: str
    seed: int
    folder: str
    state: str
    job: str = ""
    words: str = ""


def states(run: Path, plan: dict) -> tuple[tuple[CellState, ...], bool]:
    """All cells of a run, and whether the scheduler answered.

    Parameters
    ----------
    run : Path
        The run's folder.
    plan : dict
        Contents of plan.json.
    """
    store = Store(run.resolve().parents[1])
    locks = Locks(store.cells / LOCKS)
    jobs: dict[str, JobEntry] = {}
    for entry in read_jobs(run):
        jobs.update(dict.fromkeys(entry.cells, entry))
    told = states_of(set(jobs.values()))
    titles = {method["name"]: method["title"] for method in plan["methods"]}
    found = []
    for cell in plan["cells"]:
        folder, entry = cell["folder"], jobs.get(cell["folder"])
        standing = store.standing(folder)
        job = "" if entry is None else entry.job
        words, state = "", "waiting"
        if standing.state == "finished":
            state = "finished"
        else:
            owner = locks.busy(folder)
            queue = "" if entry is None else "unknown" if told is None else told[entry.job]
            if owner is not None:
                state, words = "running", str(owner)
            elif queue in ("queued", "suspended", "unknown"):
                state = queue
            elif standing.state == "failed":
                state, words = "failed", standing.reason
            elif queue == "running":
                state = "running"
            elif entry is not None:
                state, words = "lost", f"its job ended; see {run}/jobs/{job}_0_log.err"
            if store.partial(folder).is_dir():
                words = f"{words}, has a checkpoint".lstrip(", ")
        found.append(CellState(titles[cell["method"]], cell["seed"], folder, state, job, words))
    return tuple(found), told is not None


def table(cells: tuple[CellState, ...]) -> list[str]:
    """One line a cell, and one that counts them."""
    rows = [
        ("method", "seed", "state", "job", ""),
        *((c.title, str(c.seed), c.state, c.job, c.words) for c in cells),
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    lines = []
    for row in rows:
        head = "  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=False))
        lines.append(f"{head}  {row[4]}".rstrip())
    return [*lines, summary(cells)]


def summary(cells: tuple[CellState, ...]) -> str:
    """``"9 runs: 3 finished, 2 running, 4 queued"``."""
    counts = Counter(cell.state for cell in cells)
    return f"{len(cells)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items())
