"""Which job does which cell, kept beside the run, and what the scheduler says of it.

Whether a cell is done is told by the results folder alone. The scheduler is asked only about jobs
that have left nothing there yet, by ``squeue``, which needs no accounting; when it does not answer,
as while its controller is restarted, nothing is concluded.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.whole import write_text

FOLDER = "jobs"
RECORD = "jobs.json"
ASK_SECONDS = 20.0
"""Longest wait for the scheduler's answer."""

WORDS = {
    "PENDING": "queued",
    "CONFIGURING": "queued",
    "REQUEUED": "queued",
    "REQUEUE_HOLD": "queued",
    "SPECIAL_EXIT": "queued",
    "RUNNING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "suspended",
    "PREEMPTED": "queued",
}
"""Slurm's states in our words; all others mean that the job has ended."""


@dataclass(frozen=True)
class JobEntry:
    """A job that was submitted.

    Attributes
    ----------
    job : str
        The scheduler's number, ``"12_3"`` in an array; of a local job its process.
    launcher : "slurm" or "local"
    cells : tuple of str
    start : str
        Of a local process, to tell it from a later one of the same number.
    """

    job: str
    launcher: str
    cells: tuple[str, ...]
    start: str = ""


def read_jobs(run: Path) -> tuple[JobEntry, ...]:
    """The jobs of a run, oldest first.

    Raises
    ------
    UserError
        If the record is damaged.
    """
    path = run / FOLDER / RECORD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return tuple(JobEntry(**{**entry, "cells": tuple(entry["cells"])}) for entry in values)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(f"{path}: damaged; remove it, and look at the queue by hand") from None


def add_jobs(run: Path, entries: Iterable[JobEntry]) -> None:
    """Add jobs to a run's record."""
    known = [*read_jobs(run), *entries]
    write_text(
        run / FOLDER / RECORD, json.dumps([asdict(entry) for entry in known], indent=1) + "\n"
    )


def states_of(entries: Iterable[JobEntry]) -> dict[str, str] | None:
    """The state of each job: queued, running, suspended or gone; None if nobody answers."""
    entries = tuple(entries)
    found = {e.job: "running" if _alive(e) else "gone" for e in entries if e.launcher == "local"}
    numbers = [entry.job for entry in entries if entry.launcher == "slurm"]
    if not numbers:
        return found
    answer = _ask("squeue", "--noheader", "--array", "--me", "--format=%i %T %r")
    if answer is None:
        return None
    told = {}
    for line in answer.splitlines():
        number, state, *_ = line.split()
        told[number] = WORDS.get(state, "gone")
    return found | {number: told.get(number, "gone") for number in numbers}


def cancel_jobs(entries: Iterable[JobEntry]) -> int:
    """Cancel what is queued or running; how many.

    Raises
    ------
    UserError
        If the scheduler does not answer.
    """
    entries = tuple(entries)
    states = states_of(entries)
    if states is None:
        raise UserError("the scheduler does not answer (squeue); try again in a minute")
    alive = [entry for entry in entries if states[entry.job] != "gone"]
    for entry in alive:
        if entry.launcher == "local":
            try:
                os.kill(int(entry.job), signal.SIGTERM)
            except ProcessLookupError:
                pass
    numbers = [entry.job for entry in alive if entry.launcher == "slurm"]
    if numbers and _ask("scancel", *numbers) is None:
        raise UserError("the scheduler does not answer (scancel); try again in a minute")
    return len(alive)


def started(pid: int) -> str:
    """Ticks from boot to the start of a process; empty if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _alive(entry: JobEntry) -> bool:
    begin = started(int(entry.job))
    return bool(begin) and begin == entry.start


def _ask(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
        )
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found; Slurm's commands must be on the PATH") from None
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
