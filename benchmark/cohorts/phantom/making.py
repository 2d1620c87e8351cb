"""Make many scans at once, each worker a Python process of its own that never loads torch.

The workers run `benchmark.cohorts.phantom.worker` and are told what to do through a pipe.
Processes started this way need no guard in the user's script (as spawning would) and copy no
threads (as forking would).
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.calcium import risk_category, score_scan
from benchmark.cohorts.base import Record, Scan
from benchmark.cohorts.phantom.cache import cache_path, write_scan
from benchmark.cohorts.phantom.difficulty import Difficulty
from benchmark.cohorts.phantom.generate import Spacing, make_scan
from benchmark.cores import usable_cores
from benchmark.errors import UserError

#: Fewer scans than this are not worth starting processes for.
FEW = 4


@dataclass(frozen=True)
class Recipe:
    """All that determines the scans of a cohort beside the version of the code."""

    seed: int
    spacing: Spacing | None
    difficulty: Difficulty


def record_of(scan: Scan) -> Record:
    """Return the record of a scan from its reference labels."""
    agatston = round(float(score_scan(scan.voxels, scan.labels, scan.spacing)[0, 3]), 4)
    return Record(scan.id, scan.centre, agatston, int(risk_category(agatston)))


def make_and_keep(index: int, recipe: Recipe, folder: Path) -> tuple[Scan, Record]:
    """Make one scan and write it to the cache."""
    scan = make_scan(index, recipe.seed, recipe.spacing, recipe.difficulty)
    record = record_of(scan)
    write_scan(cache_path(folder, scan.id), scan, record)
    return scan, record


def make_many(
    indices: Sequence[int],
    recipe: Recipe,
    folder: Path,
    made: Callable[[Record], None],
    workers: int | None = None,
) -> None:
    """Make scans in parallel and write them to the cache.

    Parameters
    ----------
    indices : sequence of int
        Patients to make.
    recipe : Recipe
        Seed, spacing and difficulty.
    folder : Path
        Cache folder.
    made : callable
        Called in this thread with the record of each scan as it is done.
    workers : int, optional
        Processes; by default one for each core this process may use.

    Raises
    ------
    UserError
        If a worker fails; the line says why.
    """
    if workers is None:
        workers = usable_cores()
    workers = min(workers, len(indices))
    if workers <= 1 or len(indices) < FEW:
        for index in indices:
            made(make_and_keep(index, recipe, folder)[1])
        return
    orders: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in indices:
        orders.put(index)
    answers: queue.SimpleQueue[Record | UserError] = queue.SimpleQueue()
    processes = [_start() for _ in range(workers)]
    try:
        for process in processes:
            threading.Thread(
                target=_drive, args=(process, orders, answers, recipe, folder), daemon=True
            ).start()
        for _ in indices:
            answer = answers.get()
            if isinstance(answer, UserError):
                raise answer
            made(answer)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _start() -> subprocess.Popen[str]:
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    # The package may be run from a checkout that is not installed.
    root = str(Path(__file__).resolve().parents[3])
    known = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = root if not known else os.pathsep.join((root, known))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark.cohorts.phantom.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _drive(
    process: subprocess.Popen[str],
    orders: queue.SimpleQueue[int],
    answers: queue.SimpleQueue[Record | UserError],
    recipe: Recipe,
    folder: Path,
) -> None:
    """Pass orders to one worker until none is left; runs in a thread."""
    fixed = {
        "seed": recipe.seed,
        "spacing": recipe.spacing,
        "difficulty": asdict(recipe.difficulty),
        "folder": str(folder),
    }
    while True:
        try:
            index = orders.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(json.dumps(fixed | {"index": index}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            answers.put(
                UserError(
                    f"phantom: the process making scan {index} ended early, perhaps out of memory; "
                    "try again with fewer workers"
                )
            )
            return
        if "error" in answer:
            answers.put(UserError(answer["error"]))
            return
        answers.put(Record(**answer))
