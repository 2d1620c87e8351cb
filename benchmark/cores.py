"""How many cores there are to be used. Imports nothing, so that everything may import it."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def jobs_beside(threads: int) -> int:
    """Trainings of so many threads each that the usable cores can do side by side."""
    return max(1, usable_cores() // threads)


def wait_asleep() -> None:
    """Let threads that wait for other threads sleep, in libraries that load from now on.

    GNU's and LLVM's OpenMP spin by default: beside other work a spinning thread spends the seconds
    that a training is given, so that two threads took a tenth of the steps that they take alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
