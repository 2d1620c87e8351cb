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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.cohorts.phantom.cache import cache_path, write_scan
from benchmark.cores import usable_cores
from benchmark.errors import UserError
from benchmark.phantom import Patient, draw
from benchmark.phantom.scanner import Spacing

#: Fewer scans than this are not worth starting processes for.
FEW = 4


#: Beginning of the ids of scans of either protocol.
STEMS = {"gated": "phantom", "wide": "wide"}


@dataclass(frozen=True)
class Recipe:
    """All that determines the scans of a cohort beside the version of the code."""

    seed: int
    spacing: Spacing | None
    protocol: str


def scan_id(index: int, protocol: str = "gated") -> str:
    """Return the id of a scan: index 0 is ``phantom-0001``, in chest CTs ``wide-0001``."""
    return f"{STEMS[protocol]}-{index + 1:04d}"


def make_scan(index: int, recipe: Recipe) -> tuple[Scan, np.ndarray]:
    """Make one scan; return it with the true owners of its voxels."""
    patient = Patient.of(index, recipe.seed, recipe.protocol)
    drawn = draw(patient, recipe.spacing)
    scan = Scan(
        scan_id(index, recipe.protocol),
        patient.scanner.centre,
        drawn.voxels,
        drawn.spacing,
        drawn.labels,
    )
    return scan, drawn.owners


def make_and_keep(index: int, recipe: Recipe, folder: Path) -> Scan:
    """Make one scan and write it to the cache."""
    scan, owners = make_scan(index, recipe)
    write_scan(cache_path(folder, scan.id), scan, owners)
    return scan


def make_many(
    indices: Sequence[int],
    recipe: Recipe,
    folder: Path,
    made: Callable[[str], None],
    workers: int | None = None,
) -> None:
    """Make scans in parallel and write them to the cache.

    Parameters
    ----------
    indices : sequence of int
        Patients to make.
    recipe : Recipe
        Seed, spacing and protocol.
    folder : Path
        Cache folder.
    made : callable
        Called in this thread with the id of each scan as it is done.
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
            made(make_and_keep(index, recipe, folder).id)
        return
    orders: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in indices:
        orders.put(index)
    answers: queue.SimpleQueue[str | UserError] = queue.SimpleQueue()
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
    answers: queue.SimpleQueue[str | UserError],
    recipe: Recipe,
    folder: Path,
) -> None:
    """Pass orders to one worker until none is left; runs in a thread."""
    fixed = {
        "seed": recipe.seed,
        "spacing": recipe.spacing,
        "protocol": recipe.protocol,
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
        answers.put(answer["id"])
